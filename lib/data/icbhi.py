"""The ICBHI 2017 Respiratory Sound Database in its official layout, as one tidy table of cycles."""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.data.dataset import AUDIO_SUFFIXES, Annotated, Dataset
from lib.errors import UserError

CLASSES = ("normal", "crackle", "wheeze", "both")
DEVICES = ("AKGC417L", "LittC2SE", "Litt3200", "Meditron")
LOCATIONS = ("Tc", "Al", "Ar", "Pl", "Pr", "Ll", "Lr")
OVERLAPPING_PATIENTS = ("156", "218")  # on both sides of the official split
# The challenge's split file names one recording by a device that its own files do not carry:
# joined by name alone, 11 training cycles vanish.
RENAMED = {"226_1b1_Pl_sc_Meditron": "226_1b1_Pl_sc_LittC2SE"}
SPLIT_FILE = "ICBHI_challenge_train_test.txt"
DIAGNOSES = "ICBHI_Challenge_diagnosis.txt"
DEMOGRAPHICS = "ICBHI_Challenge_demographic_information.txt"
NAME = re.compile(r"\d{3}_\w+")  # the folder also holds notes such as filename_format.txt


@dataclass(frozen=True)
class ICBHI(Dataset):
    """920 recordings of 126 patients with 6,898 respiratory cycles, split by the challenge.

    label is one of `CLASSES`, split is train or test, patient is text.
    """

    name = "icbhi"
    short_title = "ICBHI"
    title = "ICBHI 2017 Respiratory Sound Database"
    citation = (
        "Rocha et al. 2019, An open access database for the evaluation of respiratory sound "
        "classification algorithms, Physiological Measurement 40, 035001"
    )
    licence = "freely available for research"
    url = "https://bhichallenge.med.auth.gr/ICBHI_2017_Challenge"
    download_url = "https://bhichallenge.med.auth.gr/sites/default/files/ICBHI_final_database"
    folder = "ICBHI_final_database"
    annotation_suffix = ".txt"
    recordings = {"": 920}
    tables = {
        "event": ("dataset", "recording", "patient", "device", "location",
                  "cycle", "start", "end", "label", "split")
    }  # fmt: skip

    def split_file(self) -> Path:
        """Return the challenge's train/test list, beside the database folder or in it."""
        path = self._beside_or_inside(SPLIT_FILE)
        if path is None:
            raise UserError(f"{self.root / SPLIT_FILE}: not found; {self.remedy()}")
        return path

    def demographics(self) -> pd.DataFrame:
        """Return patient (str) -> age in years (NaN if unknown), sex (F, M, NA).

        Empty if the list is not here. Raises `UserError` if a line does not begin with a patient,
        an age and a sex.
        """
        path = self._beside_or_inside(DEMOGRAPHICS)
        try:
            rows = [line.split()[:3] for _, line in _lines(path)] if path else []
            known = {patient: (float(age.replace("NA", "nan")), sex) for patient, age, sex in rows}
        except ValueError as error:
            raise UserError(f"{path}: not patients and ages ({error}); restore it") from error
        return pd.DataFrame.from_dict(known, orient="index", columns=["age", "sex"])

    def ages(self) -> pd.Series:
        """Return patient (str) -> age in years, as `demographics`."""
        return self.demographics().age

    def _annotation_paths(self) -> list[tuple[str, Path]]:
        files = sorted((self.root / self.folder).glob("*.txt"))
        return [("", path) for path in files if NAME.match(path.stem)]

    def _audio_paths(self) -> list[Path]:
        files = sorted((self.root / self.folder).iterdir())
        return [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]

    def _list_paths(self) -> list[Path]:
        return [self.split_file()]

    def _beside_or_inside(self, name: str) -> Path | None:
        paths = (self.root / name, self.root / self.folder / name)
        return next((path for path in paths if path.is_file()), None)

    def _annotations(self) -> tuple[list[Annotated], list[str]]:
        split, problems = self._split()
        files = self.annotation_files()
        recordings = []
        for recording, path in files.items():
            if problem := _name_problem(recording):
                problems.append(f"{path}: {problem}")
            elif recording not in split:
                problems.append(
                    f"{path}: not in {SPLIT_FILE}; add its line there or move the file away"
                )
            else:
                patient, _, location, _, device = recording.split("_")
                record = {
                    "dataset": self.name, "recording": recording, "patient": patient,
                    "device": device, "location": location, "split": split[recording],
                }  # fmt: skip
                cycles, cycle_problems = _cycles(path)
                recordings.append((record, cycles))
                problems += cycle_problems
        problems += [
            f"{self.split_file()}: names {name}, but {self.folder}/{name}.txt is not there; "
            "restore it or delete the line"
            for name in sorted(set(split) - set(files))
        ]
        return recordings, problems

    def _split(self) -> tuple[dict[str, str], list[str]]:
        """Return recording -> train or test, and the problems of the list."""
        path, annotated = self.split_file(), self.annotation_files()
        split: dict[str, str] = {}
        problems = []
        for number, line in _lines(path):
            name, *side = line.split()
            if side not in (["train"], ["test"]):
                problems.append(
                    f"{path}: line {number}: {line!r} is not 'recording<tab>train|test'"
                )
                continue
            if name not in annotated:
                name = RENAMED.get(name, name)
            if name in split:
                problems.append(f"{path}: line {number}: {name} is there twice; delete one line")
            split[name] = side[0]
        return split, problems


def single_channel(recordings: pd.Series) -> pd.Series:
    """Return whether each recording has one channel, as all that have no "mc" in the name."""
    return recordings.str.split("_").str[3] != "mc"


def _lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a text file that are not blank, with their numbers from 1."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _name_problem(recording: str) -> str:
    parts = recording.split("_")
    if len(parts) != 5:
        return "the name is not patient_index_location_mode_device; rename or remove the file"
    if parts[4] not in DEVICES:
        return f"unknown device {parts[4]!r} (known: {', '.join(DEVICES)}); rename the file"
    if parts[2] not in LOCATIONS:
        return f"unknown location {parts[2]!r} (known: {', '.join(LOCATIONS)}); rename the file"
    return ""


def _cycles(path: Path) -> tuple[list[dict], list[str]]:
    """Return the cycles of one annotation file, and its problems."""
    cycles: list[dict] = []
    problems = []
    for cycle, (number, line) in enumerate(_lines(path)):
        where = f"{path}: line {number}"
        try:
            start, end, crackle, wheeze = map(float, line.split())
            label = CLASSES[(0, 1).index(crackle) + 2 * (0, 1).index(wheeze)]
        except ValueError:
            problems.append(
                f"{where}: {line.strip()!r} is not 'start end crackle wheeze' with tabs and "
                "flags 0 or 1; fix the line (no header, no commas)"
            )
            continue
        if not 0 <= start < end < float("inf"):
            problems.append(f"{where}: empty or reversed cycle {start} to {end} s; fix the times")
        elif cycles and start < cycles[-1]["end"]:
            problems.append(
                f"{where}: cycle from {start} s overlaps the one before, which ends at "
                f"{cycles[-1]['end']} s; fix the times"
            )
        cycles.append({"cycle": cycle, "start": start, "end": end, "label": label})
    if not cycles and not problems:
        problems.append(f"{path}: no cycles; restore the annotation")
    return cycles, problems
