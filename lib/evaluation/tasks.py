"""Labellings: which classes a column of labels holds, and how their confusion matrix is scored.

Every number comes from one confusion matrix, rows are the truth, class 0 is normal.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.data import icbhi, sprsound
from lib.errors import unknown
from lib.evaluation import metrics

SCORED = ("inter", "intra")  # the parts of SPRSound's test2022, averaged to one Score


@dataclass(frozen=True)
class Labelling:
    """The classes of a column of labels; `neutral` ones count on neither side of a Score."""

    classes: tuple[str, ...]
    neutral: tuple[str, ...] = ()
    challenge: bool = False  # SPRSound's Score, which takes the harmonic mean in too

    def codes(self, names: pd.Series) -> np.ndarray:
        """Places among the classes of a column of their names (N,), free to be written to."""
        return names.map(self.classes.index).to_numpy(copy=True)

    def scores(self, matrix: np.ndarray) -> dict[str, np.ndarray]:
        """Percent of confusion matrices (..., n, n) -> (...); see `lib.evaluation.metrics`."""
        neutral = [self.classes.index(name) for name in self.neutral]
        found = metrics.scores(matrix, neutral)
        return metrics.challenge(found) if self.challenge else found

    def mean_scores(
        self, label: np.ndarray, predicted: np.ndarray, part: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Scores of answers (clips,), the mean over the parts that count (`counted`)."""
        part = np.asarray(part)
        at = counted(part)
        return mean_over_parts(self.scores(self.matrices(label[at], predicted[at], part[at])))

    def matrices(self, label: np.ndarray, predicted: np.ndarray, part: np.ndarray) -> np.ndarray:
        """Confusion matrices (parts, n, n), parts in sorted order."""
        n, found = len(self.classes), [np.asarray(part) == one for one in np.unique(part)]
        return np.stack([metrics.confusion(label[at], predicted[at], n) for at in found])


def counted(part: np.ndarray) -> np.ndarray:
    """Which clips make the Score of a scored set, (clips,): those of inter and intra.

    SPRSound's third part, the final test 2023, stands by itself: it chooses no epoch and moves no
    Score. Where neither inter nor intra is there, every clip counts. Takes names of parts as well.
    """
    inside = np.isin(part, SCORED)
    return inside if inside.any() else np.ones(len(part), dtype=bool)


def mean_over_parts(numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Numbers (parts, ...) -> (...): SPRSound scores inter and intra separately, then averages."""
    return {key: values.mean(axis=0) for key, values in numbers.items()}


LABELLINGS = {
    "icbhi4": Labelling(icbhi.CLASSES),
    **{
        task: Labelling(classes, tuple({sprsound.POOR} & set(classes)), challenge=True)
        for task, classes in (sprsound.TASKS | sprsound.WINDOWS).items()
    },
}


def get(name: str) -> Labelling:
    """A labelling by its column; an unknown one is an error with the nearest names."""
    if name not in LABELLINGS:
        raise unknown("task", name, LABELLINGS)
    return LABELLINGS[name]


def column(name: str) -> str:
    """The column of a cycle table that holds a task's labels."""
    return "label" if name == "icbhi4" else name
