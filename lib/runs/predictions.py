"""What the kept predictions of finished runs say: intervals, paired differences, confusions.

`results` is the table of `lib.runs.results.of`: one row per (experiment, seed, selection).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib.errors import UserError
from lib.evaluation import bootstrap, scores, tasks
from lib.evaluation.metrics import confusion
from lib.evaluation.tasks import Labelling
from lib.row import Row
from lib.runs import folder


@dataclass(frozen=True)
class Answers:
    """One experiment's answers on a scored set; every seed answers the same clips."""

    label: np.ndarray  # (clips,)
    seeds: tuple[int, ...]
    predicted: np.ndarray  # (seeds, clips)
    patient: np.ndarray  # (clips,)
    device: np.ndarray  # (clips,)
    cycle: np.ndarray  # (clips,) "recording:cycle"
    part: np.ndarray  # (clips,) SPRSound's inter, intra or 2023, else one
    labelling: Labelling


def of(results: pd.DataFrame, experiment: str, selection: str = "test") -> Answers | None:
    """Test answers of an experiment's finished runs, seeds in order; None if there are none.

    Raises `UserError` where two runs did not answer the same clips.
    """
    at = (results.experiment == experiment) & (results.selection == selection)
    return of_runs(results[at & (results.status == "done")].sort_values("seed"))


def of_runs(done: pd.DataFrame) -> Answers | None:
    """As `of`, of finished rows of `results`, one for each seed, each at its own selection."""
    if done.empty:
        return None
    kept = [folder.predictions(Path(path)) for path in done.path]
    first = {key: kept[0][f"test/{key}"] for key in ("label", "patient", "device", "cycle")}
    part = scores.kept_parts(kept[0], "test")
    labelling = tasks.get(folder.read_started(Path(done.path.iloc[0]))["experiment"]["task"])
    for path, arrays in zip(done.path, kept, strict=True):
        if not np.array_equal(arrays["test/cycle"], first["cycle"]):
            raise UserError(f"{path}: answers other clips than {done.path.iloc[0]}; delete one")
    pairs = zip(done.selection, kept, strict=True)
    predicted = np.stack([arrays[f"{one}/test/logits"].argmax(1) for one, arrays in pairs])
    seeds = tuple(done.seed.astype(int))
    return Answers(seeds=seeds, predicted=predicted, part=part, labelling=labelling, **first)


def interval(answers: Answers, metric: str = "score") -> tuple[float, float]:
    """95% patient-bootstrap interval of the mean over seeds, in percent."""
    a = answers
    how = {"labelling": a.labelling, "part": a.part}
    return bootstrap.patient_bootstrap(a.label, a.predicted, a.patient, **how)[metric]


def difference(a: Answers, b: Answers, metric: str = "score") -> tuple[float, float, float]:
    """a - b in points with its 95% paired patient-bootstrap interval: difference, low, high.

    Of the seeds that both have. Raises `UserError` where that is none, or where the two did not
    answer the same clips.
    """
    if not np.array_equal(a.cycle, b.cycle):
        raise UserError("a paired comparison needs the same test clips; run both on one store")
    both = [seed for seed in a.seeds if seed in b.seeds]
    if not both:
        raise UserError("a paired comparison needs the same seeds; run both with one")
    said = [one.predicted[[one.seeds.index(seed) for seed in both]] for one in (a, b)]
    how = {"metric": metric, "labelling": a.labelling, "part": a.part}
    return bootstrap.paired_bootstrap(a.label, *said, a.patient, **how)


def comparable(a: Answers | None, b: Answers | None) -> bool:
    """Whether `difference` can compare the two."""
    return a is not None and b is not None and bool(set(a.seeds) & set(b.seeds))


def confusions(answers: Answers) -> np.ndarray:
    """Confusion matrix summed over the seeds, (n, n), rows are the truth; of clips that count."""
    n, at = len(answers.labelling.classes), tasks.counted(answers.part)
    return sum(confusion(answers.label[at], seed[at], n) for seed in answers.predicted)


def sweep(
    rows: Sequence[Row], results: pd.DataFrame, chosen: str, metric: str = "score"
) -> pd.DataFrame:
    """Points of a sweep: setting, value, chosen, seed and metric of every finished "test" run.

    rows: labelled with parameter and value (as printed, in order); chosen: the experiment that has
    the chosen values.
    """
    done = results[(results.selection == "test") & (results.status == "done")]
    points = []
    for row in rows:
        for run in done[done.experiment == row.experiment].itertuples():
            setting, value = row.label["parameter"], row.label["value"]
            number = getattr(run, metric)
            points.append((setting, value, row.experiment == chosen, run.seed, number))
    return pd.DataFrame(points, columns=["setting", "value", "chosen", "seed", metric])
