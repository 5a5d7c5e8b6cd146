"""Recompute every published number: results from predictions, lines and tables from results.

It reads `reports/` alone: no recordings, no weights, no training.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from lib import files, paths
from lib.config import Experiment, describe_model, describe_settings
from lib.errors import UserError
from lib.evaluation import scores, tasks
from lib.papers import TABLES
from lib.papers.profiles import get_profile
from lib.runs import folder
from lib.runs.results import COLUMNS, from_record, read_results
from lib.runs.tune import TRIALS, published_trials, trial_scores
from lib.tables import build_table
from lib.tables.format import csv_text

WITHOUT_RUN = ("not run", "failed")  # statuses of a line that names no run


def verify() -> list[str]:
    """One line for each published number that differs from its run; empty if all agree.

    A file that is damaged is a difference; the others are checked all the same. Raises `UserError`
    if no page is published.
    """
    if not (paths.reports_root() / "pages.json").exists():
        raise UserError(f"{paths.reports_root()}: no pages.json, so no published pages; build some")
    differences: list[str] = []
    for path in sorted(folder.published_root().glob("*-s*-*")):
        differences += _attempt(path.name, _verify_record, path)
    results = load_results(differences)
    for name, table in results.items():
        differences += _attempt(f"results/{name}.csv", _verify_results, name, table)
    differences += _attempt(f"tables/{TRIALS}.csv", _verify_trials)
    return differences + _attempt("pages.json", _verify_tables, results)


def _attempt(name: str, check: Callable[..., list[str]], *given: object) -> list[str]:
    """What a check finds, or one line that says what it could not check and why."""
    try:
        return check(*given)
    except Exception as error:  # reading a damaged file can raise any
        what = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return [f"{name}: cannot be checked ({what}); restore what is damaged from git"]


def load_results(differences: list[str] | None = None) -> dict[str, pd.DataFrame]:
    """The published results by group, with the paths of their records here.

    Damaged files are left out; a line for each is appended to `differences`.
    """
    results: dict[str, pd.DataFrame] = {}
    for path in sorted((paths.reports_root() / "results").glob("*.csv")):
        problems = _attempt(f"results/{path.name}", _load, path, results)
        if differences is not None:
            differences += problems
    return results


def _load(path: Path, results: dict[str, pd.DataFrame]) -> list[str]:
    results[path.stem] = read_results(path, folder.published_root())
    return []


def _verify_record(path: Path) -> list[str]:
    """Compare a record with its own predictions, and its name with its settings."""
    spec, selections = folder.read_spec(path), folder.read_record(path)["selections"]
    differences = []
    if not path.name.endswith(spec.hash8):
        differences.append(f"{path.name}: settings give the hash {spec.hash8}")
    epochs = {key: value and value["epoch"] for key, value in selections.items()}
    task = tasks.get_task(spec.experiment.task)
    if scores.score_selections(folder.read_predictions(path), epochs, task) != selections:
        differences.append(f"{path.name}: result.json is not what {folder.PREDICTIONS} gives")
    return differences


def _verify_results(name: str, table: pd.DataFrame) -> list[str]:
    differences = []
    again = table.duplicated(["experiment", "seed", "run", "selection", "reason"])
    for row in table.itertuples():
        line = f"results/{name}.csv, {row.run}, {row.selection}"
        if again[row.Index]:
            differences.append(f"{line}: is there twice")
        if not (pd.isna(row.run) and row.status in WITHOUT_RUN):
            differences += _attempt(line, _verify_line, line, row, partial(_result, row))
    return differences


def _result(row: tuple, record: dict) -> dict:
    """What a line of results must say of its record."""
    experiment = Experiment(**record["experiment"])
    _, *pretraining = str(row.setting).split("; on ")
    result = {"seed": record["seed"], "model": describe_model(experiment)}
    result["setting"] = "; on ".join([describe_settings(experiment), *pretraining])
    return result | from_record(record, row.selection)


def _verify_trials() -> list[str]:
    differences = []
    for row in published_trials().itertuples():
        if row.run and (folder.published_root() / row.run).exists():  # the best trials' records
            line = f"tables/{TRIALS}.csv, {row.run}"
            differences += _attempt(line, _verify_line, line, row, trial_scores)
    return differences


def _verify_line(name: str, row: tuple, read: Callable[[dict], dict]) -> list[str]:
    """Compare a line of a CSV file with what `read` gives of the record that it names."""
    path = folder.published_root() / row.run
    if not (path / "result.json").exists():
        return [f"{name}: its record is not published"]
    expected = read(folder.read_record(path))
    wrong = [key for key, value in expected.items() if getattr(row, key) not in (value, str(value))]
    return [f"{name}: {', '.join(wrong)}: not what its record says"] if wrong else []


def _verify_tables(results: dict[str, pd.DataFrame]) -> list[str]:
    pages = files.read_json(paths.reports_root() / "pages.json")  # written by lib.reports.build
    judge = get_profile(next(page["profile"] for page in pages.values())).verdict
    differences = []
    for path in sorted((paths.reports_root() / "tables").glob("*.csv")):
        if path.stem in TABLES:
            differences += _attempt(f"tables/{path.name}", _verify_table, path, results, judge)
    return differences


def _verify_table(path: Path, results: dict[str, pd.DataFrame], judge: bool) -> list[str]:
    nothing = pd.DataFrame(columns=COLUMNS)  # of a group whose page is not published
    text = csv_text(build_table(path.stem, lambda name: results.get(name, nothing), judge))
    same = text == path.read_text(encoding="utf-8")
    return [] if same else [f"tables/{path.name}: differs when built from its runs"]
