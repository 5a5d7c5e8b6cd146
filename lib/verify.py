"""Published numbers, recomputed: results from predictions, tables and intervals from results.

It needs `reports/` alone: no recordings, no weights, no training.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from lib import (
    cards,
    claims,
    embedding,
    files,
    profiles,
    render,
    rows,
    rows_sam,
    rows_srad,
    runs,
    streamed,
    tables,
    tables_faults,
    tables_sam,
    tables_spectra,
    tables_sprsound,
    tables_srad,
    tables_transfer,
    tables_tuned,
)
from lib import results as results_of
from lib.row import Row

Results = dict[str, pd.DataFrame]  # table -> what `lib.results.of` gave
Build = Callable[[Results, bool], pd.DataFrame]


def _view(rows_of: str, results_of: str, view: Callable, two_class: bool = False) -> Build:
    return _own(results_of, rows.table(rows_of), view, two_class)


def _own(name: str, of: list[Row], view: Callable, two_class: bool = False) -> Build:
    return lambda results, judge: view(tables.compare(of, results[name], judge, two_class))


# Every table that notebooks make of results, by the name of its file.
TABLES: dict[str, Build] = {
    "table1": _view("table1", "table1", tables.headline),
    "table1_selections": _view("table1", "table1", tables.selections),
    "table1_details": _view("table1", "table1", tables.details),
    "table2_rules": lambda results, _: tables.rules(rows.SELECTION_RULE, results["table2"]),
    "table2": _view("table2", "table2", tables.headline),
    "table2_selections": _view("table2", "table2", tables.selections),
    "table2_details": _view("table2", "table2", tables.details),
    "figure2": _view("figure2", "figure2", tables.selections),
    "table3_4class": _view("table3_4class", "table3_4class", tables.headline),
    "table3_2class": _view("table3_2class", "table3_4class", tables.headline, two_class=True),
    "table3_selections": _view("table3_4class", "table3_4class", tables.selections),
    "table3_4class_details": _view("table3_4class", "table3_4class", tables.details),
    "table3_2class_details": _view("table3_2class", "table3_4class", tables.details, True),
    "table3_differences": lambda results, _: claims.differences(results["table3_4class"]),
    "claims": lambda results, judge: claims.table(
        {t: results[t] for t in ("table1", "table2")}, judge
    ),
    "tsne": lambda results, _: embedding.compare(embedding.of(results["tsne"], rows.MAIN_METHODS)),
    "sprsound_table3": lambda results, _: tables_sprsound.benchmark(results["sprsound3"]),
    "sprsound_table3_details": lambda results, _: tables_sprsound.details(results["sprsound3"]),
    "sprsound_totals": lambda results, _: tables_sprsound.totals(results["sprsound3"]),
    "sprsound_table1": lambda results, _: tables_sprsound.mixup(results["sprsound1"]),
    "sprsound_faults": lambda results, _: tables_faults.faults(results["sprsound_faults"]),
    "sprsound_table2": lambda results, _: tables_faults.windows(
        results["sprsound2"], streamed.published()
    ),
    "children": lambda results, _: tables_transfer.methods(results["children"]),
    "sam_effects": lambda results, _: tables_sam.effects(results["sam"]),
    "sam_flatness": lambda results, _: tables_sam.flatness(results["sam"]),
    "sam_sweeps": _own(
        "sam", rows_sam.SWEEP, lambda table: tables.selections(table).assign(Setting=table.Setting)
    ),
    "sam_children": _own("sam", rows_sam.CHILDREN, tables.selections),
    "sam_2class": _own("sam", rows_sam.TWO_CLASS, tables.headline, two_class=True),
    "sam_2class_details": _own("sam", rows_sam.TWO_CLASS, tables.details, two_class=True),
    "sam_4class": _own("sam", rows_sam.FOUR_CLASS, tables.headline),
    "sam_4class_details": _own("sam", rows_sam.FOUR_CLASS, tables.details),
    "sam_selections": _own("sam", rows_sam.FOUR_CLASS, tables.selections),
    "sam_neighbours": lambda results, _: embedding.compare(
        embedding.of(results["sam"], rows_sam.EMBEDDED)
    ),
    "srad_4class": _own("srad", rows_srad.FOUR_CLASS, tables.headline),
    "srad_2class": _own("srad", rows_srad.TWO_CLASS, tables.headline, two_class=True),
    "srad_selections": _own("srad", rows_srad.FOUR_CLASS, tables.selections),
    "srad_details": _own("srad", rows_srad.FOUR_CLASS, tables.details),
    "srad_2class_details": _own("srad", rows_srad.TWO_CLASS, tables.details, two_class=True),
    "srad_axis": _own("srad", rows_srad.AXIS, tables.headline),
    "srad_blur": _own("srad", rows_srad.BLUR, tables.headline),
    "srad_quirks": _own("srad", rows_srad.QUIRKS, tables.headline),
    "srad_backbones": lambda results, _: tables_srad.crossed(results["srad"]),
    "srad_backbones_details": _own("srad", rows_srad.BACKBONES, tables.headline),
    "srad_weights": lambda results, _: tables_srad.loaded(results["srad"]),
    "srad_low_pass": lambda results, _: tables_spectra.low_pass(results["srad"]),
    "srad_frequencies": lambda results, _: tables_spectra.high(results["srad"]),
    "sprsound_tuned": lambda *_: tables_tuned.tuned(tables_tuned.published()),
    "transfer": lambda results, _: tables_transfer.compare(results["transfer"]),
}


def verify() -> list[str]:
    """One line for each published number that its run does not give; empty if all is well."""
    return runs.verify() + _results() + _trials() + _tables()


def load() -> Results:
    """The published results, with the paths of their records here."""
    found = {}
    for path in sorted((files.reports_root() / "results").glob("*.csv")):
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
        known = table.run.notna()
        table.loc[known, "path"] = [str(runs.published_root() / run) for run in table.run[known]]
        found[path.stem] = table
    return found


def _results() -> list[str]:
    """Numbers in results/*.csv that are not those of the record which they name."""
    differences = []
    for name, table in load().items():
        for row in table[table.status == "done"].itertuples():
            where = f"results/{name}.csv, {row.run}, {row.selection}"
            if not (Path(row.path) / "result.json").exists():
                differences.append(f"{where}: its record is not published")
                continue
            said = results_of.from_record(runs.read(Path(row.path)), row.selection)
            wrong = [key for key, value in said.items() if getattr(row, key) != value]
            if wrong:
                differences.append(f"{where}: {', '.join(wrong)}: not what its record says")
    return differences


def _trials() -> list[str]:
    """Scores of the searches' trials that are not those of the record which they name.

    Published are the records of the best trials; the others' Scores are taken as they stand.
    """
    differences = []
    for row in tables_tuned.published().itertuples():
        folder = runs.published_root() / row.run
        if row.run and (folder / "result.json").exists():
            said = tables_tuned.scores(runs.read(folder))
            if wrong := [key for key, value in said.items() if getattr(row, key) != str(value)]:
                where = f"tables/{tables_tuned.NAME}.csv, {row.run}"
                differences.append(f"{where}: {', '.join(wrong)}: not what its record says")
    return differences


def _tables() -> list[str]:
    """Tables that come out otherwise when they are made again."""
    folder = files.reports_root() / "tables"
    profile = next((card.profile for card in cards.cards(files.reports_root())), None)
    results, differences = load(), []
    for path in sorted(folder.glob("*.csv")):
        if path.stem in TABLES:
            again = render.csv(TABLES[path.stem](results, profiles.get(profile).verdict))
            if again != path.read_text(encoding="utf-8"):
                differences.append(f"tables/{path.name}: comes out otherwise from its runs")
    return differences
