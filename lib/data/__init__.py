"""Where the recordings are: a dataset is a function from a folder to a table of cycles."""

import os
from dataclasses import dataclass
from pathlib import Path

from lib import files
from lib.data import icbhi
from lib.data.icbhi import CLASSES
from lib.errors import UserError

__all__ = ["CLASSES", "Source", "find", "source", "synthetic_source"]

MARK = "SYNTHETIC.json"  # written by lib.data.synthetic into the folders that it makes
REMEDY = "fetch them all with ./run_all.sh download icbhi"


@dataclass(frozen=True)
class Source:
    """Recordings: `root` holds `ICBHI_final_database`, `kind` says how complete it is.

    Where only features are at hand, `root` is their store's folder and nothing can be heard.
    """

    dataset: str  # "icbhi"
    root: Path
    kind: str  # official (920 recordings with audio) | partial | synthetic | none
    banner: str  # "" if official, else a sentence for every page


def find(profile: str = "quick", stand_in: Source | None = None) -> Source:
    """The recordings to use: DATA_ROOT, else `data/`, else `stand_in`, else synthetic ones.

    Raises `UserError` if DATA_ROOT holds none, or if profile "paper" lacks official recordings.
    """
    given = os.environ.get("DATA_ROOT")
    root = _root(Path(given or files.PROJECT / "data"))
    if given and root is None:
        raise UserError(
            f"{given}: DATA_ROOT holds no {icbhi.FOLDER}; point it to the folder that does"
        )
    found = source(root) if root else stand_in or synthetic_source()
    if profile == "paper" and found.kind != "official":
        what = "all are needed" if found.kind == "partial" else "real recordings are needed"
        raise UserError(
            f"profile paper: {found.banner.rstrip('.')}, but {what}; {REMEDY}, "
            "or choose the quick profile"
        )
    return found


def source(root: Path) -> Source:
    """What the folder `root`, which holds `ICBHI_final_database`, is and how complete."""
    here = len(icbhi.audio_files(root))
    if (root / MARK).exists():
        banner = f"SYNTHETIC sounds: no patient was recorded, {here} recordings are made up."
        return Source("icbhi", root, "synthetic", banner)
    if here == icbhi.RECORDINGS == len(icbhi.annotation_files(root)):
        return Source("icbhi", root, "official", "")
    if here == 0:
        raise UserError(f"{root / icbhi.FOLDER}: no .wav or .flac recordings there; {REMEDY}")
    banner = f"partial ICBHI: {here} of {icbhi.RECORDINGS} recordings have audio."
    return Source("icbhi", root, "partial", banner)


def synthetic_source() -> Source:
    """The embedded synthetic recordings; written below the stores on first use."""
    from lib.data import synthetic  # here, so that reading a table needs no audio library

    return source(synthetic.default_root())


def _root(folder: Path) -> Path | None:
    """`folder`, the `icbhi` folder in it or its parent, whichever holds the database."""
    if folder.name == icbhi.FOLDER and folder.is_dir():
        return folder.parent
    roots = (folder / "icbhi", folder)
    return next((root for root in roots if (root / icbhi.FOLDER).is_dir()), None)
