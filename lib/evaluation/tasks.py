"""Tasks: the classes of a label column, and how predictions of them are scored."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy import ndarray

from lib.data import icbhi, sprsound
from lib.errors import unknown
from lib.evaluation import metrics
from lib.evaluation.metrics import Scores

SCORED_SUBSETS = ("inter", "intra")  # of SPRSound's test set: their scores are averaged


@dataclass(frozen=True)
class Task:
    """The classes of a label column; class 0 is normal.

    ignored: classes whose clips count neither for Sp nor for Se. challenge: scored as in the BioCAS
    challenge (`metrics.challenge_scores`).
    """

    classes: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    challenge: bool = False

    def encode(self, names: pd.Series) -> ndarray:
        """Class indices (N,) of a column of class names, as a new writable array."""
        return names.map(self.classes.index).to_numpy(copy=True)

    def matrices(self, label: ndarray, predicted: ndarray, *groups: ndarray) -> ndarray:
        """Confusion matrix (n, n) of class indices (N,), rows are the truth.

        Each of groups (N,) adds an axis of its sorted values in front: (values, ..., n, n).
        """
        index = [np.unique(group, return_inverse=True)[1] for group in groups]
        shape = [values.max() + 1 for values in index] + 2 * [len(self.classes)]
        matrices = np.zeros(shape, dtype=np.int64)
        np.add.at(matrices, (*index, label, predicted), 1)
        return matrices

    def scores(self, matrix: ndarray) -> Scores:
        """Scores in percent of confusion matrices (..., n, n) -> (...); see `metrics.scores`."""
        scores = metrics.scores(matrix, [self.classes.index(name) for name in self.ignored])
        return metrics.challenge_scores(scores) if self.challenge else scores

    def unpredicted(self, matrix: ndarray) -> str:
        """Which classes a model never predicts although they occur, in words; "" if none.

        matrix: confusion matrix (n, n), rows are the truth. A model that misses a class has not
        learnt the task.
        """
        columns = matrix.sum(0)
        predicted = [name for name, n in zip(self.classes, columns, strict=True) if n]
        if len(predicted) == 1:
            return f"predicts only {predicted[0]}"
        counts = zip(self.classes, matrix.sum(1), columns, strict=True)
        missed = [name for name, true, n in counts if true and not n and name not in self.ignored]
        return f"never predicts {', '.join(missed)}" if missed else ""

    def mean_scores(self, label: ndarray, predicted: ndarray, subset: ndarray) -> Scores:
        """Scores in percent of predictions (N,), the mean over the subsets that are scored."""
        mask = scored_mask(subset)
        matrices = self.matrices(label[mask], predicted[mask], np.asarray(subset)[mask])
        return mean_over_subsets(self.scores(matrices))


def scored_mask(subset: ndarray) -> ndarray:
    """Which clips (or names of subsets) count for the Score of a set, (N,) bool.

    These are the clips of inter and intra, or all if there are none: SPRSound's third subset,
    test2023, is reported apart; it selects no epoch and changes no Score.
    """
    mask = np.isin(subset, SCORED_SUBSETS)
    return mask if mask.any() else np.ones(len(subset), dtype=bool)


def mean_over_subsets(scores: Scores) -> Scores:
    """Mean of scores (subsets, ...) -> (...): SPRSound averages the scores of inter and intra."""
    return {metric: values.mean(axis=0) for metric, values in scores.items()}


ICBHI4 = Task(icbhi.CLASSES)
TASKS = {"icbhi4": ICBHI4} | {
    name: Task(classes, tuple({sprsound.POOR} & set(classes)), challenge=True)
    for name, classes in (sprsound.TASKS | sprsound.WINDOWS).items()
}


def get_task(name: str) -> Task:
    """The task of a name; raises `UserError` with the nearest names if it is unknown."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


def label_column(name: str) -> str:
    """The column of a cycle table that holds a task's labels."""
    return "label" if name == "icbhi4" else name
