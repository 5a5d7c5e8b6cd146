"""The one type of a published number, and how the printed tables of the papers are read into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

METRICS = ("sp", "se", "score")
SEEDS = 5  # runs behind a "mean±std" unless a paper says otherwise
ROUNDING = 0.0101  # of a printed Score against the mean of the printed Sp and Se


@dataclass(frozen=True)
class Published:
    """One printed row: the columns that name it, and its numbers in percent.

    values: metric -> (mean, std), std None if a single number was printed.
    """

    key: str  # <table>/<row>, or <table>/<row>/<column>
    label: dict[str, str]  # the printed columns
    values: dict[str, tuple[float, float | None]]
    source: str  # "Bae et al. 2023, Table 1"
    authors: bool = True  # whether the paper's authors ran it; else they quote it
    note: str = ""
    seeds: int = SEEDS

    @property
    def sp(self) -> float:
        """Specificity in percent."""
        return self.values["sp"][0]

    @property
    def se(self) -> float:
        """Sensitivity in percent."""
        return self.values["se"][0]

    @property
    def score(self) -> float:
        """Score in percent."""
        return self.values["score"][0]

    @property
    def score_std(self) -> float | None:
        """Standard deviation of the Score over seeds; None if it was not printed."""
        return self.values["score"][1]


def read_table(
    table: str, source: str, columns: str, text: str, seeds: Mapping[str, int] | None = None
) -> list[Published]:
    """Rows of a printed table, one a line: `key | printed columns | Sp Se Score | note, if any`.

    A † after the key marks rows that the paper's authors ran. seeds: by key, if not `SEEDS`. A
    Score that is not the mean of Sp and Se stays as printed, and the note gives the mean.
    """
    rows, names = [], columns.split()
    for line in text.strip().splitlines():
        key, *cells = (cell.strip() for cell in line.split("|"))
        label = dict(zip(names, cells, strict=False))
        numbers, *notes = cells[len(names) :]
        values = dict(zip(METRICS, map(_mean_std, numbers.split()), strict=True))
        mean = (values["sp"][0] + values["se"][0]) / 2
        if abs(values["score"][0] - mean) > ROUNDING:
            notes.insert(0, f"mean of printed Sp, Se: {mean + 1e-9:.2f}")
        name = key.removesuffix("†")
        named = (f"{table}/{name}", label, values, source, key.endswith("†"), "; ".join(notes))
        rows.append(Published(*named, (seeds or {}).get(name, SEEDS)))
    return rows


def read_scores(
    table: str, source: str, columns: str, text: str, tasks: Mapping[str, str]
) -> list[Published]:
    """Numbers of a printed table, one line a row: `key | printed columns | one Score a task`.

    The printed Scores lie between 0 and 1. tasks: task -> its printed name.
    """
    rows = []
    for line in text.strip().splitlines():
        key, *cells, numbers = (cell.strip() for cell in line.split("|"))
        label = dict(zip(columns.split(), cells, strict=True))
        for (task, name), number in zip(tasks.items(), numbers.split(), strict=True):
            values = {"score": (round(100 * float(number), 1), None)}
            rows.append(Published(f"{table}/{key}/{task}", label | {"task": name}, values, source))
    return rows


def _mean_std(printed: str) -> tuple[float, float | None]:
    mean, _, std = printed.partition("±")
    return float(mean), float(std) if std else None


def by_key(*tables: Sequence[Published]) -> dict[str, Published]:
    """Published rows by key; a key that two rows share is an error."""
    rows = [row for table in tables for row in table]
    named = {row.key: row for row in rows}
    assert len(named) == len(rows), "two published rows share a key"
    return named
