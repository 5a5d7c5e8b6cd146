"""Atomic writes, locks, checksums, text and JSON: written beside its place, then renamed."""

import codecs
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lib.errors import UserError
from lib.paths import features_root

FULL = (errno.ENOSPC, errno.EDQUOT)
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP)
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
OLD_SECONDS = 24 * 3600
TEMPORARY = re.compile(r"\..+\.(\d+)\.part~rs")  # a name that only `temp_path` makes


def temp_path(path: Path, process: int | None = None) -> Path:
    """Return the temporary path beside `path` that one process (this one) writes to.

    The name holds the machine as well, since machines may share a disk.
    """
    process = process or os.getpid()
    return path.with_name(f".{path.name}.{platform.node()}.{process}.part~rs")


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place only if the block succeeds."""
    path = Path(path)
    temporary = temp_path(path)
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with open(temporary, "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # below a plain file there is nothing to remove
            temporary.unlink()


def require_outputs(outputs: Mapping[str, Path], inputs: Iterable[Path]) -> None:
    """Raise `UserError` if an output is a folder, an input or another output.

    outputs: what to name in the error -> path, such as "--csv" -> mine.csv.
    """
    taken = {Path(path).resolve(): "an input" for path in inputs}
    for name, path in outputs.items():
        if path.is_dir():
            raise UserError(f"{name} {path}: a folder; name a file in it")
        if (used := taken.setdefault(path.resolve(), name)) != name:
            raise UserError(f"{name} {path}: {used} too, and would be lost; name another file")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a size limit or a folder that is not writable into a `UserError`."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL or "requested and" in str(error):  # numpy's short write
            raise UserError(f"{path}: no space left on the disk; free some, go on") from error
        if error.errno == errno.EFBIG:
            raise UserError(
                f"{path}: larger than the disk or `ulimit -f` allows; raise the limit, go on"
            ) from error
        if error.errno in NOT_WRITABLE:
            raise UserError(f"{path}: not writable; choose another folder") from error
        raise


def remove_stale(folder: Path) -> None:
    """Remove temporary files and folders that killed processes left in `folder`.

    It looks there and into the folders directly in it, through no link. Only names that
    `temp_path` makes are removed: those of this machine if their process has ended, those of
    another machine after a day, because its process may still write.
    """
    for path in sorted({*folder.glob(".*.part~rs"), *folder.glob("*/.*.part~rs")}):
        match = TEMPORARY.fullmatch(path.name)
        if not match or (path.parent != folder and path.parent.is_symlink()):
            continue
        process = int(match[1])
        here = path.name.endswith(f".{platform.node()}.{process}.part~rs")
        with suppress(FileNotFoundError):  # another process removed it first
            old = time.time() - path.lstat().st_mtime > OLD_SECONDS
            if not _is_running(process) if here else old:
                is_folder = path.is_dir() and not path.is_symlink()
                shutil.rmtree(path) if is_folder else path.unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process
        return True
    return True


def require_writable(name: str, folder: Path) -> None:
    """Raise `UserError` if nothing can be written to a folder; `name` is its variable."""
    probe = temp_path(folder / "writable")  # a name that no file of the user has
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("1")
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written to ({error.strerror}); set {name} to a folder that can"
        ) from error
    finally:
        with suppress(OSError):
            probe.unlink()


@contextmanager
def file_lock(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold a file lock, or raise a `UserError` that names the process that holds it.

    The system frees the lock of a process that died. On a file system without locks (some shared
    ones) the block runs without one: atomic writes still keep every file whole.
    """
    lock = FileLock(path, timeout=-1 if wait else 0)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:
            holder = path.read_text() or "?"
            raise UserError(
                f"{path.parent}: in use by process {holder}; wait for it or stop it"
            ) from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
    try:
        with suppress(OSError):  # on a full disk the lock holds all the same
            path.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON, sorted and indented, atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def read_text(path: Path) -> str:
    """Return the text of a file: UTF-8, or UTF-16 if it begins with that byte order mark.

    Raises `UserError` if it is missing, cannot be read or is in another encoding.
    """
    with readable(path):
        content = Path(path).read_bytes()
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8; save it as UTF-8") from error
    if "\0" in text:
        raise UserError(f"{path}: not UTF-8; save it as UTF-8")
    return text


def parse_json(text: str) -> object:
    """Return the value of a JSON text; raises ValueError, also for a key that is there twice."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _object(pairs: list[tuple[str, object]]) -> dict:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {name!r} is there twice")
    return unique


def read_json(path: Path) -> dict:
    """Return a JSON object; a missing, unreadable or damaged file is a `UserError` naming it."""
    text = read_text(path)
    try:
        value = parse_json(text)
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); delete it and start again") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: holds no JSON object; delete it and start again")
    return value


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn a file that is missing or cannot be read into a `UserError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found") from error
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); mend its permissions or its disk"
        ) from error


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with readable(path), open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def checksums(paths: dict[str, Path]) -> dict[str, str]:
    """Return name -> `sha256_of` its file, remembered by the file's size and time of change.

    A file that was changed and given its old size and time back is not noticed.
    """
    memory_path = features_root() / "checksums.json"
    try:
        memory = read_json(memory_path)
    except UserError:  # without the memory every file is read again
        memory = {}
    stats = {name: path.stat() for name, path in paths.items()}
    keys = {
        name: f"{paths[name].resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        for name, stat in stats.items()
    }
    new = {key: sha256_of(paths[name]) for name, key in keys.items() if key not in memory}
    if new:
        write_json(memory_path, memory | new)
    return {name: (memory | new)[key] for name, key in keys.items()}


def digest(value: object) -> str:
    """Return the sha256 of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
