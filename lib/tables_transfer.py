"""ICBHI's four classes on both data sets: the methods on SPRSound, and transfer; in percent."""

import math

import pandas as pd

from lib import answers, rows, stats
from lib.answers import Answers
from lib.rows import Row

NONE = "–"
SELECTIONS = ("validation", "last")  # the epoch whose weights a run keeps: the first that it has
METRICS = {"Sp": "sp", "Se": "se", "Score": "score"}


def methods(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each of Patch-Mix's methods on SPRSound's events; all-normal row last.

    Scores are means over the inter and intra parts. Gain: Score less that of fine-tuning, with a
    paired 95% interval over patients.
    """
    _, plain = kept(results, rows.CHILDREN[0])
    lines = []
    for row in rows.CHILDREN:
        selection, found = kept(results, row)
        line = {"Method": row.label["method"]} | _numbers(results, row, selection, found)
        line["Gain"] = NONE if row is rows.CHILDREN[0] else _difference(found, plain)
        lines.append(line | _origin(results, row, selection, found))
    return _with_normal(lines)


def compare(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each method, data trained on and data tested on; all-normal row last.

    Scores of SPRSound are means over its inter and intra parts. Loss: Score less that of the same
    method trained on the data set tested on, with a paired 95% interval over its patients.
    """
    lines = []
    for row in rows.TRANSFER:
        selection, found = kept(results, row)
        line = {
            "Method": row.label["method"],
            "Trained on": row.label["trained"],
            "Tested on": row.label["tested"],
        }
        line |= _numbers(results, row, selection, found) | {"Loss": _loss(results, row, found)}
        lines.append(line | _origin(results, row, selection, found))
    return _with_normal(lines)


def points(results: pd.DataFrame) -> pd.DataFrame:
    """The finished rows for `lib.plots.intervals`: name, value, low, high; nothing is published."""
    lines = []
    for row in rows.TRANSFER:
        selection, found = kept(results, row)
        if found is None:
            continue
        runs = _runs(results, row, selection)
        name = "{method}: {trained} → {tested}".format(**row.label)
        low, high = answers.interval(found)
        value = runs[runs.status == "done"].score.mean()
        lines.append((name, value, low, high, math.nan, math.nan))
    return pd.DataFrame(lines, columns=["name", "value", "low", "high", "paper", "paper_std"])


def kept(results: pd.DataFrame, row: Row) -> tuple[str, Answers | None]:
    """How the epoch of the kept weights was chosen, and what it answered; None: no finished run.

    Where no epoch has Se > 5 on held-out patients, the last one's weights are kept.
    """
    for selection in SELECTIONS:
        found = answers.of(results, row.experiment, selection)
        if found is not None:
            return selection, found
    return SELECTIONS[0], None


def _loss(results: pd.DataFrame, row: Row, found: Answers | None) -> str:
    if row.label["trained"] == row.label["tested"]:
        return NONE
    home = row.label | {"trained": row.label["tested"]}
    _, base = kept(results, next(one for one in rows.TRANSFER if one.label == home))
    return _difference(found, base)


def _numbers(
    results: pd.DataFrame, row: Row, selection: str, found: Answers | None
) -> dict[str, str]:
    done = _runs(results, row, selection)
    done = done[done.status == "done"]
    numbers = {name: _spread(done, metric) for name, metric in METRICS.items()}
    return numbers | {"95% interval": _range(answers.interval(found)) if found else NONE}


def _origin(
    results: pd.DataFrame, row: Row, selection: str, found: Answers | None
) -> dict[str, str]:
    """Who chose the epoch and what the runs were made with: the end of a line."""
    runs = _runs(results, row, selection)
    done = runs[runs.status == "done"]
    return {
        "Epoch chosen by": selection if found else NONE,
        "Runs": _words(run[-8:] for run in done.run),
        "Test data": _words(done.data),
        "Weights": _words(done.weights),
        "Setting": _words(done.setting),
        "Status": _status(runs),
    }


def _with_normal(lines: list[dict[str, str]]) -> pd.DataFrame:
    normal = {"Method": "always “normal”", "Sp": "100.00", "Se": "0.00", "Score": "50.00"}
    return pd.DataFrame([*lines, normal | {"Status": "by definition"}]).fillna(NONE)


def _difference(found: Answers | None, base: Answers | None) -> str:
    if found is None or base is None:
        return "not run"
    difference, low, high = answers.difference(found, base)
    return f"{difference:+.2f} ({low:+.2f} to {high:+.2f})"


def _runs(results: pd.DataFrame, row: Row, selection: str) -> pd.DataFrame:
    at = (results.experiment == row.experiment) & (results.selection == selection)
    return results[at].sort_values("seed")


def _spread(done: pd.DataFrame, metric: str) -> str:
    mean, std, n = stats.mean_std(done[metric])
    return "not run" if not n else f"{mean:.2f} (1)" if n == 1 else f"{mean:.2f} ± {std:.2f} ({n})"


def _range(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.2f} to {pair[1]:.2f}"


def _status(runs: pd.DataFrame) -> str:
    if runs.empty:
        return "not run: not asked for"
    return _words(
        (runs.status + ": " + runs.reason.astype(object).fillna("")).str.removesuffix(": ")
    )


def _words(values) -> str:  # noqa: ANN001  any iterable
    return "; ".join(dict.fromkeys(str(v) for v in values if not pd.isna(v) and str(v))) or NONE
