"""Sliding windows against a plain loop, labels of records by hand, Table II by scikit-learn."""

import time

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from sklearn.metrics import recall_score

from lib import files, paths
from lib.analysis import streaming
from lib.config import Experiment, override
from lib.data import SPRSound, audio, synthetic
from lib.data.sprsound import POOR, TASKS, WINDOWS
from lib.errors import UserError
from lib.features import cache
from lib.features.frontends import clip_frames, frontend_for
from lib.runs import folder
from lib.runs.folder import RunSpec
from lib.training import dataset

SOUND = np.random.default_rng(0).normal(size=97).astype(np.float32)


def describe(window) -> str:
    return f"{window.sum(dtype=np.float64):.6f}"


def blocks_of(sound, size):
    return [sound[start : start + size] for start in range(0, len(sound), size)]


def plain_loop(sound, window, step):
    """Return what the stream must give, from the whole sound."""
    starts = range(0, len(sound) - window + 1, step)
    return [(s / 10, (s + window) / 10, describe(sound[s : s + window])) for s in starts]


@pytest.mark.parametrize("window, step", [(30, 10), (30, 20), (30, 30), (20, 45), (97, 10)])
def test_blocks_of_any_size_give_the_windows_of_a_plain_loop(window, step):
    expected = plain_loop(SOUND, window, step)
    assert expected
    for size in [*range(1, 35), 60, 97, 200]:
        windows = streaming.stream(blocks_of(SOUND, size), describe, 10, window / 10, step / 10)
        assert list(windows) == expected


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_blocks_of_mixed_sizes_and_empty_ones(sizes):
    edges = np.minimum(np.cumsum([0, *sizes]), len(SOUND))
    blocks = [SOUND[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    windows = list(streaming.stream(blocks, describe, 10, 3, 1))
    assert windows == plain_loop(SOUND[: edges[-1]], 30, 10)


def test_a_window_comes_with_its_last_sample():
    delivered = []

    def live():
        for block in blocks_of(SOUND, 10):
            delivered.append(len(block))
            yield block

    windows = streaming.stream(live(), describe, 10, 3, 1)
    assert next(windows)[:2] == (0.0, 3.0) and len(delivered) == 3
    assert next(windows)[:2] == (1.0, 4.0) and len(delivered) == 4


def test_defaults_are_the_papers_windows_and_a_window_has_a_length():
    lengths = []
    list(streaming.stream([np.zeros(8000 * 5 + 10)], lambda x: lengths.append(len(x)) or "x"))
    assert lengths == 3 * [24000]  # from 0, 1 and 2 s
    with pytest.raises(UserError, match="make both longer"):
        list(streaming.stream([SOUND], describe, 10, 3, 0.01))


N, P, A, W, R, F, C, B = ("Normal", POOR, "Adventitious", "Wheeze", "Rhonchi", "Fine Crackle",
                          "Coarse Crackle", "Wheeze+Crackle")  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "task", "expected"),
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
def test_labels_of_records_worked_by_hand(labels, task, expected):
    assert streaming.record_label(labels, task) == expected
    assert streaming.record_label(iter(labels[::-1]), task) == expected  # order does not matter
    with pytest.raises(UserError, match="unknown task of records '1-1'"):
        streaming.record_label(labels, "1-1")


def test_costs_of_a_stream():
    def slow(window):
        time.sleep(0.02)
        return "x"

    settings = {"rate_hz": 10, "window_seconds": 3, "step_seconds": 1}
    cost = streaming.measure_stream(blocks_of(SOUND, 7), slow, **settings)
    assert cost["windows"] == len(plain_loop(SOUND, 30, 10)) == 7
    assert 0.02 <= cost["median_seconds"] <= cost["seconds_95"] < 1
    assert 7 * 0.02 / 9.7 <= cost["real_time_factor"] <= 7 * cost["seconds_95"] * 3 / 9.7
    with pytest.raises(UserError, match="not one complete window"):
        streaming.measure_stream([SOUND[:5]], slow, rate_hz=10)


def test_a_file_is_read_in_seconds_at_the_streams_rate(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.linspace(-0.5, 0.5, 4000 * 3 + 100), 4000)
    blocks = list(streaming.read_blocks(tmp_path / "a.wav"))
    assert [len(block) for block in blocks] == [8000, 8000, 8000, 200]


CNN = Experiment("cnn2/ce@1-2-windows", dataset="sprsound", frontend="mfcc", clip_seconds=3.0,
                 task="1-2-windows", normalise="zscore", model="cnn2", size="2-8-16-8",
                 save_weights=True)  # fmt: skip


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    root = tmp_path_factory.mktemp("sprsound")
    synthetic.write_sprsound(root, seed=0, patients=4)
    return SPRSound.open(root)


@pytest.fixture
def run(tmp_path):
    """The folder of a finished run with saved weights, its model, and its row of results."""
    torch.manual_seed(1)
    classifier = streaming.untrained_classifier(CNN)
    path = folder.start_run(RunSpec(CNN, 1, "f" * 64, ""), {"name": "x"}, "")
    save_file(classifier.model.state_dict(), path / folder.WEIGHTS)
    subsets = {"inter": {"score": 61.5}, "intra": {"score": 71.25}}
    selections = {"validation": {"test": {"score": 66.0, "subsets": subsets}}, "last": None}
    files.write_json(path / "result.json", {"selections": selections})
    results = pd.DataFrame({"experiment": CNN.name, "run": 2 * [path.name], "path": str(path)})
    return path, classifier, results


def test_windows_have_the_bits_of_training_clips(sounds, monkeypatch):
    """Every clip of the cache that is no longer than a window, read as training reads it."""
    monkeypatch.setattr(paths, "available_cores", lambda: 1)
    clips = cache.cache_for(sounds, frontend_for(CNN), progress=False)
    labels = np.zeros(len(clips.cycles), np.int64)
    device = torch.device("cpu")
    trained = dataset.load_dataset(clips, labels, clip_frames(CNN), "zscore", device)
    events = clips.cycles[clips.cycles["1-2-windows"] != POOR]
    assert len(events) > 20
    for row in events.itertuples():
        wave = audio.resample(*audio.read(sounds.audio_files()[row.recording]), 8000)
        window = audio.excerpt(wave, row.start, row.end, 8000)
        x, _ = trained.batch(torch.tensor([row.Index]))
        assert torch.equal(streaming.window_features(window, CNN), x) and x.shape == (1, 187, 64)


def test_a_saved_run_predicts_as_its_model_does(run):
    path, classifier, _ = run
    loaded = streaming.load_classifier(path)
    assert not loaded.model.training
    rng = np.random.default_rng(0)
    for scale in (0.01, 1.0):
        sound = (scale * rng.normal(size=24000)).astype(np.float32)
        logits = classifier.model(streaming.window_features(sound, CNN))
        assert loaded(sound) == WINDOWS["1-2-windows"][int(logits.argmax())]
        assert loaded(sound) == loaded(3 * sound)  # loudness is scaled away
    assert loaded(np.zeros(24000)) in WINDOWS["1-2-windows"]  # digital silence is finite
    (path / folder.WEIGHTS).unlink()
    with pytest.raises(UserError, match="train it with save_weights"):
        streaming.load_classifier(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "1-2"}, "not of windows"),
        ({"normalise": "dataset"}, "needs normalise = zscore"),
        ({"method": "supcon"}, "and a classifier"),
    ],
)
def test_other_experiments_cannot_classify_streams(changes, message):
    with pytest.raises(UserError, match=message):
        streaming.untrained_classifier(override(CNN, **changes))


def test_each_run_classifies_all_test_records_once(sounds, run, monkeypatch):
    path, classifier, results = run
    records = streaming.stream_records(sounds, results)
    table = sounds.load("record")
    assert records.record.tolist() == table[table.split == "test"].recording.tolist()
    first, audio_files = records.iloc[0], sounds.audio_files()
    labels = [
        x
        for *_, x in streaming.stream(streaming.read_blocks(audio_files[first.record]), classifier)
    ]
    assert first.windows.split("|") == labels
    assert first.predicted == streaming.record_label(labels, "2-2")
    monkeypatch.setattr(streaming, "classify_records", None)
    pd.testing.assert_frame_equal(streaming.stream_records(sounds, results), records)
    (path / folder.WEIGHTS).unlink()  # as of a published run
    pd.testing.assert_frame_equal(streaming.stream_records(sounds, results), records)
    (path / folder.STREAM).unlink()
    assert streaming.stream_records(sounds, results).empty
    assert streaming.stream_scores(results).empty


def challenge_score(truth, predicted, abnormal) -> float:
    sp = recall_score(truth == "Normal", predicted == "Normal")
    se = recall_score(truth, predicted, labels=abnormal, average="micro")
    return 50 * ((sp + se) / 2 + 2 * sp * se / (sp + se))


def test_scores_of_events_and_records(run):
    path, _, results = run
    rng, classes = np.random.default_rng(0), np.array(TASKS["2-2"])
    records = pd.DataFrame({"subset": rng.choice(["inter", "intra"], 200)})
    records["truth"], guess = rng.choice(classes, 200), rng.choice(classes, 200)
    records["predicted"] = np.where(rng.random(200) < 0.6, records.truth, guess)
    records.to_csv(path / folder.STREAM, index=False)
    table = streaming.stream_scores(results)
    assert table.task.tolist() == ["2-2", "2-2"] and table.subset.tolist() == ["intra", "inter"]
    assert table.event.tolist() == [71.25, 61.5]
    for row in table.itertuples():
        group = records[records.subset == row.subset]
        expected = challenge_score(group.truth, group.predicted, list(classes[2:]))
        assert row.record == pytest.approx(expected)


def test_the_example_is_adventitious_and_predicted_so(sounds):
    table = sounds.load("record")
    table = table[table.split == "test"].reset_index(drop=True)
    windows = ["|".join(["Normal", "Wheeze", "Wheeze"][: i % 3 + 1]) for i in table.index]
    truth = table["2-2"]
    records = pd.DataFrame({"record": table.recording, "truth": truth, "predicted": truth})
    records["windows"] = windows
    wave, rate_hz, labels, events = streaming.example_record(sounds, records)
    adventitious = records[~truth.isin(["Normal", POOR])]
    variety = adventitious.windows.map(lambda text: len(set(text.split("|"))))
    chosen = adventitious.loc[variety.idxmax()]
    sound, native_hz = soundfile.read(sounds.audio_files()[chosen.record])
    assert rate_hz == native_hz == 8000 and len(wave) == len(sound)
    np.testing.assert_allclose(wave, sound, atol=1e-4)  # 16-bit samples
    assert labels.label.tolist() == chosen.windows.split("|")
    assert (labels.end - labels.start == 3).all() and labels.start.tolist()[:2] == [0, 1]
    annotated = sounds.load("event")
    annotated = annotated[annotated.recording == chosen.record]
    assert events.label.tolist() == annotated["1-2"].tolist()
    assert events.end.tolist() == annotated.end.tolist()
    wave, _, labels, events = streaming.example_record(sounds, records[:0])
    assert len(wave) == len(labels) == len(events) == 0
