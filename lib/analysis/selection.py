"""What it is worth to select the epoch on the test set, over all runs that are here."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lib.errors import UserError
from lib.runs.folder import published_root, read_record, read_spec

COLUMNS = ["dataset", "task", "run", "validation", "last", "test"]


def selection_scores(root: Path | None = None) -> pd.DataFrame:
    """One row for each published record: dataset, task, run, and its Score by selection rule.

    validation, last, test: percent of the same test set. Runs without one of the rules, probes
    (which have one epoch) and damaged records are left out.
    """
    folders = sorted((root or published_root()).glob("*/result.json"))
    rows = [row for path in folders for row in _scores(path.parent)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _scores(folder: Path) -> Iterable[tuple]:
    try:
        experiment, record = read_spec(folder).experiment, read_record(folder)
        selected = [record["selections"][rule] for rule in COLUMNS[3:]]
        if all(selected) and experiment.epochs > 1 and experiment.method != "probe":
            scores = (one["test"]["score"] for one in selected)
            yield experiment.dataset, experiment.task, folder.name, *scores
    except (UserError, KeyError, TypeError):  # `verify` names it
        return


def selection_prices(scores: pd.DataFrame) -> pd.DataFrame:
    """One row for each dataset and task: runs, and what a rule loses against the test set.

    validation, last: mean of the test-selected Score minus the rule's, in points; worst: the
    largest difference to validation.
    """
    gaps = scores.assign(
        validation=scores.test - scores.validation, last=scores.test - scores["last"]
    )
    gaps = gaps.assign(worst=gaps.validation)
    grouped = gaps.groupby(["dataset", "task"], sort=True)
    means = grouped.agg(
        runs=("run", "size"), validation=("validation", "mean"), last=("last", "mean"),
        worst=("worst", "max"),
    )  # fmt: skip
    return means.reset_index()
