"""The ICBHI 2017 Respiratory Sound Database in its official layout, as one tidy table of cycles."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.data import layout
from lib.data.dataset import AUDIO_SUFFIXES, Annotated, Dataset
from lib.data.text import parse_number, read_lines, split_fields
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
OTHER_NAMES = {  # of these lists: in the official code, and in the copy on Kaggle
    SPLIT_FILE: ("official_split.txt",),
    DEMOGRAPHICS: ("demographic_info.txt", "metadata.txt"),
}
OLDEST = 120.0  # years
SEXES = ("F", "M", "NA")
NAME = re.compile(r"[0-9]{3}_\w+")  # the folder also holds notes such as filename_format.txt
FULL_NAME = re.compile(r"[0-9]{3}_[^_]+_[a-z]{2}_[sm]c_[^_]+", re.IGNORECASE)
INDEX = re.compile(r"[0-9]+[a-z][0-9]+", re.IGNORECASE)  # of a recording, such as 1b1
SUFFIX = re.compile(r"\.(wav|flac|txt)$", re.IGNORECASE)
ABOVE = 3  # folders above the recordings in which lists may lie, if none has the official name


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
    inner_folders = (folder,)
    annotation_suffix = ".txt"
    recordings = {"": 920}
    tables = {
        "event": ("dataset", "recording", "patient", "device", "location",
                  "cycle", "start", "end", "label", "split")
    }  # fmt: skip

    @classmethod
    def lies_in(cls, root: Path) -> bool:
        """Return whether `root` holds the official folder, or itself files of its naming."""
        if (root / cls.folder).is_dir():
            return True
        named = layout.files(root, (cls.annotation_suffix, *AUDIO_SUFFIXES))
        return any(FULL_NAME.fullmatch(path.stem) for path in named)

    @classmethod
    def recording_name(cls, stem: str) -> str:
        """Return a recording's name in its official spelling: letter case may differ in files."""
        usual = {part.lower(): part for part in (*DEVICES, *LOCATIONS, "sc", "mc")}
        parts = (usual.get(part.lower(), part) for part in stem.split("_"))
        return "_".join(part.lower() if INDEX.fullmatch(part) else part for part in parts)

    @property
    def sounds_folder(self) -> Path:
        """The folder with recordings and annotations: the official one, else the root itself."""
        official = self.root / self.folder
        return official if official.is_dir() else self.root

    def split_file(self) -> Path:
        """Return the challenge's train/test list, beside the database folder or in it."""
        path = self.find_list(SPLIT_FILE)
        if path is None:
            raise UserError(
                f"{self.root / SPLIT_FILE}: not found; put it there, or fetch this list alone with "
                f"./run_all.sh download icbhi --data {self.root}"
            )
        return path

    def demographics(self) -> pd.DataFrame:
        """Return patient (str) -> age in years (NaN if unknown), sex (F, M, NA).

        Empty if the list is not here. Raises `UserError` if a line does not begin with a patient,
        an age and a sex.
        """
        path = self.find_list(DEMOGRAPHICS)
        known: dict[str, tuple[float, str]] = {}
        for number, line in read_lines(path) if path else []:
            try:
                patient, age, sex = re.split(r"[,;\s]+", line.strip())[:3]
                years = math.nan if age == "NA" else parse_number(age)
                if years < 0 or years > OLDEST:
                    raise ValueError(f"{age} is no age")
                if sex not in SEXES:
                    raise ValueError(f"{sex} is not one of {', '.join(SEXES)}")
                known[patient] = (years, sex)
            except ValueError as error:
                raise UserError(
                    f"{path}: line {number}: {line!r} is not a patient, an age and a sex; restore "
                    "it"
                ) from error
        if path and not known:
            raise UserError(f"{path}: holds no patients; restore it")
        return pd.DataFrame.from_dict(known, orient="index", columns=["age", "sex"])

    def ages(self) -> pd.Series:
        """Return patient (str) -> age in years, as `demographics`."""
        return self.demographics().age

    def find_list(self, name: str) -> Path | None:
        """Return the file of one of the challenge's lists, which other copies call otherwise."""
        places = [self.root, self.root / self.folder]
        if not places[1].is_dir() and self.lies_in(self.root):
            places += list(self.root.absolute().parents)[:ABOVE]
        names = (name, *OTHER_NAMES.get(name, ()))
        paths = (place / each for each in names for place in places)
        return next((path for path in paths if path.is_file()), None)

    def _folders(self) -> list[Path]:
        return [self.sounds_folder]

    def _annotation_paths(self) -> list[tuple[str, Path]]:
        files = layout.files(self.sounds_folder, (self.annotation_suffix,))
        return [("", path) for path in files if NAME.match(path.stem)]

    def _list_paths(self) -> list[Path]:
        return [self.split_file()]

    def _annotations(self) -> tuple[list[Annotated], list[str]]:
        split, problems = self._split()
        files: dict[str, Path] = {}
        recordings = []
        for _, path in self._annotation_paths():
            recording = self.recording_name(path.stem)
            if recording in files:
                problems.append(f"{path}: {files[recording]} is there too; remove one of them")
                continue
            files[recording] = path
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
            f"{self.split_file()}: names {name}, but {self.sounds_folder / name}.txt is not there; "
            "restore it or delete the line"
            for name in sorted(set(split) - set(files))
        ]
        return recordings, problems

    def _split(self) -> tuple[dict[str, str], list[str]]:
        """Return recording -> train or test, and the problems of the list."""
        path, annotated = self.split_file(), self.annotation_files()
        split: dict[str, str] = {}
        problems = []
        for number, line in read_lines(path):
            name, *side = re.split(r"[,;\s]+", line.strip())
            name, side = self.recording_name(SUFFIX.sub("", name)), " ".join(side).lower()
            if side not in ("train", "test"):
                problems.append(
                    f"{path}: line {number}: {line!r} is not 'recording<tab>train|test'"
                )
                continue
            if name not in annotated:
                name = RENAMED.get(name, name)
            if name in split:
                problems.append(f"{path}: line {number}: {name} is there twice; delete one line")
            split[name] = side
        return split, problems


def single_channel(recordings: pd.Series) -> pd.Series:
    """Return whether each recording has one channel, as all that have no "mc" in the name."""
    return recordings.str.split("_").str[3] != "mc"


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
    try:
        lines = read_lines(path)
    except UserError as error:
        return [], [str(error)]
    for cycle, (number, line) in enumerate(lines):
        where = f"{path}: line {number}"
        try:
            start, end, crackle, wheeze = map(parse_number, split_fields(line, 4))
            label = CLASSES[(0, 1).index(crackle) + 2 * (0, 1).index(wheeze)]
        except ValueError:
            problems.append(
                f"{where}: {line.strip()!r} is not 'start end crackle wheeze' in seconds and "
                "flags 0 or 1; fix the line (no header)"
            )
            continue
        if not 0 <= start < end:
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
