"""Which runs the numbers in a line of a table come from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import pandas as pd

from lib.config import Experiment
from lib.papers import CLAIMS, TABLES
from lib.papers.lung_srad import INSPECTED, LOW_PASS
from lib.papers.patchmix import MAIN_METHODS
from lib.papers.sam import EMBEDDED, PAIRS
from lib.papers.sprsound import TASK_NAMES
from lib.papers.table_row import Claim, Table, TableRow
from lib.runs.predictions import row_name
from lib.tables.claims import STAND_INS
from lib.tables.compare import QUOTED, label_cells
from lib.tables.detectable import pair_name
from lib.tables.format import status_text

ONLY = "only in the column"  # the key of cells that belong to one column
ADDRESS = "runs/{}/index.html"


@dataclass(frozen=True)
class Source:
    """Experiments and the cells that name them in a table: column -> text."""

    cells: dict[str, str]
    experiments: tuple[Experiment, ...]


@dataclass(frozen=True)
class Origin:
    """Runs behind a line: cells that narrow them down, seed, name; and why there is none."""

    runs: tuple[tuple[dict[str, str], int, str], ...] = ()
    reason: str = ""

    def of_column(self, column: str) -> list[tuple[int, str]]:
        """Seed and name of the runs behind a column: those whose own name is in its title."""
        named = [(seed, run) for cells, seed, run in self.runs if _names(column, cells)]
        return named or [(seed, run) for cells, seed, run in self.runs if ONLY not in cells]


def _names(column: str, cells: dict[str, str]) -> bool:
    return any(column == text or column.startswith(f"{text},") for text in cells.values())


def table_sources(table: Table) -> list[Source]:
    """Return what the lines of a registered table are made from."""
    methods = {"neighbours": MAIN_METHODS, "sam_neighbours": EMBEDDED}
    match table.view:
        case "claims":
            return [source for claim in CLAIMS for source in _claim_sources(claim)]
        case "method_differences":
            return [Source({}, tuple(row.experiment for row in table.rows))]
        case "sam_effects":
            return [Source({"Recipe": recipe}, (sam, plain)) for recipe, plain, sam in PAIRS]
        case "sam_flatness":
            trained = [
                (recipe, zip(("plain", "SAM"), pair, strict=True)) for recipe, *pair in PAIRS
            ]
            return [Source({"Recipe": recipe, "Training": name}, (experiment,))
                    for recipe, pair in trained for name, experiment in pair]  # fmt: skip
        case "neighbours" | "sam_neighbours":
            return [Source({"method": name}, (e,)) for name, e in methods[table.view].items()]
        case "srad_weights" | "srad_frequencies":
            return [Source({"Model": name}, (e,)) for name, e in INSPECTED.items()]
        case "srad_low_pass":
            return [Source({"Comparison": text}, tuple(INSPECTED[model] for model, _ in pair))
                    for text, *pair in LOW_PASS]  # fmt: skip
        case "detectable_pairs":
            return [Source({"Pair": pair_name(a, b)}, (a.experiment, b.experiment))
                    for a, b in permutations(table.rows, 2)]  # fmt: skip
        case "detectable_claims":
            return []  # of all pairs
        case "by_device":
            return [Source({"Row": row_name(row)}, (row.experiment,)) for row in table.rows]
    return [_row_source(row) for row in table.rows]


def _claim_sources(claim: Claim) -> Iterator[Source]:
    """The two sides of a claim, and those of its stand-in in a column of its own."""
    named = {"Claim": claim.text}
    yield Source(named, (claim.a.experiment, claim.b.experiment))
    if claim.stand_in:
        pair = tuple(STAND_INS[key].experiment for key in claim.stand_in)
        yield Source(named | {ONLY: "On a model that has learnt"}, pair)


def _row_source(row: TableRow) -> Source:
    cells = label_cells(row)
    if cells.get("Task") in TASK_NAMES:
        cells["Task"] = TASK_NAMES[cells["Task"]]
    return Source(cells, (row.experiment,) if row.experiment else ())


def line_origins(name: str, data: pd.DataFrame, results: pd.DataFrame) -> list[Origin]:
    """Return the runs behind each line of a registered table.

    results: the table of `lib.runs.results.collect_results` that it was built from.
    """
    sources = table_sources(TABLES[name])
    return [_origin(line, sources, results) for line in data.astype(str).to_dict("records")]


def _origin(line: dict[str, str], sources: Sequence[Source], results: pd.DataFrame) -> Origin:
    matching = [source for source in sources if _match(line, source.cells)]
    if not matching:
        return Origin()
    runs, reasons = [], []
    for source in matching:
        names = list(dict.fromkeys(experiment.name for experiment in source.experiments))
        own = results[results.experiment.isin(names)]
        found = own[own.run.notna()].drop_duplicates("run")
        order = found.experiment.map(names.index)
        found = found.assign(order=order).sort_values(["order", "seed"])
        runs += [(source.cells, seed, run) for seed, run in zip(found.seed, found.run, strict=True)]
        reasons.append(status_text(own[own.selection == "test"]) if names else QUOTED)
    return Origin(tuple(runs), "" if runs else reasons[0].removeprefix("not run: "))


def _match(line: dict[str, str], cells: dict[str, str]) -> bool:
    """Whether a line is of the experiments that some cells name.

    Cells of a pivoted table stand in its columns instead, so only those that a line has count.
    """
    shared = [column for column in cells if column in line]
    return all(line[column] == cells[column] for column in shared) and bool(shared or not cells)
