"""What stands in the cells of tables: numbers with their spread or interval, words once each."""

from collections.abc import Iterable

import pandas as pd

from lib.evaluation import bootstrap
from lib.runs import predictions
from lib.runs.predictions import Answers

MISSING = "–"


def format_mean_std(values: Iterable[float], form: str = ".2f") -> str:
    """ "mean ± std (n)" over seeds; "mean (1)" of one, "" of none."""
    mean, std, n = bootstrap.mean_std(list(values))
    if n < 2:
        return f"{mean:{form}} (1)" if n else ""
    return f"{mean:{form}} ± {std:{form.removeprefix('+')}} ({n})"


def format_interval(low: float, high: float, form: str = ".2f") -> str:
    """ "low to high"."""
    return f"{low:{form}} to {high:{form}}"


def format_difference(value: float, low: float, high: float, form: str = "+.2f") -> str:
    """ "value (low to high)", with signs."""
    return f"{value:{form}} ({format_interval(low, high, form)})"


def effect(one: Answers | None, base: Answers | None, metric: str = "score") -> str:
    """The difference to `base` in points with its paired 95% interval, or that there is none."""
    if not predictions.comparable(one, base):
        return MISSING
    return format_difference(*predictions.difference(one, base, metric))


def join_unique(values: Iterable[object], none: str = MISSING) -> str:
    """Different words once each, in order, without the empty ones; `none` if that leaves none."""
    found = [str(value) for value in values if not pd.isna(value) and str(value)]
    return "; ".join(dict.fromkeys(found)) or none


def status_text(results: pd.DataFrame) -> pd.Series:
    """How each run stands, with its reason if it has one."""
    reasons = results.reason.astype(object).fillna("")
    return (results.status + ": " + reasons).str.removesuffix(": ")


def csv_text(table: pd.DataFrame) -> str:
    """The text of a table's CSV file: a header, no index, "nan" for missing numbers."""
    return table.to_csv(index=False, lineterminator="\n", na_rep="nan")
