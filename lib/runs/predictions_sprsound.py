"""What the kept answers of SPRSound's runs say: by part of the test, on held-out clips, embedded.

`results` is the table of `lib.runs.results.of`; numbers are Scores from 0 to 1, as the challenge prints.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib.analysis import embedding
from lib.evaluation import tasks
from lib.paper_sprsound import TASKS
from lib.runs import folder, predictions
from lib.runs.predictions import Answers

PARTS = tasks.SCORED
TUNED = "resnet18_supcon/mixup"  # the paper's final method, but for what Tune found


def done(results: pd.DataFrame, experiment: str | None, selection: str) -> pd.DataFrame:
    """The finished runs of an experiment at one selection, seeds in order."""
    found = results[(results.experiment == experiment) & (results.selection == selection)]
    return found[found.status == "done"].sort_values("seed")


def scores(
    results: pd.DataFrame, experiment: str | None, selection: str, of: str = "test",
    metric: str = "score",
) -> list[float]:  # fmt: skip
    """One number for each finished run, in [0, 1].

    of: test (mean of inter and intra), one part of the test, validation or train; runs that did not
    keep it are left out.
    """
    found = []
    for path in done(results, experiment, selection).path:
        chosen = folder.read(Path(path))["selections"][selection]
        parts = chosen["test"].get("parts", {})
        kept = [parts[name] for name in (PARTS if of == "test" else (of,)) if name in parts]
        if not kept:
            kept = [chosen[of]] if of in chosen else []
        found += [float(np.mean([one[metric] for one in kept])) / 100] if kept else []
    return found


def of(
    results: pd.DataFrame, experiment: str | None, selection: str, parts: tuple[str, ...] = PARTS
) -> Answers | None:
    """Test answers of an experiment in some parts of the test; None if it has no finished run."""
    found = predictions.of(results, experiment, selection) if experiment else None
    if found is None or not np.isin(found.part, parts).any():
        return found
    return _some(found, np.isin(found.part, parts))


def held_out(results: pd.DataFrame, experiment: str, selection: str) -> Answers | None:
    """Answers on held-out clips, all seeds' one after another: each seed holds out other patients.

    None where no run is finished or kept them.
    """
    found = []
    for path in done(results, experiment, selection).path:
        arrays = folder.predictions(Path(path))
        if f"{selection}/validation/logits" in arrays:
            found.append(arrays)
    if not found:
        return None
    joined = {
        key: np.concatenate([arrays[f"validation/{key}"] for arrays in found])
        for key in ("label", "patient", "device", "cycle")
    }
    said = [arrays[f"{selection}/validation/logits"].argmax(1) for arrays in found]
    task = folder.read(Path(path))["experiment"]["task"]
    return Answers(
        seeds=(0,),  # one row: each seed held out other patients
        predicted=np.concatenate(said)[None],
        part=np.zeros(len(joined["label"]), dtype=str),
        labelling=tasks.get(task),
        **joined,
    )


def confusions(results: pd.DataFrame, method: str = TUNED, part: str = "inter") -> dict:
    """Figure 3: task -> confusion matrix in one part of the test, seeds summed, and its classes.

    The epoch is the one chosen on held-out patients, the last where none qualifies; tasks without
    a finished run are left out.
    """
    found = {}
    for task in TASKS:
        name = f"{method}@{task}"
        both = (of(results, name, selection, (part,)) for selection in ("validation", "last"))
        one = next((found for found in both if found is not None), None)
        if one is not None:
            found[task] = predictions.confusions(one), one.labelling.classes
    return found


def embeddings(results: pd.DataFrame, method: str = TUNED) -> dict[str, pd.DataFrame]:
    """Figure 2: task -> t-SNE of the held-out clips of the first seed: x, y, class, patient."""
    found = {}
    for task in TASKS:
        kept = _embedded(results, f"{method}@{task}")
        if kept is None:
            continue
        classes = np.array(tasks.get(task).classes)
        table = pd.DataFrame(embedding.tsne(kept["z"]), columns=["x", "y"])
        found[task] = table.assign(patient=kept["patient"], **{"class": classes[kept["label"]]})
    return found


def _embedded(results: pd.DataFrame, experiment: str) -> dict[str, np.ndarray] | None:
    """z (N, D), label and patient of the held-out clips, whichever selection kept them."""
    kept = results[(results.experiment == experiment) & results.path.notna()].sort_values("seed")
    for path in kept.path.unique()[:1]:
        arrays = folder.predictions(Path(path))
        for key, z in arrays.items():
            if key.endswith("/validation/embedding"):
                who = {name: arrays[f"validation/{name}"] for name in ("label", "patient")}
                return {"z": z.astype(np.float32), **who}
    return None


def _some(found: Answers, kept: np.ndarray) -> Answers:
    names = ("label", "patient", "device", "cycle", "part")
    fewer = {name: getattr(found, name)[kept] for name in names}
    return replace(found, predicted=found.predicted[:, kept], **fewer)
