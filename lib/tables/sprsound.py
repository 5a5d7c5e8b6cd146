"""SPRSound: the challenge's total, variants of the published code, sliding windows, tuning."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.evaluation.metrics import challenge_total
from lib.papers.sprsound import ABSTRACT, PRINTED, RUNTIME_BONUS, TASK_NAMES
from lib.papers.table_row import TableRow
from lib.runs import tune
from lib.runs.predictions import can_compare, load_predictions
from lib.tables import compare
from lib.tables.claims import difference_cell
from lib.tables.format import (
    FRACTION,
    MISSING,
    format_interval,
    format_mean_std,
    format_number,
    setting_text,
    status_text,
)

SCORED_SETS = {"Train": "train", "Valid": "validation", "Inter-Test": "inter"}  # of Table I
TRIAL_SCORES = {
    "score": "validation Score",
    "inter": "test Score, inter",
    "intra": "test Score, intra",
    "test": "test Score, mean",
}
TUNE_COMMAND = "not run: ./run_all.sh tune {profile} {task} {model}"


def totals(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """The challenge's total of the four tasks by topology, without and with the runtime bonus.

    In brackets how many seeds the Scores are means of, by task if that differs. Ours has no
    measured bonus: the second number adds all of it, as the paper does.
    """
    lines = []
    for topology in dict.fromkeys(row.label["topology"] for row in rows):
        by_task = {row.label["task"]: row for row in rows if row.label["topology"] == topology}
        line = {"Topology": topology}
        line |= _total("Paper", {task: [row.published.score] for task, row in by_task.items()})
        for selection in ("test", "validation"):
            runs = {task: compare.runs_of(row, results, selection) for task, row in by_task.items()}
            scores = {task: table.score.dropna() for task, table in runs.items()}
            line |= _total(selection.capitalize(), scores, seeds=True)
        lines.append(line | {"Setting": setting_text(pd.concat(runs.values()))})
    abstract = {TASK_NAMES[task]: [score] for task, score in ABSTRACT.items()}
    lines.append({"Topology": "as the abstract has it"} | _total("Paper", abstract))
    lines.append({"Topology": compare.NORMAL} | _total("Test", dict.fromkeys(abstract, [25.0])))
    return pd.DataFrame(lines).fillna(MISSING)


def _total(name: str, scores: dict[str, Sequence[float]], seeds: bool = False) -> dict[str, str]:
    """Total of the mean Scores (percent) by printed task, without and with the runtime bonus."""
    bonus = f"{name} + {RUNTIME_BONUS:g}"
    if missing := [task for task, values in scores.items() if not len(values)]:
        return dict.fromkeys([name, bonus], f"no Score: {', '.join(missing)}")
    means = {task: np.mean(scores[printed]) / 100 for task, printed in TASK_NAMES.items()}
    counts = "/".join(sorted({str(len(values)) for values in scores.values()}))
    suffix = f" ({counts})" if seeds else ""
    total = challenge_total(means)
    return {name: f"{total:.3f}{suffix}", bonus: f"{total + RUNTIME_BONUS:.3f}{suffix}"}


def mixup(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """Table I: training, validation and inter-test Score of the validation-selected epoch.

    The paper's validation set holds events of children who are trained on too.
    """
    runs = (
        compare.scored_on(
            compare.runs_of(row, results, "validation"), SCORED_SETS[row.label["dataset"]]
        )
        for row in rows
    )
    table = compare.compare_rows(rows, results)
    table.loc[: len(rows) - 1, "Score"] = [compare.score_cell(each, form=FRACTION) for each in runs]
    return compare.pivot(table, ["Topology", "Dataset"], "Task", compare.PAPER_AND_OURS)


def variants(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """What each difference of the published code changes, beside the first row of the same task.

    Scores of the validation-selected epoch; Validation optimism: validation minus test. Effects are
    differences to the first row, with paired 95% intervals over patients if both predicted the same
    clips (validation clips of all seeds together).
    """
    lines, first = [], {}
    for row in rows:
        base = first.setdefault(row.label["task"], row)
        runs = compare.runs_of(row, results, "validation")
        sets = {name: compare.scored_on(runs, name) for name in ("validation", "test")}
        line = {"Variant": row.label["variant"], "Task": TASK_NAMES[row.label["task"]]}
        line |= {
            name.capitalize(): compare.score_cell(each, form=FRACTION)
            for name, each in sets.items()
        }
        optimism = sets["validation"].score.mean() - sets["test"].score.mean()
        line["Validation optimism"] = format_number(optimism, FRACTION, signed=True)
        for name in sets:
            effect = MISSING if row is base else _effect(row, base, results, name)
            line[f"Effect on {name}"] = effect
        lines.append(line | compare.origin(row, runs))
    return pd.DataFrame(lines)


def _effect(row: TableRow, base: TableRow, results: pd.DataFrame, name: str) -> str:
    """Difference to the base on one scored set, with its interval if the clips are the same."""
    names = row.experiment.name, base.experiment.name
    pair = tuple(load_predictions(results, each, "validation", name) for each in names)
    if can_compare(*pair) and np.array_equal(pair[0].cycle, pair[1].cycle):
        return difference_cell(pair, form=FRACTION)
    runs = (
        compare.scored_on(compare.runs_of(each, results, "validation"), name)
        for each in (row, base)
    )
    means = [each.score.mean() for each in runs]
    difference = format_number(means[0] - means[1], FRACTION, signed=True)
    return difference if difference == MISSING else f"{difference} (other clips or seeds)"


def windows(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """Table II, one line for each level, subset and task: the paper beside each of our topologies.

    Event level: the run's own predictions. Record level: every test record as a stream of windows.
    """
    from lib.analysis.streaming import stream_scores  # here: it loads torch, `verify` is light

    scores = stream_scores(results)
    setting = setting_text(pd.concat(compare.runs_of(row, results, "test") for row in rows))
    lines = []
    for published in PRINTED["s2"]:
        level, subset, task = published.key.split("/")[1:]
        line = {name.capitalize(): value for name, value in published.label.items()}
        line["Paper"] = compare.format_published(published, "score", FRACTION)
        for row in (row for row in rows if row.label["task"] == task):
            values = scores[(scores.experiment == row.experiment.name) & (scores.subset == subset)]
            status = status_text(compare.runs_of(row, results, "test"))
            empty = "no records classified" if status == "done" else status
            line[row.label["topology"]] = format_mean_std(values[level], FRACTION) or empty
        lines.append(line | {"Setting": setting})
    return pd.DataFrame(lines)


def durations_alone(scores: pd.DataFrame) -> pd.DataFrame:
    """One line for each task: `lib.analysis.length_baseline.length_scores` as text."""
    subsets = scores.columns.difference(["task", "cuts", "sp", "se", "score", "low", "high"])
    numbers = {**dict(zip(subsets, subsets, strict=True)), "score": "Mean", "sp": "Sp", "se": "Se"}
    lines = []
    for row in scores.to_dict("records"):
        line = {"Task": TASK_NAMES[row["task"]]}
        line["Cut at (s)"] = ", ".join(f"{cut:.2f}" for cut in row["cuts"])
        line |= {text: format_number(row[name], FRACTION) for name, text in numbers.items()}
        lines.append(line | {"95% interval": format_interval(row["low"], row["high"], FRACTION)})
    return pd.DataFrame(lines)


def frozen_features(scores: pd.DataFrame) -> pd.DataFrame:
    """One line for each task: `lib.analysis.frozen.probe_table` as text, the paper beside it."""
    paper = {row.key: row for row in PRINTED["s3"]}
    lines = []
    for row in scores.to_dict("records"):
        numbers = {"Cross-validation": "cross_validation", "test2022": "test2022"}
        line = {"Task": TASK_NAMES[row["task"]], "C": f"{row['C']:g}"}
        line |= {"Class weights": row["class_weight"]}
        line |= {text: format_number(row[name], FRACTION) for text, name in numbers.items()}
        line |= {"test2023": format_number(row["test2023"], FRACTION)}
        line |= {"95% interval": format_interval(row["low"], row["high"], FRACTION)}
        published = paper[f"s3/resnet18_supcon_mixup_tune/{row['task']}"]
        lines.append(line | {"Paper": format_number(published.score, FRACTION)})
    return pd.DataFrame(lines)


def tuned(trials: pd.DataFrame) -> pd.DataFrame:
    """One line for each setting and Score of each search: by default, and in the best trial.

    trials: from `lib.runs.tune.collect_trials`. One seed, validation-selected; the best trial has
    the highest validation Score. A search without trials is one line with its command.
    """
    lines = []
    for _, search in trials.groupby("search", sort=False):
        default, *finished = search.to_dict("records")
        line = {"Task": TASK_NAMES[default["task"]], "Model": default["model"]}
        line["Trials"] = "0 finished"
        names = {"test": TRIAL_SCORES["test"]}
        if finished:
            best = max(finished, key=lambda trial: float(trial["score"]))  # the first of equals
            line["Trials"] = f"{len(finished)} finished, best: {best['trial']}"
            names = {name: name for name in tune.SETTINGS if default[name]} | TRIAL_SCORES
            names |= {"run": "run"}
        for name, text in names.items():
            cell = _trial_cell(name, best) if finished else TUNE_COMMAND.format(**default)
            cells = {"Default": _trial_cell(name, default), "Best trial": cell}
            lines.append(line | {"Setting or Score": text} | cells)
    columns = ["Task", "Model", "Trials", "Setting or Score", "Default", "Best trial"]
    return pd.DataFrame(lines, columns=columns)


def _trial_cell(name: str, trial: dict[str, str]) -> str:
    if not trial[name] and trial["run"] and not trial["test"]:
        return "no epoch has Se > 5"
    if not trial[name]:
        return "not saved" if trial["score"] else "not run"
    if name == "run":
        return trial[name][-8:]
    value = float(trial[name])
    return format_number(value, FRACTION) if name in TRIAL_SCORES else f"{value:.4g}"
