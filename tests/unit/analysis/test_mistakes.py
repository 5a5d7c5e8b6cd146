"""The surest mistakes: by hand on six clips, and their sounds from synthetic recordings."""

from dataclasses import replace

import numpy as np
import pytest
from bs4 import BeautifulSoup

from lib.analysis.mistakes import Mistake, find_sound, surest_mistakes
from lib.data import synthetic
from lib.data.icbhi import ICBHI
from lib.evaluation.tasks import get_task
from lib.reports import listen
from lib.runs.predictions import Predictions

TASK = get_task("icbhi4")


def predictions(lines):
    """Of one seed; lines: label, called class, its probability, patient, device."""
    label, called, probability, patient, device = map(np.array, zip(*lines, strict=True))
    p = np.repeat((1 - probability)[:, None] / 3, 4, axis=1)
    p[np.arange(len(lines)), called] = probability
    cycle = np.array([f"r:{i}" for i in range(len(lines))])
    subset = np.full(len(lines), "")
    return Predictions(TASK, (1,), called[None], p[None], label, patient, device, cycle, subset)


def test_surest_mistakes_by_hand():
    p = predictions([
        (0, 0, 0.99, "a", "M"),  # right
        (0, 1, 0.70, "a", "M"),
        (0, 1, 0.90, "a", "M"),  # the surest of this patient
        (0, 2, 0.80, "b", "M"),
        (0, 2, 0.60, "c", "L"),  # less sure, but of another device
        (2, 0, 0.50, "a", "M"),
    ])  # fmt: skip
    shown = surest_mistakes(p, 2)
    assert [(m.cycle, m.truth, m.predicted) for m in shown] == [
        ("r:2", "normal", "crackle"), ("r:4", "normal", "wheeze"), ("r:5", "wheeze", "normal"),
    ]  # fmt: skip
    assert [m.cycle for m in surest_mistakes(p, 3)][:3] == ["r:2", "r:4", "r:3"]
    assert shown[0].probabilities["crackle"] == pytest.approx(0.9)


def test_a_mistake_is_one_of_the_mean_of_the_seeds():
    p = predictions([(0, 1, 0.6, "a", "M")])
    other = p.probabilities.copy()
    other[0, 0] = (1, 0, 0, 0)
    both = np.concatenate([p.probabilities, other])
    assert surest_mistakes(replace(p, seeds=(1, 2), probabilities=both), 2) == []


def test_without_runs_it_says_so():
    assert "no finished run" in listen.gallery(surest_mistakes(None, 2), None, True)


@pytest.fixture
def recordings(tmp_path):
    """Synthetic recordings that count as real ones."""
    synthetic.write_icbhi(tmp_path, patients=4)
    return replace(ICBHI.open(tmp_path), kind="partial")


def mistake_of(dataset, index):
    row = dataset.frame.iloc[index]
    values = dict(zip(TASK.classes, (0.1, 0.2, 0.3, 0.4), strict=True))
    return Mistake(f"{row.recording}:{row.cycle}", row.patient, row.device, row.label, values)


def test_the_sound_is_that_of_the_clip(recordings):
    wave, rate = find_sound(mistake_of(recordings, 5), recordings)
    np.testing.assert_array_equal(wave, recordings[5]["waveform"])
    assert rate == recordings[5]["rate"]
    gone = replace(mistake_of(recordings, 5), cycle="101_1b1_Al_sc_Nothing:0")
    assert find_sound(gone, recordings) is None
    assert find_sound(mistake_of(recordings, 5), replace(recordings, kind="synthetic")) is None


@pytest.mark.parametrize(("embed", "players"), [(True, 1), (False, 0)])
def test_a_real_sound_is_only_where_it_may_be(recordings, embed, players):
    soup = BeautifulSoup(
        listen.gallery([mistake_of(recordings, 5)], recordings, embed), "html.parser"
    )
    assert len(soup.select("audio")) == players and len(soup.select("img[alt]")) == 1
    words = soup.figcaption.get_text()
    assert "called both" in words and "crackle 0.20" in words
    elsewhere = listen.gallery([mistake_of(recordings, 5)], replace(recordings, kind="none"), True)
    assert "called both" in elsewhere and "<audio" not in elsewhere and "<img" not in elsewhere
