"""Results of a profile's runs as one table: numbers, or why there are none."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import papers
from lib.config import describe_model, describe_settings
from lib.errors import UserError
from lib.evaluation.tasks import get_task
from lib.runs import folder
from lib.runs.plan import PlannedRun, open_context, plan_runs

COMPLETE = "predicts every class"
METRICS = ("sp", "se", "score", "se_binary", "score_binary")
COLUMNS = [
    *("experiment", "seed", "selection", "status", "reason", "epoch"),
    *METRICS,
    *(f"{metric}_patient_disjoint" for metric in METRICS),
    *("gap", "gap_binary"),  # test-selected minus this selection, same run
    *("mark", "model", "data", "weights", "setting", "run", "path"),
]


def collect_results(profile: str, *groups: str) -> pd.DataFrame:
    """Results of the runs of some groups: one row for each experiment, seed and selection.

    model: what ran, such as "AST mini, from scratch". mark: which classes a model never
    predicts, or `COMPLETE`.

    Status is done, not run, failed or none qualifies, with a reason; numbers are percent of the
    test set, `*_patient_disjoint` without the patients on both sides of ICBHI's official split.
    Metrics that a task does not have (SPRSound's: *_binary) are nan.
    """
    runs = plan_runs(open_context(profile), *groups)
    lines = [_result(run, selection) for run in runs for selection in run.selections]
    return pd.DataFrame(lines, columns=COLUMNS)


def read_results(path: Path, *roots: Path) -> pd.DataFrame:
    """The table of a results/<group>.csv; path is each run's folder in the first root that has it.

    Without the file it is an empty table. Raises `UserError` if columns are missing.
    """
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    if missing := [name for name in COLUMNS if name not in table and name != "path"]:
        raise UserError(f"{path}: lacks the columns {', '.join(missing)}; build its page again")
    runs = [next((root / run for root in roots if (root / run).exists()), roots[0] / run)
            if isinstance(run, str) else None for run in table.run]  # fmt: skip
    return table.assign(path=[str(run) if run else np.nan for run in runs])


def overview(profile: str) -> pd.DataFrame:
    """How many runs of each group of the main paper are done, failed or not run, and why."""
    lines = []
    for group in (name for n in papers.DEFAULT_NOTEBOOKS for name in papers.NOTEBOOKS[n]):
        runs = collect_results(profile, group).drop_duplicates(["experiment", "seed", "run"])
        not_run = runs[runs.status == "not run"]
        reasons = not_run.reason.value_counts(sort=False)
        lines.append(
            {
                "group": group,
                "runs": len(runs),
                "done": int(runs.status.isin(["done", "none qualifies"]).sum()),
                "failed": int((runs.status == "failed").sum()),
                "not run": len(not_run),
                "reasons": "; ".join(f"{count} × {reason}" for reason, count in reasons.items()),
            }
        )
    return pd.DataFrame(lines)


def histories(results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What ran -> history (one row an epoch) of the first finished seed of each experiment."""
    finished = results[results.path.notna()].sort_values("seed", kind="stable")
    first = finished.drop_duplicates("experiment").sort_values("experiment")
    variant = first.experiment.str.partition("/")[2].str.replace("/", ", ")
    names = first.model + ": " + variant
    names = names.mask(names.duplicated(keep=False), names + " (" + first.experiment + ")")
    paths = first.path.map(Path)
    return {name: _history(path) for name, path in zip(names, paths, strict=True)}


def _history(run: Path) -> pd.DataFrame:
    with folder.damage_named(run / "history.csv"):
        return pd.read_csv(run / "history.csv")


def _result(run: PlannedRun, selection: str) -> dict:
    line = {"experiment": run.name, "seed": run.seed, "selection": selection}
    line |= {"setting": _setting(run), "model": describe_model(run.experiment)}
    if run.record is None:
        status = "failed" if run.failed else "not run"
        return {**line, "status": status, "reason": run.failed or run.reason or "not yet run"}
    record = folder.read_record(run.record)
    line |= {"run": run.record.name, "path": str(run.record)}
    return {**line, **from_record(record, selection)}


def _setting(run: PlannedRun) -> str:
    """The settings of a run and of the runs that it starts from."""
    setting = describe_settings(run.experiment)
    first = run.pretraining
    return f"{setting}; on {first.experiment.method} of {_setting(first)}" if first else setting


def from_record(record: dict, selection: str) -> dict:
    """What a complete record gives for one selection: status, numbers, data and weights."""
    with folder.damage_named(record["run"]):
        names = {"data": record["data"]["name"], "weights": record["weights"]["name"]}
        selected, best = (record["selections"][name] for name in (selection, "test"))
        if selected is None:
            return {**names, "status": "none qualifies", "reason": "no epoch has Se > 5"}
        task = get_task(record["experiment"]["task"])
        confusion = np.array(selected["test"]["confusion"])
        return names | _numbers(selected, best) | {"mark": task.unpredicted(confusion) or COMPLETE}


def _numbers(selected: dict, best: dict | None) -> dict:
    """The numbers of a selection of a run; best: those of its best epoch on the test set."""
    test, disjoint = selected["test"], selected["test_patient_disjoint"]
    pairs = (("gap", "score"), ("gap_binary", "score_binary"))
    return {
        "status": "done",
        "epoch": selected["epoch"],
        **{key: test[key] for key in METRICS if key in test},
        **{f"{key}_patient_disjoint": disjoint[key] for key in METRICS if key in disjoint},
        **{
            gap: round(best["test"][key] - test[key], 4)
            for gap, key in pairs
            if best and key in test
        },
    }
