"""The process of one run, with the command line that an executor gives it."""

import argparse
import hashlib
import multiprocessing
import os
import platform
import sys
import threading
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path

import torch

from lib import files, paths
from lib.analysis.inspect import inspect_model
from lib.errors import TrainingError, UserError
from lib.features.cache import FeatureCache, open_cache
from lib.models.weights import local_file
from lib.runs import folder as runs_folder
from lib.runs.folder import RunSpec
from lib.training import probe, rehearsal, trainer
from lib.training.device import can_compile, pick_device


def main(arguments: list[str]) -> None:
    """Train the run that FOLDER/experiment.json specifies, or go on with it."""
    parser = argparse.ArgumentParser(prog="python -m lib.worker", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("cache", type=Path, help="feature cache")
    parser.add_argument("frames", type=int, help="frames of a clip")
    parser.add_argument("--with-parent", action="store_true", help="end with the parent, or stdin")
    parser.add_argument("--test", action="append", default=[], metavar="NAME=CACHE")
    options = parser.parse_args(arguments)
    if options.with_parent:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    folder, spec = options.folder, runs_folder.read_spec(options.folder)
    tests = dict(text.split("=", 1) for text in options.test)
    with files.file_lock(folder / ".lock", wait=True):  # a killed driver's worker may still run
        if _is_complete(folder, spec):
            return
        files.remove_stale(folder)
        try:
            caches = {name: open_cache(Path(path), reread=True) for name, path in tests.items()}
            cache = open_cache(options.cache, reread=True)
            inputs = require_inputs(folder, spec, [cache, *caches.values()])
            files.write_json(folder / "machine.json", _machine() | inputs)
            fit = probe.fit if spec.experiment.method == "probe" else trainer.fit
            fit = rehearsal.fit if os.environ.get("REHEARSAL") else fit
            fit(spec.experiment, spec.seed, cache, options.frames, folder, caches,
                        inspect_model)  # fmt: skip
        except UserError as error:
            if isinstance(error, TrainingError):  # it would fail again
                files.write_json(folder / "failed.json", {"reason": str(error)})
            raise SystemExit(f"error: {error}") from error


def _is_complete(folder: Path, spec: RunSpec) -> bool:
    """Whether the run has a whole record, and its weights; a damaged one is no longer marked so."""
    if (folder / "result.json").exists() and (problem := runs_folder.damage(folder)):
        print(f"{folder}: trained again: {problem}", flush=True)
        (folder / "result.json").unlink()
    weights = (folder / runs_folder.WEIGHTS).exists() or not spec.experiment.save_weights
    complete = (folder / "result.json").exists() and weights
    if not complete:  # its files are written anew
        (folder / runs_folder.CHECKSUMS).unlink(missing_ok=True)
    return complete


def require_inputs(folder: Path, spec: RunSpec, caches: list[FeatureCache]) -> dict[str, list[str]]:
    """The files that the run in `folder` reads, for its record.

    caches: of its dataset, then of each test set. Raises `UserError` that names the file if one is
    not that which the run's name is made of: another path, or changed since the run was planned.
    """
    remedy = "give the planned one, or start the same command again to plan with this one"
    needed, found = spec.data.split("+"), [cache.meta["fingerprint"] for cache in caches]
    for cache, expected in zip_longest(caches, needed):
        if cache is None or cache.meta["fingerprint"] != expected:
            path = cache.path if cache else folder
            raise UserError(
                f"{path}: not the features of {folder.name}, which has {len(needed)} with the "
                f"fingerprints {spec.data}, not {'+'.join(found)}; {remedy}"
            )
    weights = []
    if spec.experiment.init_from:
        weights = [runs_folder.initial_weights(folder)]
    elif spec.experiment.init != "none":
        weights = [local_file(spec.experiment)]
        if (found := files.sha256_of(weights[0])) != spec.weights:
            raise UserError(
                f"{weights[0]}: not the weights of {folder.name}, which have the sha256 "
                f"{spec.weights}, not {found}; {remedy}"
            )
    read = {"features": [cache.path for cache in caches], "initial_weights": weights}
    return {name: list(map(_short, each)) for name, each in read.items()}


def _short(path: Path) -> str:
    """A path from the project's folder, or the name alone of one that is elsewhere."""
    inside = path.is_relative_to(paths.PROJECT)
    return str(path.relative_to(paths.PROJECT)) if inside else path.name


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    else:
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
