"""Selective prediction: how often a model errs if it may leave the least sure clips to a human."""

import numpy as np
from numpy import ndarray


def risk_coverage(confidence: ndarray, right: ndarray) -> tuple[ndarray, ndarray]:
    """Shares of clips that are answered (N,), and the share of errors among them (N,).

    confidence, right (N,): how sure a model is, and whether it is right. The surest clips are
    answered first; equally sure ones count as in a random order (El-Yaniv & Wiener 2010).
    """
    rounded = -np.round(confidence, 12)  # sums of a softmax differ in the last digits
    values, group, clips = np.unique(rounded, return_inverse=True, return_counts=True)
    errors = np.bincount(group, ~np.asarray(right, dtype=bool), minlength=len(values))
    answered = np.arange(1, len(confidence) + 1)
    risk = np.cumsum(np.repeat(errors / clips, clips)) / answered
    return answered / len(confidence), risk


def risk_at(confidence: ndarray, right: ndarray, coverage: float) -> float:
    """The share of errors (0 to 1) among the surest `coverage` (0 to 1) of the clips."""
    _, risk = risk_coverage(confidence, right)
    return float(risk[max(1, round(coverage * len(risk))) - 1])


def area_under_risk(confidence: ndarray, right: ndarray) -> float:
    """Area under the risk-coverage curve (0 to 1): its mean (Geifman & El-Yaniv 2019, AURC)."""
    return float(risk_coverage(confidence, right)[1].mean())
