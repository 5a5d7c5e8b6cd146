"""ICBHI's four classes on both data sets: the methods on SPRSound, and transfer; in percent."""

import math
from collections.abc import Iterable

import pandas as pd

from lib import answers, rows, stats
from lib.rows import Row

NONE = "–"
SELECTIONS = ("validation", "last")  # the epoch whose weights a run keeps: the first that it has
METRICS = {"Sp": "sp", "Se": "se", "Score": "score"}


def methods(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each of Patch-Mix's methods on SPRSound's events; all-normal row last.

    Scores are means over the inter and intra parts. Gain: Score less that of fine-tuning, with a
    paired 95% interval over patients, of the seeds that both have.
    """
    first, *_ = rows.CHILDREN
    lines = []
    for row in rows.CHILDREN:
        line = {"Method": row.label["method"]} | _numbers(results, row)
        line["Gain"] = NONE if row is first else _difference(results, row, first)
        lines.append(line | _origin(results, row))
    return _with_normal(lines)


def compare(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each method, data trained on and data tested on; all-normal row last.

    Scores of SPRSound are means over its inter and intra parts. Loss: Score less that of the same
    method trained on the data set tested on, with a paired 95% interval over its patients, of the
    seeds that both have.
    """
    lines = []
    for row in rows.TRANSFER:
        line = {
            "Method": row.label["method"],
            "Trained on": row.label["trained"],
            "Tested on": row.label["tested"],
        }
        line |= _numbers(results, row) | {"Loss": _loss(results, row)}
        lines.append(line | _origin(results, row))
    return _with_normal(lines)


def points(results: pd.DataFrame) -> pd.DataFrame:
    """The finished rows for `lib.plots.intervals`: name, value, low, high; nothing is published."""
    lines = []
    for row in rows.TRANSFER:
        done = kept(results, row)
        if done.empty:
            continue
        name = "{method}: {trained} → {tested}".format(**row.label)
        low, high = answers.interval(answers.of_runs(done))
        lines.append((name, done.score.mean(), low, high, math.nan, math.nan))
    return pd.DataFrame(lines, columns=["name", "value", "low", "high", "paper", "paper_std"])


def kept(results: pd.DataFrame, row: Row) -> pd.DataFrame:
    """The finished runs of a row at the epoch of their kept weights, one for each seed.

    It was chosen on held-out patients; where no epoch has Se > 5 on those, it is the last one.
    """
    at = (results.experiment == row.experiment) & (results.status == "done")
    found = results[at & results.selection.isin(SELECTIONS)]
    order = found.selection.map(SELECTIONS.index)
    found = found.assign(order=order).sort_values(["seed", "order"])
    return found.drop_duplicates("seed").drop(columns="order")


def _loss(results: pd.DataFrame, row: Row) -> str:
    if row.label["trained"] == row.label["tested"]:
        return NONE
    home = row.label | {"trained": row.label["tested"]}
    return _difference(results, row, next(one for one in rows.TRANSFER if one.label == home))


def _numbers(results: pd.DataFrame, row: Row) -> dict[str, str]:
    done = kept(results, row)
    if done.empty:
        status = results[results.experiment == row.experiment].status
        return dict.fromkeys(METRICS, _words(status, "not run")) | {"95% interval": NONE}
    numbers = {name: _spread(done, metric) for name, metric in METRICS.items()}
    low, high = answers.interval(answers.of_runs(done))
    return numbers | {"95% interval": f"{low:.2f} to {high:.2f}"}


def _origin(results: pd.DataFrame, row: Row) -> dict[str, str]:
    """Who chose the epoch and what the runs were made with: the end of a line."""
    done = kept(results, row)
    return {
        "Epoch chosen by": _words(done.selection),
        "Runs": _words(run[-8:] for run in done.run),
        "Test data": _words(done.data),
        "Weights": _words(done.weights),
        "Setting": _words(done.setting),
        "Status": _status(results, row, done),
    }


def _with_normal(lines: list[dict[str, str]]) -> pd.DataFrame:
    normal = {"Method": "always “normal”", "Sp": "100.00", "Se": "0.00", "Score": "50.00"}
    return pd.DataFrame([*lines, normal | {"Status": "by definition"}]).fillna(NONE)


def _difference(results: pd.DataFrame, row: Row, base: Row) -> str:
    pair = [answers.of_runs(kept(results, one)) for one in (row, base)]
    if not answers.comparable(*pair):
        return NONE
    difference, low, high = answers.difference(*pair)
    return f"{difference:+.2f} ({low:+.2f} to {high:+.2f})"


def _spread(done: pd.DataFrame, metric: str) -> str:
    mean, std, n = stats.mean_std(done[metric])
    return f"{mean:.2f} (1)" if n == 1 else f"{mean:.2f} ± {std:.2f} ({n})"


def _status(results: pd.DataFrame, row: Row, done: pd.DataFrame) -> str:
    """ "done", and how the runs of other seeds stand, each with its reason."""
    runs = results[(results.experiment == row.experiment) & ~results.seed.isin(done.seed)]
    reasons = runs.reason.astype(object).fillna("")
    others = (runs.status + ": " + reasons).str.removesuffix(": ")
    return _words([*(["done"] if len(done) else []), *others], "not run: not asked for")


def _words(values: Iterable[object], none: str = NONE) -> str:
    found = dict.fromkeys(str(v) for v in values if not pd.isna(v) and str(v))
    return "; ".join(found) or none
