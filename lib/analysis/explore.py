"""What the exploration pages count and pick: small questions to the table of cycles."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib import paper
from lib.data import CLASSES, Source, audio, icbhi
from lib.features.frontends import Fbank, fbank, noise_power
from lib.training.augment import Wave, change_wave

ADULT_YEARS = 18
AGES = ("children", "adults", "unknown")


@dataclass(frozen=True)
class Breath:
    """One cycle and the recording that it is part of."""

    recording: str
    path: Path
    label: str
    start: float  # seconds
    end: float
    spans: list[tuple[float, float, str]]  # all cycles of the recording: start, end, label

    @property
    def seconds(self) -> float:
        """Length of the cycle."""
        return self.end - self.start


def cycles(source: Source) -> pd.DataFrame:
    """Every annotated cycle, with or without audio; column `audio` says which."""
    table = icbhi.cycles(source.root)
    return table.assign(audio=table.recording.isin(icbhi.audio_files(source.root)))


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """Cycles by split (rows train, test) and class."""
    found = pd.crosstab(table.split, table.label)
    return found.reindex(index=["train", "test"], columns=list(CLASSES), fill_value=0)


def sizes(source: Source, table: pd.DataFrame) -> pd.DataFrame:
    """Recordings, patients, cycles of each split: annotated, with audio, in the paper."""
    lines = []
    for split, group in table.groupby("split", sort=False):
        heard = group[group.audio]
        for what, column, published in (
            ("recordings", "recording", paper.RECORDINGS[split]),
            ("patients", "patient", paper.PATIENTS[split]),
        ):
            found = group[column].nunique(), heard[column].nunique()
            lines.append((split, what, published, *found))
        lines.append((split, "cycles", sum(paper.CYCLES[split].values()), len(group), len(heard)))
    columns = ["split", "what", "paper", "annotated here", "with audio here"]
    return pd.DataFrame(lines, columns=columns).sort_values("split", ascending=False, kind="stable")


def durations(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Class -> lengths of its cycles in seconds."""
    length = table.end - table.start
    return {name: length[table.label == name].to_numpy() for name in CLASSES}


def by_device(table: pd.DataFrame) -> pd.DataFrame:
    """Cycles by device and class."""
    return pd.crosstab(table.device, table.label).reindex(columns=list(CLASSES), fill_value=0)


def by_patient(table: pd.DataFrame) -> pd.DataFrame:
    """Cycles by patient and class, the patient with most cycles first."""
    found = pd.crosstab(table.patient, table.label).reindex(columns=list(CLASSES), fill_value=0)
    return found.loc[found.sum(axis=1).sort_values(ascending=False, kind="stable").index]


def by_age(source: Source, table: pd.DataFrame) -> pd.DataFrame:
    """Patients and cycles with audio of each split by age: children (under 18), adults, unknown.

    The last column counts patients of single-channel recordings alone (setting `subset = sc`).
    """
    heard = table[table.audio]
    years = heard.patient.map(icbhi.ages(source.root))
    group = np.select([years < ADULT_YEARS, years >= ADULT_YEARS], AGES[:2], AGES[2])
    alone = heard.patient.where(icbhi.single_channel(heard.recording))
    found = (
        heard.assign(alone=alone)
        .groupby(["split", group])
        .agg(
            patients=("patient", "nunique"), cycles=("patient", "size"), single=("alone", "nunique")
        )
    )
    found = found.rename(columns={"single": "patients, single-channel"})
    index = pd.MultiIndex.from_product([["train", "test"], AGES], names=["split", "age"])
    return found.reindex(index, fill_value=0).reset_index()


def spans(table: pd.DataFrame, recording: str) -> list[tuple[float, float, str]]:
    """Start, end and label of a recording's cycles, in seconds."""
    part = table[table.recording == recording]
    return list(zip(part.start, part.end, part.label, strict=True))


def example(source: Source, table: pd.DataFrame) -> tuple[str, Path]:
    """The recording with audio that has the most classes, the first of equals, and its file."""
    heard = table[table.audio].groupby("recording").label.nunique()
    recording = heard.idxmax()
    return recording, icbhi.audio_files(source.root)[recording]


def breaths(source: Source, table: pd.DataFrame, labels: tuple[str, ...]) -> list[Breath]:
    """For each label, the cycle with audio whose length is nearest to 2.5 s."""
    files, found = icbhi.audio_files(source.root), []
    for label in labels:
        part = table[table.audio & (table.label == label)]
        row = part.loc[(part.end - part.start - 2.5).abs().idxmin()]
        every = spans(table, row.recording)
        where = (row.recording, files[row.recording], label)
        found.append(Breath(*where, float(row.start), float(row.end), every))
    return found


def clip(breath: Breath, front: Fbank) -> np.ndarray:
    """The breath as the front end cuts it, (samples,)."""
    wave = audio.recording_wave(breath.path, front)
    return audio.cycle_clip(wave, breath.start, breath.end, front)


def quirks(source: Source, table: pd.DataFrame) -> pd.DataFrame:
    """Facts of the official files that change numbers, counted in these files."""
    sides = table.groupby("patient").split.nunique()
    both = ", ".join(sides[sides > 1].index) or "none"
    listed = icbhi.split_file(source.root).read_text()
    renamed = [name for name in icbhi.RENAMED if name in listed]
    longest, shortest = (table.end - table.start).agg(["max", "min"])
    rate = table.label.ne("normal").groupby(table.device).mean()
    spread = ", ".join(f"{device} {share:.0%}" for device, share in rate.items())
    lines = [
        ("patients on both sides of the split", both, "scores with and without them"),
        ("split entries of another name than on disk", ", ".join(renamed) or "none", "mended"),
        ("longest and shortest cycle (s)", f"{longest:.2f}, {shortest:.2f}", "cut or repeated"),
        ("abnormal share by device", spread, "embeddings are judged by device too"),
        ("recordings without audio here", str(table[~table.audio].recording.nunique()), "banner"),
    ]
    return pd.DataFrame(lines, columns=["quirk", "found here", "what is done"])


def facts(fbanks: torch.Tensor, tokens: tuple[int, int]) -> pd.DataFrame:
    """What the paper and its code say of a clip, and what came out here."""
    grids = [f"{f} x {t} = {f * t}" for f, t in (paper.GRID, tokens)]
    lines = [
        ("frames of an 8 s clip", str(paper.FRAMES), str(fbanks.shape[1])),
        ("mel bins", str(paper.MELS), str(fbanks.shape[2])),
        ("tokens (official code)", *grids),
    ]
    return pd.DataFrame(lines, columns=["fact", "paper", "ours"])


def has_recordings(source: Source) -> bool:
    """Whether sounds are here, or only features or records of them."""
    return (source.root / "ICBHI_final_database").is_dir()


ERRORS = ["change of samples", "its size", "mean error", "largest"]


def wave_error(source: Source, front: Fbank, gain: float, noise: float) -> pd.DataFrame:
    """How far changing features is from changing samples: log-mel energies, mean and largest error.

    gain: the factor on the samples; noise: the standard deviation that is added to them. Beside
    the error, how much the change itself is worth (mean of its size). Of a crackle and a wheeze;
    empty where no recordings are here.
    """
    if not has_recordings(source):
        return pd.DataFrame(columns=ERRORS)
    found = breaths(source, cycles(source), ("crackle", "wheeze"))
    clips = torch.from_numpy(np.stack([clip(breath, front) for breath in found]))
    generator = torch.Generator().manual_seed(0)
    heard = torch.randn(clips.shape, generator=generator) * noise
    before, power = fbank(clips, front), noise_power(front, noise)
    ones, no = torch.ones(len(clips)), torch.zeros(len(clips), dtype=torch.bool)
    cases = {
        f"gain {gain:g}": (gain * clips, Wave(2 * np.log(gain) * ones, no)),
        f"noise {noise:g}": (clips + heard, Wave(0 * ones, ~no)),
    }
    lines = []
    for name, (samples, wave) in cases.items():
        wanted = fbank(samples, front)
        error = (change_wave(before, wave, power) - wanted).abs()
        change = (wanted - before).abs().mean()
        numbers = (change, error.mean(), error.max())
        lines.append((name, *(f"{float(number):.4f}" for number in numbers)))
    return pd.DataFrame(lines, columns=ERRORS)
