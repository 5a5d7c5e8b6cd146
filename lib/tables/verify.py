"""Recompute every published number: results from predictions, lines and tables from results.

It reads `reports/` alone: no recordings, no weights, no training.
"""

from collections.abc import Callable
from functools import partial

import pandas as pd

from lib import files, paths
from lib.papers import TABLES
from lib.papers.profiles import get_profile
from lib.runs import folder
from lib.runs.results import from_record
from lib.runs.tune import TRIALS, published_trials, trial_scores
from lib.tables import build_table
from lib.tables.format import csv_text


def verify() -> list[str]:
    """One line for each published number that differs from its run; empty if all agree."""
    differences, results = folder.verify_records(), load_results()
    for name, table in results.items():
        for row in table[table.status == "done"].itertuples():
            line = f"results/{name}.csv, {row.run}, {row.selection}"
            differences += _verify_line(line, row, partial(from_record, selection=row.selection))
    for row in published_trials().itertuples():
        if row.run and (folder.published_root() / row.run).exists():  # the best trials' records
            differences += _verify_line(f"tables/{TRIALS}.csv, {row.run}", row, trial_scores)
    return differences + _verify_tables(results)


def load_results() -> dict[str, pd.DataFrame]:
    """The published results by group, with the paths of their records here."""
    results = {}
    for path in sorted((paths.reports_root() / "results").glob("*.csv")):
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
        table["path"] = (str(folder.published_root()) + "/" + table.run).where(table.run.notna())
        results[path.stem] = table
    return results


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
            text = csv_text(build_table(path.stem, results.__getitem__, judge))
            if text != path.read_text(encoding="utf-8"):
                differences.append(f"tables/{path.name}: differs when built from its runs")
    return differences
