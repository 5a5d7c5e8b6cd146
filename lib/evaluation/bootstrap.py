"""How far a number may be trusted: spread over seeds, and intervals over patients.

A patient's cycles resemble each other, so chance is measured by drawing whole patients (ICBHI's
official test set has 49), never cycles.
"""

import math
from collections.abc import Sequence

import numpy as np

from lib.evaluation import tasks
from lib.evaluation.tasks import Labelling, mean_over_parts

ICBHI = tasks.get("icbhi4")
LOW, HIGH = 2.5, 97.5  # percentiles of a 95% interval


def mean_std(values: Sequence[float]) -> tuple[float, float, int]:
    """Mean, standard deviation (ddof 1; nan for one value) and number; nan, nan, 0 for none."""
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return math.nan, math.nan, 0
    std = values.std(ddof=1) if len(values) > 1 else math.nan
    return float(values.mean()), float(std), len(values)


def patient_bootstrap(
    label: np.ndarray,
    predicted: np.ndarray,
    patient: np.ndarray,
    draws: int = 2000,
    seed: int = 0,
    labelling: Labelling = ICBHI,
    part: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """95% interval of every metric of a labelling, in percent, over drawn patients.

    label, patient, part (clips,); predicted (clips,) or (seeds, clips): then of the mean over the
    seeds, the same patients drawn for all of them. Draws in which a side has no clip are left out,
    and so are parts that do not count (`lib.evaluation.tasks.counted`), with their patients.
    """
    matrices = _per_patient(label, predicted, patient, labelling, part)
    drawn = _weighted(matrices, _draw_counts(len(matrices), draws, seed), labelling)
    return {metric: _interval(values) for metric, values in drawn.items()}


def paired_bootstrap(
    label: np.ndarray,
    predicted_a: np.ndarray,
    predicted_b: np.ndarray,
    patient: np.ndarray,
    draws: int = 2000,
    seed: int = 0,
    metric: str = "score",
    labelling: Labelling = ICBHI,
    part: np.ndarray | None = None,
) -> tuple[float, float, float]:
    """Difference a - b of a metric in points, and its 95% interval: difference, low, high.

    Both answers are scored on the same drawn patients. Shapes as in `patient_bootstrap`.
    """
    answers = predicted_a, predicted_b
    pair = [_per_patient(label, one, patient, labelling, part) for one in answers]
    whole = np.ones((1, len(pair[0])), dtype=np.int64)
    counts = _draw_counts(len(pair[0]), draws, seed)
    point, drawn = ([_weighted(m, c, labelling)[metric] for m in pair] for c in (whole, counts))
    return (float(point[0][0] - point[1][0]), *_interval(drawn[0] - drawn[1]))


def _interval(values: np.ndarray) -> tuple[float, float]:
    if np.isnan(values).all():
        return math.nan, math.nan
    low, high = np.nanpercentile(values, [LOW, HIGH])
    return float(low), float(high)


def _per_patient(
    label: np.ndarray,
    predicted: np.ndarray,
    patient: np.ndarray,
    labelling: Labelling,
    part: np.ndarray | None,
) -> np.ndarray:
    """Confusion matrices (patients, parts, seeds, n, n), patients and parts in sorted order."""
    label, predicted = np.asarray(label), np.atleast_2d(predicted)
    part = np.zeros(len(label), int) if part is None else np.asarray(part)
    at = tasks.counted(part)
    label, predicted = label[at], predicted[:, at]
    part, who = (np.unique(one[at], return_inverse=True)[1] for one in (part, np.asarray(patient)))
    n = len(labelling.classes)
    shape = (who.max() + 1, part.max() + 1, len(predicted), n, n)
    found = np.zeros(shape, dtype=np.int64)
    for seed, answers in enumerate(predicted):
        np.add.at(found[:, :, seed], (who, part, label, answers), 1)
    return found


def _draw_counts(patients: int, draws: int, seed: int) -> np.ndarray:
    """(draws, patients): how often each patient was drawn, with replacement."""
    chosen = np.random.default_rng(seed).integers(0, patients, size=(draws, patients))
    at = chosen + patients * np.arange(draws)[:, None]
    return np.bincount(at.ravel(), minlength=draws * patients).reshape(draws, patients)


def _weighted(
    matrices: np.ndarray, counts: np.ndarray, labelling: Labelling
) -> dict[str, np.ndarray]:
    """Metrics (draws,) of the drawn patients, each the mean over the parts and the seeds."""
    drawn = np.tensordot(counts, matrices, axes=1)  # (draws, parts, seeds, n, n)
    numbers = mean_over_parts(labelling.scores(drawn.swapaxes(0, 1)))  # (draws, seeds)
    return {metric: values.mean(axis=1) for metric, values in numbers.items()}
