"""AUROC, calibration and Brier score against scikit-learn and plain loops."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from lib.evaluation import calibration
from lib.evaluation.auroc import auroc, log_odds
from lib.evaluation.bootstrap import resample_counts
from lib.evaluation.metrics import macro_scores
from lib.evaluation.tasks import get_task


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_auroc_with_ties(rng):
    abnormal, patient = rng.random(300) < 0.4, rng.integers(0, 9, 300)
    score = (rng.normal(size=300) + abnormal).round(1)
    value, low, high = auroc(abnormal, score, patient)
    assert value == pytest.approx(roc_auc_score(abnormal, score), abs=1e-12)
    assert low < value < high


def test_auroc_resamples_patients(rng):
    abnormal, patient = rng.random(120) < 0.5, rng.integers(0, 5, 120)
    score = rng.normal(size=120)
    values = []
    for counts in resample_counts(5)[1:]:
        clips = np.concatenate([np.tile(np.flatnonzero(patient == i), n) for i, n in
                                enumerate(counts)])  # fmt: skip
        values.append(roc_auc_score(abnormal[clips], score[clips]))
    expected = np.percentile(values, [2.5, 97.5])
    assert auroc(abnormal, score, patient)[1:] == pytest.approx(tuple(expected), abs=1e-12)


def test_auroc_is_the_mean_over_subsets(rng):
    abnormal, patient = rng.random(200) < 0.5, rng.integers(0, 9, 200)
    score, subset = rng.normal(size=200), np.array(["inter", "intra"])[rng.integers(0, 2, 200)]
    each = [roc_auc_score(abnormal[subset == s], score[subset == s]) for s in ("inter", "intra")]
    value = auroc(abnormal, score, patient, subset)[0]
    assert value == pytest.approx(np.mean(each), abs=1e-12)
    assert np.isnan(auroc(np.ones(200, dtype=bool), score, patient)[0])


def test_auroc_is_the_mean_over_seeds(rng):
    abnormal, patient = rng.random(200) < 0.5, rng.integers(0, 9, 200)
    score = rng.normal(size=(2, 200)) + abnormal
    value, low, high = auroc(abnormal, score, patient)
    one, two = (auroc(abnormal, each, patient) for each in score)
    assert value == pytest.approx((one[0] + two[0]) / 2) and low < value < high
    assert auroc(abnormal, score[[0, 0]], patient) == pytest.approx(one)


def test_log_odds_are_those_of_the_sum_of_the_abnormal_probabilities(rng):
    task = get_task("2-1")
    assert task.ignored
    counted = [i for i, name in enumerate(task.classes) if i and name not in task.ignored]
    logits = rng.normal(size=(50, len(task.classes)))
    p = calibration.softmax(logits)
    expected = np.log(p[:, counted].sum(1) / p[:, 0])
    np.testing.assert_allclose(log_odds(logits, task), expected, rtol=1e-9)


def test_calibration_error_of_a_loop(rng):
    p = calibration.softmax(2 * rng.normal(size=(500, 4)))
    label = rng.integers(0, 4, 500)
    error = 0.0
    for i in range(15):
        inside = (p.max(1) >= i / 15) & (p.max(1) < (i + 1) / 15)
        if inside.any():
            right = p[inside].argmax(1) == label[inside]
            error += inside.mean() * abs(p[inside].max(1).mean() - right.mean())
    assert calibration.calibration_error(p, label) == pytest.approx(error, abs=1e-12)
    sure = np.eye(4)[label]
    assert calibration.calibration_error(sure, label) == 0
    assert calibration.calibration_error(np.roll(sure, 1, axis=1), label) == 1


def test_brier_score_is_that_of_scikit_learn(rng):
    p, label = calibration.softmax(rng.normal(size=(200, 4))), rng.integers(0, 4, 200)
    expected = brier_score_loss(label, p, labels=range(4), scale_by_half=False)
    assert calibration.brier_score(p, label) == pytest.approx(expected, abs=1e-12)


def test_the_temperature_makes_the_validation_clips_most_likely():
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((4000, 4))
    label = np.array([rng.choice(4, p=softmax(row)) for row in logits])
    temperature = calibration.fit_temperature(3 * logits, label)
    assert temperature == pytest.approx(3.0, rel=0.1)
    likelihoods = {
        t: log_softmax(3 * logits / t, axis=1)[np.arange(4000), label].mean()
        for t in (temperature, 0.95 * temperature, 1.05 * temperature)
    }
    assert max(likelihoods, key=likelihoods.get) == temperature
    errors = [
        calibration.calibration_error(softmax(3 * logits / t, axis=1), label)
        for t in (1, temperature)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_logarithms_of_probabilities_do_as_well_as_logits(rng):
    logits, label = 3 * rng.normal(size=(500, 4)) + 7, rng.integers(0, 4, 500)
    p = calibration.softmax(logits)
    expected = calibration.fit_temperature(logits, label)
    assert calibration.fit_temperature(np.log(p), label) == pytest.approx(expected, rel=1e-9)


def test_reliability_bins_are_those_of_scikit_learn(rng):
    p, label = calibration.softmax(2 * rng.normal(size=(500, 4))), rng.integers(0, 4, 500)
    bins = calibration.reliability(p, label)
    right, confidence = calibration_curve(p.argmax(1) == label, p.max(1), n_bins=15)
    filled = bins[:, 0] > 0
    assert bins[:, 0].sum() == 500 and not filled.all()
    np.testing.assert_allclose(bins[filled, 1:], np.stack([confidence, right], 1), atol=1e-12)


def test_softmax_of_large_logits():
    p = calibration.softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]], dtype=np.float32))
    np.testing.assert_array_equal(p, [[1, 0], [0.5, 0.5]])


def test_macro_scores_of_a_worked_example():
    matrix = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])  # the third class never occurs
    scores = macro_scores(matrix)
    assert scores["se"] == pytest.approx(100 * (8 / 10 + 3 / 4) / 2)
    assert scores["sp"] == pytest.approx(100 * (3 / 4 + 8 / 10) / 2)
    poor = np.array([[8, 2, 0], [1, 3, 0], [5, 5, 5]])  # and here it is ignored
    assert macro_scores(poor, ignored=[2])["score"] == pytest.approx(float(scores["score"]))
    both = macro_scores(np.stack([matrix, 2 * matrix]))
    assert both["score"].shape == (2,) and both["score"][0] == pytest.approx(both["score"][1])
