"""Index pages: a card for every report, with its first figure, status and what it stands on."""

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from lib import files
from lib.reports import html, metadata


def write_index(path: Path, groups: Iterable[tuple[str, str, Path]]) -> None:
    """Write an index page; groups: (title, about, folder of pages), each a part with its cards."""
    environment = Environment(loader=FileSystemLoader(html.TEMPLATES), autoescape=True)
    parts = [_group(path.parent, *group) for group in groups]
    template = environment.get_template("reports.html.j2")
    page = template.render(groups=[p for p in parts if p["cards"]], css=Markup(html.css()))
    html.check(page, path.name)
    files.write_text(path, page + "\n")


def _link(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _group(base: Path, title: str, about: str, folder: Path) -> dict:
    known = metadata.cards(folder)
    shown = [
        {
            **asdict(card),
            "href": _link(folder / f"{card.name}.html", base),
            "thumbnail": _link(folder / "thumbnails" / f"{card.name}.png", base),
        }
        for card in known
        if (folder / f"{card.name}.html").exists()
    ]
    banners = dict.fromkeys(card.banner for card in known if card.banner)
    return {"title": title, "about": about, "banners": list(banners), "cards": shown}
