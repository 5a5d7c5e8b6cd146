"""The surest mistakes of runs: test clips to which a wrong class was given the most probability."""

from dataclasses import dataclass

import numpy as np

from lib.data.dataset import Dataset
from lib.runs.predictions import Predictions


@dataclass(frozen=True)
class Mistake:
    """A clip that was called another class than its annotation says."""

    cycle: str  # "recording:cycle"
    patient: str
    device: str
    truth: str
    probabilities: dict[str, float]  # of each class, mean over seeds

    @property
    def predicted(self) -> str:
        """The class with the highest probability."""
        return max(self.probabilities, key=self.probabilities.get)


def surest_mistakes(predictions: Predictions | None, count: int) -> list[Mistake]:
    """Return up to `count` mistakes of each true class, the surest first; none without runs.

    No two of a class are of the same patient, and another device comes before one that is there.
    """
    if predictions is None:
        return []
    p = predictions.ensemble
    classes, called, probabilities = p.task.classes, p.predicted[0], p.probabilities[0]
    mistakes = []
    for index, truth in enumerate(classes):
        wrong = np.flatnonzero((p.label == index) & (called != index))
        surest = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]
        mistakes += [
            Mistake(
                str(p.cycle[i]), str(p.patient[i]), str(p.device[i]), truth,
                dict(zip(classes, probabilities[i].tolist(), strict=True)),
            )
            for i in _varied(surest, p, count)
        ]  # fmt: skip
    return mistakes


def _varied(order: np.ndarray, p: Predictions, count: int) -> list[int]:
    """The first clips of `order`, each of another patient, those of another device first."""
    first: dict[str, int] = {}
    for i in order:
        first.setdefault(p.patient[i], i)
    one_each = list(first.values())
    devices = {p.device[i]: i for i in reversed(one_each)}  # the surest of each device
    new_device = [i for i in one_each if devices[p.device[i]] == i]
    return [*new_device, *(i for i in one_each if i not in new_device)][:count]


def find_sound(mistake: Mistake, dataset: Dataset) -> tuple[np.ndarray, int] | None:
    """Return a clip's wave (samples,) and rate (Hz); None if its recording is not here."""
    if dataset.kind not in ("official", "partial"):
        return None
    recording, _, cycle = mistake.cycle.rpartition(":")
    frame = dataset.frame
    rows = np.flatnonzero((frame.recording == recording) & (frame.cycle == int(cycle)))
    if not len(rows):
        return None
    clip = dataset[int(rows[0])]
    return clip["waveform"], clip["rate"]
