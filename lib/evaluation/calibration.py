"""Whether probabilities mean what they say: expected calibration error and Brier score."""

import numpy as np
from numpy import ndarray

BINS = 15


def softmax(logits: ndarray) -> ndarray:
    """Probabilities (N, n) of logits (N, n), in float64."""
    logits = np.asarray(logits, dtype=np.float64)
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def calibration_error(probabilities: ndarray, label: ndarray) -> float:
    """Expected calibration error (0 to 1) of probabilities (N, n) of the classes label (N,).

    The mean distance between how sure the model is of its most probable class and how often that
    class is right, in 15 bins of equal width, weighted by their clips (Guo et al. 2017).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == label
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(index, confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(label))


def brier_score(probabilities: ndarray, label: ndarray) -> float:
    """Mean squared distance (0 to 2) between probabilities (N, n) and the true classes (N,)."""
    truth = np.eye(probabilities.shape[1])[label]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())
