"""Where the recordings are: a dataset is a function from a folder to a table of cycles."""

import os
from dataclasses import dataclass
from pathlib import Path

from lib import paths
from lib.data import icbhi, sprsound
from lib.data.icbhi import CLASSES
from lib.errors import UserError

__all__ = [
    "CLASSES",
    "Source",
    "find",
    "find_sprsound",
    "require_official",
    "source",
    "sprsound_source",
    "synthetic_source",
    "synthetic_sprsound_source",
]

MARK = "SYNTHETIC.json"  # written by lib.data.synthetic into the folders that it makes
REMEDY = "fetch them all with ./run_all.sh download {}"


@dataclass(frozen=True)
class Source:
    """Recordings: `root` holds `ICBHI_final_database` or `BioCAS2022`, `kind` says how complete.

    Where only features are at hand, `root` is their store's folder and nothing can be heard.
    """

    dataset: str  # icbhi | sprsound
    root: Path
    kind: str  # official (all recordings, with audio) | partial | synthetic | none
    banner: str  # "" if official, else a sentence for every page


def find_icbhi(stand_in: Source | None = None) -> Source:
    """ICBHI's recordings: DATA_ROOT, else `data/`, else `stand_in`, else synthetic ones.

    Raises `UserError` if DATA_ROOT holds none, unless it is SPRSound's alone.
    """
    given = os.environ.get("DATA_ROOT")
    folder = Path(given or paths.PROJECT / "data")
    root = _root(folder)
    if given and root is None and _sprsound_root(folder) is None:
        raise UserError(
            f"{given}: DATA_ROOT holds no {icbhi.FOLDER} and no {sprsound.FOLDER}; point it to the "
            "folder that does"
        )
    return source(root) if root else stand_in or synthetic_source()


def require_official(found: Source, profile: str) -> None:
    """Refuse, as a `UserError`, to make published numbers of ICBHI with less than all of it."""
    if found.kind != "official":
        what = "all are needed" if found.kind == "partial" else "real recordings are needed"
        raise UserError(
            f"profile {profile}: {found.banner.rstrip('.')}, but {what}; {REMEDY.format('icbhi')}, "
            "or choose the quick profile"
        )


def source(root: Path) -> Source:
    """What the folder `root`, which holds `ICBHI_final_database`, is and how complete."""
    here = len(icbhi.audio_files(root))
    if (root / MARK).exists():
        banner = f"SYNTHETIC sounds: no patient was recorded, {here} recordings are made up."
        return Source("icbhi", root, "synthetic", banner)
    if here == icbhi.RECORDINGS == len(icbhi.annotation_files(root)):
        return Source("icbhi", root, "official", "")
    if here == 0:
        raise UserError(
            f"{root / icbhi.FOLDER}: no .wav or .flac recordings there; {REMEDY.format('icbhi')}"
        )
    banner = f"partial ICBHI: {here} of {icbhi.RECORDINGS} recordings have audio."
    return Source("icbhi", root, "partial", banner)


def synthetic_source() -> Source:
    """The embedded synthetic recordings; written below the stores on first use."""
    from lib.data import synthetic  # here, so that reading a table needs no audio library

    return source(synthetic.default_root())


def find_sprsound() -> Source:
    """SPRSound's recordings: DATA_ROOT, else `data/`, else synthetic ones.

    A DATA_ROOT without them is no fault: it may be ICBHI's alone.
    """
    root = _sprsound_root(Path(os.environ.get("DATA_ROOT") or paths.PROJECT / "data"))
    return sprsound_source(root) if root else synthetic_sprsound_source()


def _sprsound_root(folder: Path) -> Path | None:
    """`folder`, the `sprsound` folder in it or its parent, whichever holds the database."""
    if folder.name == sprsound.FOLDER:
        folder = folder.parent
    for root in (folder / "sprsound", folder):
        if any((root / base / sprsound.FOLDER).is_dir() for base in sprsound.BASES):
            return root
    return None


def synthetic_sprsound_source() -> Source:
    """The embedded synthetic SPRSound; written below the stores on first use."""
    from lib.data import synthetic_sprsound as writer  # here: a table needs no audio library

    return sprsound_source(writer.default_root())


def sprsound_source(root: Path) -> Source:
    """What the folder `root`, which holds `BioCAS2022`, is and how complete."""
    audio, annotated = sprsound.audio_files(root), sprsound.annotation_files(root)
    heard = [part for part, recording in annotated if recording in audio]
    if (root / MARK).exists():
        banner = f"SYNTHETIC sounds: no child was recorded, {len(heard)} recordings are made up."
        return Source("sprsound", root, "synthetic", banner)
    if not heard:
        raise UserError(
            f"{root / sprsound.FOLDER}: no annotated .wav or .flac recordings there; "
            f"{REMEDY.format('sprsound')}"
        )
    here = {part: heard.count(part) for part in sprsound.RECORDINGS}
    if here == sprsound.RECORDINGS:
        return Source("sprsound", root, "official", "")
    counts = ", ".join(f"{n} of {sprsound.RECORDINGS[part]} {part}" for part, n in here.items())
    banner = f"partial SPRSound: {counts} recordings of BioCAS2022 have annotation and audio."
    return Source("sprsound", root, "partial", banner)


def _root(folder: Path) -> Path | None:
    """`folder`, the `icbhi` folder in it or its parent, whichever holds the database."""
    if folder.name == icbhi.FOLDER and folder.is_dir():
        return folder.parent
    roots = (folder / "icbhi", folder)
    return next((root for root in roots if (root / icbhi.FOLDER).is_dir()), None)
