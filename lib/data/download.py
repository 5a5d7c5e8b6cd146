"""Download the official recordings: resumable, checked, unpacked only into their folder."""

import os
import re
import shutil
import stat
import urllib.error
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path, PurePosixPath

from lib.data.dataset import Dataset
from lib.data.icbhi import DEMOGRAPHICS, DIAGNOSES, ICBHI, SPLIT_FILE
from lib.data.sprsound import SPRSound
from lib.errors import UserError, unknown
from lib.files import file_lock, remove_stale, require_writable, temp_path
from lib.progress import progress_bar

LISTS = (SPLIT_FILE, DIAGNOSES, DEMOGRAPHICS)  # beside ICBHI's archive
RELEASES = ("BioCAS2022", "BioCAS2023")  # of SPRSound; later ones have no labels of records
CHUNK = 1 << 20
TIMEOUT_SECONDS = 60


def download(dataset: str, root: Path) -> Path:
    """Fetch and unpack a dataset into `root/<dataset>`; return that folder.

    The makers publish no checksums: the size that the server names, if it does, and the archive's
    own CRC of every file are checked. Interrupted, it goes on where it stopped, if the server can
    send a part. Raises `UserError` if the server, the archive or the disk fails.
    """
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    folder = Path(root) / dataset
    require_writable("--data", folder)
    with file_lock(folder / ".lock"):  # two that go on with the same part would mix it up
        remove_stale(folder)
        opened = DATASETS[dataset](folder)
    print(f"{folder}: {opened.banner or 'all recordings are here.'}")
    return folder


def _icbhi(folder: Path) -> Dataset:
    """Download ICBHI: about 2 GB, and the lists beside it."""
    for name in LISTS:
        fetch(f"{ICBHI.download_url}/{name}", folder / name)
    if not (folder / ICBHI.folder).exists():
        name = f"{ICBHI.folder}.zip"
        archive = fetch(f"{ICBHI.download_url}/{name}", folder / name)
        unpack(archive, ICBHI.folder, folder / ICBHI.folder)
        archive.unlink()
    return ICBHI.open(folder)


def _sprsound(folder: Path) -> Dataset:
    """Download SPRSound: two releases out of an archive of its repository (1 GB or more).

    The server packs it anew for everyone: it names no size and cannot send a part.
    """
    if not all((folder / name).exists() for name in RELEASES):
        archive = fetch(SPRSound.download_url, folder / "sprsound.zip")
        for name in RELEASES:
            if not (folder / name).exists():
                unpack(archive, _folder_in(archive, name), folder / name)
        archive.unlink()
    return SPRSound.open(folder)


def _folder_in(archive: Path, name: str) -> str:
    """Return the path of a release in the repository's archive; it has been in two places."""
    try:
        with zipfile.ZipFile(archive) as box:
            names = box.namelist()
    except zipfile.BadZipFile as error:
        raise _damaged(archive, error) from error
    for base in SPRSound.bases:
        pattern = re.compile(rf"([^/]+/{base and base + '/'}{name})/")
        for match in filter(None, map(pattern.match, names)):
            return match[1]
    raise _damaged(archive, f"it holds no {name}")


DATASETS = {"icbhi": _icbhi, "sprsound": _sprsound}


def fetch(url: str, path: Path) -> Path:
    """Fetch one file, going on from `path`.part; a file that is there is left alone."""
    if path.exists():
        return path
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    try:
        size = _stream(url, part, have)
    except (OSError, ValueError, HTTPException) as error:  # the disk's errors are OSErrors
        raise UserError(
            f"{url}: {error}; start again, it goes on where it stopped, or put the file to {path} "
            "yourself"
        ) from error
    got = part.stat().st_size
    if size is not None and got != size:
        if got > size:
            part.unlink()
        raise UserError(f"{url}: {got} of {size} bytes arrived; start again to fetch the rest")
    os.replace(part, path)
    return path


def _stream(url: str, part: Path, have: int) -> int | None:
    """Append what is missing to `part`; return the size that the whole must have, if known."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416 or "/" not in (span := error.headers.get("Content-Range", "")):
            raise
        return int(span.rsplit("/")[-1])  # nothing is missing, or the file there is another one
    with response:
        if response.status != 206:  # the server sends all of it again
            have = 0
        length = response.headers["Content-Length"]
        if length is None and not response.chunked:
            raise ValueError("the server does not name the file's size")
        size = have + int(length) if length else None  # chunks end with a mark: a cut is an error
        bar = progress_bar(total=size, initial=have, unit="B", unit_scale=True, desc=part.stem)
        with bar, open(part, "ab" if have else "wb") as out:
            while block := response.read(CHUNK):
                out.write(block)
                bar.update(len(block))
    return size


def unpack(archive: Path, top: str, target: Path) -> None:
    """Unpack the folder `top` of a zip as `target`: aside first, renamed when every CRC is right.

    Raises `UserError`, and removes a damaged archive, if a member would leave the target, is a
    link or does not match its checksum.
    """
    part = temp_path(target)
    try:
        with zipfile.ZipFile(archive) as box:
            members = [member for member in box.infolist() if _safe(member, top, archive)]
            for member in progress_bar(members, desc=f"unpacking {archive.name}", unit="file"):
                box.extract(member, part)
        os.replace(part / top, target)
    except (zipfile.BadZipFile, FileNotFoundError, EOFError, NotImplementedError) as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        raise UserError(f"{target}: {error.strerror}; free space and start again") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _damaged(archive: Path, why: object) -> UserError:
    archive.unlink(missing_ok=True)
    return UserError(f"{archive}: damaged ({why}), removed; download it again")


def _safe(member: zipfile.ZipInfo, top: str, archive: Path) -> bool:
    """Whether a member belongs to `top`; one that points elsewhere is a `UserError`."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    inside = path.parts[: top.count("/") + 1] == tuple(top.split("/"))
    link = inside and stat.S_ISLNK(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or link or ":" in member.filename:
        raise UserError(
            f"{archive}: its member {member.filename!r} would leave the folder; do not use this "
            "archive, fetch the official one"
        )
    return inside
