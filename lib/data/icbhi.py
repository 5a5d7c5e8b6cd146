"""The ICBHI 2017 Respiratory Sound Database in its official layout, as one tidy table of cycles."""

import re
from pathlib import Path

import pandas as pd

from lib.errors import UserError

CLASSES = ("normal", "crackle", "wheeze", "both")
DEVICES = ("AKGC417L", "LittC2SE", "Litt3200", "Meditron")
LOCATIONS = ("Tc", "Al", "Ar", "Pl", "Pr", "Ll", "Lr")
COLUMNS = ("dataset", "recording", "patient", "device", "location",
           "cycle", "start", "end", "label", "split")  # fmt: skip
RECORDINGS = 920
OVERLAPPING_PATIENTS = ("156", "218")  # stand on both sides of the official split
# The challenge's split file names one recording by a device that its own files do not carry:
# joined by name alone, 11 training cycles vanish.
RENAMED = {"226_1b1_Pl_sc_Meditron": "226_1b1_Pl_sc_LittC2SE"}

FOLDER = "ICBHI_final_database"
SPLIT_FILE = "ICBHI_challenge_train_test.txt"
DEMOGRAPHICS = "ICBHI_Challenge_demographic_information.txt"
NAME = re.compile(r"\d{3}_\w+")  # the folder also holds notes such as filename_format.txt
PAST_END_SECONDS = 0.01  # rounding of the annotated times


def cycles(root: Path) -> pd.DataFrame:
    """Every annotated cycle, with or without audio, sorted by (recording, cycle).

    Columns: dataset, recording, patient (str), device, location, cycle (line of the annotation,
    from 0), start, end (seconds), label (one of `CLASSES`), split ("train" | "test").
    Raises `UserError` with every fault of every file at once.
    """
    rows, faults = _annotations(Path(root))
    raise_all(faults)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["recording", "cycle"], ignore_index=True)


def audio_files(root: Path) -> dict[str, Path]:
    """Recording -> its .wav or .flac file, sorted; both at once is a `UserError`."""
    found, faults = _audio(Path(root))
    raise_all(faults)
    return found


def annotation_files(root: Path) -> dict[str, Path]:
    """Recording -> its annotation file, sorted."""
    files = sorted((Path(root) / FOLDER).glob("*.txt"))
    return {path.stem: path for path in files if NAME.match(path.stem)}


def inputs(root: Path) -> dict[str, Path]:
    """Name -> every file behind the recordings that have audio."""
    audio, annotations = audio_files(root), annotation_files(root)
    texts = [split_file(root), *(annotations[name] for name in audio)]
    return {path.name: path for path in (*texts, *audio.values())}


def ages(root: Path) -> pd.Series:
    """Patient (str) -> age in years, NaN if unknown; empty where the database's list is not here.

    Raises `UserError` where a line does not begin with a patient and an age.
    """
    path = _beside_or_inside(root, DEMOGRAPHICS)
    if path is None:
        return pd.Series(dtype=float)
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            patient, age, *_ = line.split()
            found[patient] = float("nan" if age == "NA" else age)
        except ValueError as error:
            raise UserError(
                f"{path}: line {number} is not patient and age ({error}); mend or restore it"
            ) from error
    return pd.Series(found, dtype=float)


def split_file(root: Path) -> Path:
    """The challenge's train/test list, beside the database folder or in it."""
    found = _beside_or_inside(root, SPLIT_FILE)
    if found is None:
        raise UserError(
            f"{Path(root) / SPLIT_FILE}: not found; fetch it with ./run_all.sh download icbhi"
        )
    return found


def _beside_or_inside(root: Path, name: str) -> Path | None:
    """A list of the database, beside its folder or in it."""
    folders = (Path(root), Path(root) / FOLDER)
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def check(root: Path) -> list[str]:
    """Every fault of every annotation and audio file, one line each; reads all audio (minutes)."""
    table, faults = _annotations(Path(root))
    files, twice = _audio(Path(root))
    ends: dict[str, float] = {}
    for row in table:
        ends[row[1]] = max(row[7], ends.get(row[1], 0.0))
    for recording, path in files.items():
        faults += _audio_faults(path, ends.get(recording, 0.0))
    return faults + twice


def single_channel(recordings: pd.Series) -> pd.Series:
    """Whether each recording was made with one stethoscope alone ("sc" in its name)."""
    return recordings.str.split("_").str[3] == "sc"


def raise_all(faults: list[str]) -> None:
    """One `UserError` that lists all faults, if there are any."""
    if len(faults) == 1:
        raise UserError(faults[0])
    if faults:
        raise UserError(f"{len(faults)} faults in the recordings:\n  " + "\n  ".join(faults))


def _annotations(root: Path) -> tuple[list[tuple], list[str]]:
    split, faults = _split(root)
    files = annotation_files(root)
    rows = []
    for recording, path in files.items():
        if fault := _name_fault(recording):
            faults.append(f"{path}: {fault}")
            continue
        if recording not in split:
            faults.append(f"{path}: not in {SPLIT_FILE}; add its line there or move the file away")
            continue
        patient, _, location, _, device = recording.split("_")
        lines, found = _lines(path)
        faults += found
        rows += [
            ("icbhi", recording, patient, device, location, *line, split[recording])
            for line in lines
        ]
    missing = sorted(set(split) - set(files))
    faults += [
        f"{split_file(root)}: names {name}, but {FOLDER}/{name}.txt is not there; "
        "restore it or delete the line"
        for name in missing
    ]
    return rows, faults


def _split(root: Path) -> tuple[dict[str, str], list[str]]:
    path = split_file(root)
    split: dict[str, str] = {}
    faults = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        name, *side = line.split()
        if side not in (["train"], ["test"]):
            faults.append(f"{path}: line {number}: {line!r} is not 'recording<tab>train|test'")
            continue
        if not (root / FOLDER / f"{name}.txt").exists():
            name = RENAMED.get(name, name)
        if name in split:
            faults.append(f"{path}: line {number}: {name} stands there twice; delete one line")
        split[name] = side[0]
    return split, faults


def _name_fault(recording: str) -> str:
    parts = recording.split("_")
    if len(parts) != 5:
        return "the name is not patient_index_location_mode_device; rename or remove the file"
    if parts[4] not in DEVICES:
        return f"unknown device {parts[4]!r} (known: {', '.join(DEVICES)}); rename the file"
    if parts[2] not in LOCATIONS:
        return f"unknown location {parts[2]!r} (known: {', '.join(LOCATIONS)}); rename the file"
    return ""


def _lines(path: Path) -> tuple[list[tuple[int, float, float, str]], list[str]]:
    """The cycles (number, start, end, label) of one annotation file, and its faults."""
    lines: list[tuple[int, float, float, str]] = []
    faults = []
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(filter(str.strip, text.splitlines())):
        where = f"{path}: line {number + 1}"
        try:
            start, end, crackle, wheeze = map(float, line.split())
            label = CLASSES[(0, 1).index(crackle) + 2 * (0, 1).index(wheeze)]
        except ValueError:
            faults.append(
                f"{where}: {line.strip()!r} is not 'start end crackle wheeze' with tabs and "
                "flags 0 or 1; mend the line (no header, no commas)"
            )
            continue
        if not 0 <= start < end < float("inf"):
            faults.append(f"{where}: empty or reversed cycle {start} to {end} s; mend the times")
        elif lines and start < lines[-1][2]:
            faults.append(
                f"{where}: cycle from {start} s overlaps the one before, which ends at "
                f"{lines[-1][2]} s; mend the times"
            )
        lines.append((number, start, end, label))
    if not lines and not faults:
        faults.append(f"{path}: no cycles; restore the annotation")
    return lines, faults


def _audio(root: Path) -> tuple[dict[str, Path], list[str]]:
    annotated = annotation_files(root)
    found: dict[str, Path] = {}
    faults = []
    for path in sorted((root / FOLDER).iterdir()):
        if path.suffix.lower() not in (".wav", ".flac"):
            continue
        if path.stem in found:
            faults.append(f"{path}: {found[path.stem].name} is there too; remove one of them")
        elif path.stem not in annotated:
            faults.append(f"{path}: no {path.stem}.txt; restore it or move this file away")
        found[path.stem] = path
    return found, faults


def _audio_faults(path: Path, end: float) -> list[str]:
    from lib.data import (
        audio as data_audio,  # here, so that the table of cycles needs no audio library
    )

    try:
        wave, rate = data_audio.read(path)
    except UserError as error:
        return [str(error)]
    seconds = len(wave) / rate
    if end > seconds + PAST_END_SECONDS:
        return [f"{path}: annotated to {end} s, but the recording ends at {seconds:.3f} s"]
    return []
