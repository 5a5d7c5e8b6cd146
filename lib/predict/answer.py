"""What a model says of a recording: probabilities of its parts and of the whole."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib.errors import UserError
from lib.predict import recording as recordings
from lib.predict.detectors import describe
from lib.predict.model import Predictor
from lib.predict.recording import Recording

WARNING = (
    "recorded unlike anything this model was trained on, most often with another stethoscope; its "
    "probabilities are not to be trusted"
)
SILENCE = "silence"
UNPACKAGED = "not packaged: no lung sound and strange devices go unnoticed"


@dataclass(frozen=True)
class Answer:
    """Probabilities of a recording."""

    recording: Recording
    kind: str  # window | cycle
    parts: pd.DataFrame  # start, end (seconds), a probability for each class (nan of silence)
    classes: tuple[str, ...]
    warning: str  # "" if it resembles the training recordings
    distance: float | None  # from the training recordings; None if unknown
    lung_sound: float | None  # probability that it is a lung sound at all; None if unknown
    notes: tuple[str, ...]

    @property
    def probabilities(self) -> np.ndarray:
        """(parts, classes)."""
        return self.parts[list(self.classes)].to_numpy()

    @property
    def summary(self) -> dict[str, float]:
        """Mean probability of each class over the parts that are not silence."""
        means = np.nanmean(self.probabilities, axis=0)
        return dict(zip(self.classes, means.tolist(), strict=True))


def predict_file(
    path: Path, model: Predictor, cycles: Path | None = None, window: float | None = None,
    step: float = 1.0,
) -> Answer:  # fmt: skip
    """Return a model's answer about a sound file.

    cycles: a text file with start and end of each cycle; without it, a window of `window` seconds
    (default: what the model hears) begins every `step` seconds. Raises `UserError` if the
    recording is refused: it cannot be read, is silent, clipped or too short, or no lung sound.
    """
    front = model.network.front
    recording = recordings.read_recording(path, front)
    distance, lung_sound, warning, notes = _detect(recording, model)
    if cycles:
        parts = recordings.read_cycles(cycles, recording.seconds)
        if longer := int((parts.end - parts.start > front.clip_seconds).sum()):
            notes.append(
                f"{longer} of {len(parts)} cycles are longer than {front.clip_seconds:g} s: only "
                "their beginning is heard, as in training"
            )
    else:
        window = front.clip_seconds if window is None else window
        _require_window(window, step, front.clip_seconds)
        parts = recordings.windows(recording.seconds, window, step)
    parts[list(model.classes)] = predict_parts(model, recording, parts)
    kind = "cycle" if cycles else "window"
    silent = recording.silent(parts)
    if silent.any():
        parts.loc[silent, list(model.classes)] = np.nan
        notes.append(
            f"{silent.sum()} of {len(parts)} {kind}s are silence: they have no probabilities and "
            "do not count in the mean"
        )
    return Answer(
        recording, kind, parts, model.classes, warning, distance, lung_sound, tuple(notes)
    )


def _detect(recording: Recording, model: Predictor) -> tuple[float | None, float | None, str, list]:
    """Return distance, lung sound, warning and notes; raises `UserError` without a lung sound."""
    detectors, length = model.detectors, model.network.front.clip_seconds
    if detectors is None:
        return None, None, "", [UNPACKAGED]
    parts = recordings.windows(recording.seconds, length, length)
    heard = parts[~recording.silent(parts)]
    descriptor = describe(model.network, recording.batches(heard))
    lung_sound, distance = detectors.lung_sound(descriptor), detectors.distance(descriptor)
    if detectors.is_refused(descriptor):
        raise UserError(
            f"{recording.path}: no lung sound: it is more like tones, noise, speech or music "
            f"({lung_sound:.2g}, and {detectors.settings['lung_sound']['threshold']:.2g} are "
            "needed); record the chest with a stethoscope"
        )
    return distance, lung_sound, WARNING if detectors.is_far(descriptor) else "", []


def _require_window(window: float, step: float, heard: float) -> None:
    if not 0 < window <= heard:
        raise UserError(
            f"--window {window:g}: the model hears {heard:g} s; give more than 0 and at most that"
        )
    if not step > 0:
        raise UserError(f"--step {step:g}: give a number of seconds above 0")


@torch.no_grad()
def predict_parts(model: Predictor, recording: Recording, parts: pd.DataFrame) -> np.ndarray:
    """Return calibrated probabilities (parts, classes) of the parts of a recording."""
    batches = map(torch.from_numpy, recording.batches(parts))
    return torch.cat([model.network(batch) for batch in batches]).numpy()
