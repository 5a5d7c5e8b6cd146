"""One annotation of SPRSound: its name, its label, its events. A fault is a ValueError."""

import json
import math
import re
from pathlib import Path

from lib.data.icbhi import PAST_END_SECONDS

POOR = "Poor Quality"  # counts neither as normal nor as adventitious
TASKS = {  # task -> its classes, in the challenge's order
    "1-1": ("Normal", "Adventitious"),
    "1-2": ("Normal", "Rhonchi", "Wheeze", "Stridor", "Coarse Crackle", "Fine Crackle",
            "Wheeze+Crackle"),
    "2-1": ("Normal", POOR, "Adventitious"),
    "2-2": ("Normal", POOR, "CAS", "DAS", "CAS & DAS"),
}  # fmt: skip
ICBHI_LABELS = dict(
    zip(TASKS["1-2"], ("normal", *3 * ["wheeze"], *2 * ["crackle"], "both"), strict=True)
)
DEVICE = "Yunting II"  # all recordings
GENDERS = {"0": "male", "1": "female"}
LOCATIONS = ("p1", "p2", "p3", "p4")  # left posterior, left lateral, right posterior, lateral
FIX = "mend the file or fetch it again"


def named(recording: str) -> dict:
    """What a recording's name says; one that does not fit is a ValueError."""
    patient, age, gender, location, *number = recording.split("_") + 4 * [""]
    if not number[0] or number[1:] != 4 * [""] or gender not in GENDERS:
        raise ValueError("the name is not patient_age_gender(0|1)_location_number")
    if location not in LOCATIONS:
        raise ValueError(f"unknown location {location!r} (known: {', '.join(LOCATIONS)})")
    return {
        "dataset": "sprsound", "recording": recording, "patient": patient or recording,
        "age": _number(age, "age"), "gender": GENDERS[gender], "location": location,
        "device": DEVICE, "cycle": 0, "start": 0.0,
    }  # fmt: skip


def read_annotation(path: Path, record: dict) -> tuple[list[dict], list[str]]:
    """The events of one file, with its labels put into `record`; and the faults of its events."""
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"not valid JSON ({error})") from error
    if not isinstance(text, dict) or not isinstance(text.get("event_annotation"), list):
        raise ValueError("no list event_annotation")
    label = text.get("record_annotation", text.get("recording_annotation"))
    record["2-2"] = _label(label, "2-2")
    record["2-1"] = record["2-2"] if record["2-2"] in TASKS["2-1"] else "Adventitious"
    found, faults = [], []
    for number, event in enumerate(text["event_annotation"]):
        try:
            found.append(_event(event, number, record["end"]))
        except ValueError as error:
            faults.append(f"{path}: event {number}: {error}; {FIX}")
    return found, faults


def _event(event: object, number: int, length: float) -> dict:
    """One event; times in milliseconds become seconds, at most the recording's length."""
    if not isinstance(event, dict) or not {"start", "end", "type"} <= set(event):
        raise ValueError(f"{event!r} is not start, end and type")
    label = _label(event["type"], "1-2")
    start, end = (_number(event[key], key) / 1000 for key in ("start", "end"))
    if not 0 <= start < end:
        raise ValueError(f"empty or reversed, {start} to {end} s")
    if end > length + PAST_END_SECONDS:
        raise ValueError(f"annotated to {end} s, but the recording ends at {length:.3f} s")
    kind = "Normal" if label == "Normal" else "Adventitious"
    return {"cycle": number, "start": start, "end": min(end, length) if length > 0 else end,
            "1-1": kind, "1-2": label, "label": ICBHI_LABELS[label]}  # fmt: skip


def _number(value: object, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{what} {value!r} is not a number")
    return number


def _label(value: object, task: str) -> str:
    """The data set's own spelling of a label; blanks, case, "&", "+" and "and" do not matter."""
    known = {_letters(name): name for name in TASKS[task]}
    if _letters(value) not in known:
        raise ValueError(f"unknown label {value!r} (known: {', '.join(TASKS[task])})")
    return known[_letters(value)]


def _letters(value: object) -> str:
    return re.sub(r"\band\b|[^a-z]", "", str(value).lower())
