"""The sliding window against a plain loop, records' labels against sequences worked by hand."""

import time

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from lib.analysis import streaming
from lib.data.sprsound import POOR
from lib.errors import UserError

SOUND = np.random.default_rng(0).normal(size=97).astype(np.float32)


def name(window) -> str:
    return f"{window.sum(dtype=np.float64):.6f}"


def blocks(sound, size):
    return [sound[first : first + size] for first in range(0, len(sound), size)]


def loop(sound, window, step):
    """What the stream must give, from the whole sound."""
    found = []
    for start in range(0, len(sound), step):
        if start + window <= len(sound):
            piece = name(sound[start : start + window])
            found.append((start / 10, (start + window) / 10, piece))
    return found


@pytest.mark.parametrize("window, step", [(30, 10), (30, 20), (30, 30), (20, 45), (97, 10)])
@pytest.mark.parametrize("size", [*range(1, 35), 60, 97, 200])
def test_any_size_of_blocks_gives_the_windows_of_a_plain_loop(size, window, step):
    found = streaming.stream(blocks(SOUND, size), name, 10, window / 10, step / 10)
    assert list(found) == loop(SOUND, window, step) != []


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_blocks_of_mixed_sizes_and_empty_ones(sizes):
    edges = np.minimum(np.cumsum([0, *sizes]), len(SOUND))
    pieces = [SOUND[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    heard = SOUND[: edges[-1]]
    assert list(streaming.stream(pieces, name, 10, 3, 1)) == loop(heard, 30, 10)


def test_windows_come_while_the_sound_does():
    """Nothing waits for the end: the first window is there with its last sample."""
    given_out = []

    def live():
        for number in range(7):
            given_out.append(number)
            yield SOUND[10 * number : 10 * number + 10]

    windows = streaming.stream(live(), name, 10, 3, 1)
    assert next(windows)[:2] == (0.0, 3.0) and given_out == [0, 1, 2]
    assert next(windows)[:2] == (1.0, 4.0) and given_out == [0, 1, 2, 3]


def test_defaults_are_the_papers_windows():
    heard = []
    list(streaming.stream([np.zeros(8000 * 5 + 10)], lambda one: heard.append(len(one)) or "x"))
    assert heard == 3 * [24000]  # from 0, 1 and 2 s


def test_no_window_of_no_length():
    with pytest.raises(UserError, match="make both longer"):
        list(streaming.stream([SOUND], name, 10, 3, 0.01))


N, P, A, W, R, F, C, B = ("Normal", POOR, "Adventitious", "Wheeze", "Rhonchi", "Fine Crackle",
                          "Coarse Crackle", "Wheeze+Crackle")  # fmt: skip


@pytest.mark.parametrize(
    ("found", "task", "wanted"),
    [
        ((N, N, N), "2-1", "Normal"),
        ((N, N, A, A, N, N, N), "2-1", "Adventitious"),  # one pair is enough
        ((N, A, N, A, N, N), "2-1", "Normal"),  # never twice in a row
        ((P, P, A, P), "2-1", POOR),
        ((P, P, P, N, N), "2-1", "Normal"),  # not only poor
        ((N, A, N, A), "2-1", POOR),  # nothing counts
        ((A,), "2-1", POOR),
        ((), "2-1", POOR),
        ((W, W, N), "2-2", "CAS"),
        ((W, R, W, R), "2-2", POOR),  # both CAS, but not equal
        ((N, N, W, R, N), "2-2", "Normal"),
        ((F, F, N, C, C), "2-2", "DAS"),
        ((W, W, F, F), "2-2", "CAS & DAS"),
        ((N, N, B, B), "2-2", "CAS & DAS"),
        ((B, F, F, B), "2-2", "DAS"),
        ((P, P), "2-2", POOR),
    ],
)
def test_labels_of_records_worked_by_hand(found, task, wanted):
    assert streaming.record_label(found, task) == wanted
    assert streaming.record_label(iter(found[::-1]), task) == wanted  # backwards is the same


def test_only_tasks_of_records():
    with pytest.raises(UserError, match="unknown task of records '1-1'"):
        streaming.record_label((N, N), "1-1")


def test_what_a_stream_costs():
    def slow(window):
        time.sleep(0.02)
        return "x"

    cost = streaming.measure(blocks(SOUND, 7), slow, rate_hz=10, window_seconds=3, step_seconds=1)
    assert cost["windows"] == len(loop(SOUND, 30, 10)) == 7
    assert 0.02 <= cost["median_seconds"] <= cost["seconds_95"] < 1
    assert 7 * 0.02 / 9.7 <= cost["real_time_factor"] <= 7 * cost["seconds_95"] * 3 / 9.7
    with pytest.raises(UserError, match="not one complete window"):
        streaming.measure([SOUND[:5]], slow, rate_hz=10)


def test_a_file_comes_in_seconds_at_the_streams_rate(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.linspace(-0.5, 0.5, 4000 * 3 + 100), 4000)
    found = list(streaming.recording(tmp_path / "a.wav"))
    assert [len(block) for block in found] == [8000, 8000, 8000, 200]
