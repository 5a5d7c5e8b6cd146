"""The process that makes one run, from the command line that an executor gives it."""

import hashlib
import os
import platform
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import torch

from lib import files, paths
from lib.config import Experiment
from lib.errors import TrainingError, UserError
from lib.features.cache import open_cache
from lib.runs import folder as runs_folder
from lib.training import device, trainer, transfer


def main(arguments: list[str]) -> None:
    """`python -m lib.worker FOLDER STORE FRAMES`: make the run that FOLDER/experiment.json asks.

    With a fourth word, --with-parent, it ends when its standard input is closed, as that of an
    orphan is.
    """
    folder, store, frames = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    if arguments[3:] == ["--with-parent"]:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    record = files.read_json(folder / "experiment.json")
    experiment = Experiment(**record["experiment"])
    with files.file_lock(folder / ".lock", wait=True):  # one may outlive a driver that was killed
        kept = (folder / runs_folder.WEIGHTS).exists() or not experiment.save_weights
        if (folder / "result.json").exists() and kept:
            return
        files.remove_stale(folder)
        files.write_json(folder / "machine.json", _machine())
        make = transfer.fit if experiment.method == "none" else trainer.fit
        try:
            make(experiment, record["seed"], open_cache(store), frames, folder)
        except TrainingError as error:
            files.write_json(folder / "failed.json", {"reason": str(error)})
            raise SystemExit(f"error: {error}") from error
        except UserError as error:
            raise SystemExit(f"error: {error}") from error


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # nobody writes there: it returns when the pipe is closed
    os._exit(1)


def _machine() -> dict[str, str | bool]:
    """What made the run; stands outside what is compared."""
    sources = sorted((paths.PROJECT / "lib").rglob("*.py"))
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    versions = {name: version(name) for name in ("torch", "timm", "torchvision", "numpy")}
    return versions | {
        "python": platform.python_version(),
        "cpu": platform.processor() or platform.machine(),
        "gpu": gpu,
        "compiled": device.can_compile(device.pick_device()),
        "lib": hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest(),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
