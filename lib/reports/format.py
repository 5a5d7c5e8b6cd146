"""Tables as files (CSV, Markdown, LaTeX) and as HTML for notebooks; same input, same bytes."""

import re
from html import escape
from pathlib import Path

import pandas as pd
from pandas.io.formats.style import Styler

from lib import files

STYLES = [
    {"selector": "", "props": "border-collapse: collapse; font-size: 12px; margin: 8px 0;"},
    {
        "selector": "caption",
        "props": "caption-side: top; text-align: left; font-size: 13px; padding: 4px 0;",
    },
    {
        "selector": "th",
        "props": "text-align: left; vertical-align: bottom; border-top: 2px solid #222; "
        "border-bottom: 1px solid #222; padding: 4px 8px;",
    },
    {
        "selector": "td",
        "props": "text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; "
        "padding: 3px 8px; max-width: 240px; overflow-wrap: break-word; "
        "font-variant-numeric: tabular-nums;",
    },
]
NUMBER = r"[+-]?\d+(\.\d+)?( ± \d+\.\d+)?( \(\d+\))?( to [+-]?\d+\.\d+)?"
KEPT_TOGETHER = "white-space: nowrap;"
MUTED = "color: #595959;"  # still 7:1 on white
UNICODE_TO_LATEX = {
    "±": r"$\pm$",
    "–": "--",
    "·": r"$\cdot$",
    "†": r"$\dagger$",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "τ": r"$\tau$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "λ": r"$\lambda$",
}


def save(table: pd.DataFrame, name: str, folder: Path) -> list[Path]:
    """Write `<name>.csv`, `.md` and `.tex` (booktabs, ready to paste); returns the paths."""
    texts = {"csv": csv(table), "md": markdown(table), "tex": latex(table)}
    paths = []
    for ending, text in texts.items():
        paths.append(Path(folder) / f"{name}.{ending}")
        files.write_text(paths[-1], text)
    return paths


def csv(table: pd.DataFrame) -> str:
    """Comma-separated, with a header, without the index; missing numbers are "nan"."""
    return table.to_csv(index=False, lineterminator="\n", na_rep="nan")


def markdown(table: pd.DataFrame) -> str:
    """A GitHub table; `|` and tags are escaped, line breaks become blanks."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    return "".join("| " + " | ".join(map(_markdown_cell, line)) + " |\n" for line in lines)


def _markdown_cell(value: object) -> str:
    text = " ".join(str(value).split()).replace("|", r"\|")
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)  # Markdown would take it for HTML


def latex(table: pd.DataFrame) -> str:
    r"""A booktabs tabular; % & _ # $ { } ~ ^ \ are escaped, ± and quotes are set as LaTeX."""
    plain = table.astype(str)
    text = plain.to_latex(index=False, escape=True, column_format="l" * table.shape[1])
    return re.sub("|".join(UNICODE_TO_LATEX), lambda found: UNICODE_TO_LATEX[found[0]], text)


def show(table: pd.DataFrame, name: str, caption: str = "") -> Styler:
    """A compact HTML table for a page 1000 px wide: text wraps, numbers do not.

    name: sets the HTML ids, so it must differ between tables of one page and stay the same
    between runs. Rows without a number of ours are grey.
    """
    style = table.style.hide(axis="index").set_table_styles(STYLES).set_caption(escape(caption))
    style = style.set_uuid(re.sub(r"\W+", "-", name)).format(escape="html", precision=2)
    style = style.format_index(escape="html", axis=1)
    return style.map(_keep_numbers_together).apply(_mute_without_result, axis=1)


def _keep_numbers_together(cell: object) -> str:
    return KEPT_TOGETHER if re.fullmatch(NUMBER, str(cell)) else ""


def _mute_without_result(row: pd.Series) -> list[str]:
    empty = any(str(row.get(name, "")).startswith("not run") for name in ("Score", "Test", "Se"))
    return [MUTED if empty else ""] * len(row)
