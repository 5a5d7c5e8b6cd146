"""Pages of `lib.score`: the leaderboard, and the report of a referee."""

from pathlib import Path

import pandas as pd
from markupsafe import Markup

from lib import files
from lib.reports import site
from lib.reports.html import check_page, css
from lib.reports.template import render_page, render_template
from lib.score.leaderboard import leaderboard
from lib.score.text import headline, tables
from lib.tables.format import MISSING, csv_text, format_interval, format_number

FILTERS = ("Board", "Mark", "Chosen on", "Metadata", "Ensemble")


def write_page(report: dict, path: Path) -> None:
    """Write the page of a report of `lib.score.referee.score`; raises `UserError` if it cannot.

    It is one file with its style, since it lies wherever its user wants it.
    """
    given = {"lines": headline(report), "tables": tables(report), "css": Markup(css())}
    text = render_template("score", **given) + "\n"
    check_page(text, path.name, sounds=False)
    files.write_text(path, text)


def write_leaderboard(folder: Path) -> Path:
    """Write leaderboard.html and leaderboard.csv into a folder; returns the page."""
    table = leaderboard()
    rows = [_cells(row) for row in table.to_dict("records")]
    choices = {name: list(dict.fromkeys(row[name] for row in rows)) for name in FILTERS}
    columns = [name for name in rows[0] if not name.startswith("_")]
    text = render_page("leaderboard", "Leaderboard", rows=rows, columns=columns, choices=choices)
    check_page(text, "leaderboard", sounds=False)
    files.write_text(folder / "leaderboard.csv", csv_text(table))
    files.write_text(folder / "leaderboard.html", text)
    site.finish(folder)
    return folder / "leaderboard.html"


def _cells(row: dict) -> dict[str, str]:
    """Return the cells of a row by column; names that begin with _ are shown in others."""
    seeds = "" if pd.isna(row["seeds"]) else f" ({row['seeds']})"
    interval = MISSING if pd.isna(row["low"]) else format_interval(row["low"], row["high"])
    return {
        "Method": row["method"], "Score": _mean(row, "score") + seeds, "95% interval": interval,
        "Sp": _mean(row, "sp"), "Se": _mean(row, "se"), "Chosen on": row["selection"],
        "Mark": row["mark"], "Backbone": row["backbone"], "Pretraining": row["pretraining"],
        "Metadata": row["metadata"], "Ensemble": row["ensemble"],
        "Year": MISSING if pd.isna(row["year"]) else str(row["year"]),
        "Source": row["source"], "Board": row["board"], "_code": row["code"], "_note": row["note"],
    }  # fmt: skip


def _mean(row: dict, key: str) -> str:
    """Return "mean ± std", without std if there is none, "–" without a number."""
    if pd.isna(row[key]):
        return MISSING
    std = row[f"{key}_std"]
    return format_number(row[key]) + ("" if pd.isna(std) else f" ± {format_number(std)}")
