"""SPRSound, the SJTU paediatric respiratory sounds: events and records as two tidy tables.

Read are the official folders of BioCAS2022 and, if it is there, BioCAS2023, directly below `root`
or below `root/releases` (both stand in the official repository); recordings as .wav or .flac.
"""

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib.data.icbhi import raise_all
from lib.data.sprsound_annotation import FIX, ICBHI_LABELS, POOR, TASKS, named, read_annotation

WINDOWS = {  # the same events, and windows in which nothing can be heard (Hu et al. 2023, III.C)
    "1-1-windows": ("Normal", POOR, "Adventitious"),
    "1-2-windows": (*TASKS["1-2"], POOR),
}
WINDOW_SECONDS = 3.0
PARTS = {  # part -> split, folder of annotations, folder of recordings
    "train": ("train", "BioCAS2022/train2022_json", "BioCAS2022/train2022_wav"),
    "inter": ("test", "BioCAS2022/test2022_json/inter_test_json", "BioCAS2022/test2022_wav"),
    "intra": ("test", "BioCAS2022/test2022_json/intra_test_json", "BioCAS2022/test2022_wav"),
    "2023": ("test", "BioCAS2023/test2023_json", "BioCAS2023/test2023_wav"),
}
RECORDINGS = {"train": 1949, "inter": 355, "intra": 379}  # of BioCAS2022, the official release
RECORDINGS_2023 = 871
FOLDER = "BioCAS2022"
BASES = ("", "releases")  # where the releases' folders lie below the data set's
COLUMNS = ("dataset", "recording", "patient", "age", "gender", "location", "device", "split",
           "part", "cycle", "start", "end")  # fmt: skip


def events(root: Path) -> pd.DataFrame:
    """Every annotated event, with or without audio, sorted by (recording, cycle).

    Columns: `COLUMNS` (cycle: place in the annotation, from 0; start, end in seconds), 1-1, 1-2
    and label (ICBHI's four classes). Overlapping events are kept. A recording whose name has no
    patient is its own patient: its child may be another one's too, so that no split of it from
    others is sure to be by child. Raises `UserError` with every fault of every file at once.
    """
    read = _read_all(root)
    rows = [{**record, **event} for record, found in read for event in found]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "1-1", "1-2", "label"])
    return table.sort_values(["recording", "cycle"], ignore_index=True)


def records(root: Path) -> pd.DataFrame:
    """Every annotated recording, sorted; columns `COLUMNS`, 2-1, 2-2. Errors as in `events`.

    cycle and start are 0, end is the recording's length (NaN if its audio is not here).
    """
    rows = [record for record, _ in _read_all(root)]
    table = pd.DataFrame(rows, columns=[*COLUMNS, "2-1", "2-2"])
    return table.sort_values("recording", ignore_index=True)


def windows(root: Path) -> pd.DataFrame:
    """What a sliding window learns from, sorted; columns `COLUMNS`, 1-1-windows, 1-2-windows; errors as `events`.

    Items are all events and, whole, all Poor Quality records without events. An event shorter than
    3 s is extended on both sides by the recording's own sound, as far as that goes, since a window
    that slides over a record holds sound and no padding; the paper says only that the event's shape
    is extended. What is longer than a window is cropped when a batch is read.
    """
    rows = []
    for record, found in _read_all(root):
        for event in found:
            known = {**record, **event, "1-1-windows": event["1-1"], "1-2-windows": event["1-2"]}
            rows.append(known | _extended(event["start"], event["end"], record["end"]))
        if record["2-2"] == POOR and not found:
            rows.append(record | {"1-1-windows": POOR, "1-2-windows": POOR})
    table = pd.DataFrame(rows, columns=[*COLUMNS, "1-1-windows", "1-2-windows"])
    return table.sort_values(["recording", "cycle"], ignore_index=True)


def record_label(labels: Iterable[str]) -> str:
    """The label of a record (2-2) that follows from the labels of its events (1-2)."""
    kinds = {ICBHI_LABELS[label] for label in labels}
    if not kinds:
        return POOR
    cas, das = bool(kinds & {"wheeze", "both"}), bool(kinds & {"crackle", "both"})
    return "CAS & DAS" if cas and das else "CAS" if cas else "DAS" if das else "Normal"


def remarks(root: Path) -> pd.DataFrame:
    """What is odd yet no fault, as rows of recording, part, what and count: nothing is silent."""
    audio, rows = audio_files(root), []
    for record, found in _read_all(root):
        times = [(event["start"], event["end"]) for event in found]
        implied = record_label(event["1-2"] for event in found)
        odd = {
            "no audio: in no feature store": record["recording"] not in audio,
            "no patient in the name: its own patient": record["patient"] == record["recording"],
            "events that overlap an earlier one: kept": _overlaps(times),
            "events out of order: numbered as in the file": times != sorted(times),
            "no events, yet not Poor Quality: a record without events": (
                not found and record["2-2"] != POOR
            ),
            "its label is not that of its events: both kept": found and implied != record["2-2"],
        }
        rows += [
            (record["recording"], record["part"], what, int(count))
            for what, count in odd.items()
            if count
        ]
    return pd.DataFrame(rows, columns=["recording", "part", "what", "count"])


def audio_files(root: Path) -> dict[str, Path]:
    """Recording -> its .wav or .flac file, sorted; both at once is a `UserError`."""
    found, faults = _audio(Path(root))
    raise_all(faults)
    return found


def annotation_files(root: Path) -> dict[tuple[str, str], Path]:
    """(part, recording) -> its annotation file, sorted."""
    return {
        (part, path.stem): path
        for part, (_, folder, _) in PARTS.items()
        for path in _files(Path(root), folder, (".json",))
    }


def inputs(root: Path) -> dict[str, Path]:
    """part/name -> every file behind the recordings that have audio."""
    audio, found = audio_files(root), {}
    for (part, recording), path in annotation_files(root).items():
        if recording in audio:
            found[f"{part}/{path.name}"] = path
            found[f"{part}/{audio[recording].name}"] = audio[recording]
    return found


def check(root: Path) -> list[str]:
    """Every fault of every annotation and audio file, one line each; reads all audio (minutes)."""
    from lib.data import audio as data_audio  # here, so that the tables need no audio library
    from lib.errors import UserError

    root = Path(root)
    _, faults = _annotations(root)
    for path in _audio(root)[0].values():
        try:
            data_audio.read(path)
        except UserError as error:
            faults.append(str(error))
    return faults


def _overlaps(times: list[tuple[float, float]]) -> int:
    """How many events begin before one that began earlier has ended."""
    last, count = 0.0, 0
    for start, end in sorted(times):
        count += start < last
        last = max(last, end)
    return count


def _read_all(root: Path) -> list[tuple[dict, list[dict]]]:
    read, faults = _annotations(Path(root))
    raise_all(faults)
    return read


def _annotations(root: Path) -> tuple[list[tuple[dict, list[dict]]], list[str]]:
    """Each record with its events, and all faults."""
    audio, faults = _audio(root)
    read, parts = [], {}
    for (part, recording), path in annotation_files(root).items():
        if recording in parts:
            faults.append(f"{path}: stands in part {parts[recording]} too; remove one of them")
            continue
        parts[recording] = part
        try:
            record = named(recording) | {"split": PARTS[part][0], "part": part}
            record["end"] = _seconds(audio[recording]) if recording in audio else math.nan
            found, wrong = read_annotation(path, record)
        except ValueError as error:
            faults.append(f"{path}: {error}; {FIX}")
            continue
        faults += wrong
        read.append((record, found))
    return read, faults


def _extended(start: float, end: float, length: float) -> dict[str, float]:
    """The times of an event, at least a window long where the recording (s, or nan) is."""
    if end - start >= WINDOW_SECONDS:
        return {"start": start, "end": end}
    first = (start + end - WINDOW_SECONDS) / 2
    if not math.isnan(length):
        first = min(first, length - WINDOW_SECONDS)
    first = max(first, 0.0)
    last = first + WINDOW_SECONDS
    return {"start": first, "end": last if math.isnan(length) else min(last, length)}


def _files(root: Path, folder: str, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a folder and of those in it, in the first layout that has it."""
    base = next((base for base in BASES if (root / base / folder).is_dir()), "")
    found = (path for path in (root / base / folder).rglob("*") if path.name[0] != ".")
    return sorted(path for path in found if path.suffix.lower() in suffixes)


def _audio(root: Path) -> tuple[dict[str, Path], list[str]]:
    annotated = {recording for _, recording in annotation_files(root)}
    found: dict[str, Path] = {}
    faults = []
    for folder in dict.fromkeys(folder for _, _, folder in PARTS.values()):
        for path in _files(root, folder, (".wav", ".flac")):
            if path.stem in found:
                faults.append(f"{path}: {found[path.stem]} is there too; remove one of them")
            elif path.stem not in annotated:
                faults.append(f"{path}: no {path.stem}.json; restore it or move this file away")
            found[path.stem] = path
    return found, faults


def _seconds(path: Path) -> float:
    """Length of a recording by its header."""
    import soundfile  # here, so that importing the tables' names needs no audio library

    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise ValueError(f"its recording {path} is not readable ({error})") from error
    return info.frames / info.samplerate
