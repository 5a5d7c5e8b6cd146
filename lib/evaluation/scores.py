"""The clips of a scored set, who they are of, and every number that a run's answers give."""

from functools import partial

import numpy as np
import pandas as pd

from lib.config import SELECTIONS
from lib.data import icbhi
from lib.evaluation import tasks
from lib.evaluation.tasks import Labelling

ICBHI = tasks.get("icbhi4")


def parts(cycles: pd.DataFrame) -> np.ndarray:
    """The part of a scored set that each clip is of: SPRSound's inter, intra or 2023, else one."""
    return cycles.part.to_numpy(dtype=str) if "part" in cycles else np.zeros(len(cycles), dtype=str)


def kept_parts(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """`parts` of a set whose answers were kept."""
    return arrays.get(f"{name}/part", np.zeros(len(arrays[f"{name}/label"]), dtype=str))


def cycle_ids(cycles: pd.DataFrame) -> np.ndarray:
    """The name of each cycle: recording:cycle."""
    return (cycles.recording + ":" + cycles.cycle.astype(str)).to_numpy(dtype=str)


def describe_set(name: str, cycles: pd.DataFrame, label: np.ndarray) -> dict[str, np.ndarray]:
    """Who is who in a scored set: label, cycle id, patient and device, in the logits' order."""
    known = {f"{name}/part": parts(cycles)} if "part" in cycles else {}
    return known | {
        f"{name}/label": label[cycles.index].astype(np.int8),
        f"{name}/cycle": cycle_ids(cycles),
        f"{name}/patient": cycles.patient.to_numpy(dtype=str),
        f"{name}/device": cycles.device.to_numpy(dtype=str),
    }


def score_selections(
    arrays: dict[str, np.ndarray], epochs: dict[str, int | None], labelling: Labelling = ICBHI
) -> dict:
    """Every number of a result, from predictions alone; None where no epoch qualifies."""
    result = {}
    for selection in SELECTIONS:
        if f"{selection}/test/logits" not in arrays:
            result[selection] = None
            continue
        test = partial(_score, arrays, labelling, selection, "test")
        clean = ~np.isin(arrays["test/patient"], icbhi.OVERLAPPING_PATIENTS)
        result[selection] = {
            "epoch": epochs[selection],
            "test": test(),
            "test_patient_disjoint": test(clean),
        }
        for name in ("train", "validation"):
            if f"{selection}/{name}/logits" in arrays:
                result[selection][name] = _score(arrays, labelling, selection, name)
    return result


def _score(
    arrays: dict[str, np.ndarray],
    labelling: Labelling,
    selection: str,
    name: str,
    kept: np.ndarray | slice = slice(None),
) -> dict:
    label = arrays[f"{name}/label"][kept]
    part = kept_parts(arrays, name)[kept]
    predicted = arrays[f"{selection}/{name}/logits"][kept].argmax(1)
    matrices = labelling.matrices(label, predicted, part)
    names = np.unique(part)
    own = matrices[tasks.counted(names)]
    found = _rounded(own.sum(0), tasks.mean_over_parts(labelling.scores(own)))
    if len(names) > 1:
        pairs = zip(names, matrices, strict=True)
        found["parts"] = {str(one): _rounded(m, labelling.scores(m)) for one, m in pairs}
    return found


def _rounded(matrix: np.ndarray, numbers: dict[str, np.ndarray]) -> dict:
    rounded = {key: round(float(value), 4) for key, value in numbers.items()}
    return {"confusion": matrix.tolist(), **rounded}
