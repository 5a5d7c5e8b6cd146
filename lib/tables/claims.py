"""The paper's claims as differences between two rows, each with an interval over patients."""

import math

import pandas as pd

from lib import paper, rows
from lib.config import SELECTIONS
from lib.row import Row
from lib.runs import predictions
from lib.tables import format

COLUMNS = {"test": "difference", "validation": "honest difference"}


def claims_table(results: dict[str, pd.DataFrame], judge: bool = False) -> pd.DataFrame:
    """One line a claim: the paper's difference in Score, ours with its 95% interval, what it says.

    results: table name -> as `lib.runs.results.of` gives it. judge: whether the profile runs the
    published setting; else there is no verdict. Columns: claim, paper, difference (epoch chosen on
    the test set), honest difference (on held-out patients), honest one says, run with.
    """
    found = {row.key: (row, results[name]) for name in results for row in rows.table(name)}
    return pd.DataFrame([_line(claim, found[a], found[b], judge) for claim, a, b in rows.CLAIMS])


def _line(
    claim: str, a: tuple[Row, pd.DataFrame], b: tuple[Row, pd.DataFrame], judge: bool
) -> dict[str, str]:
    line = {"claim": claim, "paper": "not published"}
    if a[0].paper and b[0].paper:
        line["paper"] = f"{paper.get(a[0].paper).score - paper.get(b[0].paper).score:+.2f}"
    for selection, column in COLUMNS.items():
        pair = [predictions.of(result, row.experiment, selection) for row, result in (a, b)]
        line[column], says = "not run", "not run"
        if predictions.comparable(*pair):
            difference, low, high = predictions.difference(*pair)
            line[column] = format.format_difference(difference, low, high)
            says = _judge(low, high) if judge else "no verdict"
    return line | {"honest one says": says, "run with": _run_with(a, b)}


def _judge(low: float, high: float) -> str:
    if low > 0:
        return "for the claim"
    return "against the claim" if high < 0 else "within chance"


def _run_with(a: tuple[Row, pd.DataFrame], b: tuple[Row, pd.DataFrame]) -> str:
    """Data and weights behind both rows' finished runs, and the first row's setting."""
    runs = [r[(r.experiment == row.experiment) & r.run.notna()] for row, r in (a, b)]
    if any(done.empty for done in runs):
        return "not run"
    both = pd.concat(runs)
    words = [", ".join(both[name].unique()) for name in ("data", "weights")]
    return "; ".join([*words, *runs[0].setting.unique()])


def differences(results: pd.DataFrame) -> pd.DataFrame:
    """Patch-Mix CL minus fine-tuning in points, by selection and number of classes.

    Columns: epoch chosen by, classes, difference, 95% interval over patients, same for both rows.
    """
    lines = []
    for selection in SELECTIONS:
        pair = [predictions.of(results, e, selection) for e in reversed(rows.MAIN_METHODS.values())]
        for classes, metric in (("4", "score"), ("2", "score_binary")):
            line = {"epoch chosen by": selection, "classes": classes}
            line |= {"difference": "not run", "95% interval": format.MISSING}
            if predictions.comparable(*pair):
                difference, low, high = predictions.difference(*pair, metric)
                line |= {"difference": f"{difference:+.2f}"}
                line |= {"95% interval": format.format_interval(low, high, "+.2f")}
            lines.append(line)
    return pd.DataFrame(lines)


def interval_points(results: pd.DataFrame, table: list[Row]) -> pd.DataFrame:
    """Points for `lib.plots.results.intervals`: every row that was run, with the paper's number if any.

    Columns: name, value, low, high, paper, paper_std, in percent; epoch chosen on the test set.
    """
    lines = []
    for row in (row for row in table if row.experiment):
        found = predictions.of(results, row.experiment)
        if found is None:
            continue
        done = results[(results.experiment == row.experiment) & (results.selection == "test")]
        low, high = predictions.interval(found)
        published = paper.get(row.paper) if row.paper else None
        lines.append(
            {
                "name": next(iter(row.label.values())),
                "value": done.score.mean(),
                "low": low,
                "high": high,
                "paper": published.score if published else math.nan,
                "paper_std": (published and published.score_std) or math.nan,
            }
        )
    columns = ["name", "value", "low", "high", "paper", "paper_std"]
    return pd.DataFrame(lines, columns=columns)
