"""SPRSound, the SJTU paediatric respiratory sounds, in its official layout: events and records."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pandas as pd

from lib.data import audio, layout
from lib.data.dataset import PAST_END_SECONDS, Annotated, Dataset
from lib.data.text import parse_number
from lib.errors import UserError
from lib.files import parse_json, read_text

POOR = "Poor Quality"  # counts neither as normal nor as adventitious
TASKS = {  # task -> its classes, in the challenge's order
    "1-1": ("Normal", "Adventitious"),
    "1-2": ("Normal", "Rhonchi", "Wheeze", "Stridor", "Coarse Crackle", "Fine Crackle",
            "Wheeze+Crackle"),
    "2-1": ("Normal", POOR, "Adventitious"),
    "2-2": ("Normal", POOR, "CAS", "DAS", "CAS & DAS"),
}  # fmt: skip
WINDOWS = {  # the same events, and windows in which nothing can be heard (Hu et al. 2023, III.C)
    "1-1-windows": ("Normal", POOR, "Adventitious"),
    "1-2-windows": (*TASKS["1-2"], POOR),
}
WINDOW_SECONDS = 3.0
ICBHI_LABELS = dict(
    zip(TASKS["1-2"], ("normal", *3 * ["wheeze"], *2 * ["crackle"], "both"), strict=True)
)
SUBSETS = {  # subset -> split, folder of annotations, folder of recordings
    "train": ("train", "BioCAS2022/train2022_json", "BioCAS2022/train2022_wav"),
    "inter": ("test", "BioCAS2022/test2022_json/inter_test_json", "BioCAS2022/test2022_wav"),
    "intra": ("test", "BioCAS2022/test2022_json/intra_test_json", "BioCAS2022/test2022_wav"),
    "test2023": ("test", "BioCAS2023/test2023_json", "BioCAS2023/test2023_wav"),
}
BASES = ("", "releases")  # folders of the root in which those of the releases may lie
DEVICE = "Yunting II"  # all recordings
GENDERS = {"0": "male", "1": "female"}
# Locations p1 to p4: left posterior, left lateral, right posterior, right lateral.
NAME = re.compile(
    r"(?P<patient>[^_]*)_(?P<age>[0-9]+(\.[0-9]+)?)_(?P<gender>[01])_(?P<location>p[1-4])_[^_]+"
)
FIX = "fix the file or fetch it again"
_COLUMNS = ("dataset", "recording", "patient", "age", "gender", "location", "device", "split",
            "subset", "cycle", "start", "end")  # fmt: skip


@dataclass(frozen=True)
class SPRSound(Dataset):
    """3,554 recordings of children, events and whole records annotated for the BioCAS challenges.

    Units: event (every annotated event; overlapping ones are kept), record (whole recordings; start
    is 0, end is the length, NaN without audio), window (what a sliding window learns from, see
    `_windows`). A recording whose name has no patient is its own patient: its child may be another
    recording's too, so no split of it from others is sure to be by child.
    """

    name = "sprsound"
    short_title = "SPRSound"
    title = "SPRSound: open-source SJTU paediatric respiratory sound database"
    citation = (
        "Zhang et al. 2022, SPRSound: Open-Source SJTU Paediatric Respiratory Sound Database, IEEE "
        "Transactions on Biomedical Circuits and Systems 16, 867-881"
    )
    licence = "CC BY (IEEE DataPort); GPL-3.0 (repository)"
    url = "https://github.com/SJTU-YONGFU-RESEARCH-GRP/SPRSound"
    # One commit of the official repository: what it holds can no longer change.
    download_url = (
        "https://codeload.github.com/SJTU-YONGFU-RESEARCH-GRP/SPRSound/zip/"
        "174500e401f4ebf54061414c2fe082c7dccfb9d2"
    )
    folder = "BioCAS2022"
    inner_folders = (folder, "BioCAS2023", *(  # and those in them, by their first names too
        name
        for _, *paths in SUBSETS.values()
        for part in "/".join(paths).split("/")
        for name in (part, part.replace("2022", ""))
    ))  # fmt: skip
    nested = True
    annotation_suffix = ".json"
    recordings = {"train": 1949, "inter": 355, "intra": 379, "test2023": 871}
    optional = ("test2023",)
    tables = {
        "event": (*_COLUMNS, "1-1", "1-2", "label"),
        "record": (*_COLUMNS, "2-1", "2-2"),
        "window": (*_COLUMNS, "1-1-windows", "1-2-windows"),
    }

    def remarks(self) -> pd.DataFrame:
        """Return what is odd yet no error, as rows of recording, subset, what and count."""
        files, rows = self.audio_files(), []
        for record, events in self.read():
            name, label = record["recording"], record["2-2"]
            times = [(event["start"], event["end"]) for event in events]
            implied = record_label(event["1-2"] for event in events)
            odd = {
                "no audio: in no feature cache": name not in files,
                "no patient in the name: its own patient": record["patient"] == name,
                "events that end after the recording: cut there": sum(
                    event["cut"] for event in events
                ),
                "events that overlap an earlier one: kept": _overlaps(times),
                "events out of order: numbered as in the file": times != sorted(times),
                "no events, yet not Poor Quality: a record without events": (
                    not events and label != POOR
                ),
                "its label is not that of its events: both kept": bool(events) and implied != label,
            }
            subset = record["subset"]
            rows += [(name, subset, what, int(count)) for what, count in odd.items() if count]
        return pd.DataFrame(rows, columns=["recording", "subset", "what", "count"])

    def _rows(self, unit: str, record: dict, events: list[dict]) -> list[dict]:
        if unit == "record":
            return [record]
        if unit == "window":
            return _windows(record, events)
        return super()._rows(unit, record, events)

    @classmethod
    def lies_in(cls, root: Path) -> bool:
        """Return whether `root` holds a release's folder, or those that are official in it."""
        return any((root / base / cls.folder).is_dir() for base in BASES) or any(
            cls(root)._place(notes).is_dir() for _, notes, _ in SUBSETS.values()
        )

    @classmethod
    def recording_name(cls, stem: str) -> str:
        """Return a recording's name in its official spelling: letter case may differ in files."""
        return stem.lower()

    def _place(self, folder: str) -> Path:
        """Return the path of an official folder, which may lie elsewhere in a copy."""
        inside = folder.split("/", 1)[1]  # without the release; at first without its year too
        places = [*(self.root / base / folder for base in BASES), self.root / inside]
        places.append(self.root / inside.replace("2022", ""))
        return next((place for place in places if place.is_dir()), places[0])

    def _folders(self) -> list[Path]:
        folders = (folder for _, *paths in SUBSETS.values() for folder in paths)
        return list(dict.fromkeys(map(self._place, folders)))

    def _annotation_paths(self) -> list[tuple[str, Path]]:
        return [
            (subset, path)
            for subset, (_, folder, _) in SUBSETS.items()
            for path in layout.files(self._place(folder), (self.annotation_suffix,), below=True)
        ]

    def _annotations(self) -> tuple[list[Annotated], list[str]]:
        files, _ = self._audio()
        recordings: list[Annotated] = []
        problems, seen = [], {}
        for subset, path in self._annotation_paths():
            name = self.recording_name(path.stem)
            if name in seen:
                problems.append(f"{path}: in subset {seen[name]} too; remove one of them")
                continue
            seen[name] = subset
            try:
                record = _parse_name(name) | {"split": SUBSETS[subset][0], "subset": subset}
                record["end"] = audio.length_seconds(files[name]) if name in files else math.nan
                events, event_problems = _read_annotation(path, record)
            except UserError as error:
                problems.append(str(error))
                continue
            except ValueError as error:
                problems.append(f"{path}: {error}; {FIX}")
                continue
            problems += event_problems
            recordings.append((record, events))
        return recordings, problems


def record_label(labels: Iterable[str]) -> str:
    """Return the label of a record (2-2) that follows from the labels of its events (1-2)."""
    kinds = {ICBHI_LABELS[label] for label in labels}
    if not kinds:
        return POOR
    cas, das = bool(kinds & {"wheeze", "both"}), bool(kinds & {"crackle", "both"})
    return "CAS & DAS" if cas and das else "CAS" if cas else "DAS" if das else "Normal"


def _windows(record: dict, events: list[dict]) -> list[dict]:
    """Return the clips of a recording from which a sliding window learns.

    These are all events and, whole, Poor Quality records without events. An event shorter than 3 s
    is extended on both sides by the recording's own sound, as far as that goes, since a window that
    slides over a record holds sound and no padding; the paper says only that the event's shape is
    extended. A longer clip is cropped when a batch is read.
    """
    if not events:
        poor = record | {"1-1-windows": POOR, "1-2-windows": POOR}
        return [poor] if record["2-2"] == POOR else []
    rows = []
    for event in events:
        labels = {"1-1-windows": event["1-1"], "1-2-windows": event["1-2"]}
        times = _extended(event["start"], event["end"], record["end"])
        rows.append({**record, **event, **labels, **times})
    return rows


def _extended(start: float, end: float, length: float) -> dict[str, float]:
    """Return the times of an event, at least a window long if the recording (s, or NaN) is."""
    if end - start >= WINDOW_SECONDS:
        return {"start": start, "end": end}
    length = math.inf if math.isnan(length) else length
    first = max(min((start + end - WINDOW_SECONDS) / 2, length - WINDOW_SECONDS), 0.0)
    return {"start": first, "end": min(first + WINDOW_SECONDS, length)}


def _overlaps(times: list[tuple[float, float]]) -> int:
    """Return how many events begin before one that began earlier has ended."""
    ends = accumulate((end for _, end in sorted(times)), max)
    return sum(start < end for (start, _), end in zip(sorted(times)[1:], ends, strict=False))


def _parse_name(recording: str) -> dict:
    """Return the columns that a recording's name holds; raises ValueError if it does not fit."""
    name = NAME.fullmatch(recording)
    if not name:
        raise ValueError("the name is not patient_age_gender(0|1)_location(p1 to p4)_number")
    return {
        "dataset": SPRSound.name, "recording": recording, "patient": name["patient"] or recording,
        "age": float(name["age"]), "gender": GENDERS[name["gender"]], "location": name["location"],
        "device": DEVICE, "cycle": 0, "start": 0.0,
    }  # fmt: skip


def _read_annotation(path: Path, record: dict) -> tuple[list[dict], list[str]]:
    """Return the events of one file and their problems; puts the labels into `record`."""
    text = read_text(path)
    try:
        text = parse_json(text)
    except ValueError as error:
        raise ValueError(f"not valid JSON ({error})") from error
    if not isinstance(text, dict) or not isinstance(text.get("event_annotation"), list):
        raise ValueError("no list event_annotation")
    record["2-2"] = _label(text.get("record_annotation", text.get("recording_annotation")), "2-2")
    record["2-1"] = record["2-2"] if record["2-2"] in TASKS["2-1"] else "Adventitious"
    events, problems = [], []
    for number, event in enumerate(text["event_annotation"]):
        try:
            events.append(_event(event, number, record["end"]))
        except ValueError as error:
            problems.append(f"{path}: event {number}: {error}; {FIX}")
    return events, problems


def _event(event: object, number: int, length: float) -> dict:
    """Return one event; milliseconds become seconds, at most the recording's length."""
    if not isinstance(event, dict) or not {"start", "end", "type"} <= set(event):
        raise ValueError(f"{event!r} is not start, end and type")
    label = _label(event["type"], "1-2")
    try:
        start, end = (parse_number(event[key]) / 1000 for key in ("start", "end"))
    except ValueError as error:
        raise ValueError(f"a time is not a number ({error})") from error
    if not 0 <= start < end:
        raise ValueError(f"empty or reversed, {start} to {end} s")
    if start >= length or end > length + PAST_END_SECONDS:
        raise ValueError(f"annotated to {end} s, but the recording ends at {length:.3f} s")
    kind = "Normal" if label == "Normal" else "Adventitious"
    return {"cycle": number, "start": start, "end": min(end, length) if length > 0 else end,
            "cut": end > length,
            "1-1": kind, "1-2": label, "label": ICBHI_LABELS[label]}  # fmt: skip


def _label(value: object, task: str) -> str:
    """Return a label in the dataset's usual spelling; case, blanks, "&", "+" and "and" vary."""

    def letters(text: str) -> str:
        return re.sub(r"\band\b|[^a-z]", "", text.lower())

    for name in TASKS[task] if isinstance(value, str) else ():
        if letters(name) == letters(value):
            return name
    raise ValueError(f"unknown label {value!r} (known: {', '.join(TASKS[task])})")
