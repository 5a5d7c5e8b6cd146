"""Run folders: what a run leaves behind, how it is found again, published and verified.

`runs/<experiment>-s<seed>-<hash8>/` holds experiment.json, history.csv, predictions.npz and, last
and atomically, result.json: the only mark of completion. The same four files, copied to
`reports/runs/`, are found like local ones.
"""

import hashlib
import json
import re
import shutil
import time
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files, paths
from lib.config import Experiment, hashed_settings
from lib.errors import UserError
from lib.evaluation import scores, tasks
from lib.evaluation.tasks import Labelling

GEOMETRY = "geometry.npz"  # of a run that keeps it (`lib.analysis.inspect`)
RECORD = (
    *("experiment.json", "machine.json", "history.csv", "predictions.npz", "weights.csv"),
    *(GEOMETRY, "result.json"),
)
WEIGHTS = "weights.safetensors"  # of a run that others start from; never published
PROGRESS_SECONDS = 1.0


@dataclass(frozen=True)
class Wanted:
    """One run: an experiment, a seed, and the bytes it depends on."""

    experiment: Experiment
    seed: int
    data: str  # fingerprint of the feature store
    weights: str  # fingerprint of the pretrained weights, "" if none

    @property
    def hash8(self) -> str:
        """Covers every setting and every input byte that can change a number, and nothing else."""
        content = [hashed_settings(self.experiment), self.seed, self.data, self.weights]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def folder(self) -> Path:
        """Where the run is made; the name says what it is, the hash alone finds it again."""
        found = _named(paths.runs_root(), self.hash8)
        name = f"{slug(self.experiment.name)}-s{self.seed}-{self.hash8}"
        return found or paths.runs_root() / name


def slug(name: str) -> str:
    """A folder name for an experiment's name."""
    return re.sub(r"[^A-Za-z0-9_=.,+-]+", ".", name)


def published_root() -> Path:
    """Small run records that are committed with the reports."""
    return paths.reports_root() / "runs"


def _named(root: Path, hash8: str) -> Path | None:
    return next(iter(sorted(root.glob(f"*-{hash8}"))), None)


def find(wanted: Wanted) -> Path | None:
    """The folder of a complete record of this run, local or published; None if there is none."""
    for root in (paths.runs_root(), published_root()):
        folder = _named(root, wanted.hash8)
        if folder is not None and (folder / "result.json").exists():
            return folder
    return None


def find_published(
    experiment: Experiment, seed: int, data: str | None, weights: str | None = None
) -> Path | None:
    """A published record with these settings, for when its inputs are not here.

    data, weights: the fingerprints it must have, or None where they can't be known.
    """
    for path in sorted(published_root().glob(f"*-s{seed}-*/result.json")):
        found = of_record(path.parent)
        same = hashed_settings(found.experiment) == hashed_settings(experiment)
        if same and data in (None, found.data) and weights in (None, found.weights):
            return path.parent
    return None


def of_record(folder: Path) -> Wanted:
    """What the run of a complete record was, by all that it depended on."""
    record = read(folder)
    marks = (record[key]["fingerprint"] for key in ("data", "weights"))
    return Wanted(Experiment(**record["experiment"]), record["seed"], *marks)


def fingerprint(parent: Wanted) -> str:
    """What stands for the weights that a run takes over from its parent."""
    return f"run-{parent.hash8}"


def parent_weights(folder: Path) -> Path | None:
    """Where the parent of the run in `folder` left its weights; None if it has no parent."""
    mark = read_started(folder)["weights"]["fingerprint"]
    if not mark.startswith("run-"):
        return None
    found = _named(paths.runs_root(), mark.removeprefix("run-"))
    if found is None or not (found / WEIGHTS).exists():
        raise UserError(f"{folder.name}: its parent {mark} has left no {WEIGHTS}; make it again")
    return found / WEIGHTS


def read_started(folder: Path) -> dict:
    """What a run is to be: experiment, seed, data, weights."""
    return files.read_json(folder / "experiment.json")


def failure(wanted: Wanted) -> str:
    """Why this run failed, or ""."""
    path = wanted.folder / "failed.json"
    return files.read_json(path)["reason"] if path.exists() else ""


def start(wanted: Wanted, data: dict, weights: str) -> Path:
    """Make the run's folder and write what it is to be; settings never change in a folder."""
    folder = wanted.folder
    record = {
        "experiment": asdict(wanted.experiment),
        "seed": wanted.seed,
        "data": {**data, "fingerprint": wanted.data},
        "weights": {"name": weights, "fingerprint": wanted.weights},
    }
    files.write_json(folder / "experiment.json", record)
    return folder


def write_record(
    folder: Path,
    history: list[dict],
    arrays: dict[str, np.ndarray],
    epochs: dict[str, int | None],
    facts: dict,
    labelling: Labelling = scores.ICBHI,
) -> None:
    """Write history, predictions and, last, the result computed from those predictions."""
    files.write_text(folder / "history.csv", pd.DataFrame(history).to_csv(index=False))
    write_arrays(folder / "predictions.npz", arrays)
    result = {"selections": scores.score_selections(arrays, epochs, labelling), **facts}
    files.write_json(folder / "result.json", result)
    (folder / "progress.json").unlink(missing_ok=True)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays aside, then rename."""
    with files.atomic_write(path) as part, open(part, "wb") as handle:
        np.savez_compressed(handle, **arrays)


@cache
def read(folder: Path) -> dict:
    """A complete record: experiment, seed, data, weights, and its result. Corrupt: UserError."""
    record = files.read_json(folder / "experiment.json")
    return {**record, **files.read_json(folder / "result.json"), "run": folder.name}


def predictions(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of predictions.npz; a corrupt file is a UserError that names it."""
    return read_arrays(folder / "predictions.npz")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that a run left; a corrupt one is a UserError that names it."""
    try:
        with np.load(path, allow_pickle=False) as found:
            return {key: found[key] for key in found.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({error}); delete its folder") from error


def publish(folders: list[Path]) -> list[Path]:
    """Copy complete records (no weights, no checkpoints) to `reports/runs/`; returns the copies."""
    copies = []
    for folder in folders:
        target = published_root() / folder.name
        if target.resolve() != folder.resolve():
            for name in filter(lambda name: (folder / name).exists(), RECORD):  # result.json last
                with files.atomic_write(target / name) as part:
                    shutil.copyfile(folder / name, part)
        copies.append(target)
    return copies


def verify() -> list[str]:
    """Recompute every published result from its predictions; one line for each difference."""
    differences = []
    for folder in sorted(published_root().glob("*-s*-*")):
        wanted = of_record(folder)
        if not folder.name.endswith(wanted.hash8):
            differences.append(f"{folder.name}: settings give the hash {wanted.hash8}")
        stored = read(folder)["selections"]
        epochs = {key: value and value["epoch"] for key, value in stored.items()}
        labelling = tasks.get(wanted.experiment.task)
        if scores.score_selections(predictions(folder), epochs, labelling) != stored:
            differences.append(f"{folder.name}: result.json is not what predictions.npz gives")
    return differences


class Progress:
    """progress.json: how far the run in a folder is, for whoever draws the bar."""

    def __init__(self, folder: Path, epoch: int, steps: int) -> None:
        self.path, self.epoch, self.steps = folder / "progress.json", epoch, steps
        self.written = 0.0

    def step(self, done: int) -> None:
        """Note `done` steps of this epoch, at most once a second."""
        now = time.monotonic()
        if now - self.written > PROGRESS_SECONDS:
            self.written = now
            share = self.epoch - 1 + done / self.steps
            with suppress(OSError):  # on a full disk the bar stands still; the run may yet end well
                self.path.write_text(json.dumps({"epochs": round(share, 3)}))
