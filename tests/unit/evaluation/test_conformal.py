"""Prediction sets by hand, their promise on exchangeable clips, and on drawn patients."""

import math

import numpy as np
import pytest

from lib.evaluation import conformal


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def clips(rng, count):
    """Probabilities (count, 3) and classes that follow them."""
    p = rng.dirichlet([1, 1, 1], count)
    return p, np.array([rng.choice(3, p=row) for row in p])


def test_the_threshold_of_a_worked_example():
    p_true = np.array([0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    p, label = np.stack([p_true, 1 - p_true], axis=1), np.zeros(9, dtype=int)
    # ceil(10 x 0.9) = 9: the largest of nine; ceil(10 x 0.5) = 5: the fifth
    assert conformal.conformal_threshold(p, label) == pytest.approx(0.8)
    assert conformal.conformal_threshold(p, label, 0.5) == pytest.approx(0.4)
    assert conformal.conformal_threshold(p[:8], label[:8]) == math.inf  # ceil(9 x 0.9) > 8


def test_sets_of_a_worked_example():
    p = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.34, 0.33, 0.33]])
    sets = conformal.prediction_sets(p, 0.65)
    assert sets.tolist() == [[True, False, False], [True, True, False], [False, False, False]]
    assert conformal.covered(sets, np.array([0, 2, 0])).tolist() == [True, False, False]
    assert conformal.prediction_sets(p, math.inf).all()


def test_sets_hold_what_they_promise_for_exchangeable_clips(rng):
    """Coverage is Beta distributed around its promise; the mean of 300 draws is known to 0.002."""
    covered = []
    for _ in range(300):
        threshold = conformal.conformal_threshold(*clips(rng, 99))
        p, label = clips(rng, 400)
        covered.append(conformal.covered(conformal.prediction_sets(p, threshold), label).mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.006)  # three standard errors


def test_patients_that_calibrate_are_not_measured(rng):
    """A patient who is always wrong is covered by sets of all classes alone."""
    p = np.tile([0.9, 0.1], (60, 1))
    patient, label = np.repeat(np.arange(6), 10), np.repeat([0, 0, 0, 0, 0, 1], 10)
    results = conformal.calibrate_on_patients(p, label, patient, 1, 40)
    alone = np.array([1.0, 2.0])  # the odd one calibrates: both classes, all covered
    others = np.array([4 / 5, 1.0])  # another one does: the odd one is not covered
    assert {tuple(row) for row in results} == {tuple(alone), tuple(others)}
    again = conformal.calibrate_on_patients(p, label, patient, 1, 40)
    np.testing.assert_array_equal(results, again)
    assert conformal.calibrate_on_patients(p, label, patient, 2, 40).shape == (0, 2)
