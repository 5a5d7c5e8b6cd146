"""AUROC of abnormal against normal clips, with an interval over patients."""

import numpy as np
from numpy import ndarray

from lib.evaluation.bootstrap import percentile_interval, resample_counts
from lib.evaluation.tasks import Task, scored_mask


def log_odds(logits: ndarray, task: Task) -> ndarray:
    """Log-odds (N,) of any abnormal class against normal, of logits (N, n); larger is abnormal."""
    columns = [i for i in range(1, len(task.classes)) if task.classes[i] not in task.ignored]
    return np.logaddexp.reduce(logits[:, columns], axis=1) - logits[:, 0]


def counted_mask(label: ndarray, subset: ndarray, task: Task) -> ndarray:
    """Which clips (N,) count: of subsets that are scored, and of no ignored class."""
    ignored = [task.classes.index(name) for name in task.ignored]
    return scored_mask(subset) & ~np.isin(label, ignored)


def auroc(
    abnormal: ndarray, score: ndarray, patient: ndarray, subset: ndarray | None = None
) -> tuple[float, float, float]:
    """AUROC (0 to 1) and its 95% patient-bootstrap interval: value, low, high.

    abnormal (N,) bool; score (N,) or (seeds, N), larger is more abnormal; ties count half. The mean
    over the seeds and the subsets (N,), if there are several. nan if one class is missing.
    """
    subset = np.zeros(len(abnormal)) if subset is None else np.asarray(subset)
    index = np.unique(patient, return_inverse=True)[1]
    counts = resample_counts(index.max() + 1).astype(np.float64)
    by_subset = [
        _resampled(abnormal[mask], of_seed[mask], index[mask], counts)
        for mask in (subset == name for name in np.unique(subset))
        for of_seed in np.atleast_2d(score)
    ]
    values = np.mean(by_subset, axis=0)
    return (float(values[0]), *percentile_interval(values[1:]))


def _resampled(abnormal: ndarray, score: ndarray, patient: ndarray, counts: ndarray) -> ndarray:
    """AUROC in each resample (1 + DRAWS,): the share of pairs that are in the right order."""
    member = np.eye(counts.shape[1])[patient]  # (N, patients)
    a, b = score[abnormal][:, None], score[~abnormal]
    ordered = (a > b) + 0.5 * (a == b)  # (abnormal, normal) clips
    by_patient = member[abnormal].T @ ordered @ member[~abnormal]  # (patients, patients)
    right = ((counts @ by_patient) * counts).sum(axis=1)
    pairs = (counts @ member[abnormal].sum(0)) * (counts @ member[~abnormal].sum(0))
    return np.divide(right, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
