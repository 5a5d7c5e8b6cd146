"""What the 49 patients of ICBHI's official test set can show, beside what was published on them."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import norm

from lib.papers import CLAIMS
from lib.papers.patchmix import PATIENTS
from lib.papers.table_row import TableRow
from lib.runs.predictions import can_compare, paired_difference
from lib.tables.claims import load_pair
from lib.tables.format import MISSING, PERCENT, format_difference, format_number

# A difference of 2.80 standard errors is found with a power of 80%, two-sided at 5% (Bloom 1995).
POWER, LEVEL = 0.8, 0.05
DIFFERENCE, SMALLEST = "Difference (95% interval)", "Smallest detectable difference"
STANDARD_ERRORS = norm.ppf(1 - LEVEL / 2) + norm.ppf(POWER)
INTERVAL = 2 * norm.ppf(0.975)  # standard errors in the width of a 95% interval


def detectable(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """Pairs of rows whose runs predicted the official test set: what differs, and how certainly.

    Columns: pair, seeds, difference, low, high (95%, paired over patients),
    error (the standard error, the interval's width / 3.92) and detectable (2.80 of it), in points.
    The epoch was selected on validation patients.
    """
    lines = []
    for first, second in combinations(rows, 2):
        pair = load_pair(results, second.experiment, first.experiment, "validation")
        if not can_compare(*pair) or len(np.unique(pair[0].patient)) != PATIENTS["test"]:
            continue
        difference, low, high = paired_difference(*pair)
        seeds = len(set(pair[0].seeds) & set(pair[1].seeds))
        error = (high - low) / INTERVAL
        measured = difference, low, high, error, STANDARD_ERRORS * error
        lines.append((pair_name(second, first), seeds, *measured))
    columns = ["pair", "seeds", "difference", "low", "high", "error", "detectable"]
    return pd.DataFrame(lines, columns=columns)


def pair_name(a: TableRow, b: TableRow) -> str:
    """The name of the difference between two rows, a minus b."""
    return f"{a.label['method']} minus {b.label['method']}"


def pairs_table(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """The same as text, one line for each pair; without runs it says so."""
    found = detectable(rows, results).set_index("pair")
    lines = []
    for first, second in combinations(rows, 2):
        name = pair_name(second, first)
        line = {"Pair": name, "Seeds": MISSING, DIFFERENCE: "not run"}
        if name in found.index:
            pair = found.loc[name]
            line["Seeds"] = f"{pair.seeds:.0f}"
            line[DIFFERENCE] = format_difference(pair.difference, pair.low, pair.high)
            line["Standard error"] = format_number(pair.error)
            line[SMALLEST] = format_number(pair.detectable)
        lines.append(line)
    columns = ["Pair", "Seeds", DIFFERENCE, "Standard error", SMALLEST]
    return pd.DataFrame(lines, columns=columns).astype(object).fillna(MISSING)


def published_differences() -> pd.DataFrame:
    """Columns claim, page, difference (points): of the claims that were published on ICBHI."""
    lines = [
        (claim.text, claim.page, claim.a.published.score - claim.b.published.score)
        for claim in CLAIMS
        if claim.a.published and claim.b.published and claim.a.experiment.dataset == "icbhi"
    ]
    return pd.DataFrame(lines, columns=["claim", "page", "difference"])


def claims_table(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """Each published difference beside the smallest, median and largest detectable one."""
    smallest = detectable(rows, results).detectable
    lines = []
    for claim in published_differences().itertuples():
        size, cells = abs(claim.difference), ["not run", MISSING]
        if len(smallest):
            low, median, high = (format_number(smallest.quantile(q)) for q in (0, 0.5, 1))
            shown = sum(size >= smallest)
            cells = [f"{median} ({low} to {high})", f"by {shown} of {len(smallest)} pairs"]
        lines.append((claim.claim, claim.page, format_number(claim.difference, PERCENT, True),
                      *cells))  # fmt: skip
    columns = ["Claim", "Page", "Paper difference", SMALLEST, "Large enough"]
    return pd.DataFrame(lines, columns=columns)
