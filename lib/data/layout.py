"""Files and folders of a dataset: searched by what is in them, without the system's litter."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lib.files import readable

LITTER = ("__macosx", "thumbs.db", "desktop.ini")  # and every name that begins with a dot
DEPTH = 4  # folders below a given one in which a dataset is looked for
FOLDERS = 1000  # looked at on one level at most


def is_litter(name: str) -> bool:
    """Return whether an operating system, not a dataset, has left a file or folder."""
    return name.startswith(".") or name.lower() in LITTER


def entries(folder: Path) -> list[os.DirEntry]:
    """Return what is in a folder, sorted by name, without litter; `UserError` if unreadable."""
    with readable(folder), os.scandir(folder) as found:
        return sorted((each for each in found if not is_litter(each.name)), key=_name)


def _name(entry: os.DirEntry) -> str:
    return entry.name


def walk(folder: Path) -> Iterator[Path]:
    """Yield a folder and those below it, through links, the nearest first."""
    level = [folder]
    for _ in range(DEPTH + 1):
        below = []
        for each in level:
            yield each
            with suppress(OSError), os.scandir(each) as found:
                inside = sorted(e.name for e in found if not is_litter(e.name) and e.is_dir())
                below += [each / name for name in inside]
        level = below[:FOLDERS]


def files(folder: Path, suffixes: tuple[str, ...], below: bool = False) -> list[Path]:
    """Return the readable files of these suffixes in a folder, in any letter case, sorted.

    below: in its folders too.
    """
    return [path for path in _named(folder, suffixes, below) if _is_readable(path)]


def unreadable_files(folder: Path, suffixes: tuple[str, ...], below: bool = False) -> list[Path]:
    """Return what is named like a file in `files` but cannot be read, such as a broken link."""
    return [path for path in _named(folder, suffixes, below) if not _is_readable(path)]


def _named(folder: Path, suffixes: tuple[str, ...], below: bool) -> list[Path]:
    found = []
    for entry in entries(folder) if folder.is_dir() else []:
        path = folder / entry.name
        if path.suffix.lower() in suffixes:
            found.append(path)
        elif below and entry.is_dir():
            found += _named(path, suffixes, below)
    return found


def _is_readable(path: Path) -> bool:
    return os.path.isfile(path) and os.access(path, os.R_OK)


def first_names(paths: list[Path], count: int = 3) -> str:
    """Return the names of the first paths, and how many there are beside them."""
    names = ", ".join(path.name for path in paths[:count])
    return names + f" and {len(paths) - count} more" * (len(paths) > count)
