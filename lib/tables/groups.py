"""Scores by stethoscope, age and sex of the patients, and the worst group of each."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from lib.data import DATASETS
from lib.data.annotations import AGES, group_clips, load_annotations
from lib.evaluation.conformal import FEWEST_PATIENTS
from lib.evaluation.scores import cycle_ids
from lib.evaluation.tasks import scored_mask
from lib.papers.table_row import TableRow
from lib.runs.predictions import Predictions
from lib.tables.compare import NAMES, label_cells
from lib.tables.format import MISSING
from lib.tables.reliability import load_runs
from lib.tables.transfer import numbers_of_clips

GROUPS = ("device", "age", "sex")


def _groups(
    rows: Sequence[TableRow], results: pd.DataFrame
) -> Iterator[tuple[dict[str, str], Predictions | None, dict[str, np.ndarray]]]:
    """Label, predictions of all seeds, and device, age and sex of their clips (N,), by test set.

    SPRSound's test2023 is left out, and inter and intra are one.
    """
    for row in rows:
        label = {key: text for key, text in label_cells(row).items() if key != "Row"}
        runs = load_runs(row, results)
        for name in runs[0].datasets if runs else ():
            by_seed = [run.datasets[name] for run in runs]
            joined = {key: np.concatenate([getattr(p, key) for p in by_seed])
                      for key in ("predicted", "probabilities")}  # fmt: skip
            p = replace(by_seed[0], seeds=tuple(range(len(runs))), **joined)
            p = p.of_clips(scored_mask(p.subset))
            clips = load_annotations(name).assign(cycle_id=lambda t: cycle_ids(t))
            clips = clips.set_index("cycle_id").reindex(p.cycle).assign(device=p.device)
            values = group_clips(clips.fillna({"sex": "", "site": ""}))
            tested = label | {"Tested on": DATASETS[name].short_title}
            yield tested, replace(p, subset=np.full(len(p.label), "")), values
        if not runs:
            yield label | {"Tested on": "not run"}, None, {}


def _masks(values: np.ndarray) -> dict[str, np.ndarray]:
    """The clips (N,) of each group, ages in order; none if there is one group alone."""
    names = sorted(set(values), key=[*AGES, *sorted(set(values))].index)
    return {str(name): values == name for name in names} if len(names) > 1 else {}


def groups_table(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """Sizes, Sp, Se, Score (percent) and AUROC by device, age and sex, mean ± std over seeds."""
    lines = []
    for label, p, values in _groups(rows, results):
        for by in GROUPS if p else ():
            for name, mask in _masks(values[by]).items():
                numbers = numbers_of_clips(p.of_clips(mask))
                lines.append(label | {"Group": f"{by} {name}"} | numbers)
        if p is None:
            lines.append(label)
    return pd.DataFrame(lines, dtype=object).fillna(MISSING)


def worst_table(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """The Score (percent) of all clips, and the groups with the lowest one, with their Sp and Se.

    Groups of fewer than five patients, or whose age or sex is unknown, do not count.
    """
    lines = []
    for label, p, values in _groups(rows, results):
        if p:
            label = label | {"Score": numbers_of_clips(p)["Score"]}
            label |= {f"Worst {by}": _worst(p, values[by]) for by in GROUPS}
        lines.append(label)
    return pd.DataFrame(lines, dtype=object).fillna(MISSING)


def _worst(p: Predictions, values: np.ndarray) -> str:
    found = []
    for name, mask in _masks(values).items():
        part = p.of_clips(mask)
        scores = [p.task.mean_scores(part.label, each, part.subset) for each in part.predicted]
        sp, se, score = (np.mean([each[key.lower()] for each in scores]) for key in NAMES)
        enough = len(np.unique(part.patient)) >= FEWEST_PATIENTS
        if name != "unknown" and enough and not np.isnan(score):
            found.append((score, f"{name}: {score:.2f} (Sp {sp:.2f}, Se {se:.2f})"))
    return min(found)[1] if found else MISSING
