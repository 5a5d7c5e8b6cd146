"""Specificity, sensitivity and Score of ICBHI and SPRSound, and the rule that chooses an epoch.

Every number comes from one confusion matrix, rows are the truth, class 0 is normal. The 2-class
numbers (`se_binary`, `score_binary`) collapse the same answers: an ICBHI model is never trained on two classes.
"""

from collections.abc import Sequence

import numpy as np

LOWEST_SE = 5.0  # the official code takes no epoch below: a model that answers "normal" always


def confusion(label: np.ndarray, predicted: np.ndarray, n: int = 4) -> np.ndarray:
    """Count answers: label, predicted (clips,) integers below n -> (n, n), rows are the truth."""
    pairs = np.asarray(label, dtype=np.int64) * n + np.asarray(predicted, dtype=np.int64)
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


def scores(matrix: np.ndarray, neutral: Sequence[int] = ()) -> dict[str, np.ndarray]:
    """Sp, Se and their mean in percent (Bae et al. 2023, Eq. 1): matrix (..., n, n) -> (...).

    `sp` correct normal / normal; `se` abnormal clips given their own class / abnormal; `se_binary`
    counts any abnormal answer. Clips whose truth is a `neutral` class count on neither side, and a
    neutral answer is a wrong one. nan where the truth has no clip of a side.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    sides = [i for i in range(1, matrix.shape[-1]) if i not in neutral]
    abnormal = matrix[..., sides, :]  # (..., k, n)
    own = abnormal[..., sides]  # (..., k, k)
    with np.errstate(invalid="ignore"):
        sp = 100 * matrix[..., 0, 0] / matrix[..., 0, :].sum(-1)
        total = abnormal.sum((-2, -1))
        se = 100 * np.trace(own, axis1=-2, axis2=-1) / total
        se_binary = 100 * own.sum((-2, -1)) / total
    return {
        "sp": sp,
        "se": se,
        "score": (sp + se) / 2,
        "se_binary": se_binary,
        "score_binary": (sp + se_binary) / 2,
    }


def challenge(numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The BioCAS challenge's numbers in percent from `scores`: sp, se, as, hs and Score.

    `as` is the mean of Se and Sp, `hs` their harmonic mean (0 where both are 0), Score the mean of
    the two (Zhang et al. 2022).
    """
    sp, se = np.asarray(numbers["sp"]), np.asarray(numbers["se"])
    total = sp + se
    hs = np.divide(2 * sp * se, total, out=np.zeros_like(total), where=total != 0)
    return {"sp": sp, "se": se, "as": total / 2, "hs": hs, "score": (total / 2 + hs) / 2}


TASK_SHARES = {"1-1": 0.2, "1-2": 0.3, "2-1": 0.2, "2-2": 0.3}


def challenge_total(scores: dict[str, float], runtime_bonus: float = 0.0) -> float:
    """The challenge's total of its four tasks' Scores, both in [0, 1]; the bonus is at most 0.1."""
    return sum(share * scores[task] for task, share in TASK_SHARES.items()) + runtime_bonus


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
