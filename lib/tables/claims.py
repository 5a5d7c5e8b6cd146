"""Differences between two experiments with paired 95% intervals over patients; the claims table."""

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from lib.config import SELECTIONS, Experiment
from lib.papers import CLAIMS, GROUPS
from lib.papers.table_row import Claim, TableRow
from lib.papers.transfer import METHODS
from lib.plots.results import reader_name
from lib.runs.predictions import Predictions, can_compare, load_predictions, paired_difference
from lib.tables.compare import FEWEST_SEEDS, OFFICIAL_DATA, mark
from lib.tables.format import (
    MISSING,
    PERCENT,
    NumberFormat,
    format_difference,
    join_unique,
    setting_text,
)

STAND_INS = {row.key: row for row in METHODS}
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
    """One line for each of `CLAIMS`: its state, the paper's difference in Score, and ours.

    Differences are in points, selected on validation patients, with paired 95% intervals over
    patients. "On a model that has learnt": the same question asked of EfficientAT mn04 with
    AudioSet weights on SPRSound. Mark: which of the runs have not learnt their task. results,
    judge: see `lib.tables.build_table`.
    """
    return pd.DataFrame([_claim_line(claim, results, judge) for claim in CLAIMS])


def _claim_line(
    claim: Claim, results: Callable[[str], pd.DataFrame], judge: bool
) -> dict[str, str]:
    own = pd.concat([_own_results(row, results) for row in (claim.a, claim.b)])
    experiments = claim.a.experiment, claim.b.experiment
    pair = load_pair(own, *experiments, "validation")
    as_published = judge and set(own.data.dropna()) == {OFFICIAL_DATA}
    state = claim_state(pair, as_published or claim.a.key in STAND_INS)  # a claim of our own
    line = {"Claim": claim.text, "State": state, "Page": claim.page}
    line["Paper difference"] = "not published"
    if claim.a.published and claim.b.published:
        line["Paper difference"] = f"{claim.a.published.score - claim.b.published.score:+.2f}"
    columns = {"Difference": ("validation", "score"), "Test-selected": ("test", "score")}
    line |= difference_line({}, experiments, own, columns)
    if line["Difference"] == MISSING:  # both ran, and one has no epoch that the rule may select
        line["State"] = "undecided (no epoch qualifies)"
    line["Mark"] = _marks(experiments, pair)
    line["On a model that has learnt"] = _stand_in(claim, results)
    return line


def _stand_in(claim: Claim, results: Callable[[str], pd.DataFrame]) -> str:
    """The difference of a claim's stand-in rows, with the number of seeds."""
    if not claim.stand_in:
        return MISSING
    rows = [STAND_INS[key] for key in claim.stand_in]
    own = pd.concat([_own_results(row, results) for row in rows])
    pair = load_pair(own, *(row.experiment for row in rows), "validation")
    if not can_compare(*pair):
        return "not run"
    seeds = len(set(pair[0].seeds) & set(pair[1].seeds))
    return f"{difference_cell(pair)}, {seeds} seed{'s' * (seeds > 1)}"


def _marks(experiments: Iterable[Experiment], pair: Pair) -> str:
    """Which sides of a difference have not learnt their task, and how that shows; "–" if both have.

    "neither has learnt its task (Patch-Mix CL: never predicts both; CE: predicts only normal)".
    """
    names = [reader_name(one.name.partition("/")[2]).replace("/", ", ") for one in experiments]
    if names[0] == names[1]:
        names = ["the first", "the second"]
    marks = {name: mark(p) for name, p in zip(names, pair, strict=True)}
    marks = {name: text for name, text in marks.items() if text != MISSING}
    if not marks:
        return MISSING
    who = "neither has" if len(marks) == 2 else f"{next(iter(marks))} has not"
    same = len(set(marks.values())) == 1
    texts = marks.values() if same else (f"{name}: {text}" for name, text in marks.items())
    return f"{who} learnt its task ({join_unique(texts)})"


def _own_results(row: TableRow, results: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """The results of a row in its own group: another group may need other settings of the same."""
    group = next(group for group, rows in GROUPS.items() if row in rows)
    table = results(group)
    return table[table.experiment == row.experiment.name]


def claim_state(pair: Pair, as_claimed: bool) -> str:
    """confirmed, refuted or undecided by a validation-selected paired interval, or not run.

    as_claimed: whether the runs are of what the claim speaks of: for a paper's, the published
    setting on the official data. Only those can decide it, with three seeds or more.
    """
    if not can_compare(*pair):
        return "not run"
    if not as_claimed:
        return "undecided (stand-in models)"
    if len(set(pair[0].seeds) & set(pair[1].seeds)) < FEWEST_SEEDS:
        return f"undecided (fewer than {FEWEST_SEEDS} seeds)"
    _, low, high = paired_difference(*pair)
    return "confirmed" if low > 0 else "refuted" if high < 0 else "undecided (within chance)"
