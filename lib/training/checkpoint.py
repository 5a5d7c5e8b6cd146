"""Checkpoints of a run, and the rule that selects an epoch.

A checkpoint is what `torch.save` writes and, after it, the sha256 of that.
"""

import hashlib
import io
import sys
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile

import torch

from lib import files
from lib.evaluation.metrics import select_epoch

KEPT = 2  # the newest checkpoints of a run
DIGEST_BYTES = 32


def save(folder: Path, epoch: int, state: dict) -> None:
    """Write the state after an epoch atomically, then remove all but the two newest checkpoints."""
    buffer = io.BytesIO()  # in memory first: on a full disk torch says "unexpected pos 640 vs 534"
    torch.save(state, buffer)
    buffer.seek(0, io.SEEK_END)
    buffer.write(hashlib.sha256(buffer.getvalue()).digest())
    with files.atomic_write(folder / f"epoch-{epoch:04d}.pt") as path:
        path.write_bytes(buffer.getbuffer())
    clear(folder, KEPT)


def load(folder: Path, device: torch.device) -> dict | None:
    """Return the newest whole state; damaged files are named on stderr and removed."""
    for path in _newest_first(folder):
        try:
            content = path.read_bytes()
            if hashlib.sha256(content[:-DIGEST_BYTES]).digest() != content[-DIGEST_BYTES:]:
                raise OSError("its checksum is another")
            state = io.BytesIO(content)  # the zip archive in it ends before the checksum
            return torch.load(state, map_location=device, weights_only=True)  # runs no code
        except (RuntimeError, EOFError, OSError, BadZipFile, UnpicklingError) as error:
            print(f"{path}: cannot be read ({error}); going back one epoch", file=sys.stderr)
            path.unlink()
    return None


def clear(folder: Path, keep: int = 0) -> None:
    """Remove the checkpoints of a run except the newest `keep`."""
    for path in _newest_first(folder)[keep:]:
        path.unlink()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.pt"), reverse=True)


def selected_epoch(history: list[dict], selection: str) -> int | None:
    """Return the epoch that a rule selects: last, or the best on validation or test, if any."""
    if selection == "last":
        return history[-1]["epoch"]
    if f"{selection}_score" not in history[-1]:
        return None
    scores = [{key: row[f"{selection}_{key}"] for key in ("se", "score")} for row in history]
    best = select_epoch(scores)
    return None if best is None else history[best]["epoch"]
