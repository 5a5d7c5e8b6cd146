"""Specificity, sensitivity and Score of ICBHI and SPRSound, and the rule that selects an epoch.

Every number comes from one confusion matrix: rows are the truth, class 0 is normal. The 2-class
scores (`se_binary`, `score_binary`) collapse the same predictions; no model is trained on two
classes.
"""

from collections.abc import Sequence

import numpy as np

Scores = dict[str, np.ndarray]
MIN_SE = 5.0  # the official code selects no epoch at or below: a model that predicts only normal


def scores(matrix: np.ndarray, ignored: Sequence[int] = ()) -> Scores:
    """Sp, Se and their mean in percent (Bae et al. 2023, Eq. 1) of matrices (..., n, n) -> (...).

    `sp`: correct normal / normal; `se`: abnormal clips given their own class / abnormal;
    `se_binary` counts any abnormal prediction. Clips of an `ignored` class count on neither side,
    and predicting one is wrong. nan if there is no normal (Sp) or no abnormal clip (Se).
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    abnormal_classes = [i for i in range(1, matrix.shape[-1]) if i not in ignored]
    abnormal = matrix[..., abnormal_classes, :]  # (..., k, n)
    predicted_abnormal = abnormal[..., abnormal_classes]  # (..., k, k)
    with np.errstate(invalid="ignore"):
        sp = 100 * matrix[..., 0, 0] / matrix[..., 0, :].sum(-1)
        total = abnormal.sum((-2, -1))
        se = 100 * np.trace(predicted_abnormal, axis1=-2, axis2=-1) / total
        se_binary = 100 * predicted_abnormal.sum((-2, -1)) / total
    return {
        "sp": sp,
        "se": se,
        "score": (sp + se) / 2,
        "se_binary": se_binary,
        "score_binary": (sp + se_binary) / 2,
    }


def challenge_scores(scores: Scores) -> Scores:
    """The BioCAS challenge's numbers in percent from `scores`: sp, se, as, hs and score.

    `as` is the mean of Se and Sp, `hs` their harmonic mean (0 if both are 0), and the Score the
    mean of the two (Zhang et al. 2022).
    """
    sp, se = np.asarray(scores["sp"]), np.asarray(scores["se"])
    total = sp + se
    hs = np.divide(2 * sp * se, total, out=np.zeros_like(total), where=total != 0)
    return {"sp": sp, "se": se, "as": total / 2, "hs": hs, "score": (total / 2 + hs) / 2}


def macro_scores(matrix: np.ndarray, ignored: Sequence[int] = ()) -> Scores:
    """Macro-averages in percent of matrices (..., n, n) -> (...): sp, se and their mean.

    `se` is the mean of the classes' recalls; `sp` the mean over classes of the share of the other
    classes' clips that are not given the class. Normal is a class as the others are, so these are
    not the challenge's numbers. Only classes that occur count; `ignored` as in `scores`.
    """
    matrix = np.array(matrix, dtype=np.float64)
    matrix[..., list(ignored), :] = 0
    true, given = matrix.sum(-1), matrix.sum(-2)  # (..., n)
    correct = np.diagonal(matrix, axis1=-2, axis2=-1)
    others = matrix.sum((-2, -1))[..., None] - true
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(true > 0, correct / true, np.nan)
        rejected = np.where(true > 0, 1 - (given - correct) / others, np.nan)
        counts = (true > 0).sum(-1)
        se, sp = (100 * np.nansum(rate, axis=-1) / counts for rate in (recall, rejected))
    return {"sp": sp, "se": se, "score": (sp + se) / 2}


TASK_SHARES = {"1-1": 0.2, "1-2": 0.3, "2-1": 0.2, "2-2": 0.3}


def challenge_total(scores: dict[str, float], runtime_bonus: float = 0.0) -> float:
    """The challenge's total of its four tasks' Scores, all in [0, 1]; the bonus is at most 0.1."""
    return sum(share * scores[task] for task, share in TASK_SHARES.items()) + runtime_bonus


def select_epoch(epochs: Sequence[dict[str, float]]) -> int | None:
    """Index of the first best Score among epochs with Se > 5, or None if there is none.

    epochs: a {"se", "score"} for each; nan is never selected. The official code's rule (`score >
    best and Se > 5`).
    """
    eligible = [i for i, epoch in enumerate(epochs) if epoch["se"] > MIN_SE and epoch["score"] >= 0]
    return max(eligible, key=lambda i: epochs[i]["score"], default=None)
