"""Every number about a submission: Scores by definition, intervals, groups, calibration."""

from dataclasses import dataclass

import numpy as np

from lib.data import icbhi
from lib.data.annotations import AGES, group_clips
from lib.evaluation import bootstrap, metrics
from lib.evaluation.auroc import auroc, counted_mask, log_odds
from lib.evaluation.calibration import brier_score, calibration_error
from lib.evaluation.metrics import Scores
from lib.evaluation.tasks import Task, scored_mask
from lib.score import stored
from lib.score.submission import Submission

COLLAPSED = "two collapsed classes"
DISJOINT = f"without patients {' and '.join(icbhi.OVERLAPPING_PATIENTS)}"
OWN_CLASS = "Sp = normal called normal; Se = abnormal given their own class; Score = their mean"
CHALLENGE = "SP, SE as named; AS = their mean, HS = their harmonic mean; Score = mean of AS and HS"
ANY_CLASS = "the same predictions of all classes; any abnormal class counts for Se"
MACRO = "mean over all classes of one-against-rest Sp and Se; normal is a class as the others"


class CollapsedTask(Task):
    """A task whose abnormal classes count as one."""

    def scores(self, matrix: np.ndarray) -> Scores:
        """Scores in percent of confusion matrices of all classes (..., n, n) -> (...)."""
        scores = metrics.scores(matrix, [self.classes.index(name) for name in self.ignored])
        collapsed = {"sp": scores["sp"], "se": scores["se_binary"], "score": scores["score_binary"]}
        return metrics.challenge_scores(collapsed) if self.challenge else collapsed


class MacroTask(Task):
    """A task scored by macro-averages."""

    def scores(self, matrix: np.ndarray) -> Scores:
        """Macro-averages in percent of confusion matrices (..., n, n) -> (...)."""
        return metrics.macro_scores(matrix, [self.classes.index(name) for name in self.ignored])


@dataclass(frozen=True)
class Definition:
    """A way to make a Score of predictions."""

    name: str
    about: str
    task: Task


def definitions(task: Task) -> list[Definition]:
    """Return the definitions of the Score that people use on a task, its own one first."""
    arguments = (task.classes, task.ignored, task.challenge)
    counted = len(task.classes) - len(task.ignored)
    name = {4: "four classes", 2: "two classes"}.get(counted, f"{counted} classes")
    found = [Definition(name, CHALLENGE if task.challenge else OWN_CLASS, task)]
    if counted > 2:
        found.append(Definition(COLLAPSED, ANY_CLASS, CollapsedTask(*arguments)))
    return [*found, Definition("macro", MACRO, MacroTask(*arguments))]


def score(submission: Submission, selected_on: str = "", compare: bool = True) -> dict:
    """Return all numbers of a submission, ready for JSON; Scores in percent, NaN where undefined.

    selected_on: what chose the epoch or threshold (test, validation, last), as its author says.
    compare: with the stored runs, selected by the same rule, or on validation if none is named.
    """
    s = submission
    rule = selected_on or "validation"
    return {
        "file": s.path.name, "dataset": s.dataset, "task": s.task_name, "test_set": s.test_set,
        "clips": len(s.clips), "patients": int(s.clips.patient.nunique()), "given": s.given,
        "selected_on": selected_on or "not stated", "notes": list(s.notes),
        "scores": _by_definition(s), "always_normal": stored.always_normal(s),
        "subsets": _by_group(s, s.subset, np.ones(len(s.label), dtype=bool)),
        "auroc": _auroc(s), "calibration": _calibration(s), "confusion": _confusion(s),
        "groups": {
            name: _by_group(s, values, scored_mask(s.subset))
            for name, values in group_clips(s.clips).items()
        },
        "stored_runs": stored.differences(s, rule) if compare else [],
    }  # fmt: skip


def _by_definition(s: Submission) -> list[dict]:
    masks = {"": np.ones(len(s.label), dtype=bool)}
    disjoint = ~s.clips.patient.isin(icbhi.OVERLAPPING_PATIENTS).to_numpy()
    if s.dataset == "icbhi" and not disjoint.all():
        masks[DISJOINT] = disjoint
    return [
        {"definition": each.name, "clips": clips, "about": each.about} | _scores(s, each.task, mask)
        for clips, mask in masks.items()
        for each in definitions(s.task)
    ]


def _scores(s: Submission, task: Task, mask: np.ndarray) -> dict:
    """Every metric of the clips in a mask (N,), and its interval over patients."""
    arrays = s.label[mask], s.predicted[mask]
    patient, subset = s.clips.patient.to_numpy()[mask], s.subset[mask]
    intervals = bootstrap.patient_bootstrap(*arrays, patient, task, subset)
    means = task.mean_scores(*arrays, subset)
    return {
        metric: {"value": float(value), "low": intervals[metric][0], "high": intervals[metric][1]}
        for metric, value in means.items()
        if not metric.endswith("_binary")  # a definition of its own
    }


def _by_group(s: Submission, values: np.ndarray, counted: np.ndarray) -> list[dict]:
    """The task's own scores of each group of the clips that count (N,), pooled over subsets.

    None if there is one group alone.
    """
    lines = []
    names = set(values[counted])
    for name in sorted(names, key=[*AGES, *sorted(names)].index):
        mask = counted & (values == name)
        scores = s.task.scores(s.task.matrices(s.label[mask], s.predicted[mask]))
        numbers = {key: float(x) for key, x in scores.items() if not key.endswith("_binary")}
        patients = int(s.clips.patient[mask].nunique())
        lines.append({"group": str(name), "clips": int(mask.sum()), "patients": patients} | numbers)
    return lines if len(lines) > 1 else []


def _confusion(s: Submission) -> dict:
    mask = scored_mask(s.subset)
    matrix = s.task.matrices(s.label[mask], s.predicted[mask])
    return {"classes": list(s.task.classes), "matrix": matrix.tolist()}


def _auroc(s: Submission) -> dict | None:
    """AUROC of abnormal against normal clips; ignored classes are left out."""
    if s.values is None:
        return None
    mask = counted_mask(s.label, s.subset, s.task)
    if s.given == "logits":
        ratio = log_odds(s.values[mask], s.task)
    else:
        columns = [s.task.classes.index(name) for name in s.task.classes[1:]
                   if name not in s.task.ignored]  # fmt: skip
        normal, abnormal = s.values[mask, 0], s.values[mask][:, columns]
        total = abnormal.sum(axis=1) + normal  # 0 if an ignored class alone is given
        ratio = np.where(total > 0, abnormal.sum(axis=1) / np.where(total > 0, total, 1), 0.5)
    patient, subset = s.clips.patient.to_numpy()[mask], s.subset[mask]
    value, low, high = auroc(s.label[mask] > 0, ratio, patient, subset)
    return {"value": value, "low": low, "high": high}


def _calibration(s: Submission) -> dict | None:
    if (probabilities := s.probabilities) is None:
        return None
    mask = scored_mask(s.subset)
    probabilities, label = probabilities[mask], s.label[mask]
    return {"ece": calibration_error(probabilities, label),
            "brier": brier_score(probabilities, label)}  # fmt: skip
