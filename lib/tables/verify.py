"""Published numbers, recomputed: results from predictions, tables and intervals from results.

It needs `reports/` alone: no recordings, no weights, no training.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from lib import files, paths, profiles, rows, rows_sam, rows_srad
from lib.analysis import embedding, streaming_results
from lib.row import Row
from lib.runs import folder as runs_folder
from lib.runs import results as results_of
from lib.tables import (
    claims,
    compare,
    frequency_response,
    lung_srad,
    sam,
    sprsound,
    sprsound_variants,
    transfer,
    tuning,
)
from lib.tables import format as tables_format

Results = dict[str, pd.DataFrame]  # table -> what `lib.runs.results.of` gave
Build = Callable[[Results, bool], pd.DataFrame]


def _view(rows_of: str, results_of: str, view: Callable, two_class: bool = False) -> Build:
    return _own(results_of, rows.table(rows_of), view, two_class)


def _own(name: str, of: list[Row], view: Callable, two_class: bool = False) -> Build:
    return lambda results, judge: view(compare.compare_rows(of, results[name], judge, two_class))


# Every table that notebooks make of results, by the name of its file.
TABLES: dict[str, Build] = {
    "table1": _view("table1", "table1", compare.headline),
    "table1_selections": _view("table1", "table1", compare.selections),
    "table1_details": _view("table1", "table1", compare.details),
    "table2_rules": lambda results, _: compare.selection_rule(
        rows.SELECTION_RULE, results["table2"]
    ),
    "table2": _view("table2", "table2", compare.headline),
    "table2_selections": _view("table2", "table2", compare.selections),
    "table2_details": _view("table2", "table2", compare.details),
    "figure2": _view("figure2", "figure2", compare.selections),
    "table3_4class": _view("table3_4class", "table3_4class", compare.headline),
    "table3_2class": _view("table3_2class", "table3_4class", compare.headline, two_class=True),
    "table3_selections": _view("table3_4class", "table3_4class", compare.selections),
    "table3_4class_details": _view("table3_4class", "table3_4class", compare.details),
    "table3_2class_details": _view("table3_2class", "table3_4class", compare.details, True),
    "table3_differences": lambda results, _: claims.differences(results["table3_4class"]),
    "claims": lambda results, judge: claims.claims_table(
        {t: results[t] for t in ("table1", "table2")}, judge
    ),
    "tsne": lambda results, _: embedding.compare(embedding.of(results["tsne"], rows.MAIN_METHODS)),
    "sprsound_table3": lambda results, _: sprsound.benchmark(results["sprsound3"]),
    "sprsound_table3_details": lambda results, _: sprsound.details(results["sprsound3"]),
    "sprsound_totals": lambda results, _: sprsound.totals(results["sprsound3"]),
    "sprsound_table1": lambda results, _: sprsound.mixup(results["sprsound1"]),
    "sprsound_faults": lambda results, _: sprsound_variants.faults(results["sprsound_faults"]),
    "sprsound_table2": lambda results, _: sprsound_variants.windows(
        results["sprsound2"], streaming_results.published()
    ),
    "children": lambda results, _: transfer.methods(results["children"]),
    "sam_effects": lambda results, _: sam.effects(results["sam"]),
    "sam_flatness": lambda results, _: sam.flatness(results["sam"]),
    "sam_sweeps": _own(
        "sam", rows_sam.SWEEP, lambda table: compare.selections(table).assign(Setting=table.Setting)
    ),
    "sam_children": _own("sam", rows_sam.CHILDREN, compare.selections),
    "sam_2class": _own("sam", rows_sam.TWO_CLASS, compare.headline, two_class=True),
    "sam_2class_details": _own("sam", rows_sam.TWO_CLASS, compare.details, two_class=True),
    "sam_4class": _own("sam", rows_sam.FOUR_CLASS, compare.headline),
    "sam_4class_details": _own("sam", rows_sam.FOUR_CLASS, compare.details),
    "sam_selections": _own("sam", rows_sam.FOUR_CLASS, compare.selections),
    "sam_neighbours": lambda results, _: embedding.compare(
        embedding.of(results["sam"], rows_sam.EMBEDDED)
    ),
    "srad_4class": _own("srad", rows_srad.FOUR_CLASS, compare.headline),
    "srad_2class": _own("srad", rows_srad.TWO_CLASS, compare.headline, two_class=True),
    "srad_selections": _own("srad", rows_srad.FOUR_CLASS, compare.selections),
    "srad_details": _own("srad", rows_srad.FOUR_CLASS, compare.details),
    "srad_2class_details": _own("srad", rows_srad.TWO_CLASS, compare.details, two_class=True),
    "srad_axis": _own("srad", rows_srad.AXIS, compare.headline),
    "srad_blur": _own("srad", rows_srad.BLUR, compare.headline),
    "srad_quirks": _own("srad", rows_srad.QUIRKS, compare.headline),
    "srad_backbones": lambda results, _: lung_srad.crossed(results["srad"]),
    "srad_backbones_details": _own("srad", rows_srad.BACKBONES, compare.headline),
    "srad_weights": lambda results, _: lung_srad.loaded(results["srad"]),
    "srad_low_pass": lambda results, _: frequency_response.low_pass(results["srad"]),
    "srad_frequencies": lambda results, _: frequency_response.high(results["srad"]),
    "sprsound_tuned": lambda *_: tuning.tuned(tuning.published()),
    "transfer": lambda results, _: transfer.compare(results["transfer"]),
}


def verify() -> list[str]:
    """One line for each published number that its run does not give; empty if all is well."""
    return runs_folder.verify() + _results() + _trials() + _tables()


def load_results() -> Results:
    """The published results, with the paths of their records here."""
    found = {}
    for path in sorted((paths.reports_root() / "results").glob("*.csv")):
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
        known = table.run.notna()
        table.loc[known, "path"] = [
            str(runs_folder.published_root() / run) for run in table.run[known]
        ]
        found[path.stem] = table
    return found


def _results() -> list[str]:
    """Numbers in results/*.csv that are not those of the record which they name."""
    differences = []
    for name, table in load_results().items():
        for row in table[table.status == "done"].itertuples():
            where = f"results/{name}.csv, {row.run}, {row.selection}"
            if not (Path(row.path) / "result.json").exists():
                differences.append(f"{where}: its record is not published")
                continue
            said = results_of.from_record(runs_folder.read(Path(row.path)), row.selection)
            wrong = [key for key, value in said.items() if getattr(row, key) != value]
            if wrong:
                differences.append(f"{where}: {', '.join(wrong)}: not what its record says")
    return differences


def _trials() -> list[str]:
    """Scores of the searches' trials that are not those of the record which they name.

    Published are the records of the best trials; the others' Scores are taken as they stand.
    """
    differences = []
    for row in tuning.published().itertuples():
        folder = runs_folder.published_root() / row.run
        if row.run and (folder / "result.json").exists():
            said = tuning.scores(runs_folder.read(folder))
            if wrong := [key for key, value in said.items() if getattr(row, key) != str(value)]:
                where = f"tables/{tuning.NAME}.csv, {row.run}"
                differences.append(f"{where}: {', '.join(wrong)}: not what its record says")
    return differences


def _tables() -> list[str]:
    """Tables that come out otherwise when they are made again."""
    folder = paths.reports_root() / "tables"
    pages = files.read_json(paths.reports_root() / "pages.json")  # written by lib.reports.build
    profile = next(page["profile"] for page in pages.values())
    results, differences = load_results(), []
    for path in sorted(folder.glob("*.csv")):
        if path.stem in TABLES:
            again = tables_format.csv_text(
                TABLES[path.stem](results, profiles.get(profile).verdict)
            )
            if again != path.read_text(encoding="utf-8"):
                differences.append(f"tables/{path.name}: comes out otherwise from its runs")
    return differences
