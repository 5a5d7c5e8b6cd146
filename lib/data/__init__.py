"""The datasets, one file each, and where their recordings are on this machine.

`ICBHI.open(root).load()` and `SPRSound.open(root).load("record")` are tables of annotated clips;
`find_icbhi` and `find_sprsound` look where the user said, else into `data/`, else make synthetic
sounds. Start with `lib.data.dataset`.
"""

import os
from pathlib import Path

from lib import paths
from lib.data.dataset import Dataset
from lib.data.icbhi import CLASSES, ICBHI
from lib.data.sprsound import SPRSound
from lib.errors import UserError

__all__ = [
    "CLASSES",
    "DATASETS",
    "ICBHI",
    "Dataset",
    "SPRSound",
    "find_icbhi",
    "find_sprsound",
    "recordings_found",
    "require_official",
    "synthetic_icbhi",
    "synthetic_sprsound",
]

DATASETS: dict[str, type[Dataset]] = {"icbhi": ICBHI, "sprsound": SPRSound}


def data_root() -> Path:
    """The folder that holds the recordings (`DATA_ROOT`, else `data/`)."""
    return Path(os.environ.get("DATA_ROOT") or paths.PROJECT / "data")


def recordings_found() -> bool:
    """Whether recordings of any dataset are here."""
    return any(dataset.locate(data_root()) for dataset in DATASETS.values())


def find_icbhi(stand_in: ICBHI | None = None) -> ICBHI:
    """ICBHI in DATA_ROOT, else in `data/`, else `stand_in`, else synthetic recordings.

    Raises `UserError` if DATA_ROOT is set and holds no dataset.
    """
    root = ICBHI.locate(data_root())
    if os.environ.get("DATA_ROOT") and not recordings_found():
        raise UserError(
            f"{data_root()}: DATA_ROOT holds no {ICBHI.folder} and no {SPRSound.folder}; point it "
            "to the folder that does"
        )
    return ICBHI.open(root) if root else stand_in or synthetic_icbhi()


def find_sprsound() -> SPRSound:
    """SPRSound in DATA_ROOT, else in `data/`, else synthetic recordings.

    A DATA_ROOT without it is no error: it may hold ICBHI alone.
    """
    root = SPRSound.locate(data_root())
    return SPRSound.open(root) if root else synthetic_sprsound()


def synthetic_icbhi() -> ICBHI:
    """Synthetic recordings in ICBHI's layout, written below the feature caches on first use."""
    from lib.data import synthetic  # here, so that reading a table needs no audio library

    return ICBHI.open(synthetic.icbhi_root())


def synthetic_sprsound() -> SPRSound:
    """Synthetic recordings in SPRSound's layout, written below the feature caches on first use."""
    from lib.data import synthetic

    return SPRSound.open(synthetic.sprsound_root())


def require_official(dataset: Dataset, profile: str) -> None:
    """Raise `UserError` if published numbers would be compared with less than all recordings."""
    if dataset.kind != "official":
        needed = "all are needed" if dataset.kind == "partial" else "real recordings are needed"
        raise UserError(
            f"profile {profile}: {dataset.banner.rstrip('.')}, but {needed}; {dataset.remedy()}, "
            "or choose the profile laptop"
        )
