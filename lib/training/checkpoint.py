"""Checkpoints of a run: one each epoch, the last two kept, and a broken one passed over."""

import io
import sys
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile

import torch

from lib import files

KEPT = 2


def save(folder: Path, epoch: int, state: dict) -> None:
    """Write the state after an epoch aside, rename it, then drop those that are too old."""
    made = io.BytesIO()  # in memory first: on a full disk torch says "unexpected pos 640 vs 534"
    torch.save(state, made)
    with files.atomic_write(folder / f"epoch-{epoch:04d}.pt") as part:
        part.write_bytes(made.getbuffer())
    for old in _newest_first(folder)[KEPT:]:
        old.unlink()


def load(folder: Path, device: torch.device) -> dict | None:
    """The newest state that can be read; a broken file is named on stderr and removed.

    Nothing but tensors and plain values is ever unpickled.
    """
    for path in _newest_first(folder):
        try:
            return torch.load(path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, BadZipFile, UnpicklingError) as error:
            print(f"{path}: cannot be read ({error}); going back one epoch", file=sys.stderr)
            path.unlink()
    return None


def clear(folder: Path) -> None:
    """Remove all checkpoints of a finished run."""
    for path in _newest_first(folder):
        path.unlink()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.pt"), reverse=True)
