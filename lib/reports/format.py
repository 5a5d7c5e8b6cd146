"""Tables as CSV, Markdown and LaTeX files and as HTML; the same table gives the same bytes."""

import re
from html import escape
from pathlib import Path

import pandas as pd
from pandas.io.formats.style import Styler

from lib import files
from lib.tables.format import csv_text

NUMBER = r"[+-]?\d+(\.\d+)?( ± \d+\.\d+)?( \(\d+\))?( to [+-]?\d+\.\d+)?"
NO_WRAP = "white-space: nowrap;"
MUTED = "color: #595959;"  # contrast of 7:1 on white
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


def style_table(table: pd.DataFrame, name: str, caption: str = "") -> Styler:
    """Return a table for a notebook: everything is escaped, numbers do not wrap.

    `name` sets the HTML ids, so it must differ between the tables of a page and stay the same
    between runs. Rows that were not run are grey.
    """
    style = table.style.hide(axis="index").set_caption(escape(caption))
    style = style.set_uuid(re.sub(r"\W+", "-", name)).format(escape="html", precision=2)
    style = style.format_index(escape="html", axis=1)
    return style.map(_no_wrap).apply(_mute_if_not_run, axis=1)


def _no_wrap(cell: object) -> str:
    return NO_WRAP if re.fullmatch(NUMBER, str(cell)) else ""


def _mute_if_not_run(row: pd.Series) -> list[str]:
    not_run = any(str(row.get(name, "")).startswith("not run") for name in ("Score", "Test", "Se"))
    return [MUTED if not_run else ""] * len(row)
