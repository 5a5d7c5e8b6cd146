"""The page of a referee's report: one HTML file that opens offline."""

from pathlib import Path

from markupsafe import Markup

from lib import files
from lib.reports import html
from lib.score.text import headline, tables


def write_page(report: dict, path: Path) -> None:
    """Write the page of a report of `lib.score.referee.score`; raises `UserError` if it cannot."""
    lines, css = headline(report), Markup(html.css())
    text = html.render_template("score", lines=lines, tables=tables(report), css=css) + "\n"
    html.check_page(text, path.name, sounds=False)
    files.write_text(path, text)
