"""ICBHI's four classes on both datasets: Patch-Mix's methods on SPRSound, and transfer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.papers.table_row import TableRow
from lib.runs.predictions import (
    Predictions,
    auroc_interval,
    predictions_of_runs,
    row_name,
)
from lib.tables import compare
from lib.tables.claims import difference_cell
from lib.tables.format import (
    FRACTION,
    MISSING,
    format_interval,
    format_mean_std,
    format_number,
    join_unique,
)

COLUMNS = {"Trained": "Trained on", "Tested": "Tested on"}


def transfer(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """One line for each row, the epoch selected on its own validation patients; "normal" last.

    Scores on SPRSound are means over inter and intra. Ensemble: Score of the mean of the seeds'
    probabilities. AUROC: of abnormal against normal clips, with its interval. Difference: Score
    minus that of the same method trained on the dataset tested on, or of the first method if the
    rows are of one dataset, with a paired 95% interval over patients, of the seeds that both have.
    """
    runs = {row.key: selected_runs(row, results) for row in rows}
    loaded = {row.key: load_row(row, results) for row in rows}
    lines = []
    for row in rows:
        base, predictions = base_row(row, rows), loaded[row.key]
        done = runs[row.key][runs[row.key].status == "done"]
        line = compare.label_cells(row)
        line |= {name: compare.score_cell(runs[row.key], name.lower()) for name in compare.NAMES}
        line["95% interval"] = compare.interval_cell(predictions)
        line["Ensemble"] = compare.ensemble_cell(predictions)
        line["AUROC"] = auroc_cell(predictions)
        line["Mark"] = compare.mark(predictions)
        other = base is not row
        line["Difference"] = difference_cell((predictions, loaded[base.key])) if other else MISSING
        line["Epoch chosen by"] = join_unique(done.selection)
        line["Test data"] = join_unique(runs[base.key].data)
        lines.append(line | compare.origin(row, runs[row.key]))
    table = pd.DataFrame([*lines, compare.always_normal(rows)]).drop(columns=["Row", "Test"])
    return table.rename(columns=COLUMNS).fillna(MISSING)


def by_device(rows: Sequence[TableRow], results: pd.DataFrame) -> pd.DataFrame:
    """One line for each row and stethoscope of the recordings that the row is scored on."""
    lines = []
    for row in rows:
        predictions = load_row(row, results)
        for device in np.unique(predictions.device) if predictions else [MISSING]:
            line = {"Row": row_name(row), "Device": device, "Score": "not run"}
            if predictions:
                line |= numbers_of_clips(predictions.of_clips(predictions.device == device))
            lines.append(line)
    columns = ["Row", "Device", "Clips", "Patients", *compare.NAMES, "AUROC"]
    return pd.DataFrame(lines, columns=columns, dtype=object).fillna(MISSING)


def numbers_of_clips(p: Predictions) -> dict[str, str]:
    """Sizes, Sp, Se and Score over seeds, and AUROC of some clips."""
    scores = [p.task.mean_scores(p.label, each, p.subset) for each in p.predicted]
    means = {name: [each[name.lower()] for each in scores] for name in compare.NAMES}
    numbers = {name: format_mean_std(values) for name, values in means.items()}
    sizes = {"Clips": str(len(p.label)), "Patients": str(len(np.unique(p.patient)))}
    return sizes | numbers | {"AUROC": auroc_cell(p)}


def auroc_cell(predictions: Predictions | None) -> str:
    """AUROC of abnormal against normal clips with its 95% interval over patients."""
    if predictions is None:
        return MISSING
    value, *interval = (100 * number for number in auroc_interval(predictions))
    return f"{format_number(value, FRACTION)} ({format_interval(*interval, FRACTION)})"


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
