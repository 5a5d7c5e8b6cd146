"""What every dataset offers: its card, its files, its tables of clips and their problems."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from lib.data import audio, layout
from lib.errors import UserError

AUDIO_SUFFIXES = (".wav", ".flac")
SYNTHETIC_FILE = "SYNTHETIC.json"  # lib.data.synthetic writes it into the folders that it makes
PAST_END_SECONDS = 0.5  # an annotated end that is up to this later than the recording's is cut
SHOWN = 3  # problems that a message lists
CAUSES = {  # what most problems say -> what may be behind them
    "restore it or move this file away": "the annotations were not copied with the sounds",
    "is not there; restore it": "only a part of the files was copied",
    "not in ": "the list is that of other recordings",
    "truncated": "the copy or download was interrupted; do it again",
    "is there too": "the recordings are here twice",
    "is not 'start end": "the files were saved by another program; copy the official ones",
    "is not 'recording": "the file was saved by another program; copy the official one",
    "cannot be read": "they belong to another user, or the disk is damaged",
    "not valid JSON": "the files were saved by another program; copy the official ones",
    "the name is not": "these are other recordings, or they were renamed",
}

Annotated = tuple[dict, list[dict]]  # columns of a recording, columns of each of its events


@dataclass(frozen=True)
class Dataset(ABC):
    """A dataset below the folder `root`; recordings are .wav or .flac files.

    It is a sequence of annotated events, those with audio: `len(dataset)`, `dataset[i]`, `frame`.

    kind: official (all recordings with audio), partial, synthetic, or none (no recordings are here;
    `root` may be a feature cache). banner: a sentence for every page, "" if official.
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
    folder: ClassVar[str]  # the official folder of `root`
    inner_folders: ClassVar[tuple[str, ...]]  # official names of folders below `root`
    annotation_suffix: ClassVar[str]
    recordings: ClassVar[dict[str, int]]  # subset -> how many recordings an official copy has
    optional: ClassVar[tuple[str, ...]] = ()  # subsets that an official copy may lack
    nested: ClassVar[bool] = False  # whether files may lie in folders below those named
    tables: ClassVar[dict[str, tuple[str, ...]]]  # unit of a clip -> columns of its table

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The table of annotated events with audio (`clips`); row i is about `dataset[i]`."""
        return self.clips()

    def __len__(self) -> int:
        """Return the number of annotated events with audio."""
        return len(self.frame)

    def __getitem__(self, index: int) -> dict:
        """Return an annotated event.

        waveform: (samples,) float32, mono, at its recording's own rate (Hz). label, patient,
        device, site (on the chest) and split are text, times are start and end in seconds in the
        recording. Raises `UserError` if the sound cannot be read, or ends before the event.
        """
        row = self.frame.iloc[range(len(self))[index]]  # an IndexError ends a loop
        path = self._files[row.recording]
        wave, rate = _read_sound(path)
        try:
            waveform = audio.excerpt(wave, row.start, row.end, rate)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        return {
            "waveform": waveform.copy(), "rate": rate, "label": row.label, "patient": row.patient,
            "device": row.device, "site": row.location, "split": row.split,
            "times": (float(row.start), float(row.end)),
        }  # fmt: skip

    @cached_property
    def _files(self) -> dict[str, Path]:
        return self.audio_files()

    @classmethod
    def locate(cls, folder: Path) -> Path | None:
        """Return the root of the dataset that lies in `folder`, some folders below or just above.

        It is known by its official folders, else by the names of files. Synthetic recordings are
        taken only from `folder` or a folder directly in it.
        """
        folder = Path(folder)
        above = folder
        while above.name in cls.inner_folders:
            above = above.parent
        named = () if above == folder else (above,)
        for root in (*named, above / cls.name, *layout.walk(above)):
            made_up = any((each / SYNTHETIC_FILE).exists() for each in (root, root.parent))
            if cls.lies_in(root) and not (made_up and above not in (root, root.parent)):
                return root
        return None

    @classmethod
    @abstractmethod
    def lies_in(cls, root: Path) -> bool:
        """Return whether `root` is the root of files of this dataset."""

    @classmethod
    def open(cls, root: Path) -> Self:
        """Return the dataset in `root` with its kind; raises `UserError` if it has no audio."""
        root = Path(root)
        dataset = cls(root)
        files, annotated = dataset.audio_files(), dataset._annotation_paths()
        here = Counter(key for key, path in annotated if cls.recording_name(path.stem) in files)
        unreadable = dataset.unreadable_files()
        note = f" Not readable: {layout.first_names(unreadable)}." if unreadable else ""
        if not here:
            raise UserError(
                f"{root}: no annotated .wav or .flac recordings ({len(annotated)} annotations, no "
                f"sounds); {cls.remedy(root)}{note and '.' + note.rstrip('.')}"
            )
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
        return cls(root, "partial", banner + note)

    @classmethod
    def remedy(cls, root: Path) -> str:
        """Return how to get all recordings into `root`, for messages."""
        return f"put them there, or fetch them all with ./run_all.sh download {cls.name}"

    @classmethod
    def recording_name(cls, stem: str) -> str:
        """Return the official name of the recording whose file has this name, without suffix."""
        return stem

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

        What cannot be read is left out (`unreadable_files`). Raises `UserError` if a recording has
        two files, or no annotation.
        """
        files, problems = self._audio()
        raise_problems(problems)
        return files

    def annotation_files(self) -> dict[str, Path]:
        """Return recording -> its annotation file."""
        return {self.recording_name(path.stem): path for _, path in self._annotation_paths()}

    def unreadable_files(self) -> list[Path]:
        """Return what is named like a file of this dataset but cannot be read: a broken link."""
        suffixes = (self.annotation_suffix, *AUDIO_SUFFIXES)
        return [
            path
            for folder in self._folders()
            for path in layout.unreadable_files(folder, suffixes, self.nested)
        ]

    def input_files(self) -> dict[str, Path]:
        """Return name -> file, for all files on which features depend; a name has its subset."""
        audio_paths = self.audio_files()
        files = {path.name: path for path in self._list_paths()}
        for subset, path in self._annotation_paths():
            name = self.recording_name(path.stem)
            if name in audio_paths:
                for file in (path, audio_paths[name]):
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
            name = self.recording_name(path.stem)
            if name in files:
                problems.append(f"{path}: {files[name]} is there too; remove one of them")
            elif name not in annotated:
                missing = f"{name}{self.annotation_suffix}"
                problems.append(f"{path}: no {missing}; restore it or move this file away")
            files[name] = path
        return files, problems

    def _audio_paths(self) -> list[Path]:
        """Return all audio files."""
        return [
            path
            for folder in self._folders()
            for path in layout.files(folder, AUDIO_SUFFIXES, self.nested)
        ]

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
    def _folders(self) -> list[Path]:
        """Return the folders that hold annotations and audio."""


@lru_cache(maxsize=1)
def _read_sound(path: Path) -> tuple[np.ndarray, int]:
    """A recording's mono wave and rate, kept for the event that comes next."""
    return audio.read(path)


def raise_problems(problems: list[str]) -> None:
    """Raise one `UserError` with the first problems, their number and a guess at the cause."""
    if len(problems) == 1:
        raise UserError(problems[0])
    if problems:
        lines = [f"{len(problems)} problems in the recordings:", *problems[:SHOWN]]
        lines += [f"and {len(problems) - SHOWN} more"] * (len(problems) > SHOWN)
        lines += [f"perhaps {cause}"] if (cause := _likely_cause(problems)) else []
        raise UserError("\n  ".join(lines))


def _likely_cause(problems: list[str]) -> str:
    """Return what may be behind most of the problems, or ""."""
    counts = {text: sum(text in each for each in problems) for text in CAUSES}
    text = max(counts, key=counts.get)
    return CAUSES[text] if len(problems) > SHOWN and 2 * counts[text] > len(problems) else ""


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
