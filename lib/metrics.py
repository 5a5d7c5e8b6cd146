"""ICBHI's specificity, sensitivity and Score, and the rule that chooses an epoch.

Every number comes from one confusion matrix of a 4-class model, rows are the truth, class 0 is
normal. The 2-class numbers (`se2`, `score2`) collapse the same answers: a model is never trained
on two classes here.
"""

from collections.abc import Sequence

import numpy as np

LOWEST_SE = 5.0  # the official code takes no epoch below: a model that answers "normal" always


def confusion(label: np.ndarray, predicted: np.ndarray, n: int = 4) -> np.ndarray:
    """Count answers: label, predicted (clips,) integers below n -> (n, n), rows are the truth."""
    pairs = np.asarray(label, dtype=np.int64) * n + np.asarray(predicted, dtype=np.int64)
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


def scores(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Sp, Se and their mean in percent (Bae et al. 2023, Eq. 1): matrix (..., n, n) -> (...).

    `sp` correct normal / normal; `se` abnormal cycles given their own class / abnormal; `se2`
    counts any abnormal answer. nan where the truth has no clip of a side.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    abnormal = matrix[..., 1:, 1:]
    with np.errstate(invalid="ignore"):
        sp = 100 * matrix[..., 0, 0] / matrix[..., 0, :].sum(-1)
        total = matrix[..., 1:, :].sum((-2, -1))
        se = 100 * np.trace(abnormal, axis1=-2, axis2=-1) / total
        se2 = 100 * abnormal.sum((-2, -1)) / total
    return {"sp": sp, "se": se, "score": (sp + se) / 2, "se2": se2, "score2": (sp + se2) / 2}


def choose_epoch(epochs: Sequence[dict[str, float]]) -> int | None:
    """Position of the best Score among epochs with Se > 5, the first of equals; None if none.

    epochs: one {"se", "score"} each; nan never wins. The official code's rule (`score > best and
    Se > 5`).
    """
    best, best_score = None, float("-inf")
    for i, row in enumerate(epochs):
        if row["se"] > LOWEST_SE and row["score"] > best_score:
            best, best_score = i, row["score"]
    return best
