"""ICBHI's four classes on both datasets: Patch-Mix's methods on SPRSound, and transfer."""

from collections.abc import Sequence

import pandas as pd

from lib.papers.table_row import TableRow
from lib.runs.predictions import Predictions, predictions_of_runs
from lib.tables import compare
from lib.tables.claims import difference_cell
from lib.tables.format import MISSING, join_unique

COLUMNS = {"Trained": "Trained on", "Tested": "Tested on"}


def transfer(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """One line for each row, the epoch selected on its own validation patients; "normal" last.

    Scores on SPRSound are means over inter and intra. Difference: Score minus that of the same
    method trained on the dataset tested on, or of the first method if the rows are of one dataset,
    with a paired 95% interval over patients, of the seeds that both have.
    """
    runs = {row.key: selected_runs(row, results) for row in rows}
    loaded = {row.key: load_row(row, results) for row in rows}
    lines = []
    for row in rows:
        base, predictions = base_row(row, rows), loaded[row.key]
        line = compare.label_cells(row)
        line |= {name: compare.score_cell(runs[row.key], name.lower()) for name in compare.NAMES}
        line["95% interval"] = compare.interval_cell(predictions)
        other = base is not row
        line["Difference"] = difference_cell((predictions, loaded[base.key])) if other else MISSING
        done = runs[row.key][runs[row.key].status == "done"]
        line["Epoch chosen by"] = join_unique(done.selection)
        line["Test data"] = join_unique(runs[base.key].data)
        lines.append(line | compare.origin(row, runs[row.key]))
    table = pd.DataFrame([*lines, compare.always_normal(rows)]).drop(columns=["Row", "Test"])
    return table.rename(columns=COLUMNS).fillna(MISSING)


def base_row(row: TableRow, rows: Sequence[TableRow]) -> TableRow:
    """The row that a row is compared with; the row itself if it is such a base."""
    if "tested" not in row.label:
        return rows[0]
    label = row.label | {"trained": row.label["tested"]}
    return next(base for base in rows if base.label == label)


def selected_runs(row: TableRow, results: pd.DataFrame) -> pd.DataFrame:
    """The runs of a row, one for each seed, with the numbers of the set that the row is scored on.

    The selection is validation, or last for a run whose epochs never have Se > 5 on validation.
    """
    runs = results[results.experiment == row.experiment.name]
    runs = runs[runs.selection.isin(["validation", "last"])]
    rank = 2 * (runs.status != "done") + (runs.selection != "validation")
    runs = runs.assign(rank=rank).sort_values(["seed", "rank"]).drop_duplicates("seed")
    return runs if scored_set(row) == "test" else compare.scored_on(runs, scored_set(row))


def scored_set(row: TableRow) -> str:
    """The set that a row is scored on: test, or the name of the other dataset."""
    trained, tested = (row.label.get(name) for name in ("trained", "tested"))
    return "test" if trained == tested else tested.lower()


def load_row(row: TableRow, results: pd.DataFrame) -> Predictions | None:
    """The predictions of a row's finished runs on the set that the row is scored on."""
    runs = selected_runs(row, results)
    return predictions_of_runs(runs[runs.status == "done"], scored_set(row))
