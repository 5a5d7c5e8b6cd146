"""Feature stores: a folder with cycles.csv, features.npy and meta.json is all that training reads.

Fixed stores hold features (N, frames, bins); ragged ones (total_frames, bins), where the columns
`offset` and `frames` of cycles.csv say which rows are a cycle's. Both are memory-mapped, never
written to and normalised only when a batch is read (`lib.training.dataset`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from lib.errors import UserError
from lib.files import checksums, digest, file_lock, read_json
from lib.paths import features_root

if TYPE_CHECKING:
    from lib.data import Source
    from lib.features.frontends import Frontend

REQUIRED = ("recording", "cycle", "start", "end", "split")
LABELLINGS = (
    "label",
    "icbhi4",
    "1-1",
    "1-2",
    "2-1",
    "2-2",
    "1-1-windows",
    "1-2-windows",
)  # one at least
AUDIOSET = (-4.2677393, 4.5689974)  # mean and std of AudioSet's fbank, as published with AST


@dataclass(frozen=True)
class FeatureCache:
    """An opened store: one row of `cycles` per item, features unnormalised float16."""

    path: Path
    cycles: pd.DataFrame = field(repr=False)
    features: np.memmap = field(repr=False)  # (N, frames, bins) or (total_frames, bins)
    meta: dict

    def clip(self, row: int) -> np.ndarray:
        """The stored features of one cycle, a read-only view (frames, bins)."""
        if self.features.ndim == 3:
            return self.features[row]
        first, frames = self.cycles.loc[row, ["offset", "frames"]]
        return self.features[int(first) : int(first) + int(frames)]


def open_cache(path: Path) -> FeatureCache:
    """Open a store made here or elsewhere; takes well under a second.

    A fingerprint that is missing is made by hashing the three files (once; then remembered).
    Raises `UserError` if a file, column or shape is not as it should be.
    """
    path = Path(path)
    if not (path / "meta.json").is_file():
        raise UserError(f"{path}: no finished feature store (no meta.json); build it again")
    meta = read_json(path / "meta.json")
    cycles = _read_cycles(path / "cycles.csv")
    try:
        features = np.load(path / "features.npy", mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: features.npy not readable ({error}); build it again") from error
    if fault := _fault(cycles, features, meta):
        raise UserError(f"{path}: {fault}; build it again")
    if "fingerprint" not in meta:
        parts = {name: path / name for name in ("cycles.csv", "features.npy", "meta.json")}
        meta["fingerprint"] = digest(checksums(parts))
    return FeatureCache(path, cycles, features, meta)


def require_frontend(store: FeatureCache, front: Frontend) -> None:
    """Raise `UserError` naming the settings in which a store differs from the wanted front end.

    A store from elsewhere may not name its front end; then its shape must fit.
    """
    wanted = asdict(front)
    has = store.meta.get("front_end")
    if has is None:
        wanted = front.shape
        has = dict(zip(wanted, store.features.shape[-len(wanted) :], strict=True))
    differs = [f"{key} is {has.get(key)!r}, wanted {wanted[key]!r}"
               for key in wanted if has.get(key) != wanted[key]]  # fmt: skip
    if differs:
        raise UserError(
            f"{store.path}: a store of other settings: {', '.join(differs)}; "
            "give another store or leave --store out to build one"
        )


def cache_for(source: Source, front: Frontend, progress: bool = True) -> FeatureCache:
    """The store of these recordings under this front end, built or finished first if needed.

    Its folder is named by a hash of the bytes of the input files and of the front end, so a
    changed input or setting is another store. Expect 1 to 2 minutes on two cores for 920
    recordings. Raises `UserError` with every recording that cannot be used.
    """
    from lib.features import (
        cache_build,  # here, so that opening a store does not know how to make one
    )

    fingerprint = cache_build.fingerprint(source, front)
    path = features_root() / f"{source.dataset}-{fingerprint[:8]}"
    with file_lock(features_root() / f".{path.name}.lock", wait=True):  # one builder at a time
        if not (path / "meta.json").exists():
            cache_build.build(path, source, front, fingerprint, progress)
    return open_cache(path)


def _read_cycles(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"patient": str, "part": str}, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable table ({error}); build the store again") from error


def _fault(cycles: pd.DataFrame, features: np.ndarray, meta: dict) -> str:
    missing = [name for name in REQUIRED if name not in cycles]
    if missing:
        return f"cycles.csv lacks the columns {', '.join(missing)}"
    if not set(LABELLINGS) & set(cycles):
        return f"cycles.csv lacks a column of labels ({', '.join(LABELLINGS)})"
    if not all(isinstance(meta.get(key), int | float) for key in ("mean", "std")):
        return "meta.json lacks the numbers mean and std"
    if features.ndim == 3:
        fits = len(features) == len(cycles)
    elif features.ndim == 2 and {"offset", "frames"} <= set(cycles):
        ends = cycles.offset + cycles.frames
        fits = bool(cycles.offset.min() >= 0 and ends.max() <= len(features))
    else:
        return f"features.npy of shape {features.shape} is neither fixed nor ragged"
    return "" if fits else f"features.npy {features.shape} does not fit {len(cycles)} cycles"
