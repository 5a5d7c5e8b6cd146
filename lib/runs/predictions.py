"""Saved predictions of finished runs: intervals, paired differences and confusion matrices.

`results` is the table of `lib.runs.results.collect_results`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib.errors import UserError
from lib.evaluation import auroc, bootstrap, calibration, scores, tasks
from lib.evaluation.tasks import Task
from lib.papers.table_row import TableRow
from lib.runs import folder

SEED_ARRAYS = ("predicted", "probabilities")
CLIP_ARRAYS = ("label", "patient", "device", "cycle", "subset")


@dataclass(frozen=True)
class Predictions:
    """Predicted classes of an experiment's runs on the same clips of one scored set."""

    task: Task
    seeds: tuple[int, ...]
    predicted: np.ndarray  # (seeds, N) class indices
    probabilities: np.ndarray  # (seeds, N, n) float64, nan if only classes are known
    label: np.ndarray  # (N,) class indices
    patient: np.ndarray  # (N,)
    device: np.ndarray  # (N,)
    cycle: np.ndarray  # (N,) "recording:cycle"
    subset: np.ndarray  # (N,) inter, intra, test2023 of SPRSound, else ""

    @property
    def log_odds(self) -> np.ndarray:
        """Log-odds (seeds, N) of abnormal against normal."""
        with np.errstate(divide="ignore"):
            return np.stack([auroc.log_odds(np.log(p), self.task) for p in self.probabilities])

    @property
    def ensemble(self) -> "Predictions":
        """The predictions of the mean of the seeds' probabilities, as if they were one seed's."""
        mean = self.probabilities.mean(axis=0, keepdims=True)
        return replace(self, seeds=(0,), predicted=mean.argmax(axis=-1), probabilities=mean)

    def of_clips(self, mask: np.ndarray) -> "Predictions":
        """The predictions of the clips in a mask (N,)."""
        arrays = {name: getattr(self, name)[mask] for name in CLIP_ARRAYS}
        by_seed = {name: getattr(self, name)[:, mask] for name in SEED_ARRAYS}
        return replace(self, **by_seed, **arrays)


def load_predictions(
    results: pd.DataFrame, experiment: str | None, selection: str = "test", test_set: str = "test"
) -> Predictions | None:
    """Predictions of an experiment's finished runs on one set, seeds in order; None if not saved.

    test_set: test, another dataset that the runs were tested on, or validation (see
    `predictions_of_runs`). Raises `UserError` if two runs predicted different test clips.
    """
    return predictions_of_runs(_finished(results, experiment, selection), test_set)


def predictions_of_runs(done: pd.DataFrame, test_set: str = "test") -> Predictions | None:
    """The same for finished rows of `results`, one for each seed, each at its own selection.

    On validation, each seed holds out other patients: the clips of all seeds are one after another,
    `predicted` is (1, N) and `seeds` is (0,).
    """
    loaded = _load(done, test_set)
    if not loaded:
        return None
    runs, first_path = list(loaded.values()), next(iter(loaded))
    if test_set == "validation":
        arrays = {key: np.concatenate([getattr(run, key) for run in runs]) for key in CLIP_ARRAYS}
        return replace(runs[0], seeds=(0,), **_joined(runs, axis=1), **arrays)
    for path, run in loaded.items():
        if not np.array_equal(run.cycle, runs[0].cycle):
            raise UserError(f"{path}: predicted other clips than {first_path}; delete one")
    seeds = tuple(run.seeds[0] for run in runs)
    return replace(runs[0], seeds=seeds, **_joined(runs, axis=0))


def _joined(runs: list[Predictions], axis: int) -> dict[str, np.ndarray]:
    return {
        name: np.concatenate([getattr(run, name) for run in runs], axis) for name in SEED_ARRAYS
    }


def _finished(results: pd.DataFrame, experiment: str | None, selection: str) -> pd.DataFrame:
    same = (results.experiment == experiment) & (results.selection == selection)
    return results[same & (results.status == "done")].sort_values("seed")


def _load(done: pd.DataFrame, name: str) -> dict[Path, Predictions]:
    """Predictions of each run, one seed, on one set; runs that have not saved it are left out."""
    runs = {}
    for row in done.itertuples():
        path = Path(row.path)
        arrays, logits = folder.read_predictions(path), f"{row.selection}/{name}/logits"
        if logits in arrays:
            task = tasks.get_task(folder.read_spec(path).experiment.task)
            runs[path] = Predictions(
                task=task,
                seeds=(int(row.seed),),
                predicted=scores.predicted_classes(arrays[logits], f"{path}: {logits}")[None],
                probabilities=calibration.softmax(arrays[logits])[None],
                subset=scores.read_subset(arrays, name),
                **{key: arrays[f"{name}/{key}"] for key in CLIP_ARRAYS[:-1]},
            )
    return runs


def score_interval(predictions: Predictions, metric: str = "score") -> tuple[float, float]:
    """95% patient-bootstrap interval of the mean over seeds, in percent."""
    p = predictions
    return bootstrap.patient_bootstrap(p.label, p.predicted, p.patient, p.task, p.subset)[metric]


def auroc_interval(predictions: Predictions) -> tuple[float, float, float]:
    """AUROC (0 to 1) of abnormal against normal, mean over seeds, with its 95% patient interval.

    Returns value, low, high; nan if one of the two is missing.
    """
    p = predictions
    p = p.of_clips(auroc.counted_mask(p.label, p.subset, p.task))
    return auroc.auroc(p.label > 0, p.log_odds, p.patient, p.subset)


def paired_difference(
    a: Predictions, b: Predictions, metric: str = "score"
) -> tuple[float, float, float]:
    """a - b in points with its 95% paired patient-bootstrap interval: difference, low, high.

    Compares the seeds that both have; raises `UserError` if there are none, or if a and b are
    predictions of different clips.
    """
    if not np.array_equal(a.cycle, b.cycle):
        raise UserError("a paired comparison needs the same test clips; run both on one cache")
    seeds = [seed for seed in a.seeds if seed in b.seeds]
    if not seeds:
        raise UserError("a paired comparison needs the same seeds; run both with one")
    pair = [each.predicted[[each.seeds.index(seed) for seed in seeds]] for each in (a, b)]
    return bootstrap.paired_bootstrap(a.label, *pair, a.patient, a.task, a.subset, metric)


def can_compare(a: Predictions | None, b: Predictions | None) -> bool:
    """Whether a and b exist and share a seed, as `paired_difference` needs."""
    return a is not None and b is not None and bool(set(a.seeds) & set(b.seeds))


def confusion_of(predictions: Predictions) -> np.ndarray:
    """Confusion matrix of the scored clips, summed over seeds: (n, n), rows are the truth."""
    mask = tasks.scored_mask(predictions.subset)
    label = predictions.label[mask]
    return sum(predictions.task.matrices(label, p[mask]) for p in predictions.predicted)


def confusion_matrices(
    results: pd.DataFrame,
    methods: Mapping[str, str],
    selections: Sequence[str] = ("test",),
    subset: str = "",
) -> dict[str, np.ndarray]:
    """Method -> confusion matrix of its scored test clips, seeds summed; none without a run.

    methods: name -> experiment; selections: the first with a finished run is used; subset: "" for
    all clips.
    """
    matrices = {}
    for name, experiment in methods.items():
        loaded = (load_predictions(results, experiment, selection) for selection in selections)
        if predictions := next(filter(None, loaded), None):
            mask = (predictions.subset == subset) | (subset == "")
            matrices[name] = confusion_of(predictions.of_clips(mask))
    return matrices


def row_name(row: TableRow) -> str:
    """The name of a row in a figure."""
    if "tested" in row.label:
        return "{method}: {trained} → {tested}".format(**row.label)
    return next(iter(row.label.values()))


def interval_points(rows: Sequence[TableRow], loaded: Sequence[Predictions | None]) -> pd.DataFrame:
    """Points of a figure of intervals: name, value, low, high, paper, paper_std, in percent.

    rows and their predictions, in the same order; rows without predictions are left out.
    """
    points = []
    for row, p in zip(rows, loaded, strict=True):
        if p is not None:
            scores = [p.task.mean_scores(p.label, each, p.subset)["score"] for each in p.predicted]
            paper = (row.published.score, row.published.score_std) if row.published else ()
            paper = [np.nan if value is None else value for value in (*paper, None, None)][:2]
            points.append((row_name(row), np.mean(scores), *score_interval(p), *paper))
    return pd.DataFrame(points, columns=["name", "value", "low", "high", "paper", "paper_std"])


def sweep_points(
    rows: Sequence[TableRow], results: pd.DataFrame, chosen: str, metric: str = "score"
) -> pd.DataFrame:
    """Points of a sweep: setting, value, chosen, seed and metric of every test-selected run.

    rows: labelled with parameter and value (as printed, in order); chosen: the experiment with the
    chosen values.
    """
    points = []
    for row in rows:
        name = row.experiment.name
        for run in _finished(results, name, "test").itertuples():
            setting, value = row.label["parameter"], row.label["value"]
            points.append((setting, value, name == chosen, run.seed, getattr(run, metric)))
    return pd.DataFrame(points, columns=["setting", "value", "chosen", "seed", metric])
