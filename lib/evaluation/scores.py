"""The arrays of a scored set, and all scores of a run from its predictions."""

import numpy as np
import pandas as pd

from lib.config import SELECTIONS
from lib.data import icbhi
from lib.errors import UserError
from lib.evaluation.tasks import ICBHI4, Task, scored_mask

Arrays = dict[str, np.ndarray]


def subset_names(cycles: pd.DataFrame) -> np.ndarray:
    """The subset (N,) of a scored set that each clip is in: inter, intra, test2023, or ""."""
    return cycles.get("subset", pd.Series("", cycles.index)).to_numpy(dtype=str)


def cycle_ids(cycles: pd.DataFrame) -> np.ndarray:
    """The name of each cycle (N,): recording:cycle."""
    return (cycles.recording + ":" + cycles.cycle.astype(str)).to_numpy(dtype=str)


def describe_set(name: str, cycles: pd.DataFrame, label: np.ndarray) -> Arrays:
    """Label, cycle id, patient, device and subset of a scored set, in the order of its logits.

    label: class indices of all clips; `cycles.index` selects those of the set.
    """
    return {
        f"{name}/label": label[cycles.index].astype(np.int8),
        f"{name}/cycle": cycle_ids(cycles),
        f"{name}/patient": cycles.patient.to_numpy(dtype=str),
        f"{name}/device": cycles.device.to_numpy(dtype=str),
        f"{name}/subset": subset_names(cycles),
    }


def read_subset(arrays: Arrays, name: str) -> np.ndarray:
    """The same of a saved set; older records of ICBHI have none."""
    return arrays.get(f"{name}/subset", np.full(len(arrays[f"{name}/label"]), ""))


def predicted_classes(logits: np.ndarray, name: str) -> np.ndarray:
    """The class indices (N,) of logits (N, n); NaN would count as class 0, a healthy patient.

    Raises `UserError` with the `name` of the logits unless all are finite.
    """
    if broken := int((~np.isfinite(logits)).any(1).sum()):
        raise UserError(
            f"{name}: {broken} of {len(logits)} clips have a logit that is not finite; look for "
            "damaged features or weights, then delete the run"
        )
    return logits.argmax(1)


def score_selections(arrays: Arrays, epochs: dict[str, int | None], task: Task = ICBHI4) -> dict:
    """All scores of a run, from its predictions alone; None for a rule that selects no epoch.

    arrays: those of `describe_set` and <selection>/<set>/logits (N, n). For each selection: epoch,
    the scores of every set, and test_patient_disjoint, without the patients who are on both sides
    of ICBHI's official split. Raises `UserError` if a logit is not finite.
    """
    result = dict.fromkeys(SELECTIONS)
    for selection, name in (key.split("/")[:2] for key in arrays if key.endswith("/logits")):
        scores = result[selection] = result[selection] or {"epoch": epochs[selection]}
        key = f"{selection}/{name}/logits"
        predicted = predicted_classes(arrays[key], key)
        clips = arrays[f"{name}/label"], predicted, read_subset(arrays, name)
        scores[name] = score_predictions(task, *clips)
        if name == "test":
            disjoint = ~np.isin(arrays["test/patient"], icbhi.OVERLAPPING_PATIENTS)
            clips = (array[disjoint] for array in clips)
            scores["test_patient_disjoint"] = score_predictions(task, *clips)
    return result


def score_predictions(
    task: Task, label: np.ndarray, predicted: np.ndarray, subset: np.ndarray
) -> dict:
    """Scores and confusion matrix of one set (N,), and of each subset if there are several."""
    scored, scores = scored_mask(subset), task.mean_scores(label, predicted, subset)
    result = {metric: round(float(value), 4) for metric, value in scores.items()}
    result["confusion"] = task.matrices(label[scored], predicted[scored]).tolist()
    masks = {str(name): subset == name for name in np.unique(subset)}
    if len(masks) > 1:
        result["subsets"] = {
            name: score_predictions(task, label[mask], predicted[mask], subset[mask])
            for name, mask in masks.items()
        }
    return result
