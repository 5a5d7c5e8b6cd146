"""Intervals against scipy's bootstrap and against plain loops over resampled patients."""

import math
import statistics

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import recall_score

from lib.evaluation import bootstrap
from lib.evaluation.bootstrap import mean_std, paired_bootstrap, patient_bootstrap
from lib.evaluation.tasks import get_task


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 60)


@pytest.fixture
def example() -> tuple[np.ndarray, ...]:
    """Label, two predictions and patient of 240 clips."""
    rng = np.random.default_rng(1)
    label, patient = rng.integers(0, 4, 240), rng.integers(0, 9, 240).astype(str)
    a, b = (np.where(rng.random(240) < p, label, rng.integers(0, 4, 240)) for p in (0.6, 0.4))
    return label, a, b, patient


def score_by_sklearn(label: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Sp, Se and Score in percent; nan without clips."""
    if not len(label):
        return np.full(3, math.nan)
    sp = recall_score(label == 0, predicted == 0)
    se = recall_score(label, predicted, labels=[1, 2, 3], average="micro")
    return np.array([100 * sp, 100 * se, 50 * (sp + se)])


def resampled(patient: np.ndarray) -> list[np.ndarray]:
    """Indices of the clips of each resample: those of the drawn patients, end to end."""
    names = np.unique(patient)
    draws = np.random.default_rng(0).integers(0, len(names), size=(60, len(names)))
    return [np.concatenate([np.flatnonzero(patient == names[i]) for i in draw]) for draw in draws]


@pytest.mark.parametrize("seeds", [1, 2])
def test_patient_bootstrap_equals_scipy(example, seeds):
    label, *predicted, patient = example
    predicted = np.stack(predicted[:seeds])
    clips = [np.flatnonzero(patient == name) for name in np.unique(patient)]

    def scores(drawn: np.ndarray) -> np.ndarray:
        at = np.concatenate([clips[i] for i in drawn])
        return np.mean([score_by_sklearn(label[at], p[at]) for p in predicted], axis=0)

    how = {"n_resamples": 60, "method": "percentile", "rng": 0, "vectorized": False}
    expected = stats.bootstrap((np.arange(9),), scores, **how).confidence_interval
    intervals = patient_bootstrap(label, predicted, patient)
    for i, metric in enumerate(("sp", "se", "score")):
        low_high = expected.low[i], expected.high[i]
        assert intervals[metric] == pytest.approx(low_high, rel=1e-12)  # order of float additions


def test_paired_bootstrap_equals_a_plain_loop(example):
    label, a, b, patient = example
    difference, low, high = paired_bootstrap(label, a, b, patient)
    loop = [
        (score_by_sklearn(label[at], a[at]) - score_by_sklearn(label[at], b[at]))[2]
        for at in [np.arange(240), *resampled(patient)]
    ]
    assert difference == pytest.approx(loop[0])
    assert (low, high) == pytest.approx(tuple(np.percentile(loop[1:], [2.5, 97.5])))
    assert paired_bootstrap(label, a, a, patient) == (0, 0, 0)


def test_patients_give_wider_intervals_than_cycles():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(12), 40)
    label = rng.integers(0, 4, len(patient))
    skill = rng.random(12)[patient]  # some patients are easy, some are not
    predicted = np.where(rng.random(len(label)) < skill, label, (label + 1) % 4)
    by_patient = patient_bootstrap(label, predicted, patient)["score"]
    by_cycle = patient_bootstrap(label, predicted, np.arange(len(label)))["score"]
    assert by_patient[1] - by_patient[0] > 2 * (by_cycle[1] - by_cycle[0])


def test_resamples_without_a_side_are_left_out():
    label, patient = np.array([1, 1, 2, 3, 1]), np.array(list("aaabb"))
    intervals = patient_bootstrap(label, label, patient)
    assert all(math.isnan(bound) for bound in intervals["score"]) and intervals["se"] == (100, 100)
    label[:2] = 0  # patient b alone, a quarter of the resamples, still has no normal clip
    assert patient_bootstrap(label, np.array([0, 1, 2, 3, 1]), patient)["sp"] == (50, 50)


def test_subsets_are_scored_separately_and_averaged(example):
    label, predicted, _, patient = example
    subset = np.where(patient < "4", "inter", "intra")  # whole patients
    loop = []
    for at in resampled(patient):
        both = [at[subset[at] == name] for name in ("inter", "intra")]
        loop.append(np.mean([score_by_sklearn(label[i], predicted[i])[2] for i in both]))
    interval = patient_bootstrap(label, predicted, patient, subset=subset)["score"]
    assert interval == pytest.approx(tuple(np.nanpercentile(loop, [2.5, 97.5])))


def test_test2023_changes_no_interval(example):
    """With clips of other children in test2023, everything stays as without them."""
    label, a, b, patient = example
    task, subset = get_task("1-2"), np.where(np.arange(240) % 3, "inter", "intra")
    extra = label[:30], 1 - np.minimum(a[:30], 1), np.zeros(30, int), np.repeat("new", 30)
    more = [np.concatenate(pair) for pair in zip(example, extra, strict=True)]
    more_subset = np.concatenate([subset, np.repeat("test2023", 30)])
    before = patient_bootstrap(label, np.stack([a, b]), patient, task, subset)
    assert patient_bootstrap(more[0], np.stack(more[1:3]), more[3], task, more_subset) == before
    pair = paired_bootstrap(label, a, b, patient, task, subset)
    assert paired_bootstrap(*more, task, more_subset) == pair


def test_mean_std():
    values = [59.1, 60.3, 58.8]
    assert mean_std(values) == pytest.approx((statistics.mean(values), statistics.stdev(values), 3))
    mean, std, n = mean_std([50.0])
    assert (mean, n) == (50.0, 1) and math.isnan(std)
    assert mean_std([])[2] == 0 and math.isnan(mean_std([])[0])


def test_the_interval_of_a_mean_is_that_of_drawn_clips(example):
    label, *_, patient = example
    expected = np.percentile([label[clips].mean() for clips in resampled(patient)], [2.5, 97.5])
    assert bootstrap.mean_interval(label, patient) == pytest.approx(tuple(expected), abs=1e-12)
