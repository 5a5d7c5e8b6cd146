"""Rows and tables as data: the printed columns, the experiment and the published row of each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lib.config import Experiment
from lib.errors import unknown
from lib.papers.published import Published


@dataclass(frozen=True)
class TableRow:
    """One printed row."""

    key: str
    label: dict[str, str]  # the printed columns
    experiment: Experiment | None = None  # None: quoted by the paper, not rebuilt here
    published: Published | None = None  # None: nobody has published this row
    needs: tuple[str, ...] = ()  # settings without which the row means nothing
    deviates: str = ""  # how the experiment deviates from the published one: no verdict then


@dataclass(frozen=True)
class Table:
    """A table of a page: which rows it has, whose results it reads, how `lib.tables` shows it."""

    name: str  # of its files
    rows: tuple[TableRow, ...]
    view: str  # a name of `lib.tables.VIEWS`
    results: str  # the group whose runs it reads (`lib.papers.GROUPS`)
    two_class: bool = False  # any abnormal prediction of the 4-class model counts for Se


def published_rows(
    printed: Iterable[Published],
    experiments: Mapping[str, Experiment],
    needs: tuple[str, ...] = (),
    needed_by: Iterable[str] = (),
) -> list[TableRow]:
    """The rows of a printed table, in print order, with our experiments.

    experiments: row of the printed table -> experiment; needed_by: rows that have `needs`.
    """
    rows = []
    for row in printed:
        name = row.key.split("/")[1]
        own = needs if name in needed_by else ()
        rows.append(TableRow(row.key, row.label, experiments.get(name), row, own))
    return rows


def own_rows(
    columns: str,
    text: str,
    experiments: Mapping[str, Experiment],
    needs: tuple[str, ...] = (),
) -> list[TableRow]:
    """Rows that nobody has published, one a line: `printed columns | name of the experiment`.

    Raises `UserError` if an experiment is unknown.
    """
    rows = []
    for line in text.strip().splitlines():
        *cells, name = (cell.strip() for cell in line.split("|"))
        if name not in experiments:
            raise unknown("experiment", name, experiments)
        label = dict(zip(columns.split(), cells, strict=True))
        rows.append(TableRow(f"ours/{name}", label, experiments[name], needs=needs))
    return rows


def tables(
    group: str, rows: Iterable[TableRow], two_class: bool = False, **views: str
) -> dict[str, Table]:
    """Several tables of the same rows and results: file name -> view."""
    rows = tuple(rows)
    return {name: Table(name, rows, view, group, two_class) for name, view in views.items()}
