"""What every dataset offers: its card, its files, its tables of clips and their problems."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import pandas as pd

from lib.data import audio
from lib.errors import UserError

AUDIO_SUFFIXES = (".wav", ".flac")
SYNTHETIC_FILE = "SYNTHETIC.json"  # lib.data.synthetic writes it into the folders that it makes
PAST_END_SECONDS = 0.01  # rounding of the annotated times

Annotated = tuple[dict, list[dict]]  # columns of a recording, columns of each of its events


@dataclass(frozen=True)
class Dataset(ABC):
    """A dataset in its official layout in the folder `root`; recordings are .wav or .flac files.

    kind: official (all recordings with audio), partial, synthetic, or none (only features are
    here: `root` is the folder of their cache). banner: a sentence for every page, "" if official.
    """

    root: Path
    kind: str = "official"
    banner: str = ""

    name: ClassVar[str]  # in experiments and on the command line
    short_title: ClassVar[str]
    title: ClassVar[str]
    citation: ClassVar[str]
    licence: ClassVar[str]
    url: ClassVar[str]
    download_url: ClassVar[str]
    checksum: ClassVar[str] = "none published"  # sha256 of the download
    folder: ClassVar[str]  # a folder of `root` by which the dataset is found
    bases: ClassVar[tuple[str, ...]] = ("",)  # folders of `root` in which `folder` may lie
    annotation_suffix: ClassVar[str]
    recordings: ClassVar[dict[str, int]]  # subset -> how many recordings an official copy has
    optional: ClassVar[tuple[str, ...]] = ()  # subsets that an official copy may lack
    tables: ClassVar[dict[str, tuple[str, ...]]]  # unit of a clip -> columns of its table

    @classmethod
    def locate(cls, folder: Path) -> Path | None:
        """Return the root: `folder`, the folder of the dataset's name in it, or its parent."""
        folder = Path(folder)
        above = folder.parent if folder.name == cls.folder else folder
        for root in (above / cls.name, above):
            if any((root / base / cls.folder).is_dir() for base in cls.bases):
                return root
        return None

    @classmethod
    def open(cls, root: Path) -> Self:
        """Return the dataset in `root` with its kind; raises `UserError` if it has no audio."""
        root = Path(root)
        files = cls(root).audio_files()
        here = Counter(key for key, path in cls(root)._annotation_paths() if path.stem in files)
        if not here:
            where = root / cls.folder
            raise UserError(f"{where}: no annotated .wav or .flac recordings there; {cls.remedy()}")
        if (root / SYNTHETIC_FILE).exists():
            made_up = f"no patient was recorded, {here.total()} recordings are made up"
            return cls(root, "synthetic", f"SYNTHETIC sounds: {made_up}.")
        expected = {
            key: n for key, n in cls.recordings.items() if here[key] or key not in cls.optional
        }
        if here == expected:
            return cls(root)
        counts = ", ".join(f"{here[key]} of {n} {key}".strip() for key, n in expected.items())
        banner = f"partial {cls.short_title}: {counts} recordings have annotation and audio."
        return cls(root, "partial", banner)

    @classmethod
    def remedy(cls) -> str:
        """Return how to get all recordings, for messages."""
        return f"fetch them all with ./run_all.sh download {cls.name}"

    @property
    def label(self) -> str:
        """The name of these data in tables: ICBHI, ICBHI partial or synthetic ICBHI."""
        if self.kind == "synthetic":
            return f"synthetic {self.short_title}"
        return self.short_title + " partial" * (self.kind == "partial")

    def load(self, unit: str = "event") -> pd.DataFrame:
        """Return every annotated clip, with or without audio, sorted by (recording, cycle).

        unit: event (an annotated cycle or event), or another key of `tables`. Columns: `tables`;
        cycle is the place in the annotation from 0, start and end are in seconds. Raises
        `UserError` with every problem of every file at once.
        """
        if unit not in self.tables:
            units = "s, ".join(self.tables)
            raise UserError(f"{self.name} has no {unit}s (it has {units}s); choose another unit")
        rows = [row for recording in self.read() for row in self._rows(unit, *recording)]
        table = pd.DataFrame(rows, columns=list(self.tables[unit]))
        return table.sort_values(["recording", "cycle"], ignore_index=True)

    def clips(self, unit: str = "event") -> pd.DataFrame:
        """Return the rows of `load` that have audio.

        If an annotation has a problem, all audio is read, to list every problem in one `UserError`.
        """
        try:
            table = self.load(unit)
        except UserError:
            raise_problems(self.validate())
            raise
        return table[table.recording.isin(self.audio_files())].reset_index(drop=True)

    def read(self) -> list[Annotated]:
        """Return every annotated recording with its events; raises `UserError` as `load` does."""
        recordings, problems = self._annotations()
        raise_problems(problems)
        return recordings

    def audio_files(self) -> dict[str, Path]:
        """Return recording -> its audio file.

        Raises `UserError` if a recording has two files, or no annotation.
        """
        files, problems = self._audio()
        raise_problems(problems)
        return files

    def annotation_files(self) -> dict[str, Path]:
        """Return recording -> its annotation file."""
        return {path.stem: path for _, path in self._annotation_paths()}

    def input_files(self) -> dict[str, Path]:
        """Return name -> file, for all files on which features depend; a name has its subset."""
        audio_paths = self.audio_files()
        files = {path.name: path for path in self._list_paths()}
        for subset, path in self._annotation_paths():
            if path.stem in audio_paths:
                for file in (path, audio_paths[path.stem]):
                    files[f"{subset}/{file.name}".lstrip("/")] = file
        return files

    def validate(self) -> list[str]:
        """Return every problem of every file, one line each; reads all audio (minutes)."""
        recordings, problems = self._annotations()
        ends = {
            record["recording"]: max((event["end"] for event in events), default=0.0)
            for record, events in recordings
        }
        files, audio_problems = self._audio()
        for recording, path in files.items():
            problems += _sound_problems(path, ends.get(recording, 0.0))
        return list(dict.fromkeys(problems + audio_problems))

    def _audio(self) -> tuple[dict[str, Path], list[str]]:
        annotated = self.annotation_files()
        files: dict[str, Path] = {}
        problems = []
        for path in self._audio_paths():
            if path.stem in files:
                problems.append(f"{path}: {files[path.stem]} is there too; remove one of them")
            elif path.stem not in annotated:
                missing = f"{path.stem}{self.annotation_suffix}"
                problems.append(f"{path}: no {missing}; restore it or move this file away")
            files[path.stem] = path
        return files, problems

    def _rows(self, unit: str, record: dict, events: list[dict]) -> list[dict]:
        """Return the rows of a recording in the table of `unit`."""
        return [{**record, **event} for event in events]

    def _list_paths(self) -> list[Path]:
        """Return the files beside annotations and audio that say which clips there are."""
        return []

    @abstractmethod
    def _annotations(self) -> tuple[list[Annotated], list[str]]:
        """Return every annotated recording with its events, and every problem."""

    @abstractmethod
    def _annotation_paths(self) -> list[tuple[str, Path]]:
        """Return (subset, annotation file) of every recording; subset is a key of `recordings`."""

    @abstractmethod
    def _audio_paths(self) -> list[Path]:
        """Return all audio files."""


def raise_problems(problems: list[str]) -> None:
    """Raise one `UserError` that lists all problems, if there are any."""
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        raise UserError(f"{len(problems)} problems in the recordings:\n  " + "\n  ".join(problems))


def _sound_problems(path: Path, end: float) -> list[str]:
    """Return what is wrong with a recording that is annotated up to `end` seconds."""
    try:
        wave, rate = audio.read(path)
    except UserError as error:
        return [str(error)]
    seconds = len(wave) / rate
    if end > seconds + PAST_END_SECONDS:
        return [f"{path}: annotated to {end} s, but the recording ends at {seconds:.3f} s"]
    return []
