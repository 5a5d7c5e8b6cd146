"""Run folders: what a run leaves behind, how it is found again and verified.

RUNS_ROOT/<experiment>-s<seed>-<hash8>/ holds experiment.json, history.csv, predictions.npz and,
written last, result.json: it alone marks a complete record. Published records below reports/runs
are the same files without weights and are found like local ones. checksums.json holds the sha256 of
what a run wrote; older records have none. A damaged record is named and not used.
"""

import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files, paths
from lib.config import Experiment, hashed_settings
from lib.errors import UserError
from lib.evaluation import scores, tasks
from lib.evaluation.tasks import ICBHI4, Task

PREDICTIONS = "predictions.npz"
ANALYSIS = "analysis.npz"  # analyses of the trained model (`lib.analysis.inspect`)
STREAM = "stream.csv"  # test records classified as streams (`lib.analysis.streaming`)
COSTS = "costs.json"  # of a rehearsal
WEIGHTS = "weights.safetensors"  # of the selected epoch, if the experiment saves them
CHECKSUMS = "checksums.json"
RECORD = (  # what is published of a run; result.json is last
    *("experiment.json", "machine.json", "history.csv", PREDICTIONS, "weights.csv"),
    *(ANALYSIS, STREAM, CHECKSUMS, "result.json"),
)
# The hash in the folder's name covers settings and inputs in experiment.json, not their names.
CHECKED = ("experiment.json", "machine.json", "history.csv", PREDICTIONS, "weights.csv")
CHECKED += (ANALYSIS, WEIGHTS)
PROGRESS_SECONDS = 1.0
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class RunSpec:
    """One run: an experiment, a seed, and fingerprints of the bytes it depends on.

    In `find_run`, a fingerprint of None stands for any.
    """

    experiment: Experiment
    seed: int
    data: str | None  # of the feature cache, then of each test set's, joined by "+"
    weights: str | None  # of the initial weights, "" if none; `weights_fingerprint` of another run

    @property
    def hash8(self) -> str:
        """Hash of every setting and input that can change a number, and of nothing else."""
        content = [hashed_settings(self.experiment), self.seed, self.data, self.weights]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def folder(self) -> Path:
        """The run's local folder; the name describes the run, but only the hash identifies it."""
        name = f"{slug(self.experiment.name)}-s{self.seed}-{self.hash8}"
        return _folder_of_hash(paths.runs_root(), self.hash8) or paths.runs_root() / name


def slug(name: str) -> str:
    """A folder name for an experiment's name."""
    return re.sub(r"[^A-Za-z0-9_=.,+-]+", ".", name)


def published_root() -> Path:
    """Where published run records are: committed, without weights."""
    return paths.reports_root() / "runs"


def _folder_of_hash(root: Path, hash8: str) -> Path | None:
    return next(iter(sorted(root.glob(f"*-{hash8}"))), None)


def find_hash(hash8: str) -> Path | None:
    """The folder of a whole record by the hash in its name, local or else published, or None."""
    for root in (paths.runs_root(), published_root()):
        path = _folder_of_hash(root, hash8)
        if path and (path / "result.json").exists():
            if not (problem := damage(path)):
                return path
            _say(f"{path}: not used: {problem}")
    return None


def find_run(spec: RunSpec) -> Path | None:
    """The folder of a whole record of this run, local or else published; None if there is none.

    If a fingerprint is None, because the input is not here, any record with the same settings,
    seed and other fingerprint is taken. A damaged record is named on stderr and left out.
    """
    exact = None not in (spec.data, spec.weights)
    pattern = f"*-{spec.hash8}" if exact else f"*-s{spec.seed}-*"
    for root in (paths.runs_root(), published_root()):
        for path in sorted(root.glob(f"{pattern}/result.json")):
            if not exact and not _is_run(path.parent, spec):
                continue
            if not (problem := damage(path.parent)):
                return path.parent
            _say(f"{path.parent}: not used: {problem}")
    return None


@cache
def _say(line: str) -> None:
    """Print a line on stderr, once a process."""
    print(line, file=sys.stderr, flush=True)


def damage(folder: Path) -> str:
    """What is wrong with the files of a complete record, or "".

    It is not the run that its name says, or a file is not the one that the run wrote.
    """
    path = folder / CHECKSUMS
    try:
        if not folder.name.endswith(read_spec(folder).hash8):
            return f"settings give the hash {read_spec(folder).hash8}"
        with damage_named(folder / "result.json"):
            _ = {**files.read_json(folder / "result.json")["selections"]}
        with damage_named(path):
            sums = {**files.read_json(path)} if path.exists() else {}
        for name in sums.keys() - {WEIGHTS}:  # they are not published, and checked when read
            if not (folder / name).exists() or files.sha256_of(folder / name) != sums[name]:
                return f"{name} is not the file that the run wrote"
    except UserError as error:
        return str(error)
    return ""


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what a damaged file leads to, such as `[]` for an object, into a `UserError`."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{path}: damaged ({error!r}); delete its folder") from error


def _is_run(folder: Path, spec: RunSpec) -> bool:
    try:
        other = read_spec(folder)
    except UserError as error:  # or it has a setting that only another version knows
        _say(str(error))
        return False
    return (
        (hashed_settings(other.experiment), other.seed)
        == (hashed_settings(spec.experiment), spec.seed)
        and spec.data in (None, other.data)
        and spec.weights in (None, other.weights)
    )


def read_spec(folder: Path) -> RunSpec:
    """The specification of the run in a folder, complete or not.

    Raises `UserError` if it is damaged, or has a setting that this version does not know.
    """
    started = files.read_json(path := folder / "experiment.json")
    with damage_named(path):
        fingerprints = [started[key]["fingerprint"] for key in ("data", "weights")]
        if not all(isinstance(each, str) for each in fingerprints):
            raise TypeError(f"fingerprints {fingerprints}")
        try:
            return RunSpec(Experiment(**started["experiment"]), started["seed"], *fingerprints)
        except UserError as error:  # it names the setting alone
            raise UserError(f"{path}: {error}") from error


def weights_fingerprint(spec: RunSpec) -> str:
    """The fingerprint of the weights that a run saves, for the run that starts from them."""
    return f"run-{spec.hash8}"


def initial_weights(folder: Path) -> Path | None:
    """The weights file of the run that the run in `folder` starts from; None if of no run.

    Raises `UserError` if that run has saved no weights here, or if they are not those it saved.
    """
    fingerprint = read_spec(folder).weights
    if not fingerprint.startswith("run-"):
        return None
    source = _folder_of_hash(paths.runs_root(), fingerprint.removeprefix("run-"))
    if source is None or not (source / WEIGHTS).exists():
        raise UserError(f"{folder.name}: starts from {fingerprint}, which has no {WEIGHTS} here")
    path, sums = source / WEIGHTS, source / CHECKSUMS
    with damage_named(sums):
        expected = files.read_json(sums).get(WEIGHTS) if sums.exists() else None
    if weights_fingerprint(read_spec(source)) != fingerprint or (
        expected and files.sha256_of(path) != expected
    ):
        raise UserError(f"{path}: not the weights of {fingerprint}; delete them and train it again")
    return path


def failure_reason(spec: RunSpec) -> str:
    """Why this run failed by itself, or ""."""
    path = spec.folder / "failed.json"
    if not path.exists():
        return ""
    reason = files.read_json(path).get("reason")
    if not isinstance(reason, str) or not reason:
        raise UserError(f"{path}: damaged (no reason in it); delete it to try the run again")
    return reason


def start_run(spec: RunSpec, data: dict, weights: str) -> Path:
    """Make the run's folder and write its specification, which never changes; returns the folder.

    data: name and note of the recordings; weights: the name of the initial weights.
    """
    started = {
        "experiment": asdict(spec.experiment),
        "seed": spec.seed,
        "data": {**data, "fingerprint": spec.data},
        "weights": {"name": weights, "fingerprint": spec.weights},
    }
    folder = spec.folder
    files.write_json(folder / "experiment.json", started)
    return folder


def write_record(
    folder: Path,
    history: list[dict],
    arrays: Arrays,
    epochs: dict[str, int | None],
    facts: dict,
    task: Task = ICBHI4,
) -> None:
    """Write history, predictions and, last, the result computed from those predictions.

    arrays, epochs: as in `scores.score_selections`; facts: further entries of result.json.
    """
    files.write_text(folder / "history.csv", pd.DataFrame(history).to_csv(index=False))
    write_arrays(folder / PREDICTIONS, arrays)
    result = {"selections": scores.score_selections(arrays, epochs, task), **facts}
    text = json.dumps(result, indent=2, sort_keys=True) + "\n"
    sums = {name: files.sha256_of(folder / name) for name in CHECKED if (folder / name).exists()}
    sums["result.json"] = hashlib.sha256(text.encode()).hexdigest()
    files.write_json(folder / CHECKSUMS, sums)
    files.write_text(folder / "result.json", text)
    (folder / "progress.json").unlink(missing_ok=True)


@cache
def read_record(folder: Path) -> dict:
    """A complete record: experiment, seed, data, weights, the entries of result.json, and run.

    Raises `UserError` if a file is corrupt.
    """
    with damage_named(folder):
        started = files.read_json(folder / "experiment.json")
        return {**started, **files.read_json(folder / "result.json"), "run": folder.name}


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays to an npz file, atomically."""
    with files.atomic_write(path) as temporary, open(temporary, "wb") as handle:
        np.savez_compressed(handle, **arrays)


def read_predictions(folder: Path) -> Arrays:
    """The arrays of a run's predictions.npz: <set>/{label,...}, <selection>/<set>/logits."""
    return read_arrays(folder / PREDICTIONS)


def read_arrays(path: Path) -> Arrays:
    """The arrays of an npz file of a run; raises a `UserError` that names it if it is corrupt."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # zip, zlib and NumPy have their own errors for a damaged file
        raise UserError(f"{path}: cannot be read ({error}); delete its folder") from error


def verify_records() -> list[str]:
    """Recompute every published result from its predictions; one line for each that differs."""
    folders = sorted(published_root().glob("*-s*-*"))
    problems = {folder.name: _difference(folder) for folder in folders}
    return [f"{name}: {problem}" for name, problem in problems.items() if problem]


def _difference(folder: Path) -> str:
    """What is wrong with a published record, or ""."""
    if problem := damage(folder):
        return problem
    try:
        with damage_named(folder):
            selections = read_record(folder)["selections"]
            epochs = {key: value and value["epoch"] for key, value in selections.items()}
            task = tasks.get_task(read_spec(folder).experiment.task)
            again = scores.score_selections(read_predictions(folder), epochs, task)
    except UserError as error:
        return str(error)
    return "" if again == selections else f"result.json is not what {PREDICTIONS} gives"


class Progress:
    """progress.json: how many epochs the run in a folder has done, for the progress bar."""

    def __init__(self, folder: Path, epoch: int, steps: int) -> None:
        self.path, self.epoch, self.steps = folder / "progress.json", epoch, steps
        self.written = 0.0

    def step(self, done: int) -> None:
        """Write that `done` steps of this epoch are done, at most once a second."""
        now = time.monotonic()
        if now - self.written > PROGRESS_SECONDS:
            self.written = now
            epochs = self.epoch - 1 + done / self.steps
            with suppress(OSError):  # on a full disk the bar stands still; the run may still finish
                self.path.write_text(json.dumps({"epochs": round(epochs, 3)}))
