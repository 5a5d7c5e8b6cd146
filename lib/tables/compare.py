"""Rows of a printed table, the paper beside ours: one wide table, and the views cut from it."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lib.config import SELECTIONS
from lib.evaluation.bootstrap import mean_std
from lib.evaluation.tasks import get_task, scored_mask
from lib.papers.patchmix import CYCLES
from lib.papers.published import Published
from lib.papers.table_row import TableRow
from lib.runs import folder
from lib.runs.predictions import Predictions, predictions_of_runs, score_interval
from lib.tables.format import (
    FRACTION,
    MISSING,
    PERCENT,
    NumberFormat,
    format_interval,
    format_mean_std,
    format_number,
    join_unique,
    setting_text,
    status_text,
)

OFFICIAL_DATA = "ICBHI"  # the only data whose numbers may be judged against the paper's
FEWEST_SEEDS = 3
NAMES = ("Sp", "Se", "Score")
FOUR_CLASS = ("sp", "se", "score")
TWO_CLASS = ("sp", "se_binary", "score_binary")
NORMAL = "always “normal”"
# In percent; the harmonic mean of the challenge's Score is 0 for Sp 100 and Se 0.
NORMAL_SCORE = {PERCENT: 50.0, FRACTION: 25.0}
QUOTED = "not run: quoted from the paper, not rebuilt here"
SCORES = ("Test", "Last", "Validation", "Test-selection gain")
OURS = ("Our model", "Mark")
JUDGED = {"Difference", "Verdict"}  # only beside the published setting
VIEWS = {  # the columns after the printed ones, or after Row
    "headline": ("Paper Score", "Validation", "Score", "Test-selection gain", *OURS, "Difference",
                 "Verdict", "Setting"),
    "selections": ("Row", *SCORES, "Patient-disjoint", "95% interval", *OURS),
    "sweep": ("Row", *SCORES, "Patient-disjoint", "95% interval", *OURS, "Setting"),
    "details": ("Row", "Paper Sp", "Sp", "Paper Se", "Se", *OURS, "Seeds", "Runs", "Status",
                "Note"),
    "challenge_details": ("Paper Score", *SCORES, "95% interval", "Sp", "Se", "test2023",
                          "test2023, 95% interval", "test2023, ensemble",
                          *OURS, "Runs", "Setting", "Status"),
}  # fmt: skip
PAPER_AND_OURS = {"Paper Score": "{}, paper", "Score": "{}"}
VALIDATION = {"Validation": "{}, validation"}
TEST_SETS = {"test2023": "{}, test2023", "Validation": "{}, test2022"}
PIVOTS = {  # index, columns, names of their cells: see `pivot`
    "challenge": ("Topology", "Task", {"Paper Score": "{}, paper"} | TEST_SETS),
    "srad_backbones": ("Method", "Architecture", {"Score": "{}"} | VALIDATION),
}


def compare(
    view: str,
    rows: Sequence[TableRow],
    results: pd.DataFrame,
    judge: bool = False,
    two_class: bool = False,
) -> pd.DataFrame:
    """The columns of a view of `compare_rows`, or its pivot of that name."""
    table = compare_rows(rows, results, judge, two_class)
    if view in PIVOTS:
        return pivot(table, *PIVOTS[view])
    printed = [] if "Row" in VIEWS[view] else table.columns[: table.columns.get_loc("Row")]
    columns = [name for name in VIEWS[view] if judge or name not in JUDGED]
    return table[[*printed, *columns]]


def compare_rows(
    rows: Sequence[TableRow], results: pd.DataFrame, judge: bool = False, two_class: bool = False
) -> pd.DataFrame:
    """The paper beside ours: one line for each row and "always normal" last; all cells are text.

    results: from `lib.runs.results.collect_results`. judge: whether the profile runs the published
    setting. two_class: any abnormal prediction of the same 4-class model counts for Se. Columns:
    the printed ones; Row (all of them in one); Paper Sp, Se, Score; Sp, Se, Score (test-selected,
    mean ± std (n)); Our model (what ran); Mark (see `mark`); Difference and Verdict (see `verdict`,
    "–" if not judged); Test, Last, Validation (Score by selection rule); Test-selection gain (test
    minus validation, same runs); Patient-disjoint (without the two patients on both sides of the
    official split); 95% interval (over patients); Seeds; Runs (the hashes that end the names of
    their folders); Setting; Status; Note.
    """
    metrics = TWO_CLASS if two_class else FOUR_CLASS
    tasks = [get_task(row.experiment.task) for row in rows if row.experiment]
    form = FRACTION if any(task.challenge for task in tasks) else PERCENT
    lines = [_line(row, results, metrics, form, judge) for row in rows]
    return pd.DataFrame([*lines, always_normal(rows, form)]).fillna(MISSING)


def _line(
    row: TableRow, results: pd.DataFrame, metrics: Sequence[str], form: NumberFormat, judge: bool
) -> dict[str, str]:
    runs = {selection: runs_of(row, results, selection) for selection in SELECTIONS}
    test, score, published = runs["test"], metrics[-1], row.published
    done = test[test.status == "done"]
    line = label_cells(row)
    for name, paper_metric, metric in zip(NAMES, FOUR_CLASS, metrics, strict=True):
        line[f"Paper {name}"] = format_published(published, paper_metric, form)
        line[name] = score_cell(test, metric, form)
    line |= {name.capitalize(): score_cell(runs[name], score, form) for name in SELECTIONS}
    gap = runs["validation"]["gap_binary" if score == "score_binary" else "gap"].mean()
    line["Test-selection gain"] = format_number(gap, form, signed=True)
    difference = done[score].mean() - published.score if published and judge else math.nan
    line["Difference"] = format_number(difference, form, signed=True)
    line["Verdict"] = verdict(row, done, score, judge)
    line["Patient-disjoint"] = score_cell(test, f"{score}_patient_disjoint", form)
    predictions = predictions_of_runs(done)
    line["95% interval"] = interval_cell(predictions, score, form)
    line["Our model"] = join_unique(test.model[test.run.notna()])
    line["Mark"] = mark(predictions, score, form)
    scores = (format_number(value, form) for value in done[score])
    line["Seeds"] = join_unique(map("{}: {}".format, done.seed, scores))
    if form is FRACTION:
        line |= _final_test(runs["validation"], form)
    return line | {"Note": (published and published.note) or MISSING} | origin(row, test)


def _final_test(runs: pd.DataFrame, form: NumberFormat) -> dict[str, str]:
    """Score on SPRSound's test2023 of validation-selected runs, its interval, the ensemble's."""
    predictions = predictions_of_runs(runs[runs.status == "done"])
    cells = dict.fromkeys(["test2023, 95% interval", "test2023, ensemble"], MISSING)
    cells["test2023"] = score_cell(scored_on(runs, "test2023"), form=form)
    p = predictions and predictions.of_clips(predictions.subset == "test2023")
    if p and len(p.label):
        cells["test2023, 95% interval"] = interval_cell(p, form=form)
        cells["test2023, ensemble"] = ensemble_cell(p, form)
    return cells


def ensemble_cell(predictions: Predictions | None, form: NumberFormat = PERCENT) -> str:
    """Score of the mean of the seeds' probabilities, with the number of seeds."""
    if predictions is None or len(predictions.seeds) < 2:
        return MISSING
    p = predictions.ensemble
    score = p.task.mean_scores(p.label, p.predicted[0], p.subset)["score"]
    return f"{format_number(float(score), form)} of {len(predictions.seeds)} seeds"


def mark(
    predictions: Predictions | None, metric: str = "score", form: NumberFormat = PERCENT
) -> str:
    """How runs have not learnt their task: a class is never predicted, or no better than chance.

    No better: the upper end of the 95% interval is at most the Score of always "normal".
    """
    if predictions is None:
        return MISSING
    p, scored = predictions, scored_mask(predictions.subset)
    matrices = [p.task.matrices(p.label[scored], each[scored]) for each in p.predicted]
    marks = list(filter(None, map(p.task.unpredicted, matrices)))
    if score_interval(p, metric)[1] <= NORMAL_SCORE[form]:
        marks.append(f"no better than {NORMAL}")
    return join_unique(marks)


def label_cells(row: TableRow) -> dict[str, str]:
    """The printed cells that name a row, and Row: those that are not empty in one."""
    cells = {name.capitalize(): value for name, value in row.label.items()}
    return cells | {"Row": " · ".join(value for value in row.label.values() if value != "-")}


def runs_of(row: TableRow, results: pd.DataFrame, selection: str) -> pd.DataFrame:
    """The results of a row's runs at one selection, in the order of seeds."""
    name = row.experiment.name if row.experiment else None
    same = (results.experiment == name) & (results.selection == selection)
    return results[same].sort_values("seed")


def scored_on(runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """The runs with Sp, Se and Score of another scored set, nan if a run has not saved it.

    name: train, validation, another dataset the run was tested on, or a subset of the test set.
    """
    scores = []
    for run in runs.itertuples():
        scores.append({})
        if run.status == "done":
            selected = folder.read_record(Path(run.path))["selections"][run.selection]
            scores[-1] = selected.get(name) or selected["test"].get("subsets", {}).get(name, {})
    return runs.assign(**{key: [one.get(key, math.nan) for one in scores] for key in FOUR_CLASS})


def score_cell(runs: pd.DataFrame, metric: str = "score", form: NumberFormat = PERCENT) -> str:
    """ "mean ± std (n)" of the finished runs, or the status if none is finished."""
    done = runs[runs.status == "done"]
    if done.empty:
        return join_unique(runs.status, "not run")
    return format_mean_std(done[metric].dropna(), form) or "not saved"


def interval_cell(
    predictions: Predictions | None, metric: str = "score", form: NumberFormat = PERCENT
) -> str:
    """The 95% interval over patients of the mean over seeds."""
    return format_interval(*score_interval(predictions, metric), form) if predictions else MISSING


def origin(row: TableRow, runs: pd.DataFrame) -> dict[str, str]:
    """Where a row's numbers come from: Runs (hashes), Setting, Status."""
    texts = (setting_text(runs), status_text(runs)) if row.experiment else (QUOTED, QUOTED)
    hashes = join_unique(run[-8:] for run in runs.run.dropna())
    return {"Runs": hashes, "Setting": texts[0], "Status": texts[1]}


def format_published(published: Published | None, metric: str, form: NumberFormat) -> str:
    """A published number as printed: "62.37 ± 0.61", or "56.20" if it has no std."""
    if published is None or metric not in published.values:
        return "not published"
    mean, std = published.values[metric]
    return (
        f"{format_number(mean, form)} ± {format_number(std, form)}"
        if std
        else format_number(mean, form)
    )


def verdict(row: TableRow, done: pd.DataFrame, metric: str, judge: bool) -> str:
    """The verdict on the mean Score of a row's finished runs beside the published one, and why.

    "no verdict" if the row deviates, the profile does not judge, the data are not ICBHI's official
    recordings or fewer than 3 seeds ran. "within one std": no further from the published mean than
    its own std. "within noise": no further than two standard errors of the difference of the means,
    2 sqrt(std_paper^2 / n_paper + std_ours^2 / n). Else "below" or "above". A number published
    without a std counts as one run with the std of `chance_std`.
    """
    if row.published is None or done.empty:
        return "not run" if row.published else MISSING
    if row.deviates:
        return f"no verdict ({row.deviates})"
    if not judge:
        return "no verdict"
    if set(done.data) != {OFFICIAL_DATA}:
        return "no verdict (other data)"
    mean, our_std, n = mean_std(done[metric])
    if n < FEWEST_SEEDS:
        return f"no verdict (fewer than {FEWEST_SEEDS} seeds)"
    std, runs = row.published.score_std, row.published.seeds
    if std is None:
        std, runs = chance_std(row.published.sp, row.published.se), 1
    difference = mean - row.published.score
    noise = 2 * math.sqrt(std**2 / runs + our_std**2 / n)
    if abs(difference) <= std:
        return f"within one std (at most {std:.2f} away)"
    if abs(difference) <= noise:
        return f"within noise (at most {noise:.2f} away)"
    return f"{'below' if difference < 0 else 'above'} (more than {max(noise, std):.2f} away)"


def chance_std(sp: float, se: float) -> float:
    """Std of a Score (points) if each cycle of the official test set were right by chance.

    sp, se: percent. Cycles count as independent, so it is a lower bound: patients correlate.
    """
    normal, *abnormal = CYCLES["test"].values()
    variances = sp * (100 - sp) / normal, se * (100 - se) / sum(abnormal)
    return math.sqrt(sum(variances)) / 2


def always_normal(rows: Sequence[TableRow], form: NumberFormat = PERCENT) -> dict[str, str]:
    """The line of a model that predicts "normal" for every clip."""
    score = NORMAL_SCORE[form]
    numbers = {"Sp": 100.0, "Se": 0.0, "Score": score, "Test": score}
    return {
        **dict.fromkeys([next(iter(label_cells(rows[0]))), "Row"], NORMAL),
        **{name: format_number(value, form) for name, value in numbers.items()},
        **dict.fromkeys(["Setting", "Status"], "by definition"),
    }


def selection_rule(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """One line for each row and selection rule: Sp, Se and Score of the selected epochs."""
    lines = []
    for row in rows:
        for selection in SELECTIONS:
            runs = runs_of(row, results, selection)
            line = {"Row": label_cells(row)["Row"], "Epoch chosen by": selection}
            line |= {name: score_cell(runs, name.lower()) for name in NAMES}
            lines.append(line | {"Setting": setting_text(runs)})
    return pd.DataFrame(lines)


def pivot(
    table: pd.DataFrame, index: str | list[str], columns: str, cells: dict[str, str]
) -> pd.DataFrame:
    """`compare_rows` with one line for each `index` and cells for each value of `columns`.

    cells: column -> its new name, "{}" is the value of `columns`. Verdict, Setting and Note join
    those of the rows; empty columns are left out.
    """
    rows, normal = table.iloc[:-1].set_index(index), table.iloc[-1]
    names = rows[columns].unique()
    wide = {
        new.format(name): rows[rows[columns] == name][cell]
        for name in names
        for cell, new in cells.items()
    }
    for name in ("Mark", "Verdict", "Setting", "Note"):
        parts = rows[name].str.split("; ").explode()
        wide[name] = (
            parts[~parts.isin([MISSING, "not run"])].groupby(parts.index.names).agg(join_unique)
        )
    lines = pd.DataFrame(wide, index=rows.index.unique()).reset_index()
    ours = [
        new.format(name) for name in names for cell, new in cells.items() if "Paper" not in cell
    ]
    last = {lines.columns[0]: NORMAL, **dict.fromkeys(ours, normal.Score)}
    last |= {"Setting": normal.Setting}
    wide = pd.concat([lines, pd.DataFrame([last])], ignore_index=True).fillna(MISSING)
    return wide.loc[:, (wide != MISSING).any()]
