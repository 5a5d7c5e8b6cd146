"""The tables of SPRSound's paper beside ours: Scores from 0 to 1, as printed.

The paper's Table III is scored on test2023, which was not handed out; ours on both parts of
test2022. So no row has a verdict, and every row says so.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lib import paper_sprsound, rows
from lib.config import SELECTIONS
from lib.evaluation.metrics import challenge_total
from lib.paper_sprsound import RUNTIME_BONUS, TASK_NAMES, TASKS
from lib.row import Row
from lib.runs import predictions, predictions_sprsound
from lib.runs.predictions_sprsound import scores
from lib.tables import format
from lib.tables.format import MISSING, join_unique, status_text

SCORED_ON = "paper: test2023; ours: inter and intra of test2022"
NO_VERDICT = "no verdict: another test set"
NOT_TUNED = (
    "not run: the paper does not say what Tune found; python -m lib.runs.tune 1-1 "
    "resnet18_supcon/mixup --profile paper searches (as for 1-2, 2-1, 2-2); what was found: table "
    "sprsound_tuned"
)
NOT_KEPT = "not kept"
NORMAL = "always “Normal”"
NORMAL_SCORE = 0.25  # SP 1, SE 0: AS .5, HS 0
CHOSEN = "validation"  # the selection of Table I and of the faults: held-out clips choose


def benchmark(results: pd.DataFrame) -> pd.DataFrame:
    """Table III, a line for each topology: paper and ours of each task, the epoch chosen on the
    test as published, and on held-out patients.

    Ours is mean ± std (seeds) of the mean over inter and intra. The last line always answers
    "Normal". Columns end with what was scored, what ours was run with, and notes.
    """
    lines = []
    for topology, by_task in _by_topology("sprsound3").items():
        line = {"Topology": topology}
        for task, row in by_task.items():
            line[f"{TASK_NAMES[task]}, paper"] = number(paper_sprsound.get(row.key).score)
            line[TASK_NAMES[task]] = spread(results, row.experiment, "test")
            line[f"{TASK_NAMES[task]}, validation"] = spread(results, row.experiment, CHOSEN)
        line |= {"Scored on": SCORED_ON, "Verdict": NO_VERDICT}
        line["Ours was run with"] = run_with(results, by_task.values())
        tuned = next(iter(by_task.values())).experiment is None
        lines.append(line | {"Note": paper_sprsound.ABSTRACT_NOTE if tuned else MISSING})
    normal = {name: number(NORMAL_SCORE) for name in TASK_NAMES.values()}
    lines.append({"Topology": NORMAL, **normal, "Ours was run with": "by definition"})
    return pd.DataFrame(lines).fillna(MISSING)


def details(results: pd.DataFrame) -> pd.DataFrame:
    """Table III, a line for each topology and task: who chooses the epoch, interval, every seed.

    Gap: what choosing on the test adds to choosing on held-out patients, in the same runs. The
    interval is drawn over patients, of the first column.
    """
    lines = []
    for row in rows.table("sprsound3"):
        published, name = paper_sprsound.get(row.key).score, row.experiment
        line = {"Topology": row.label["topology"], "Task": row.label["task"]}
        line["Paper (test2023)"] = number(published)
        line |= {one.capitalize(): spread(results, name, one) for one in SELECTIONS}
        line["Gap"] = _gap(results, name)
        line["95% interval"] = _interval(results, name)
        line |= {m.upper(): spread(results, name, "test", metric=m) for m in ("sp", "se")}
        line["test2023"] = _test2023(results, name)
        line["Difference"] = _difference(results, name, published)
        line["Verdict"] = NO_VERDICT
        lines.append(line | origin(results, row))
    normal = {"Topology": NORMAL, "Task": "each", **_normal(), "Status": "by definition"}
    return pd.DataFrame([*lines, normal]).fillna(MISSING)


def _test2023(results: pd.DataFrame, experiment: str | None) -> str:
    """The part that the paper was scored on, where it is present."""
    if predictions_sprsound.done(results, experiment, "test").empty:
        return MISSING
    known = scores(results, experiment, "test", "2023")
    return spread(results, experiment, "test", "2023") if known else "not handed out"


def _normal() -> dict[str, str]:
    return {"Test": number(NORMAL_SCORE), "SP": number(1), "SE": number(0)}


def totals(results: pd.DataFrame) -> pd.DataFrame:
    """The challenge's total of the four tasks by topology, without and with the runtime's bonus.

    In brackets how many seeds the Scores are means of, by task where that differs.

    Ours has no bonus of its own: the last column adds all of it, as the paper does.
    """
    lines = []
    for topology, by_task in _by_topology("sprsound3").items():
        printed = {task: paper_sprsound.get(row.key).score for task, row in by_task.items()}
        line = {"Topology": topology} | _total("Paper", printed)
        for selection in ("test", "validation"):
            found = {t: scores(results, row.experiment, selection) for t, row in by_task.items()}
            line |= _ours_total(selection.capitalize(), found)
        lines.append(line | {"Ours was run with": run_with(results, by_task.values())})
    said = {"Topology": "as the abstract has it"} | _total("Paper", paper_sprsound.ABSTRACT)
    normal = _total("Test", dict.fromkeys(TASKS, NORMAL_SCORE))
    return pd.DataFrame([*lines, said, {"Topology": NORMAL, **normal}]).fillna(MISSING)


def _total(name: str, by_task: dict[str, float]) -> dict[str, str]:
    bonus = f"{name} + {RUNTIME_BONUS:g}"
    return {
        name: number(challenge_total(by_task)),
        bonus: number(challenge_total(by_task, RUNTIME_BONUS)),
    }


def _ours_total(name: str, found: dict[str, list[float]]) -> dict[str, str]:
    missing = [TASK_NAMES[task] for task, one in found.items() if not one]
    if missing:
        lacks = f"no Score: {', '.join(missing)}"
        return {name: lacks, f"{name} + {RUNTIME_BONUS:g}": lacks}
    seeds = "/".join(sorted({str(len(one)) for one in found.values()}))
    total = _total(name, {task: float(np.mean(one)) for task, one in found.items()})
    return {key: f"{value} ({seeds})" for key, value in total.items()}


def mixup(results: pd.DataFrame) -> pd.DataFrame:
    """Table I: training, held-out and inter-test Scores of one epoch, chosen on held-out patients.

    The paper's validation set holds events of children who are trained on too.
    """
    lines: dict[tuple, dict] = {}
    for row in rows.table("sprsound1"):
        _, _, dataset, task = row.key.split("/")
        key = row.label["topology"], row.label["dataset"]
        line = lines.setdefault(key, dict(zip(("Topology", "Dataset"), key, strict=True)))
        line[f"{TASK_NAMES[task]}, paper"] = number(paper_sprsound.get(row.key).score)
        of = {"valid": "validation"}.get(dataset, dataset)
        line[TASK_NAMES[task]] = spread(results, row.experiment, CHOSEN, of, NOT_KEPT)
    grouped = {key: [r for r in rows.table("sprsound1") if _name(r) == key[0]] for key in lines}
    return pd.DataFrame(
        [line | {"Ours was run with": run_with(results, grouped[k])} for k, line in lines.items()]
    )


def _by_topology(table: str) -> dict[str, dict[str, Row]]:
    """Topology -> task -> row, in print order."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows.table(table):
        found.setdefault(_name(row), {})[row.key.split("/")[-1]] = row
    return found


def _name(row: Row) -> str:
    return row.label["topology"]


def number(value: float) -> str:
    """As the challenge prints it."""
    return f"{value:.3f}"


def spread(
    results: pd.DataFrame,
    experiment: str | None,
    selection: str,
    of: str = "test",
    missing: str = "not run",
    metric: str = "score",
) -> str:
    """ "mean ± std (n)" of the finished runs, or the word that says why there is none."""
    found = scores(results, experiment, selection, of, metric)
    runs = results[(results.experiment == experiment) & (results.selection == selection)]
    if not found:
        return missing if (runs.status == "done").any() else join_unique(runs.status, "not run")
    return format.format_mean_std(found, ".3f")


def _gap(results: pd.DataFrame, experiment: str | None) -> str:
    gaps = predictions_sprsound.done(results, experiment, CHOSEN).gap.dropna()
    return f"{gaps.mean() / 100:+.3f}" if len(gaps) else MISSING


def _difference(results: pd.DataFrame, experiment: str | None, published: float) -> str:
    found = scores(results, experiment, "test")
    return f"{np.mean(found) - published:+.3f}" if found else MISSING


def _interval(results: pd.DataFrame, experiment: str | None) -> str:
    found = predictions_sprsound.of(results, experiment, "test")
    if found is None:
        return MISSING
    return format.format_interval(*(number / 100 for number in predictions.interval(found)), ".3f")


def origin(results: pd.DataFrame, row: Row) -> dict[str, str]:
    """What was scored, seed by seed, and with what: the end of a line."""
    test = results[(results.experiment == row.experiment) & (results.selection == "test")]
    runs = test[test.run.notna()].sort_values("seed")
    return {
        "Scored on": SCORED_ON if row.paper else "inter and intra of test2022",
        "Runs": join_unique(f"{run.seed}: {run.run[-8:]}" for run in runs.itertuples()),
        "Data": join_unique(runs.data),
        "Setting": join_unique(test.setting),
        "Status": status(results, row),
    }


def status(results: pd.DataFrame, row: Row) -> str:
    """ "done", or how the runs stand, each with its reason."""
    if row.experiment is None:
        return NOT_TUNED
    test = results[(results.experiment == row.experiment) & (results.selection == "test")]
    if test.empty:
        return "not run: not asked for"
    return join_unique(status_text(test))


def run_with(results: pd.DataFrame, table: Iterable[Row]) -> str:
    """Statuses, data and settings behind the runs of some rows, each once."""
    origins = [origin(results, row) for row in table]
    stopped = [one["Status"] for one in origins if one["Status"] != "done"]
    known = [one[key] for key in ("Data", "Setting") for one in origins if one["Runs"] != MISSING]
    return join_unique([*known, *stopped])
