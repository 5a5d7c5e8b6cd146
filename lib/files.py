"""Where things lie, and how they are written: aside, then renamed, so nothing is half there."""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lib.errors import UserError

PROJECT = Path(__file__).resolve().parent.parent


def runs_root() -> Path:
    """Local runs: checkpoints, histories, predictions (`RUNS_ROOT`, else `runs/`)."""
    return Path(os.environ.get("RUNS_ROOT") or PROJECT / "runs")


def stores_root() -> Path:
    """Feature stores built here (`STORES_ROOT`, else `stores/`)."""
    return Path(os.environ.get("STORES_ROOT") or PROJECT / "stores")


def weights_root() -> Path:
    """Local pretrained weights (`WEIGHTS_ROOT`, else `weights/`)."""
    return Path(os.environ.get("WEIGHTS_ROOT") or PROJECT / "weights")


def reports_root() -> Path:
    """Committed reports, and local ones in `local/` (`REPORTS_ROOT`, else `reports/`)."""
    return Path(os.environ.get("REPORTS_ROOT") or PROJECT / "reports")


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place only if the block succeeds."""
    path = Path(path)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with open(part, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{path}: no space left on the disk; free some, go on") from error
        if error.errno in (errno.EROFS, errno.EACCES):
            raise UserError(f"{path}: not writable; choose another folder") from error
        raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold a file lock; the system frees the lock of a process that died. Taken: UserError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            handle.seek(0)
            raise UserError(
                f"{path.parent}: in use by process {handle.read() or '?'}; wait for it or stop it"
            ) from error
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text aside and rename it into place."""
    with aside(path) as part:
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
