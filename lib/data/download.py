"""Fetching the official recordings: resumable, checked, unpacked without leaving the folder."""

import os
import shutil
import stat
import urllib.error
import urllib.request
import zipfile
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from lib import data
from lib.data.icbhi import FOLDER, SPLIT_FILE
from lib.errors import UserError, unknown
from lib.files import locked, part_of, require_writable, sweep

BASE = "https://bhichallenge.med.auth.gr/sites/default/files/ICBHI_final_database"
ARCHIVE = f"{FOLDER}.zip"
LISTS = (
    SPLIT_FILE,
    "ICBHI_Challenge_diagnosis.txt",
    "ICBHI_Challenge_demographic_information.txt",
)
DATASETS = ("icbhi",)
CHUNK = 1 << 20
TIMEOUT_SECONDS = 60


def download(dataset: str, root: Path) -> Path:
    """Fetch and unpack a dataset into `root/<dataset>`; return that folder.

    ICBHI: about 2 GB. Its makers publish no checksum: the size that the server names and the
    archive's own CRC of every file are checked. Interrupted, it goes on where it stopped. Raises
    `UserError` if the server, the archive or the disk fails.
    """
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    folder = Path(root) / dataset
    require_writable("--data", folder)
    with locked(folder / ".lock"):  # two that go on with the same part would mix it up
        sweep(folder)
        for name in LISTS:
            fetch(f"{BASE}/{name}", folder / name)
        if not (folder / FOLDER).exists():
            archive = fetch(f"{BASE}/{ARCHIVE}", folder / ARCHIVE)
            unpack(archive, FOLDER, folder / FOLDER)
            archive.unlink()
    found = data.source(folder)
    print(f"{folder}: {found.banner or 'all 920 recordings of ICBHI 2017 are here.'}")
    return folder


def fetch(url: str, path: Path) -> Path:
    """Fetch one file, going on from `path`.part; a file that is there is left alone."""
    if path.exists():
        return path
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    try:
        size = _stream(url, part, have)
    except (OSError, ValueError) as error:  # the network's and the disk's errors are OSErrors
        raise UserError(
            f"{url}: {error}; start again, it goes on where it stopped, or put the file to {path} "
            "yourself"
        ) from error
    got = part.stat().st_size
    if got != size:
        if got > size:
            part.unlink()
        raise UserError(f"{url}: {got} of {size} bytes arrived; start again to fetch the rest")
    os.replace(part, path)
    return path


def _stream(url: str, part: Path, have: int) -> int:
    """Append what is missing to `part`; return the size that the whole must have."""
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
        if length is None:
            raise ValueError("the server does not name the file's size")
        size = have + int(length)
        bar = tqdm(total=size, initial=have, unit="B", unit_scale=True, desc=part.stem)
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
    part = part_of(target)
    try:
        with zipfile.ZipFile(archive) as box:
            members = [member for member in box.infolist() if _safe(member, top, archive)]
            for member in tqdm(members, desc=f"unpacking {archive.name}", unit="file"):
                box.extract(member, part)
        os.replace(part / top, target)
    except (zipfile.BadZipFile, FileNotFoundError, EOFError, NotImplementedError) as error:
        archive.unlink(missing_ok=True)
        raise UserError(f"{archive}: damaged ({error}), removed; download it again") from error
    except OSError as error:
        raise UserError(f"{target}: {error.strerror}; free space and start again") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _safe(member: zipfile.ZipInfo, top: str, archive: Path) -> bool:
    """Whether a member belongs to `top`; one that points elsewhere is a `UserError`."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    link = stat.S_ISLNK(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or link or ":" in member.filename:
        raise UserError(
            f"{archive}: its member {member.filename!r} would leave the folder; do not use this "
            "archive, fetch the official one"
        )
    return path.parts[:1] == (top,)
