"""Inputs made on the spot, the same for every machine: stores of random numbers."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import files
from lib.config import SELECTIONS, Experiment
from lib.data.icbhi import CLASSES
from lib.evaluation import scores
from lib.runs import folder as runs_folder

MEAN, STD = -9.09, 3.52  # about those of ICBHI's own features


def cycles(train: int, test: int) -> pd.DataFrame:
    """A table of cycles with every class and both splits; no recording stands behind it."""
    count = train + test
    at = np.arange(count)
    patient = (101 + at // 8).astype(str)
    return pd.DataFrame(
        {
            "dataset": "icbhi",
            "recording": [f"{name}_1b1_Al_sc_Meditron" for name in patient],
            "patient": patient,
            "device": "Meditron",
            "location": "Al",
            "cycle": at % 8,
            "start": 0.0,
            "end": 1.0,
            "label": np.array(CLASSES)[at % len(CLASSES)],
            "split": np.where(at < train, "train", "test"),
        }
    )


def store(folder: Path, train: int, test: int, frames: int, mels: int = 128) -> Path:
    """Write a store of random features, seed 0; returns its folder."""
    folder.mkdir(parents=True)
    shape = train + test, frames, mels
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float16, shape)
    rng = np.random.default_rng(0)
    for row in range(len(features)):
        colour = rng.normal(0, STD, mels)  # a clip of its own, or all z would be one vector
        features[row] = rng.normal(MEAN, STD / 2, shape[1:]) + colour
    features.flush()
    return _describe(folder, cycles(train, test))


def empty_store(folder: Path, count: int, frames: int, mels: int = 128) -> Path:
    """Write a store of full size whose numbers are all zero and take no room on the disk."""
    folder.mkdir(parents=True)
    shape = count, frames, mels
    np.lib.format.open_memmap(folder / "features.npy", "w+", np.float16, shape).flush()
    return _describe(folder, cycles(count * 3 // 5, count - count * 3 // 5))


def _describe(folder: Path, table: pd.DataFrame) -> Path:
    files.write_text(folder / "cycles.csv", table.to_csv(index=False))
    meta = {"name": "made", "note": "random numbers", "mean": MEAN, "std": STD}
    files.write_json(folder / "meta.json", {**meta, "fingerprint": "0" * 64})
    return folder


def records(count: int, clips: int = 2756) -> None:
    """Publish records of runs that never were: full size, answers drawn at random, seed 0."""
    rng, table = np.random.default_rng(0), cycles(0, clips)
    labels = table.label.map(CLASSES.index).to_numpy()
    epochs = dict.fromkeys(SELECTIONS, 1)
    for seed in range(count):
        wanted = runs_folder.Wanted(Experiment("made"), seed, "0" * 64, "")
        folder = runs_folder.start(wanted, {"name": "made", "note": ""}, "none")
        arrays = scores.describe_set("test", table, labels)
        for selection in epochs:
            arrays[f"{selection}/test/logits"] = rng.normal(size=(clips, 4)).astype(np.float32)
        history = [{"epoch": 1, "loss": 1.0}]
        runs_folder.write_record(folder, history, arrays, epochs, {"parameters": 0, "clips": {}})
        runs_folder.publish([folder])
