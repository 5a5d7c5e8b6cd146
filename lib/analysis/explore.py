"""Counts and examples of the exploration pages: small questions to a dataset's tables."""

import numpy as np
import pandas as pd
import torch

from lib.data import ICBHI, SPRSound, audio, icbhi, sprsound
from lib.data.icbhi import CLASSES
from lib.features.frontends import Fbank, fbank, noise_power
from lib.files import read_text
from lib.training.augment import GainNoise, apply_gain_noise

ADULT_YEARS = 18
AGES = ("children", "adults", "unknown")
EXAMPLE_SECONDS = 2.5
ERRORS = ["change of samples", "its size", "mean error", "largest"]


def load_cycles(dataset: ICBHI) -> pd.DataFrame:
    """Return every annotated cycle, with or without audio; column `audio` says which."""
    table = dataset.load()
    return table.assign(audio=table.recording.isin(dataset.audio_files()))


def count_classes(cycles: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return cycles by a column (split, device, patient) and class; patients: most cycles first."""
    counts = pd.crosstab(cycles[by], cycles.label).reindex(columns=list(CLASSES), fill_value=0)
    if by == "patient":
        counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    return counts


def count_ages(dataset: ICBHI, cycles: pd.DataFrame) -> pd.DataFrame:
    """Return patients and cycles with audio of each split by age: children (under 18), adults.

    The last column counts patients of single-channel recordings only (setting `subset = sc`).
    """
    table = cycles[cycles.audio]
    years = table.patient.map(dataset.ages())
    age = np.select([years < ADULT_YEARS, years >= ADULT_YEARS], AGES[:2], AGES[2])
    single = table.patient.where(icbhi.single_channel(table.recording))
    groups = table.assign(single=single).groupby(["split", age])
    counts = groups.agg(
        patients=("patient", "nunique"), cycles=("patient", "size"), single=("single", "nunique")
    ).rename(columns={"single": "patients, single-channel"})
    index = pd.MultiIndex.from_product([["train", "test"], AGES], names=["split", "age"])
    return counts.reindex(index, fill_value=0).reset_index()


def split_sizes(cycles: pd.DataFrame, published: dict[str, dict[str, int]]) -> pd.DataFrame:
    """Return recordings, patients, cycles of each split: in the paper, annotated, with audio.

    published: recordings, patients, cycles -> split -> number.
    """
    rows = []
    for split in ("train", "test"):
        annotated = cycles[cycles.split == split]
        for what, numbers in published.items():
            tables = (annotated, annotated[annotated.audio])
            counts = [len(t) if what == "cycles" else t[what[:-1]].nunique() for t in tables]
            rows.append((split, what, numbers[split], *counts))
    return pd.DataFrame(
        rows, columns=["split", "what", "paper", "annotated here", "with audio here"]
    )


def class_durations(cycles: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return class -> durations of its cycles in seconds."""
    seconds = cycles.end - cycles.start
    return {name: seconds[cycles.label == name].to_numpy() for name in CLASSES}


def recording_cycles(cycles: pd.DataFrame, recording: str) -> list[tuple[float, float, str]]:
    """Return start, end (seconds) and label of a recording's cycles."""
    table = cycles.loc[cycles.recording == recording, ["start", "end", "label"]]
    return list(table.itertuples(index=False, name=None))


def example_recording(cycles: pd.DataFrame) -> str:
    """Return the recording with audio that has the most classes."""
    return cycles[cycles.audio].groupby("recording").label.nunique().idxmax()


def example_cycles(
    cycles: pd.DataFrame, labels: tuple[str, ...] = ("crackle", "wheeze")
) -> list[tuple]:
    """Return for each label the row of the cycle with audio whose duration is nearest to 2.5 s."""
    cycles = cycles[cycles.audio]
    distance = (cycles.end - cycles.start - EXAMPLE_SECONDS).abs()
    rows = [distance[cycles.label == label].idxmin() for label in labels]
    return list(cycles.loc[rows].itertuples(index=False, name="Cycle"))


def cut_clip(dataset: ICBHI, cycle: tuple, frontend: Fbank) -> np.ndarray:
    """Return the clip (samples,) that a front end cuts from the recording of a cycle's row."""
    wave = audio.recording_wave(dataset.audio_files()[cycle.recording], frontend)
    return audio.cycle_clip(wave, cycle.start, cycle.end, frontend)


def find_quirks(dataset: ICBHI, cycles: pd.DataFrame) -> pd.DataFrame:
    """Return facts of the official files that change numbers, counted in these files."""
    sides = cycles.groupby("patient").split.nunique()
    both = ", ".join(sides[sides > 1].index) or "none"
    listed = read_text(dataset.split_file())
    renamed = ", ".join(name for name in icbhi.RENAMED if name in listed) or "none"
    longest, shortest = (cycles.end - cycles.start).agg(["max", "min"])
    shares = cycles.label.ne("normal").groupby(cycles.device).mean()
    devices = ", ".join(f"{device} {share:.0%}" for device, share in shares.items())
    silent = str(cycles[~cycles.audio].recording.nunique())
    rows = [
        ("patients on both sides of the split", both, "scores with and without them"),
        ("split entries of another name than on disk", renamed, "fixed"),
        ("longest and shortest cycle (s)", f"{longest:.2f}, {shortest:.2f}", "cut or repeated"),
        ("abnormal share by device", devices, "embeddings are judged by device too"),
        ("recordings without audio here", silent, "banner"),
    ]
    return pd.DataFrame(rows, columns=["quirk", "found here", "what is done"])


def gain_noise_error(dataset: ICBHI, frontend: Fbank, gain: float, noise: float) -> pd.DataFrame:
    """Return how far a change of features is from the change of samples it stands for.

    gain: factor on the samples; noise: standard deviation of what is added to them. Mean and
    largest error of log-mel energies beside the size of the change, of a crackle and a wheeze;
    empty if no recordings are here.
    """
    if dataset.kind == "none":
        return pd.DataFrame(columns=ERRORS)
    examples = example_cycles(load_cycles(dataset))
    clips = np.stack([cut_clip(dataset, cycle, frontend) for cycle in examples])
    clips = torch.from_numpy(clips)
    added = torch.randn(clips.shape, generator=torch.Generator().manual_seed(0)) * noise
    before, power = fbank(clips, frontend), noise_power(frontend, noise)
    ones, none = torch.ones(len(clips)), torch.zeros(len(clips), dtype=torch.bool)
    cases = {
        f"gain {gain:g}": (gain * clips, GainNoise(2 * np.log(gain) * ones, none)),
        f"noise {noise:g}": (clips + added, GainNoise(0 * ones, ~none)),
    }
    rows = []
    for name, (samples, change) in cases.items():
        expected = fbank(samples, frontend)
        error = (apply_gain_noise(before, change, power) - expected).abs()
        numbers = ((expected - before).abs().mean(), error.mean(), error.max())
        rows.append((name, *(f"{float(number):.4f}" for number in numbers)))
    return pd.DataFrame(rows, columns=ERRORS)


def count_subsets(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return SPRSound's events (1-1, 1-2) or records (2-1, 2-2) by class and subset."""
    counts = pd.crosstab(table[task], table.subset)
    return counts.reindex(sprsound.TASKS[task], columns=_subsets(table), fill_value=0)


def subset_sizes(dataset: SPRSound, records: pd.DataFrame) -> pd.DataFrame:
    """Return each subset's recordings (official, annotated, with audio), patients and minutes."""
    audio_files = dataset.audio_files()
    train, rows = set(records[records.subset == "train"].patient), []
    for subset in _subsets(records):
        group = records[records.subset == subset]
        patients = set(group.patient)
        rows.append({
            "subset": subset,
            "official recordings": dataset.recordings[subset],
            "annotated here": len(group),
            "with audio here": int(group.recording.isin(audio_files).sum()),
            "patients": len(patients),
            "of them in training": len(patients & train),
            "minutes": round(group.end.sum() / 60, 1),
        })  # fmt: skip
    return pd.DataFrame(rows)


def count_oddities(dataset: SPRSound) -> pd.DataFrame:
    """Return what is odd in the files yet no error: recordings of each subset, and how often."""
    counts = dataset.remarks().groupby(["what", "subset"], sort=False)["count"]
    return counts.agg(recordings="size", times="sum").reset_index()


def _subsets(table: pd.DataFrame) -> list[str]:
    return [subset for subset in SPRSound.recordings if (table.subset == subset).any()]
