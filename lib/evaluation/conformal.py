"""Split conformal prediction: sets of classes that hold the true one as often as they promise.

The promise is for clips that are exchangeable with those of the calibration. Clips of other
patients, and all the more of another stethoscope, are not: what sets cover there must be measured.
"""

import math

import numpy as np
from numpy import ndarray

from lib.evaluation.bootstrap import SEED

COVERAGE = 0.9  # that sets promise
FEWEST_PATIENTS = 5  # that must be left to measure coverage on


def conformal_threshold(
    probabilities: ndarray, label: ndarray, coverage: float = COVERAGE
) -> float:
    """The largest 1 - probability at which a class is in a set; inf if there are too few clips.

    probabilities (N, n) of calibration clips whose classes are label (N,): the ceil((N + 1)
    coverage)-th smallest 1 - probability of a true class (Sadinle et al. 2019, Theorem 1;
    Angelopoulos & Bates 2023, section 1.1).
    """
    scores = np.sort(1 - probabilities[np.arange(len(label)), label])
    rank = math.ceil((len(scores) + 1) * coverage - 1e-9)
    return float(scores[rank - 1]) if rank <= len(scores) else math.inf


def prediction_sets(probabilities: ndarray, threshold: float) -> ndarray:
    """Which classes are in the set of each clip, (N, n) bool; a set can be empty."""
    return 1 - probabilities <= threshold


def covered(sets: ndarray, label: ndarray) -> ndarray:
    """Whether the true class label (N,) is in each set (N, n): (N,) bool."""
    return sets[np.arange(len(label)), label]


def calibrate_on_patients(
    probabilities: ndarray, label: ndarray, patient: ndarray, k: int, draws: int
) -> ndarray:
    """Coverage and mean size of sets that are calibrated on k patients of a site: (draws, 2).

    Each draw takes other k patients for the threshold and measures on all others. Empty (0, 2) if
    fewer than `FEWEST_PATIENTS` would be left. probabilities (N, n); label, patient (N,).
    """
    patients, rng, results = np.unique(patient), np.random.default_rng(SEED), []
    if len(patients) < k + FEWEST_PATIENTS:
        return np.empty((0, 2))
    for _ in range(draws):
        own = np.isin(patient, rng.choice(patients, k, replace=False))
        threshold = conformal_threshold(probabilities[own], label[own])
        sets = prediction_sets(probabilities[~own], threshold)
        results.append((covered(sets, label[~own]).mean(), sets.sum(axis=1).mean()))
    return np.array(results)
