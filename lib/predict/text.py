"""Answers as text for people, as JSON and as a table that `score` reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib.predict.answer import SILENCE, Answer
from lib.predict.model import RESEARCH_ONLY, Predictor

DETECTED = ("lung_sound", "distance")
SHOWN = 40  # parts that are printed; all are in --json and --csv
UNITS = {
    "start": "seconds", "end": "seconds",
    "probabilities": "0 to 1, of each class, they sum to 1; null of silence",
    "distance": "mean distance to the 5 nearest training recordings, whitened",
    "lung_sound": "probability, 0 to 1",
}  # fmt: skip


def as_text(answers: Sequence[Answer], refused: dict[str, str], model: Predictor) -> str:
    """Return all answers and refusals (file -> why) with what must be known of the model."""
    blocks = [_answer_text(answer) for answer in answers]
    blocks += ["\n".join(f"REFUSED: {why}" for why in refused.values())] if refused else []
    lines = [
        f"Model {model.name}: {model.about}; classes {', '.join(model.classes)}",
        f"Probabilities (0 to 1) {model.calibration}.{f' Card: {model.card}' * bool(model.card)}",
        RESEARCH_ONLY,
    ]
    return "\n\n".join([*blocks, "\n".join(lines)])


def _answer_text(answer: Answer) -> str:
    recording, count = answer.recording, len(answer.parts)
    channels = f", mean of {recording.channels} channels" if recording.channels > 1 else ""
    lines = [
        f"{recording.path}: {recording.seconds:.1f} s at {recording.native_rate:,} Hz{channels}; "
        f"{count} {answer.kind}{'s' * (count > 1)}"
    ]
    lines += [f"WARNING: {answer.warning}"] * bool(answer.warning)
    lines += [f"Note: {note}" for note in answer.notes]
    width = max(8, *map(len, answer.classes))
    header = "".join(f"  {name:>{width}}" for name in answer.classes)
    last = "" if answer.warning else "  most probable"
    lines.append(f"  {'start':>8}  {'end':>8}{header}{last}")
    shown = zip(answer.parts[:SHOWN].itertuples(), answer.probabilities, strict=False)
    for part, values in shown:
        lines.append(f"  {part.start:8.2f}  {part.end:8.2f}{_numbers(values, width, answer)}")
    if count > SHOWN:
        lines.append(f"  and {count - SHOWN} more (--csv or --json has all)")
    means = list(answer.summary.values())
    lines.append(f"  {'whole recording':>18}{_numbers(means, width, answer)} (mean)")
    return "\n".join(lines)


def _numbers(values: Sequence[float], width: int, answer: Answer) -> str:
    if np.isnan(values).any():
        return f"  {SILENCE}"
    numbers = "".join(f"  {value:{width}.3f}" for value in values)
    return numbers + ("" if answer.warning else f"  {answer.classes[np.argmax(values)]}")


def as_json(answers: Sequence[Answer], refused: dict[str, str], model: Predictor) -> dict:
    """Return all answers and refusals (file -> why) with what must be known of the model."""
    about = {
        "name": model.name, "about": model.about, "classes": list(model.classes),
        "calibration": model.calibration, "card": model.card, "use": RESEARCH_ONLY,
    }  # fmt: skip
    return {
        "model": about,
        "units": UNITS,
        "recordings": [_answer_json(answer) for answer in answers],
        "refused": refused,
    }


def _answer_json(answer: Answer) -> dict:
    recording, classes = answer.recording, list(answer.classes)
    return {
        "file": str(recording.path), "seconds": recording.seconds,
        "rate_hz": recording.native_rate, "channels": recording.channels,
        "warning": answer.warning, "distance": answer.distance, "lung_sound": answer.lung_sound,
        "notes": list(answer.notes), "kind": answer.kind, "summary": answer.summary,
        "parts": [
            {"start": part["start"], "end": part["end"],
             "probabilities": None if np.isnan(part[classes[0]])
             else {name: part[name] for name in classes}}
            for part in answer.parts.to_dict("records")
        ],
    }  # fmt: skip


def as_table(answers: Sequence[Answer], root: Path) -> pd.DataFrame:
    """Return a row for each part: recording, cycle or window (from 0), start, end, p_<class>...

    recording: its path below `root`. The last column is the warning; of silence there is no p.
    """
    tables = []
    for answer in answers:
        table = answer.parts.rename(columns={name: f"p_{name}" for name in answer.classes})
        table.insert(0, "recording", answer.recording.path.relative_to(root).as_posix())
        table.insert(1, answer.kind, range(len(table)))
        table["warning"] = answer.warning
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def parts_table(answer: Answer) -> pd.DataFrame:
    """Return a row for each part: start and end (seconds), probabilities, the most probable class.

    All cells are text.
    """
    classes = list(answer.classes)
    table = answer.parts[["start", "end", *classes]].map("{:.2f}".format).replace("nan", "–")
    silent = np.isnan(answer.probabilities).any(axis=1)
    best = np.where(silent, len(classes), np.argmax(answer.probabilities, axis=1))
    return table.assign(**{"most probable": [[*classes, SILENCE][i] for i in best]})


def refused_table(refused: dict[str, str]) -> pd.DataFrame:
    """Return a row for each refused file: recording, and why."""
    rows = [(Path(name).name, why.removeprefix(f"{name}: ")) for name, why in refused.items()]
    return pd.DataFrame(rows, columns=["Recording", "Refused, because"])


def facts_table(answer: Answer, model: Predictor) -> pd.DataFrame:
    """Return what must be known beside the probabilities of a recording: fact, value."""
    recording = answer.recording
    sound = f"{recording.path.name}: {recording.seconds:.1f} s at {recording.native_rate:,} Hz"
    means = ", ".join(f"{name} {value:.2f}" for name, value in answer.summary.items())
    lines = [("Recording", f"{sound}, {len(answer.parts)} {answer.kind}s"),
             ("Mean probabilities", means)]  # fmt: skip
    if model.detectors:
        needed, near = (model.detectors.settings[key]["threshold"] for key in DETECTED)
        lung, far = f"{answer.lung_sound:.2f}", f"{answer.distance:.1f}"
        lines.append(("Lung sound at all", f"probability {lung} (refused below {needed:.2f})"))
        lines.append(("Distance from the training", f"{far} (a warning above {near:.1f})"))
    lines.append(("Warning", answer.warning or "none"))
    lines += [("Note", note) for note in answer.notes]
    lines += [("Probabilities", model.calibration), ("Model", model.about)]
    return pd.DataFrame(lines, columns=["Fact", "Value"])
