"""ICBHI's four classes on both data sets: the methods on SPRSound, and transfer; in percent."""

import math
from collections.abc import Sequence

import pandas as pd

from lib import rows
from lib.row import Row
from lib.runs import predictions
from lib.tables.format import (
    MISSING,
    effect,
    format_interval,
    format_mean_std,
    join_unique,
    status_text,
)

COLUMNS = {"method": "Method", "trained": "Trained on", "tested": "Tested on"}
SELECTIONS = ("validation", "last")  # the epoch whose weights a run keeps: the first that it has
METRICS = {"Sp": "sp", "Se": "se", "Score": "score"}


def methods(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each of Patch-Mix's methods on SPRSound's events; all-normal row last.

    Scores are means over the inter and intra parts. Gain: Score less that of fine-tuning, with a
    paired 95% interval over patients, of the seeds that both have.
    """
    first, *others = rows.CHILDREN
    bases = {first.key: None} | {row.key: first for row in others}
    return _table(results, rows.CHILDREN, "Gain", bases)


def compare(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each method, data trained on and data tested on; all-normal row last.

    Scores of SPRSound are means over its inter and intra parts. Change: Score less that of the same
    method trained on the data set tested on, with a paired 95% interval over its patients, of the
    seeds that both have.
    """
    return _table(results, rows.TRANSFER, "Change", {row.key: _home(row) for row in rows.TRANSFER})


def interval_points(results: pd.DataFrame) -> pd.DataFrame:
    """The finished rows for `lib.plots.results.intervals`: name, value, low, high; nothing is published."""
    lines = []
    for row in rows.TRANSFER:
        done = selected_runs(results, row)
        if done.empty:
            continue
        name = "{method}: {trained} → {tested}".format(**row.label)
        low, high = predictions.interval(predictions.of_runs(done))
        lines.append((name, done.score.mean(), low, high, math.nan, math.nan))
    return pd.DataFrame(lines, columns=["name", "value", "low", "high", "paper", "paper_std"])


def selected_runs(results: pd.DataFrame, row: Row) -> pd.DataFrame:
    """The finished runs of a row at the epoch of their kept weights, one for each seed.

    It was chosen on held-out patients; where no epoch has Se > 5 on those, it is the last one.
    """
    at = (results.experiment == row.experiment) & (results.status == "done")
    found = results[at & results.selection.isin(SELECTIONS)]
    order = found.selection.map(SELECTIONS.index)
    found = found.assign(order=order).sort_values(["seed", "order"])
    return found.drop_duplicates("seed").drop(columns="order")


def _home(row: Row) -> Row | None:
    """The row of the same method trained on the data set that this one is tested on, if another."""
    if row.label["trained"] == row.label["tested"]:
        return None
    label = row.label | {"trained": row.label["tested"]}
    return next(one for one in rows.TRANSFER if one.label == label)


def _table(
    results: pd.DataFrame, of: Sequence[Row], column: str, bases: dict[str, Row | None]
) -> pd.DataFrame:
    """A line for each row, its difference to a base; always “normal” last."""
    lines = []
    for row in of:
        done, base = selected_runs(results, row), bases[row.key]
        line = {COLUMNS[name]: value for name, value in row.label.items()}
        line |= _numbers(results, row, done)
        line[column] = MISSING
        if base:
            line[column] = effect(*map(predictions.of_runs, (done, selected_runs(results, base))))
        lines.append(line | _origin(results, row, done))
    normal = {"Method": "always “normal”", "Sp": "100.00", "Se": "0.00", "Score": "50.00"}
    return pd.DataFrame([*lines, normal | {"Status": "by definition"}]).fillna(MISSING)


def _numbers(results: pd.DataFrame, row: Row, done: pd.DataFrame) -> dict[str, str]:
    if done.empty:
        status = results[results.experiment == row.experiment].status
        return dict.fromkeys(METRICS, join_unique(status, "not run")) | {"95% interval": MISSING}
    numbers = {name: format_mean_std(done[metric]) for name, metric in METRICS.items()}
    return numbers | {
        "95% interval": format_interval(*predictions.interval(predictions.of_runs(done)))
    }


def _origin(results: pd.DataFrame, row: Row, done: pd.DataFrame) -> dict[str, str]:
    """Who chose the epoch and what the runs were made with: the end of a line."""
    others = results[(results.experiment == row.experiment) & ~results.seed.isin(done.seed)]
    states = [*(["done"] if len(done) else []), *status_text(others)]
    return {
        "Epoch chosen by": join_unique(done.selection),
        "Runs": join_unique(run[-8:] for run in done.run),
        "Test data": join_unique(done.data),
        "Weights": join_unique(done.weights),
        "Setting": join_unique(done.setting),
        "Status": join_unique(states, "not run: not asked for"),
    }
