"""Differences between two experiments with paired 95% intervals over patients; the claims table."""

from collections.abc import Callable, Sequence

import pandas as pd

from lib.config import SELECTIONS, Experiment
from lib.papers import CLAIMS, GROUPS
from lib.papers.table_row import TableRow
from lib.runs.predictions import Predictions, can_compare, load_predictions, paired_difference
from lib.tables.format import MISSING, PERCENT, NumberFormat, format_difference, setting_text

Pair = tuple[Predictions | None, Predictions | None]


def load_pair(results: pd.DataFrame, a: Experiment, b: Experiment, selection: str) -> Pair:
    """The test predictions of two experiments at one selection."""
    return tuple(load_predictions(results, each.name, selection) for each in (a, b))


def difference_cell(pair: Pair, metric: str = "score", form: NumberFormat = PERCENT) -> str:
    """ "a - b (95% interval)" on the clips and seeds that both have, or "–"."""
    if not can_compare(*pair):
        return MISSING
    return format_difference(*paired_difference(*pair, metric), form)


def difference_line(
    label: dict[str, str],
    pair: tuple[Experiment, Experiment],
    results: pd.DataFrame,
    columns: dict[str, tuple[str, str]],
) -> dict[str, str]:
    """The line of a pair of experiments: label, differences a - b in points, setting of both.

    columns: name -> selection, metric.
    """
    names = [experiment.name for experiment in pair]
    runs = results[results.experiment.isin(names) & (results.selection == "test")]
    both_ran = runs.experiment[runs.run.notna()].nunique() == len(pair)
    line = dict(label)
    for name, (selection, metric) in columns.items():
        cell = difference_cell(load_pair(results, *pair, selection), metric)
        line[name] = cell if both_ran else "not run"
    return line | {"Setting": setting_text(runs)}


def method_differences(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """One line for each selection rule: second row minus first, in four classes and in two."""
    base, method = (row.experiment for row in rows)
    lines = []
    for selection in SELECTIONS:
        columns = {"4 classes": (selection, "score"), "2 classes": (selection, "score_binary")}
        label = {"Epoch chosen by": selection}
        lines.append(difference_line(label, (method, base), results, columns))
    return pd.DataFrame(lines)


def claims_table(results: Callable[[str], pd.DataFrame], judge: bool = False) -> pd.DataFrame:
    """One line for each of `CLAIMS`: the paper's difference in Score, ours, what ours says of it.

    The verdict is that of the validation-selected difference. results, judge: see
    `lib.tables.build_table`.
    """
    columns = {"Difference": ("test", "score"), "Difference, validation": ("validation", "score")}
    lines = []
    for text, a, b in CLAIMS:
        own = pd.concat([_own_results(row, results) for row in (a, b)])
        pair = a.experiment, b.experiment
        line = {"Claim": text, "Paper difference": "not published"}
        if a.published and b.published:
            line["Paper difference"] = f"{a.published.score - b.published.score:+.2f}"
        line["Verdict"] = claim_verdict(load_pair(own, *pair, "validation"), judge)
        lines.append(difference_line(line, pair, own, columns))
    return pd.DataFrame(lines)


def _own_results(row: TableRow, results: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """The results of a row in its own group: another group may need other settings of the same."""
    group = next(group for group, rows in GROUPS.items() if row in rows)
    table = results(group)
    return table[table.experiment == row.experiment.name]


def claim_verdict(pair: Pair, judge: bool) -> str:
    """What the interval of a difference says of the claim that it is above 0."""
    if not can_compare(*pair):
        return "not run"
    if not judge:
        return "no verdict"
    _, low, high = paired_difference(*pair)
    return "for the claim" if low > 0 else "against the claim" if high < 0 else "within chance"
