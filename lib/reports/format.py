"""Tables as CSV, Markdown and LaTeX files and as HTML; the same table gives the same bytes."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pandas as pd

from lib import files
from lib.errors import unknown
from lib.reports.links import ADDRESS, Origin
from lib.reports.template import render_template
from lib.tables.format import MISSING, csv_text

_ONE = r"[+-]?\d+(\.\d+)?"
NUMBER = rf"{_ONE}( ± \d+(\.\d+)?)?( \(({_ONE} to {_ONE}|\d+(/\d+)*)\))?( to {_ONE})?"
PAPER = re.compile(r"\b[Pp]aper\b")  # columns whose numbers are published ones
STATUS = re.compile(r"not run|\d+ of \d+ |failed")  # parts of the column Setting that are none
STATES = {  # of a claim, without its reason in brackets -> how it looks
    "confirmed": "confirmed",
    "refuted": "refuted",
    "undecided": "undecided",
    "not run": "open",
}
LONG = 16  # letters
GAIN = "Test-selection gain"  # a table with it has Scores of one run by several rules of selection
BY_RULE = {
    "Test": "Score, test-selected",
    "Last": "Score, last epoch",
    "Validation": "Score, validation-selected",
}
FILES = (("csv", "CSV"), ("tex", "LaTeX"), ("md", "Markdown"))
SYMBOLS = "±–·†‘’“”×≤ταβλ"
COMMANDS = (r"$\pm$", "--", r"$\cdot$", r"$\dagger$", "`", "'", "``", "''", r"$\times$", r"$\leq$")
GREEK = (r"$\tau$", r"$\alpha$", r"$\beta$", r"$\lambda$")
LATEX = str.maketrans(dict(zip(SYMBOLS, (*COMMANDS, *GREEK), strict=True)))


def save_table(table: pd.DataFrame, name: str, folder: Path) -> None:
    """Write `<name>.csv`, `<name>.md` and `<name>.tex` into `folder`."""
    texts = {"csv": csv_text(table), "md": markdown(table), "tex": latex(table)}
    for suffix, text in texts.items():
        files.write_text(folder / f"{name}.{suffix}", text)


def markdown(table: pd.DataFrame) -> str:
    """Return a GitHub table; `|` and HTML tags are escaped, line breaks become spaces."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    return "".join("| " + " | ".join(map(_markdown_cell, line)) + " |\n" for line in lines)


def _markdown_cell(value: object) -> str:
    text = " ".join(str(value).split()).replace("|", r"\|")
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)  # Markdown would read it as HTML


def latex(table: pd.DataFrame) -> str:
    r"""Return a booktabs tabular; LaTeX's special characters are escaped, ± and quotes are set."""
    columns = "l" * table.shape[1]
    text = table.astype(str).to_latex(index=False, escape=True, column_format=columns)
    return text.translate(LATEX)


@dataclass(frozen=True)
class Cell:
    """A cell of a page's table: parts of text, each with the address and the name of its run."""

    parts: tuple[tuple[str, str, str], ...]
    is_number: bool = False
    look: str = ""  # of a state of a claim

    @property
    def is_long(self) -> bool:
        """Whether its text would make a narrow column tall."""
        return sum(len(text) for text, *_ in self.parts) > LONG


def render_table(
    table: pd.DataFrame, name: str, caption: str = "", origins: Sequence[Origin] = ()
) -> str:
    """Return HTML of a table for people; its files are tables/<name>.csv, .md and .tex.

    Numbers link to the pages of their runs, what most rows share stands above, rows that were not
    run are folded. origins: one for each row (`lib.reports.links.line_origins`); without them
    nothing is linked, lifted or folded. Everything is escaped.
    """
    shown, common = table.map(_text).rename(columns=str), []
    folded = [False] * len(shown)
    if origins:
        cells = zip(shown.to_numpy().tolist(), origins, strict=True)
        folded = ["State" not in shown and _is_not_run(*each) for each in cells]
        common, shown = lift_common(shown, origins)
        shown = join_labels(shown, origins)
        if "Setting" in shown:
            shown["Setting"] = shown.pop("Setting")  # the longest text, so the last column
    origins = list(origins) or [Origin()] * len(shown)
    with_runs = any(origin.runs for origin in origins) and "Runs" not in shown
    lines = [
        ([*_cells(line, o), *([run_cell(o)] if with_runs else [])], _is_marked(line))
        for line, o in zip(shown.to_dict("records"), origins, strict=True)
    ]
    folded_origins = [each for each, fold in zip(origins, folded, strict=True) if fold]
    reasons = Counter(re.split(r": | \(", each.reason)[0] for each in folded_origins)
    return render_template(
        "table",
        name=name,
        caption=caption,
        columns=[*headers(list(shown.columns)), *(["Runs"] if with_runs else [])],
        common=common,
        lines=[line for line, fold in zip(lines, folded, strict=True) if not fold],
        not_run=[line for line, fold in zip(lines, folded, strict=True) if fold],
        why="; ".join(f"{count} × {reason}" for reason, count in reasons.most_common() if reason),
        files=FILES,
    )


def headers(columns: list[str]) -> list[str]:
    """Return the headers of columns: a Score says which rule selected the epoch it comes from."""
    if GAIN not in columns:
        return columns
    names = BY_RULE if "Test" in columns else BY_RULE | {"Score": BY_RULE["Test"]}
    return [names.get(column, column) for column in columns]


def _text(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _is_not_run(cells: list[str], origin: Origin) -> bool:
    """Whether a row has no run and says so."""
    return not origin.runs and any(
        cell.startswith("not run:") or cell == "not run" for cell in cells
    )


def join_labels(table: pd.DataFrame, origins: Sequence[Origin]) -> pd.DataFrame:
    """Return the table with the columns that name its rows in the first, so that it names each.

    "MixCL · Patch · stop(z)"; a value without words has the name of its column before it.
    """
    labels = {column for origin in origins for cells, *_ in origin.runs for column in cells}
    names = list(takewhile(labels.__contains__, table.columns))
    if len(names) < 2:
        return table
    texts = [
        " · ".join(_label(name, line[name]) for name in names if line[name] not in (MISSING, "-"))
        for line in table.to_dict("records")
    ]
    rest = table.drop(columns=names)
    rest.insert(0, " · ".join(names), [text or MISSING for text in texts])
    return rest


def _label(column: str, text: str) -> str:
    return text if re.search(r"[^\W\d]{2}", text) else f"{column} {text}"


def _is_marked(line: dict[str, str]) -> bool:
    """Whether a row is of a model that has not learnt its task (`lib.tables.compare.mark`)."""
    return line.get("Mark", MISSING) not in (MISSING, "")


def lift_common(
    table: pd.DataFrame, origins: Sequence[Origin]
) -> tuple[list[tuple[str, str]], pd.DataFrame]:
    """Return name and text of what rows with runs share, and the table without it.

    A column of texts that is the same in all of them goes; of the column Setting, the parts that
    most of them have, and the others say what differs.
    """
    ran = table[[bool(origin.runs) for origin in origins]]
    labels = {column for origin in origins for cells, *_ in origin.runs for column in cells}
    free = [
        column for column in table.columns[1:] if column not in labels | {"Runs", "Setting", "Mark"}
    ]
    same = [column for column in free if len(ran) > 1 and ran[column].nunique() == 1]
    same = [column for column in same if not re.fullmatch(NUMBER, ran[column].iloc[0])]
    common = [(column, ran[column].iloc[0]) for column in same]
    common = [(column, text) for column, text in common if text != MISSING]
    table = table.drop(columns=same)
    if "Setting" in table and len(ran) > 1:
        usual = _usual_parts(ran.Setting)
        settings = [_differing(text, usual) if o.runs else text
                    for text, o in zip(table.Setting, origins, strict=True)]  # fmt: skip
        table = table.assign(Setting=settings)
        common += [("Setting, unless a row says otherwise", ", ".join(usual))] * bool(usual)
    return common, table


def _usual_parts(settings: pd.Series) -> list[str]:
    """The parts that more than half of some settings have, in their order."""
    counts = Counter(part for text in settings for part in dict.fromkeys(_parts(text)))
    return [part for part, count in counts.items() if 2 * count > len(settings)]


def _parts(setting: str) -> list[str]:
    parts = re.split(r"[;,] ", setting)
    return [part for part in parts if part != "none" and not STATUS.match(part)]


def _differing(setting: str, usual: list[str]) -> str:
    """What a setting has beside the usual parts, and which of them it has not."""
    parts = list(dict.fromkeys(_parts(setting)))
    added = [part for part in parts if part not in usual]
    missing = [part for part in usual if part not in parts]
    texts = [", ".join(added), f"without: {', '.join(missing)}" if missing else ""]
    return "; ".join(filter(None, texts)) or MISSING


def _cells(line: dict[str, str], origin: Origin) -> list[Cell]:
    labels = {column for cells, *_ in origin.runs for column in cells}
    cells = []
    for number, (column, text) in enumerate(line.items()):
        if column == "State":
            cells.append(Cell(((text, "", ""),), look=state_look(text)))
            continue
        runs = origin.of_column(column)
        linked = number and column not in labels and not PAPER.search(column) and column != "Page"
        cells.append(_link(text, runs) if linked and runs else _plain(text))
    return cells


def state_look(state: str) -> str:
    """Return how a state of a claim looks; an unknown state is a `UserError`."""
    name = state.partition(" (")[0]
    if name not in STATES:
        raise unknown("state", state, STATES)
    return STATES[name]


def _plain(text: str) -> Cell:
    return Cell(((text, "", ""),), bool(re.fullmatch(NUMBER, text)))


def _link(text: str, runs: list[tuple[int, str]]) -> Cell:
    """Return a cell whose numbers, or names of runs, link to the runs they come from."""
    if re.fullmatch(NUMBER, text):
        about = "from " + ", ".join(run for _, run in runs)
        return Cell(((text, ADDRESS.format(runs[0][1]), about),), True)
    parts = []
    for part in text.split("; "):
        run = next((run for seed, run in runs if _is_of(part, seed, run)), "")
        parts += [("; " * bool(parts), "", ""), (part, run and ADDRESS.format(run), run)]
    return Cell(tuple(parts)) if any(address for _, address, _ in parts) else _plain(text)


def _is_of(text: str, seed: int, run: str) -> bool:
    """Whether a part of a cell, "1: 49.25" or a hash, is of this run."""
    return bool(re.fullmatch(rf"{seed}: {NUMBER}", text)) or text == run[-8:]


def run_cell(origin: Origin) -> Cell:
    """Return a cell that names every run of a row by its seed."""
    parts = []
    for _, seed, run in origin.runs:
        parts += [(" " * bool(parts), "", ""), (f"s{seed}", ADDRESS.format(run), run)]
    return Cell(tuple(parts))
