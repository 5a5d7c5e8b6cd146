"""Atomic writes, locks and JSON: a file is written beside its place and renamed when complete."""

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lib.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)
OLD_SECONDS = 24 * 3600
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def temp_path(path: Path) -> Path:
    """The temporary path beside `path` that this process alone writes, also on a shared disk."""
    return path.with_name(f"{path.name}.{os.uname().nodename}.{os.getpid()}.part")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place only if the block succeeds."""
    path = Path(path)
    part = temp_path(path)
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            with open(part, "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(part, path)
    finally:
        with suppress(OSError):  # below a plain file there is nothing to remove
            part.unlink()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the system says where `path` cannot be written into a `UserError`."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(f"{path}: no space left on the disk; free some, go on") from error
        if error.errno == errno.EFBIG:
            raise UserError(
                f"{path}: larger than the disk or `ulimit -f` allows; raise the limit, go on"
            ) from error
        if error.errno in CLOSED:
            raise UserError(f"{path}: not writable; choose another folder") from error
        raise


def remove_stale(folder: Path) -> None:
    """Remove what killed processes left half written in `folder` and below.

    That is what `part_of` names for a process of this machine that runs no more, and for any other
    machine after a day, since nobody here can know whether that one still writes.
    """
    for part in sorted(folder.rglob("*.[0-9]*.part")):
        process = part.name.split(".")[-2]
        here = part.name.endswith(f".{os.uname().nodename}.{process}.part")
        with suppress(FileNotFoundError):  # another one swept it
            old = time.time() - part.stat().st_mtime > OLD_SECONDS
            if old or (here and not _runs(int(process))):
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def require_writable(name: str, folder: Path) -> None:
    """Raise `UserError` at once if nothing can be written to a folder; `name` is its variable."""
    try:
        write_text(folder / ".writable", "")
        (folder / ".writable").unlink(missing_ok=True)
    except (OSError, UserError) as error:
        why = getattr(error.__cause__ or error, "strerror", None) or error
        raise UserError(
            f"{folder}: cannot be written to ({why}); set {name} to a folder that can"
        ) from error


@contextmanager
def file_lock(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold a file lock; the system frees the lock of a process that died. Taken: UserError.

    A file system without locks (some shared ones) is no fault: writing aside and renaming holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            handle.seek(0)
            raise UserError(
                f"{path.parent}: in use by process {handle.read() or '?'}; wait for it or stop it"
            ) from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text aside and rename it into place."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON, sorted and indented, aside and renamed."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> dict:
    """Read a JSON object; a corrupt or missing file is a `UserError` that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); delete it and start again") from error
