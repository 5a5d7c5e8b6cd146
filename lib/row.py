"""A row of a table: what is printed, which experiment makes it, which published row it meets."""

from dataclasses import dataclass

from lib import paper


@dataclass(frozen=True)
class Row:
    """One printed row."""

    key: str
    label: dict[str, str]  # the printed columns
    experiment: str | None = None  # None: quoted by the paper, or no number belongs there
    paper: str | None = None  # key of the published row (SPRSound's: `lib.paper_sprsound`) or None
    needs: tuple[str, ...] = ()  # settings that a profile must leave alone
    deviates: str = ""  # from what was published, in the registry already: no verdict then

    @property
    def ours(self) -> bool:
        """Whether nobody has published this row."""
        return self.paper is None


def published(
    table: str, experiments: dict[str, str], needs: tuple[str, ...] = (), of: tuple[str, ...] = ()
) -> list[Row]:
    """The rows of a printed table with our experiments; the rows named in `of` have `needs`."""
    rows = []
    for row in paper.table(table):
        name = row.key.split("/")[1]
        wants = needs if name in of else ()
        rows.append(Row(row.key, row.label, experiments.get(name), row.key, wants))
    return rows


def own(columns: str, text: str, needs: tuple[str, ...] = ()) -> list[Row]:
    """Rows of our own, one a line: `printed columns | ... | experiment`."""
    rows = []
    for line in text.strip().splitlines():
        *label, experiment = (cell.strip() for cell in line.split("|"))
        names = dict(zip(columns.split(), label, strict=True))
        rows.append(Row(f"ours/{experiment}", names, experiment, needs=needs))
    return rows
