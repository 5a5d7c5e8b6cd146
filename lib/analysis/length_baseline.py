"""Baseline: what the duration of an annotated event tells of its class, without its sound."""

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from lib.evaluation import bootstrap, tasks

TASKS = ("1-1", "1-2")  # of events; records are all about equally long


def length_scores(events: pd.DataFrame) -> pd.DataFrame:
    """Return SPRSound's scores (percent) from the duration alone, a row for each task.

    events: split, subset, patient, start, end (s), 1-1 and 1-2. A decision tree with a leaf for
    each class (classes weighted alike) sees the training events only. Columns: task, cuts
    (seconds), sp, se, score (means over inter and intra), low, high (95% interval over patients),
    and the Score of each test subset under its name. No row without training events.
    """
    if not (events.split == "train").any():
        return pd.DataFrame(columns=["task", "cuts", "sp", "se", "score", "low", "high"])
    return pd.DataFrame([_scores(events, name) for name in TASKS])


def _scores(events: pd.DataFrame, name: str) -> dict[str, object]:
    task = tasks.get_task(name)
    seconds = (events.end - events.start).to_numpy()[:, None]
    codes = task.encode(events[name])
    train = (events.split == "train").to_numpy()
    tree = DecisionTreeClassifier(
        max_leaf_nodes=len(task.classes), class_weight="balanced", random_state=0
    ).fit(seconds[train], codes[train])
    label, predicted = codes[~train], tree.predict(seconds[~train])
    subset, patient = (events[key].to_numpy(dtype=str)[~train] for key in ("subset", "patient"))
    means = task.mean_scores(label, predicted, subset)
    settings = {"task": task, "subset": subset}
    low, high = bootstrap.patient_bootstrap(label, predicted, patient, **settings)["score"]
    by_subset = task.scores(task.matrices(label, predicted, subset))["score"]
    cuts = np.sort(tree.tree_.threshold[tree.tree_.feature >= 0])
    scores = {metric: float(means[metric]) for metric in ("sp", "se", "score")}
    scores |= dict(zip(np.unique(subset), by_subset, strict=True))
    return {"task": name, "cuts": cuts, **scores, "low": low, "high": high}
