"""What the length of a marked event tells of its class, before anything is heard."""

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from lib.evaluation import bootstrap, tasks
from lib.paper_sprsound import TASK_NAMES
from lib.tables import format

TASKS = ("1-1", "1-2")  # of events; records are all about equally long


def length_scores(events: pd.DataFrame) -> pd.DataFrame:
    """SPRSound's Score from the length alone, by task: a tree with a leaf for each class.

    events: split, part, patient, start, end (s), 1-1 and 1-2. The tree (scikit-learn, classes
    weighted alike) sees the training events alone; the Score is the mean over inter and intra, its
    95% interval over their patients.
    """
    return pd.DataFrame([_line(events, task) for task in TASKS])


def _line(events: pd.DataFrame, task: str) -> dict[str, str]:
    labelling = tasks.get(task)
    seconds = (events.end - events.start).to_numpy()[:, None]
    coded = labelling.codes(events[task])
    train = (events.split == "train").to_numpy()
    tree = DecisionTreeClassifier(
        max_leaf_nodes=len(labelling.classes), class_weight="balanced", random_state=0
    ).fit(seconds[train], coded[train])
    said, label = tree.predict(seconds[~train]), coded[~train]
    part, patient = (events[key].to_numpy(dtype=str)[~train] for key in ("part", "patient"))
    found = labelling.mean_scores(label, said, part)
    how = {"labelling": labelling, "part": part}
    low, high = bootstrap.patient_bootstrap(label, said, patient, **how)["score"]
    matrices = labelling.matrices(label, said, part)
    by_part = zip(np.unique(part), labelling.scores(matrices)["score"], strict=True)
    cuts = np.sort(tree.tree_.threshold[tree.tree_.feature >= 0])
    return {
        "Task": TASK_NAMES[task],
        "Cut at (s)": ", ".join(f"{cut:.2f}" for cut in cuts),
        **{name: f"{score / 100:.3f}" for name, score in by_part},
        "Mean": f"{found['score'] / 100:.3f}",
        "95% interval": format.format_interval(low / 100, high / 100, ".3f"),
        "SP": f"{found['sp'] / 100:.3f}",
        "SE": f"{found['se'] / 100:.3f}",
    }
