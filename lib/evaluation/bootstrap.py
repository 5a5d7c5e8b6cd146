"""Uncertainty of a score: spread over seeds, and bootstrap intervals over patients.

Cycles of one patient resemble each other, so whole patients are resampled (ICBHI's official test
set has 49), never cycles. `scipy.stats.bootstrap` gives the same intervals at the same speed, but
returns nan if one resample has no normal or no abnormal clip, and refuses a single patient.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from lib.evaluation.tasks import ICBHI4, Task, mean_over_subsets, scored_mask

DRAWS, SEED = 2000, 0


def mean_std(values: Sequence[float]) -> tuple[float, float, int]:
    """Mean, standard deviation (ddof 1; nan for one value) and number; nan, nan, 0 for none."""
    values = np.asarray(values, dtype=np.float64)
    mean = float(values.mean()) if len(values) else math.nan
    std = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    return mean, std, len(values)


def patient_bootstrap(
    label: ndarray, predicted: ndarray, patient: ndarray, task: Task = ICBHI4,
    subset: ndarray | None = None
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """95% percentile interval of every metric of a task, in percent, over resampled patients.

    label, patient, subset (N,); predicted (N,) or (seeds, N), which gives the interval of the mean
    over seeds. Left out are clips of subsets that are not scored (`tasks.scored_mask`), and
    resamples without a normal or without an abnormal clip.
    """
    scores = _resampled_scores(label, predicted, patient, task, subset)
    return {metric: percentile_interval(values[1:]) for metric, values in scores.items()}


def paired_bootstrap(
    label: ndarray, predicted_a: ndarray, predicted_b: ndarray, patient: ndarray,
    task: Task = ICBHI4, subset: ndarray | None = None, metric: str = "score",
) -> tuple[float, float, float]:  # fmt: skip
    """Difference a - b of a metric in points with its 95% interval: difference, low, high.

    Both predictions are scored on the same resampled patients. Shapes as in `patient_bootstrap`.
    """
    a, b = (
        _resampled_scores(label, predicted, patient, task, subset)[metric]
        for predicted in (predicted_a, predicted_b)
    )
    return (float(a[0] - b[0]), *percentile_interval(a[1:] - b[1:]))


def mean_interval(values: ndarray, patient: ndarray) -> tuple[float, float]:
    """95% percentile interval of the mean of values (N,) of clips over resampled patients (N,)."""
    index = np.unique(patient, return_inverse=True)[1]
    counts = resample_counts(index.max() + 1)
    sums = (np.bincount(index, each) for each in (values, np.ones(len(index))))
    total, clips = (counts @ each for each in sums)
    return percentile_interval((total / clips)[1:])


def resample_counts(n: int) -> ndarray:
    """How often each of n patients is in all of them, then in each resample: (1 + DRAWS, n)."""
    resamples = np.random.default_rng(SEED).integers(0, n, size=(DRAWS, n))
    counts = np.zeros((1 + DRAWS, n), dtype=np.int64)
    np.add.at(counts, (np.arange(1 + DRAWS)[:, None], np.vstack([np.arange(n), resamples])), 1)
    return counts


def percentile_interval(values: ndarray) -> tuple[float, float]:
    """95% percentile interval of resampled values (DRAWS,); nan is left out."""
    values = values[~np.isnan(values)]
    return tuple(np.percentile(values, [2.5, 97.5]).tolist()) if len(values) else 2 * (math.nan,)


def _resampled_scores(
    label: ndarray, predicted: ndarray, patient: ndarray, task: Task, subset: ndarray | None
) -> dict[str, ndarray]:
    """Metrics of all patients, then of each resample (1 + DRAWS,), mean over subsets and seeds."""
    subset = np.zeros(len(label)) if subset is None else np.asarray(subset)
    mask = scored_mask(subset)
    label, patient, subset = label[mask], np.asarray(patient)[mask], subset[mask]
    by_seed = [task.matrices(label, p[mask], patient, subset) for p in np.atleast_2d(predicted)]
    matrices = np.stack(by_seed, axis=2)  # (patients, subsets, seeds, n, n)
    resampled = np.tensordot(resample_counts(len(matrices)), matrices, axes=1).swapaxes(0, 1)
    scores = mean_over_subsets(task.scores(resampled))  # (1 + DRAWS, seeds)
    return {metric: values.mean(axis=1) for metric, values in scores.items()}
