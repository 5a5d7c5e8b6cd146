"""A sliding window over a recording as it comes, and the record's label that its answers give.

Hu et al. 2023, III.C: an event model with one more class, Poor Quality, hears 3 s at a time.
The paper contradicts itself about the step: with "one-second overlap" of windows of 3 s it would be
2 s, while section IV.B says that the sliding length is one second. Here it is 1 s, as an argument.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from lib.data import sprsound
from lib.data.audio import read, resample
from lib.data.sprsound import POOR
from lib.errors import UserError, unknown

RATE_HZ = 8000
WINDOW_SECONDS = sprsound.WINDOW_SECONDS
STEP_SECONDS = 1.0
TASKS = {
    "1-1-windows": "2-1",
    "1-2-windows": "2-2",
}  # what the windows say -> what is said of the record

Window = tuple[float, float, str]  # start and end in seconds, label
Classify = Callable[[np.ndarray], str]


def stream(
    samples: Iterable[np.ndarray],
    classify: Classify,
    rate_hz: int = RATE_HZ,
    window_seconds: float = WINDOW_SECONDS,
    step_seconds: float = STEP_SECONDS,
) -> Iterator[Window]:
    """The label of each complete window, as soon as its last sample is there.

    samples: blocks (n,) of any sizes, empty ones too, as a microphone gives them; no more than a
    window and a block is ever kept. What is left at the end, less than a window, is not heard.
    """
    window, step = round(window_seconds * rate_hz), round(step_seconds * rate_hz)
    if min(window, step) < 1:
        raise UserError(f"windows of {window} and steps of {step} samples: make both longer")
    kept, first = np.empty(0, np.float32), 0  # `first`: the place of kept[0] in all samples
    start = 0
    for block in samples:
        kept = np.concatenate([kept, np.asarray(block, np.float32)])
        while start - first + window <= len(kept):
            here = kept[start - first : start - first + window]
            yield start / rate_hz, (start + window) / rate_hz, classify(here)
            start += step
        gone = min(start - first, len(kept))  # a step may be longer than a window
        kept, first = kept[gone:], first + gone


def record_label(found: Iterable[str], task: str) -> str:
    """The label of a record, 2-1 or 2-2, from those of its windows, 1-1-windows or 1-2-windows (III.C).

    A label counts where two consecutive windows give it. If any adventitious one does, the record
    is Adventitious, of 2-2 CAS, DAS or, of both kinds or Wheeze+Crackle, CAS & DAS; else Normal if
    that does; else Poor Quality. Left open by the text, and taken so: the two must be equal by
    their own names (Wheeze then Rhonchi, both CAS, do not count); Normal needs two windows as well;
    any adventitious pair outweighs all others however often they come; where nothing counts, and
    in a record of less than two windows nothing can, the record is Poor Quality.
    """
    if task not in TASKS.values():
        raise unknown("task of records", task, TASKS.values())
    counted = {label for label, following in pairwise(found) if label == following}
    adventitious = counted - {"Normal", POOR}
    if adventitious:
        return "Adventitious" if task == "2-1" else sprsound.record_label(adventitious)
    return "Normal" if "Normal" in counted else POOR


def measure(samples: Iterable[np.ndarray], classify: Classify, **settings: float) -> dict:
    """What a stream costs: windows, seconds a window (median, 95%) and the real-time factor.

    settings: as for `stream`. The factor is all computation over the duration of all samples: below
    1 it keeps up. The time until a window is complete is not in it: a sound is named at the
    earliest when the window that holds it ends.
    """
    spent, heard = [], 0

    def timed(window: np.ndarray) -> str:
        begin = time.perf_counter()
        found = classify(window)
        spent.append(time.perf_counter() - begin)
        return found

    def counted() -> Iterator[np.ndarray]:
        nonlocal heard
        for block in samples:
            heard += len(block)
            yield block

    for _ in stream(counted(), timed, **settings):
        pass
    if not spent:
        raise UserError("not one complete window: give a longer sound to measure on")
    return {
        "windows": len(spent),
        "median_seconds": float(np.median(spent)),
        "seconds_95": float(np.quantile(spent, 0.95)),
        "real_time_factor": sum(spent) / (heard / settings.get("rate_hz", RATE_HZ)),
    }


def recording(path: Path, block: int = RATE_HZ) -> Iterator[np.ndarray]:
    """A sound file at the stream's rate, in blocks of one second."""
    wave = resample(*read(path), RATE_HZ)
    yield from (wave[first : first + block] for first in range(0, len(wave), block))
