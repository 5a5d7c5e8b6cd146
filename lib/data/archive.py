"""Unpack zip archives that may be damaged or mean harm: bounded, checked, only into one folder."""

import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from lib.data.fetch import set_aside
from lib.errors import UserError
from lib.files import temp_path
from lib.progress import progress_bar

MAX_BYTES = 20 * 10**9  # unpacked; the largest official archive has about 4
MAX_MEMBERS = 100_000
ENCRYPTED = 1  # flag of a member
DAMAGED = (  # what the standard library raises for archives that are no zips, cut or crafted
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, KeyError, IndexError),
    *(RuntimeError, ValueError, OverflowError, MemoryError),
)


def list_names(archive: Path) -> list[str]:
    """Return the names in a zip; one that cannot be read is set aside with a `UserError`."""
    with _set_aside_if_damaged(archive), zipfile.ZipFile(archive) as box:
        return box.namelist()


def unpack(archive: Path, top: str, target: Path) -> None:
    """Unpack the folder `top` of a zip as `target`: aside first, renamed when every CRC is right.

    Raises `UserError`, and sets the archive aside, if it is damaged or encrypted, if it lacks
    `top`, if it would fill more than `MAX_BYTES`, or if a member would leave the target or is a
    link.
    """
    part = temp_path(target)
    try:
        with _set_aside_if_damaged(archive), zipfile.ZipFile(archive) as box:
            for member in box.infolist():  # its name stands in two places, which must agree
                box.open(member).close()
            members = [member for member in box.infolist() if _is_inside(member, top)]
            _require_space(members, target)
            for member in progress_bar(members, desc=f"unpacking {archive.name}", unit="file"):
                box.extract(member, part)
            if not (part / top).is_dir():
                raise ValueError(f"it holds no folder {top}")
        os.replace(part / top, target)
    except OSError as error:
        raise UserError(f"{target}: {error.strerror}; free space and start again") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _set_aside_if_damaged(archive: Path) -> Iterator[None]:
    try:
        yield
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's, not the archive's
            raise
        why = str(error) or type(error).__name__
        aside = set_aside(archive)
        raise UserError(
            f"{archive}: damaged ({why}), set aside as {aside.name}; start again to download it "
            "anew"
        ) from error


def _is_inside(member: zipfile.ZipInfo, top: str) -> bool:
    """Return whether a member belongs to `top`; raises ValueError for one that means harm."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    inside = path.parts[: top.count("/") + 1] == tuple(top.split("/"))
    link = inside and stat.S_ISLNK(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or link or ":" in member.filename:
        raise ValueError(f"its member {member.filename!r} would leave the folder")
    if inside and member.flag_bits & ENCRYPTED:
        raise ValueError(f"its member {member.filename!r} is encrypted")
    return inside


def _require_space(members: list[zipfile.ZipInfo], target: Path) -> None:
    """Raise an error if members would unpack to too much, by the sizes at which reading stops."""
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES or len(members) > MAX_MEMBERS:
        raise ValueError(f"it would unpack to {len(members):,} files of {total:,} bytes")
    free = shutil.disk_usage(target.parent).free
    if total > free:
        raise UserError(
            f"{target}: needs {total / 1e9:.1f} GB, {free / 1e9:.1f} are free; free space and "
            "start again"
        )
