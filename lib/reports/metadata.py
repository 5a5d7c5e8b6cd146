"""What is said of each page, kept beside it, so that an index can be made from the folder alone."""

import io
import re
from base64 import b64decode
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bs4 import BeautifulSoup

from lib import files

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
    thumbnail_alt: str = ""  # "": the page has no picture


def write_page(folder: Path, page: str, card: Card) -> None:
    """Write `<name>.html`, its thumbnail and, last, its card."""
    picture, alt = thumbnail(page)
    files.write_text(folder / f"{card.name}.html", page)
    shown = folder / "thumbnails" / f"{card.name}.png"
    if picture:
        with files.atomic_write(shown) as part:
            part.write_bytes(picture)
    else:
        shown.unlink(missing_ok=True)
    write_card(folder, replace(card, thumbnail_alt=alt))


def thumbnail(page: str) -> tuple[bytes, str]:
    """A small PNG of the first PNG picture of a page and its description; b"" if there is none."""
    from PIL import Image

    soup = BeautifulSoup(page, "html.parser")
    image = soup.find("img", src=re.compile("^data:image/png;base64,"))
    if image is None:
        return b"", ""
    picture = Image.open(io.BytesIO(b64decode(image["src"].split(",")[1]))).convert("RGB")
    picture.thumbnail(THUMBNAIL_PIXELS)
    small = io.BytesIO()
    picture.quantize(64).save(small, "PNG", optimize=True)
    return small.getvalue(), image["alt"]


def write_card(folder: Path, card: Card) -> None:
    """Write the card of a page."""
    files.write_json(folder / "cards" / f"{card.name}.json", asdict(card))


def cards(folder: Path) -> list[Card]:
    """The cards of all pages in a folder, in reading order."""
    found = [files.read_json(path) for path in sorted(folder.glob("cards/*.json"))]
    return [Card(**{**card, "runs": tuple(card["runs"])}) for card in found]
