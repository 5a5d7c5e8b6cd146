"""Stored runs of this project: which there are, their predictions as CSV, and differences."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from lib.config import describe_settings
from lib.errors import UserError, unknown
from lib.evaluation import bootstrap, scores, tasks
from lib.runs import folder
from lib.runs.predictions import Predictions, predictions_of_runs
from lib.score.submission import Submission
from lib.score.table import RECORD_TASKS, TASKS

DATASETS = {"icbhi": "icbhi", "icbhi_mel": "icbhi", "sprsound": "sprsound"}  # of runs -> of labels


@dataclass(frozen=True)
class StoredExperiment:
    """The stored runs of one experiment on the same data and weights, one for each seed."""

    name: str
    dataset: str
    task: str
    data: str  # the recordings or features that were read
    setting: str
    folders: tuple[Path, ...]

    def predictions(self, selection: str) -> Predictions | None:
        """Their predictions of the test set, seeds in order; None if a seed has not saved them."""
        seeds = [folder.read_spec(path).seed for path in self.folders]
        rows = {"path": self.folders, "seed": seeds, "selection": selection}
        loaded = predictions_of_runs(pd.DataFrame(rows).sort_values("seed"))
        return loaded if loaded and len(loaded.seeds) == len(seeds) else None


def stored_experiments() -> tuple[StoredExperiment, ...]:
    """Return all experiments with records in reports/runs, sorted; damaged records are left out."""
    groups: dict[tuple, list[Path]] = {}
    for path, key in _keys():
        groups.setdefault(key, []).append(path)
    return tuple(StoredExperiment(*key[:-1], tuple(groups[key])) for key in sorted(groups))


def _keys() -> Iterator[tuple[Path, tuple]]:
    """Each whole record with what its experiment has in common with other seeds."""
    for path in sorted(folder.published_root().glob("*/result.json")):
        try:
            spec, record = folder.read_spec(path.parent), folder.read_record(path.parent)
            e, name = spec.experiment, record["data"]["name"]
        except (UserError, KeyError, TypeError):  # `verify` names it
            continue
        setting = describe_settings(e)
        own = "run" if spec.weights.startswith("run-") else spec.weights  # each seed has its own
        hashed = folder.RunSpec(e, 0, spec.data, own).hash8
        yield path.parent, (e.name, DATASETS[e.dataset], e.task, name, setting, hashed)


def export_run(name: str, selection: str) -> str:
    """Return a stored run's predictions of its test set as CSV text that `score` reads.

    name: of a folder in reports/runs, or its path. Raises `UserError` if the run has no
    predictions of that selection, or predicts windows.
    """
    path = folder.published_root() / name
    if path.is_file() or Path(name).is_file():
        raise UserError(f"{name}: is a file, not a run; leave out --from-run")
    if not path.is_dir():
        names = sorted(each.name for each in folder.published_root().glob("*-s*-*"))
        near = get_close_matches(name, names, cutoff=0.5)
        raise unknown("run", name, near or [*names[:3], f"... in {folder.published_root()}"])
    arrays, task_name = folder.read_predictions(path), folder.read_spec(path).experiment.task
    key = f"{selection}/test/logits"
    if key not in arrays:
        have = sorted({key.split("/")[0] for key in arrays if key.endswith("/test/logits")})
        raise UserError(f"{path}: nothing selected on {selection}; choose {' or '.join(have)}")
    if not any(task_name in names for names in TASKS.values()):
        raise UserError(f"{path}: its task {task_name} has no table of labels; export another run")
    clips = [clip.rsplit(":", 1) for clip in arrays["test/cycle"]]
    table = pd.DataFrame(clips, columns=["recording", "cycle"])
    if task_name in RECORD_TASKS:
        table = table[["recording"]]
    columns = [f"logit_{name}" for name in tasks.get_task(task_name).classes]
    logits = pd.DataFrame(arrays[key].astype(str), columns=columns)  # shortest text of a float32
    return pd.concat([table, logits], axis=1).to_csv(index=False, lineterminator="\n")


def differences(submission: Submission, selection: str) -> list[dict]:
    """Return the difference to every stored experiment that predicted the same clips.

    selection: how the epoch of the stored runs was chosen. Each line: experiment, data, setting,
    seeds, selected_on, score (mean over seeds), mark (how the runs have not learnt their task),
    difference (submission minus stored, points of the Score), low, high (95% paired patient
    bootstrap).
    """
    s, ids = submission, scores.cycle_ids(submission.clips)
    patient, lines = s.clips.patient.to_numpy(), []
    for stored in stored_experiments():
        if (stored.dataset, stored.task) != (s.dataset, s.task_name):
            continue
        if (predicted := _aligned(stored, selection, ids, s.subset)) is None:
            continue
        arrays = (s.label, s.predicted, predicted, patient, s.task, s.subset)
        difference, low, high = bootstrap.paired_bootstrap(*arrays)
        means = [s.task.mean_scores(s.label, each, s.subset)["score"] for each in predicted]
        lines.append(
            {"experiment": stored.name, "data": stored.data, "setting": stored.setting,
             "seeds": len(predicted), "selected_on": selection, "score": float(np.mean(means)),
             "mark": _mark(s, predicted, float(np.mean(means))),
             "difference": difference, "low": low, "high": high}
        )  # fmt: skip
    return lines


def _mark(submission: Submission, predicted: np.ndarray, score: float) -> str:
    """Which classes runs (seeds, N) never predict, and whether they beat always "normal"."""
    s, scored = submission, tasks.scored_mask(submission.subset)
    matrices = (s.task.matrices(s.label[scored], each[scored]) for each in predicted)
    marks = {s.task.unpredicted(matrix) for matrix in matrices} - {""}
    worse = ["no better than always “normal”"] if score <= always_normal(s) else []
    return "; ".join([*sorted(marks), *worse])


def always_normal(s: Submission) -> float:
    """The Score of one answer for every clip: normal."""
    return float(s.task.mean_scores(s.label, np.zeros_like(s.label), s.subset)["score"])


def _aligned(
    stored: StoredExperiment, selection: str, ids: np.ndarray, subset: np.ndarray
) -> np.ndarray | None:
    """Predicted classes (seeds, N) of the clips `ids`; None if those were not predicted."""
    selected = folder.read_record(stored.folders[0])["selections"].get(selection)
    scored = tasks.scored_mask(subset).sum()
    if not selected or np.sum(selected["test"]["confusion"]) != scored:  # before reading arrays
        return None
    if (loaded := stored.predictions(selection)) is None or len(loaded.cycle) != len(ids):
        return None
    order = pd.Index(loaded.cycle).get_indexer(ids)
    return None if (order < 0).any() else loaded.predicted[:, order]
