"""The process of one run, with the command line that an executor gives it."""

import argparse
import hashlib
import os
import platform
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import torch

from lib import files, paths
from lib.analysis.inspect import inspect_model
from lib.errors import TrainingError, UserError
from lib.features.cache import open_cache
from lib.runs import folder as runs_folder
from lib.training import rehearsal, trainer
from lib.training.device import can_compile, pick_device


def main(arguments: list[str]) -> None:
    """Train the run that FOLDER/experiment.json specifies, or go on with it."""
    parser = argparse.ArgumentParser(prog="python -m lib.worker", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("cache", type=Path, help="feature cache")
    parser.add_argument("frames", type=int, help="frames of a clip")
    parser.add_argument("--with-parent", action="store_true", help="end when stdin is closed")
    parser.add_argument("--test", action="append", default=[], metavar="NAME=CACHE")
    options = parser.parse_args(arguments)
    if options.with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    folder, spec = options.folder, runs_folder.read_spec(options.folder)
    tests = dict(text.split("=", 1) for text in options.test)
    with files.file_lock(folder / ".lock", wait=True):  # a killed driver's worker may still run
        weights = (folder / runs_folder.WEIGHTS).exists() or not spec.experiment.save_weights
        if (folder / "result.json").exists() and weights:
            return
        files.remove_stale(folder)
        files.write_json(folder / "machine.json", _machine())
        try:
            caches = {name: open_cache(Path(path)) for name, path in tests.items()}
            fit = rehearsal.fit if os.environ.get("REHEARSAL") else trainer.fit
            fit(spec.experiment, spec.seed, open_cache(options.cache), options.frames,
                        folder, caches, inspect_model)  # fmt: skip
        except UserError as error:
            if isinstance(error, TrainingError):  # it would fail again
                files.write_json(folder / "failed.json", {"reason": str(error)})
            raise SystemExit(f"error: {error}") from error


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # nobody writes: it returns when the pipe is closed
    os._exit(1)


def _machine() -> dict[str, str | bool]:
    """The machine and versions of the run; not part of what is compared."""
    sources = sorted((paths.PROJECT / "lib").rglob("*.py"))
    return {name: version(name) for name in ("torch", "timm", "torchvision", "numpy")} | {
        "python": platform.python_version(),
        "cpu": platform.processor() or platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "compiled": can_compile(pick_device()),
        "lib": hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest(),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
