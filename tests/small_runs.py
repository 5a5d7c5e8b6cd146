"""Runs that take a second on a small feature cache, as the only experiments of the project."""

from pathlib import Path

import numpy as np
import pytest

from lib import files, papers
from lib.config import Experiment
from lib.features.cache import FeatureCache
from lib.papers.table_row import TableRow
from lib.runs import plan

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
PROFILE = "laptop"  # it reads given caches; no recordings are needed


def write_cache(folder: Path, cache: FeatureCache, **meta: object) -> Path:
    """Write a cache to `folder`, with some fields of its meta.json changed."""
    folder.mkdir()
    cache.cycles.to_csv(folder / "cycles.csv", index=False)
    np.save(folder / "features.npy", cache.features)
    files.write_json(folder / "meta.json", cache.meta | meta)
    return folder


def use_experiments(monkeypatch: pytest.MonkeyPatch, *experiments: Experiment) -> str:
    """Make these the only experiments; return the group that has a row for each."""
    rows = [TableRow(e.name, {"row": e.name}, e) for e in experiments]
    monkeypatch.setattr(papers, "EXPERIMENTS", {e.name: e for e in experiments})
    monkeypatch.setattr(papers, "GROUPS", {"small": rows})
    plan.open_context.cache_clear()
    return "small"
