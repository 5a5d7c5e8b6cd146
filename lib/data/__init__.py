"""The datasets, one file each, and where their recordings are on this machine.

`ICBHI.open(root).load()` and `SPRSound.open(root).load("record")` are tables of annotated clips;
`lib.data.dataset` says what every dataset offers.
"""

import os
from pathlib import Path

from lib import paths
from lib.data.dataset import Dataset
from lib.data.icbhi import CLASSES, ICBHI
from lib.data.sprsound import SPRSound
from lib.errors import UserError

__all__ = ["CLASSES", "DATASETS", "ICBHI", "Dataset", "SPRSound"]

DATASETS: dict[str, type[Dataset]] = {dataset.name: dataset for dataset in (ICBHI, SPRSound)}


def recordings_found() -> bool:
    """Return whether recordings of any dataset are in DATA_ROOT, else in `data/`."""
    return any(dataset.locate(_data_root()) for dataset in DATASETS.values())


def find_dataset(name: str, stand_in: Dataset | None = None) -> Dataset:
    """Return a dataset in DATA_ROOT, else in `data/`, else `stand_in`, else synthetic recordings.

    Raises `UserError` if DATA_ROOT is set and holds no dataset; it may hold another one alone.
    """
    if os.environ.get("DATA_ROOT") and not recordings_found():
        folders = " and no ".join(dataset.folder for dataset in DATASETS.values())
        raise UserError(
            f"{_data_root()}: DATA_ROOT holds no {folders}; point it to the folder that does"
        )
    root = DATASETS[name].locate(_data_root())
    return DATASETS[name].open(root) if root else stand_in or synthetic_dataset(name)


def synthetic_dataset(name: str) -> Dataset:
    """Return synthetic recordings in a dataset's layout, written on first use (seconds)."""
    from lib.data import synthetic  # here: its scipy.signal takes a second to load

    return DATASETS[name].open(synthetic.default_root(name))


def require_official(dataset: Dataset, profile: str) -> None:
    """Raise `UserError` if published numbers would be compared with less than all recordings."""
    if dataset.kind != "official":
        needed = "all are needed" if dataset.kind == "partial" else "real recordings are needed"
        raise UserError(
            f"profile {profile}: {dataset.banner.rstrip('.')}, but {needed}; {dataset.remedy()}, "
            "or choose the profile laptop"
        )


def _data_root() -> Path:
    return Path(os.environ.get("DATA_ROOT") or paths.PROJECT / "data")
