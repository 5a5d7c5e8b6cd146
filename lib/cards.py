"""What is said of each page, and the index pages made from that."""

import html
import io
import os
import re
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lib import files, pages

THUMBNAIL_PIXELS = (640, 360)


@dataclass(frozen=True)
class Card:
    """What the index says of a page; written beside it as `cards/<name>.json`."""

    name: str  # the notebook's file name without its ending
    title: str
    question: str
    status: str  # "complete", else what is missing or why it failed
    profile: str
    data: str
    banner: str
    seeds: str
    synthetic: bool  # only sounds that nobody made may be published
    runs: tuple[str, ...]  # names of the run folders that its numbers come from


def write_page(folder: Path, page: str, card: Card) -> None:
    """Write `<name>.html`, its thumbnail and, last, its card."""
    picture, alt = thumbnail(page)
    files.write_text(folder / f"{card.name}.html", page)
    shown = folder / "thumbnails" / f"{card.name}.png"
    if picture:
        with files.aside(shown) as part:
            part.write_bytes(picture)
    else:
        shown.unlink(missing_ok=True)
    write_card(folder, card, alt)


def thumbnail(page: str) -> tuple[bytes, str]:
    """A small PNG of the first PNG picture of a page and its description; b"" if there is none."""
    from PIL import Image

    found = re.search(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]+)"', page)
    if not found:
        return b"", ""
    picture = Image.open(io.BytesIO(b64decode(found[2]))).convert("RGB")
    picture.thumbnail(THUMBNAIL_PIXELS)
    small = io.BytesIO()
    picture.quantize(64).save(small, "PNG", optimize=True)
    return small.getvalue(), html.unescape(found[1])


def write_card(folder: Path, card: Card, thumbnail_alt: str = "") -> None:
    """Write the card of a page."""
    value = {**asdict(card), "thumbnail_alt": thumbnail_alt}
    files.write_json(folder / "cards" / f"{card.name}.json", value)


def cards(folder: Path) -> list[Card]:
    """The cards of all pages in a folder, in reading order."""
    known = [field.name for field in fields(Card)]
    found = [files.read_json(path) for path in sorted(folder.glob("cards/*.json"))]
    return [Card(**{k: v for k, v in c.items() if k in known}) for c in found]


def write_index(path: Path, groups: Iterable[tuple[str, str, Path]]) -> None:
    """Write an index page; groups: (title, about, folder of pages), each a part with its cards."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    parts = [_group(path.parent, *group) for group in groups]
    template = environment.get_template("reports.html.j2")
    page = template.render(groups=[p for p in parts if p["cards"]], css=_raw(css()))
    check(page, path.name)
    files.write_text(path, page + "\n")


def _raw(text: str) -> object:
    from markupsafe import Markup

    return Markup(text)


def _link(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _group(base: Path, title: str, about: str, folder: Path) -> dict:
    shown = []
    for card in cards(folder):
        extra = files.read_json(folder / "cards" / f"{card.name}.json")
        picture = folder / "thumbnails" / f"{card.name}.png"
        shown.append(
            {
                **extra,
                "href": _link(folder / f"{card.name}.html", base),
                "thumbnail": _link(picture, base) if picture.exists() else "",
            }
        )
    banners = list(dict.fromkeys(c["banner"] for c in shown if c["banner"]))
    return {"title": title, "about": about, "banners": banners, "cards": shown}
