"""The glossary of docs/glossary.md: its words in a page link to their meaning."""

import re
from functools import cache

from bs4 import BeautifulSoup, NavigableString, Tag
from markupsafe import Markup

from lib import paths

PAGE = "glossary.html"
SOURCE = paths.PROJECT / "docs/glossary.md"
MARKED = ("p", "li", "figcaption", "th")
UNMARKED = {"a", "code", "pre", "math", "h1", "h2", "h3", "button", "summary", "b"}


def slug(text: str) -> str:
    """Return an id for a word."""
    return re.sub(r"\W+", "-", text.lower()).strip("-")


def read_text() -> str:
    """Return docs/glossary.md."""
    return SOURCE.read_text(encoding="utf-8")


@cache
def read_glossary() -> dict[str, str]:
    """Return word -> meaning from docs/glossary.md; a word with two meanings has both."""
    words: dict[str, str] = {}
    for names, meaning in re.findall(r"^\| (.+?) \| (.+?) \|$", read_text(), re.M):
        if names in ("word", "task") or names.startswith("---"):
            continue
        for name in glossary_names(names):
            plain = re.sub(r"[*`]", "", meaning)
            words[name] = f"{words[name]} Or: {plain}" if name in words else plain
    return words


def glossary_names(cell: str) -> list[str]:
    """Return the words that a first cell of the glossary explains: "Sp, specificity" has two."""
    inner = re.findall(r"`(.+?)`", cell)
    outer = re.sub(r"\(.*?\)|`.*?`", "", cell)
    return [name.strip() for name in (*outer.split(", "), *inner) if name.strip()]


def mark_words(soup: BeautifulSoup, root: str = "") -> None:
    """Link the words of the glossary to their meaning, in place; it shows when hovered.

    In text the first time that a page has them, in the headers of tables each time.
    """
    words = sorted(read_glossary(), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, words))})(?![\w-])")
    seen: set[str] = set()
    for tag in soup.find_all(MARKED):
        header = tag.name == "th" and tag.get("scope") == "col"
        if tag.name == "th" and not header:
            continue
        for text in [each for each in tag.find_all(string=True) if _can_mark(each, tag)]:
            _mark(text, pattern, set() if header else seen, root)


def _can_mark(text: NavigableString, tag: Tag) -> bool:
    """Whether a text is plain text of `tag` itself, not of a tag inside that is marked too."""
    parents = [parent.name for parent in text.parents]
    nearest = next(parent for parent in text.parents if parent.name in MARKED)
    return type(text) is NavigableString and nearest is tag and not UNMARKED & set(parents)


def _mark(text: NavigableString, pattern: re.Pattern, seen: set[str], root: str) -> None:
    """Replace the words of a text that have not been seen by links."""
    parts, last = [], 0
    for match in pattern.finditer(text):
        if match[1] in seen:
            continue
        seen.add(match[1])
        parts += [Markup.escape(text[last : match.start()]), _term(match[1], root)]
        last = match.end()
    if parts:
        parts.append(Markup.escape(text[last:]))
        text.replace_with(BeautifulSoup(Markup("").join(parts), "html.parser"))


def _term(word: str, root: str) -> Markup:
    return Markup('<a class="term" href="{}#{}" title="{}">{}</a>').format(
        root + PAGE, slug(word), read_glossary()[word], word
    )
