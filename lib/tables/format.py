"""Text of table cells: numbers with their std or interval, statuses, lists without repeats."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from lib.evaluation import bootstrap

MISSING = "–"
# What a spreadsheet would compute; not "-1.2", "+1.20 (-0.30 to +2.00)" or "+ MixUp".
FORMULA = re.compile(r"""[=@\t\r]|[+-](?![ \d.]|$)|[+-].*([|!"'=&]|[A-Za-z]\s*\()""", re.S)


class NumberFormat(NamedTuple):
    """How a number is printed: divided by `divisor`, then formatted by `spec`."""

    spec: str
    divisor: float = 1.0


PERCENT = NumberFormat(".2f")
FRACTION = NumberFormat(".3f", 100.0)  # percent printed from 0 to 1, as in SPRSound's challenge


def format_number(value: float, form: NumberFormat = PERCENT, signed: bool = False) -> str:
    """A number as text, with a plus sign if `signed`; "–" for nan."""
    if math.isnan(value):
        return MISSING
    return f"{value / form.divisor:{'+' * signed}{form.spec}}"


def format_mean_std(
    values: Iterable[float], form: NumberFormat = PERCENT, signed: bool = False
) -> str:
    """ "mean ± std (n)" over seeds; "mean (1)" for one value, "" for none."""
    mean, std, n = bootstrap.mean_std(list(values))
    if not n:
        return ""
    text = format_number(mean, form, signed)
    return f"{text} (1)" if n == 1 else f"{text} ± {format_number(std, form)} ({n})"


def format_interval(
    low: float, high: float, form: NumberFormat = PERCENT, signed: bool = False
) -> str:
    """ "low to high"."""
    return f"{format_number(low, form, signed)} to {format_number(high, form, signed)}"


def format_difference(value: float, low: float, high: float, form: NumberFormat = PERCENT) -> str:
    """ "value (low to high)", all with signs."""
    return f"{format_number(value, form, True)} ({format_interval(low, high, form, True)})"


def join_unique(values: Iterable[object], empty: str = MISSING) -> str:
    """The different texts once each, in order, joined by "; "; `empty` if there is none."""
    texts = [str(value) for value in values if not pd.isna(value) and str(value)]
    return "; ".join(dict.fromkeys(texts)) or empty


def status_text(runs: pd.DataFrame) -> str:
    """ "done", or how many runs have which status, each with its reason."""
    if runs.empty:
        return "not run: not part of this profile"
    reasons = runs.reason.astype(object).fillna("")
    counts = (runs.status + ": " + reasons).str.removesuffix(": ").value_counts(sort=False)
    if len(counts) == 1:
        return counts.index[0]
    return join_unique(f"{count} of {len(runs)} {text}" for text, count in counts.items())


def setting_text(runs: pd.DataFrame) -> str:
    """Data, weights and settings of the runs that left a record, and the status if not "done"."""
    recorded = runs[runs.run.notna()]
    status = status_text(runs)
    names = (name for column in ("data", "weights", "setting") for name in recorded[column])
    return join_unique([*([status] if status != "done" else []), *names])


def csv_text(table: pd.DataFrame) -> str:
    """The text of a table's CSV file: a header, no index, "nan" for missing numbers.

    A text that a spreadsheet would compute as a formula gets an apostrophe before it.
    """
    texts = table.select_dtypes(exclude="number").map(_no_formula)
    table = table.assign(**texts).rename(columns=_no_formula)
    return table.to_csv(index=False, lineterminator="\n", na_rep="nan")


def _no_formula(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell
