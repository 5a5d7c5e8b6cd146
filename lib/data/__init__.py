"""The datasets, one file each, and where their recordings are on this machine.

`ICBHI(root)[0]` is an annotated event with its waveform, `ICBHI(root).frame` the table of all;
`SPRSound(root).load("record")` is that of whole records. `lib.data.dataset` says what each offers.
"""

import os
from collections.abc import Iterable
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

    Synthetic ones are for those who name no folder: if DATA_ROOT holds another dataset alone, this
    one has the kind "none". Raises `UserError` if DATA_ROOT is set and holds no dataset.
    """
    kind, named = DATASETS[name], os.environ.get("DATA_ROOT")
    if root := kind.locate(_data_root()):
        return kind.open(root)
    if named and not recordings_found():
        titles = " and no ".join(dataset.short_title for dataset in DATASETS.values())
        why = f"no {titles} in it or below" if _data_root().is_dir() else "no such folder"
        raise UserError(
            f"{_data_root()}: {why}; give the folder of the recordings (--data, DATA_ROOT)"
        )
    if named and stand_in is None:
        title = kind.short_title
        return kind(_data_root(), "none", f"No {title} recordings here: its rows are not run.")
    return synthetic_dataset(name) if stand_in is None else stand_in


def recordings_used(datasets: Iterable[Dataset]) -> list[str]:
    """Return one line for each dataset: which recordings are used, how many, from which folder."""
    return [f"{each.short_title}: {_recordings(each)} From {each.root}" for each in datasets]


def _recordings(dataset: Dataset) -> str:
    if dataset.banner:
        return dataset.banner
    if (dataset.root / "features.npy").exists():
        return "features of all recordings."
    return f"all {len(dataset.audio_files())} recordings."


def synthetic_dataset(name: str) -> Dataset:
    """Return synthetic recordings in a dataset's layout, written on first use (seconds)."""
    from lib.data import synthetic  # here: its scipy.signal takes a second to load

    return DATASETS[name].open(synthetic.default_root(name))


def require_official(dataset: Dataset, profile: str) -> None:
    """Raise `UserError` if published numbers would be compared with less than all recordings."""
    if dataset.kind != "official":
        needed = "all are needed" if dataset.kind == "partial" else "real recordings are needed"
        raise UserError(
            f"profile {profile}: {dataset.banner.rstrip('.')}, but {needed} in {dataset.root}; "
            f"{dataset.remedy(dataset.root)}, or choose the profile laptop"
        )


def _data_root() -> Path:
    return Path(os.environ.get("DATA_ROOT") or paths.PROJECT / "data")
