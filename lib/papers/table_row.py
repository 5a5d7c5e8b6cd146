"""How a paper's file writes down its experiments, its rows and its tables."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lib.config import DEFAULTS, Experiment, override
from lib.errors import unknown
from lib.papers.published import Published


class Experiments(dict[str, Experiment]):
    """Experiments by name; a name says what differs."""

    def add(self, base: Experiment, name: str, **changes: object) -> Experiment:
        """Add a copy of `base` with a name and some settings changed, and return it."""
        self[name] = override(base, name=name, **changes)
        return self[name]

    def vary(self, base: Experiment, *variants: str, **changes: object) -> None:
        """Add a copy of `base` for each variant; its name alone says what the variant changes.

        "mix=t_patch,alpha=2" adds "<name of base>/mix=t_patch,alpha=2". changes: in all of them.
        """
        for variant in variants:
            pairs = [text.split("=", 1) for text in re.split(r",(?=\w+=)", variant)]
            settings = {key: _read_setting(key, text) for key, text in pairs}
            self.add(base, f"{base.name}/{variant}", **changes | settings)


def _read_setting(key: str, text: str) -> object:
    kind = type(DEFAULTS.get(key, ""))
    return text == "True" if kind is bool else kind(text)


@dataclass(frozen=True)
class TableRow:
    """One printed row."""

    key: str
    label: dict[str, str]  # the printed columns
    experiment: Experiment | None = None  # None: quoted by the paper, not rebuilt here
    published: Published | None = None  # None: nobody has published this row
    needs: tuple[str, ...] = ()  # settings without which the row means nothing
    stored: str = ""  # hashes of finished runs that it shows, whatever the profile and its settings
    deviates: str = ""  # how the experiment deviates from the published one: no verdict then


@dataclass(frozen=True)
class Table:
    """A table of a page: which rows it has, whose results it reads, how `lib.tables` shows it."""

    name: str  # of its files
    rows: tuple[TableRow, ...]
    view: str  # a name of `lib.tables.VIEWS`, or a view of `lib.tables.compare`
    results: str  # the groups whose runs it reads (`lib.papers.GROUPS`), separated by spaces
    two_class: bool = False  # any abnormal prediction of the 4-class model counts for Se


def published_rows(
    printed: Iterable[Published],
    experiments: Mapping[str, Experiment],
    names: Mapping[str, str],
    needs: tuple[str, ...] = (),
) -> list[TableRow]:
    """The rows of a printed table, in print order.

    names: last part of a row's key -> name of our experiment; rows without are only quoted.
    Raises `UserError` if an experiment is unknown.
    """
    ours = {key: _find(experiments, name) for key, name in names.items()}
    return [TableRow(row.key, row.label, ours.get(row.key.split("/")[-1]), row, needs)
            for row in printed]  # fmt: skip


def own_rows(
    experiments: Mapping[str, Experiment], columns: str, text: str, needs: tuple[str, ...] = ()
) -> list[TableRow]:
    """Rows that nobody has published, one a line: `printed columns | name of the experiment`.

    Raises `UserError` if an experiment is unknown.
    """
    rows = []
    for line in text.strip().splitlines():
        *cells, name = (cell.strip() for cell in line.split("|"))
        label = dict(zip(columns.split(), cells, strict=True))
        rows.append(TableRow(f"ours/{name}", label, _find(experiments, name), needs=needs))
    return rows


def _find(experiments: Mapping[str, Experiment], name: str) -> Experiment:
    if name not in experiments:
        raise unknown("experiment", name, experiments)
    return experiments[name]


def sweep_rows(
    table: str,
    base: Experiment,
    sweeps: Mapping[str, Sequence],
    experiments: Mapping[str, Experiment],
    text: Callable[[object], str] = str,
) -> list[TableRow]:
    """A row for each value of each setting; `base` if no variant of it is named after the value."""
    return [
        TableRow(
            f"{table}/{setting}={text(value)}",
            {"parameter": setting, "value": text(value)},
            experiments.get(f"{base.name}/{setting}={value}", base),
        )
        for setting, values in sweeps.items()
        for value in values
    ]


def tables(
    group: str, rows: Iterable[TableRow], two_class: bool = False, **views: str
) -> dict[str, Table]:
    """Several tables of the same rows and results: file name -> view."""
    rows = tuple(rows)
    return {name: Table(name, rows, view, group, two_class) for name, view in views.items()}


@dataclass(frozen=True)
class Claim:
    """A statement that the model of row a scores more than that of row b."""

    text: str
    a: TableRow
    b: TableRow
    page: str  # number of the notebook that shows both
    stand_in: tuple[str, str] = ()  # keys of rows that ask the same of a model that has learnt


def read_claims(page: str, rows: Iterable[TableRow], text: str) -> tuple[Claim, ...]:
    """Claims, one a line: `text | key of a | key of b | keys of the stand-in's a and b, if any`."""
    by_key, claims = {row.key: row for row in rows}, []
    for line in text.strip().splitlines():
        words, a, b, *stand_in = (cell.strip() for cell in line.split("|"))
        claims.append(Claim(words, by_key[a], by_key[b], page, tuple(" ".join(stand_in).split())))
    return tuple(claims)
