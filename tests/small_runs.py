"""A run that takes a second, and a small feature cache as a folder on disk for it."""

from pathlib import Path

import numpy as np

from lib import files
from lib.config import Experiment
from lib.features.cache import FeatureCache

BASE = Experiment(
    "small/ce",
    dataset="icbhi_mel",
    validation_split=0.25,
    clip_seconds=0.415,  # 40 frames
    normalise="dataset",
    size="nano",
    patch=8,
    stride=8,
    lr=1e-3,
    batch_size=4,
    epochs=2,
    frequency_mask=4,
    time_mask=8,
)


def write_cache(folder: Path, cache: FeatureCache, **meta: object) -> Path:
    """Write a cache to `folder`, with some fields of its meta.json changed."""
    folder.mkdir()
    cache.cycles.to_csv(folder / "cycles.csv", index=False)
    np.save(folder / "features.npy", cache.features)
    files.write_json(folder / "meta.json", cache.meta | meta)
    return folder
