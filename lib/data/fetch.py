"""Fetch one file over the network: resumable, and checked before it gets its name."""

import hashlib
import os
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

from lib.errors import UserError
from lib.files import readable
from lib.progress import progress_bar

CHUNK = 1 << 20
TIMEOUT_SECONDS = 60
PAGE = "a web page, not the file (sign in to the network or the site with a browser)"


def fetch(url: str, path: Path, checksum: str = "") -> Path:
    """Fetch one file, going on from `path`.part; a good file that is there is left alone.

    checksum: algorithm:hexadecimal digits, "" if none is known. A file that does not match, or is a
    web page, is set aside as `path`.damaged, so that it is fetched anew. Raises `UserError` if the
    server or the disk fails, or if what came is not the file.
    """
    if path.exists():
        if not _mismatch(path, checksum):
            return path
        set_aside(path)
    part = path.with_name(path.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    try:
        size = _stream(url, part, have)
    except urllib.error.HTTPError as error:
        raise UserError(
            f"{url}: the server answers {error.code} {error.reason}; start again later, or put the "
            f"file to {path} yourself"
        ) from error
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
    if problem := _mismatch(part, checksum):
        part.unlink()
        raise UserError(f"{url}: {problem} came; start again, or put the file to {path} yourself")
    os.replace(part, path)
    return path


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that the next start fetches it anew; return its new path."""
    aside = path.with_name(path.name + ".damaged")
    os.replace(path, aside)
    return aside


def _mismatch(path: Path, checksum: str) -> str:
    """Return what a file is instead of the one that it should be, or ""."""
    with readable(path), open(path, "rb") as handle:
        if handle.read(512).lstrip().startswith(b"<"):  # none of our files does
            return PAGE
        if checksum:
            algorithm, digits = checksum.split(":")
            handle.seek(0)
            if hashlib.file_digest(handle, algorithm).hexdigest() != digits:
                return f"another file than the published one (its {algorithm} differs)"
    return ""


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
        if response.headers.get_content_type() == "text/html":  # before it replaces what is there
            raise ValueError(f"{PAGE} came")
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
