"""The paper beside ours, row by row, with what ours was run with in the same row."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from lib import paper
from lib.config import SELECTIONS
from lib.evaluation import bootstrap
from lib.row import Row
from lib.runs import predictions
from lib.tables.format import MISSING, format_interval, join_unique, status_text
from lib.tables.format import format_mean_std as tables_spread

OFFICIAL_DATA = "ICBHI"  # the only data whose numbers may be judged against the paper's
FEWEST_SEEDS = 3
FOUR_CLASS = ("sp", "se", "score")
TWO_CLASS = ("sp", "se_binary", "score_binary")
CLASSES = {FOUR_CLASS: "4", TWO_CLASS: "2 (the 4-class answers collapsed)"}
SPLIT_COLUMN = "Without 156, 218"  # the two patients on both sides of the official split


def compare_rows(
    rows: Sequence[Row], results: pd.DataFrame, judge: bool = False, two_class: bool = False
) -> pd.DataFrame:
    """Every row of a table, paper beside ours, all cells printed text; all-normal row last.

    results: as `lib.runs.results.of` gives them. judge: whether the profile runs the published
    setting. two_class: any abnormal answer of the same 4-class model counts for Se. Columns: the
    printed ones, then Paper Sp, Paper Se, Paper Score, Sp, Se, Score (selection "test", mean ± std
    (n)), Difference, Verdict (see `verdict`), Last, Validation, Gap (test - validation of the same
    runs), Without 156, 218, 95% interval (drawn patients), Seeds, Runs (the hashes that end
    the names of their folders), Classes, Data, Weights, Setting, Status, Note.
    """
    metrics = TWO_CLASS if two_class else FOUR_CLASS
    lines = [_line(row, results, metrics, judge) for row in rows]
    return pd.DataFrame([*lines, _all_normal(rows, metrics)]).fillna(MISSING)


def verdict(published: paper.Published, ours: tuple[float, float, int]) -> tuple[str, str]:
    """A word for our Score (mean, std, n seeds) against the paper's, and the rule it met.

    "no verdict": fewer than 3 seeds; `compare` says it too for any profile but paper, for other
    data, for rows nobody published and for those that deviate. "within one std": no further from
    the paper's mean than its own std. "within noise": no further than two standard errors of the
    difference of the means, 2 sqrt(std_paper^2 / n_paper + std_ours^2 / n). Else "below" or
    "above". One number published without a spread counts as one run with that of `chance_std`.
    """
    our_mean, our_std, n = ours
    if n < FEWEST_SEEDS:
        return "no verdict", f"fewer than {FEWEST_SEEDS} seeds"
    std, runs = published.score_std, published.seeds
    spread, runs = (chance_std(published.sp, published.se), 1) if std is None else (std, runs)
    difference = our_mean - published.score
    noise = 2 * math.sqrt(spread**2 / runs + our_std**2 / n)
    if abs(difference) <= spread:
        return "within one std", f"at most {spread:.2f} away"
    if abs(difference) <= noise:
        return "within noise", f"at most {noise:.2f} away"
    return ("below" if difference < 0 else "above"), f"more than {max(noise, spread):.2f} away"


def chance_std(sp: float, se: float) -> float:
    """Spread of a Score (points) if each cycle of the official test set were right by chance.

    sp, se: percent. Cycles count as independent, so with their patients in mind it is the least.
    """
    normal, *others = paper.CYCLES["test"].values()
    variances = sp * (100 - sp) / normal, se * (100 - se) / sum(others)
    return math.sqrt(sum(variances)) / 2


def _line(row: Row, results: pd.DataFrame, metrics: tuple[str, ...], judge: bool) -> dict:
    runs = results[results.experiment == row.experiment]
    test = runs[runs.selection == "test"]
    line = {name.capitalize(): value for name, value in row.label.items()}
    for metric, name in zip(paper.METRICS, ("Sp", "Se", "Score"), strict=True):
        line[f"Paper {name}"] = paper.printed(row.paper, metric) if row.paper else "not published"
    for metric, name in zip(metrics, ("Sp", "Se", "Score"), strict=True):
        line[name] = _spread(test, metric)
    line |= _judged(row, test, metrics[2], judge)
    line |= _honest(runs, metrics[2])
    line["95% interval"] = _interval(row, results, metrics[2])
    line["Seeds"] = _seeds(test, metrics[2])
    line["Runs"] = join_unique(run[-8:] for run in test.run.dropna())
    line["Classes"] = CLASSES[metrics]
    line |= {name.capitalize(): join_unique(test[name]) for name in ("data", "weights", "setting")}
    note = paper.get(row.paper).note if row.paper else ""
    return line | {"Status": _status(row, test), "Note": note or MISSING}


def _judged(row: Row, test: pd.DataFrame, metric: str, judge: bool) -> dict[str, str]:
    """Difference from the paper, and the verdict on it."""
    done = test[test.status == "done"]
    if row.paper is None or done.empty:
        return {"Difference": MISSING, "Verdict": MISSING if row.paper is None else "not run"}
    ours = bootstrap.mean_std(done[metric])
    published = paper.get(row.paper)
    said = "no verdict"  # not the published setting
    if judge and row.deviates:
        said = f"no verdict ({row.deviates})"
    elif judge and set(done.data) == {OFFICIAL_DATA}:
        said = "{} ({})".format(*verdict(published, ours))
    elif judge:
        said = "no verdict (other data)"
    return {"Difference": f"{ours[0] - published.score:+.2f}", "Verdict": said}


def _honest(runs: pd.DataFrame, metric: str) -> dict[str, str]:
    """Other choices of the epoch, and the test set without the overlapping patients."""
    by = {name: runs[runs.selection == name] for name in ("test", "last", "validation")}
    held_out = by["validation"][by["validation"].status == "done"]
    gaps = held_out["gap_binary" if metric == "score_binary" else "gap"].dropna()
    gap = f"{gaps.mean():+.2f}" if len(gaps) else MISSING
    return {
        "Last": _spread(by["last"], metric),
        "Validation": _spread(by["validation"], metric),
        "Gap": gap,
        SPLIT_COLUMN: _spread(by["test"], f"{metric}_patient_disjoint"),
    }


def _spread(runs: pd.DataFrame, metric: str) -> str:
    """ "mean ± std (n)" over the finished runs, or the word that says why there is none."""
    done = runs[runs.status == "done"]
    if done.empty:
        return join_unique(runs.status) if len(runs) else "not run"
    return tables_spread(done[metric])


def _interval(row: Row, results: pd.DataFrame, metric: str) -> str:
    found = predictions.of(results, row.experiment) if row.experiment else None
    if found is None:
        return MISSING
    return format_interval(*predictions.interval(found, metric))


def _seeds(test: pd.DataFrame, metric: str) -> str:
    done = test[test.status == "done"].sort_values("seed")
    return join_unique(f"{run.seed}: {getattr(run, metric):.2f}" for run in done.itertuples())


def _status(row: Row, test: pd.DataFrame) -> str:
    """ "done", or how many runs stand how, each with its reason."""
    if row.experiment is None:
        return "not run: quoted by the paper, not rebuilt here"
    if test.empty:
        return "not run: not asked for"
    counts = status_text(test).value_counts(sort=False)
    if len(counts) == 1:
        return counts.index[0]
    return join_unique(f"{count} of {len(test)} {kind}" for kind, count in counts.items())


def _all_normal(rows: Sequence[Row], metrics: tuple[str, ...]) -> dict[str, str]:
    """What a model scores that has learnt nothing and always answers "normal"."""
    names = [name.capitalize() for name in dict.fromkeys(key for r in rows for key in r.label)]
    scores = {"Sp": "100.00", "Se": "0.00", "Score": "50.00"}
    return {
        **dict.fromkeys(names, MISSING),
        names[0]: "always “normal”",
        **scores,
        "Classes": CLASSES[metrics],
        "Status": "by definition",
    }


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """What a reader wants first: the paper's Score, ours, verdict, and what ours was run with.

    Beside Score, whose epoch is chosen on the test set as the paper's, stand the honest ones.
    """
    ours = ["Score", "Validation", "Gap", "Difference", "Verdict"]
    kept = [*_printed(table), "Paper Score", *ours]
    return table[kept].assign(**{"Ours was run with": _run_with(table)})


def selections(table: pd.DataFrame) -> pd.DataFrame:
    """How the Score depends on who chooses the epoch, on two patients and on chance."""
    kept = ["Score", "Last", "Validation", "Gap", SPLIT_COLUMN, "95% interval"]
    named = {"Score": "Test"}
    return pd.concat([_names(table), table[kept].rename(columns=named)], axis=1)


def details(table: pd.DataFrame) -> pd.DataFrame:
    """Sp and Se beside the paper's, every seed's Score and run, status and notes."""
    kept = ["Paper Sp", "Sp", "Paper Se", "Se", "Seeds", "Runs", "Status", "Note"]
    return pd.concat([_names(table), table[kept]], axis=1)


def selection_rule(rows: Sequence[Row], results: pd.DataFrame) -> pd.DataFrame:
    """The selection rule as rows: Sp, Se and Score of each row's runs by who chooses the epoch."""
    lines = []
    for row in rows:
        runs = results[results.experiment == row.experiment]
        for selection in SELECTIONS:
            line = {"Row": _name(row.label.values()), "Epoch chosen by": selection}
            chosen = runs[runs.selection == selection]
            line |= {name: _spread(chosen, name.lower()) for name in ("Sp", "Se", "Score")}
            lines.append(line | {"Run with": join_unique(chosen.setting)})
    return pd.DataFrame(lines)


def _name(cells: Iterable[str]) -> str:
    return " · ".join(cell for cell in cells if cell not in ("-", MISSING))


def _printed(table: pd.DataFrame) -> list[str]:
    """The paper's own columns: those before its numbers."""
    return list(table.columns[: list(table.columns).index("Paper Sp")])


def _names(table: pd.DataFrame) -> pd.Series:
    """One column that names the row: its printed columns, without the empty ones."""
    cells = table[_printed(table)].to_numpy()
    return pd.Series([_name(line) for line in cells], index=table.index, name="Row")


def _run_with(table: pd.DataFrame) -> list[str]:
    """Data, weights and setting of our runs in one cell, or why there are none."""
    lines = []
    for row in table.to_dict("records"):
        parts = [row[name] for name in ("Data", "Weights", "Setting") if row[name] != MISSING]
        stopped = row["Status"] not in ("done", "by definition")
        lines.append(
            "; ".join([row["Status"]] * stopped + parts * (row["Data"] != MISSING)) or MISSING
        )
    return lines
