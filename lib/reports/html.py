"""Render executed notebooks as pages that open offline; same content, same bytes."""

from __future__ import annotations

import html
import os
import re
import sys
import tempfile
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING

from bs4 import BeautifulSoup
from markupsafe import Markup

from lib import paths
from lib.errors import UserError
from lib.reports import glossary, listen, template
from lib.reports.template import TEMPLATES

if TYPE_CHECKING:
    from nbformat import NotebookNode

NO_ALT = "No description has been provided"  # nbconvert's text for a missing description
OUTSIDE = re.compile(r"""url\(\s*["']?(?:https?:)?//|@import|\bimport\s*\(""")
SOUND = re.compile(r"<(?:audio|video)\b|data:(?:audio|video)/|\bnew Audio\b", re.I)
HEADLINE = "Paper beside ours"
ROOTS = ("OUT", "REPORTS_ROOT", "DATA_ROOT", "RUNS_ROOT", "FEATURES_ROOT", "WEIGHTS_ROOT")


def describe_page(notebook: NotebookNode) -> dict[str, str]:
    """Return what the index says about an executed notebook.

    Title and question come from the first cell (`# NN Title`, `**Question.** ...`); profile, data
    and seeds from the banner that `lib.reports.page.open_page` shows, "" without one.
    """
    text = notebook.cells[0].source
    title = re.search(r"^# *(.+)$", text, flags=re.M)
    question = re.search(r"\*\*Question\.?\*\* *(.+?)(?=\n\*\*|\n\s*\n|\Z)", text, flags=re.S)
    plain = [" ".join(re.sub(r"[*`]", "", m[1]).split()) if m else "" for m in (title, question)]
    shown = [o.get("data", {}) for cell in notebook.cells for o in cell.get("outputs", [])]
    soup = BeautifulSoup("".join(data.get("text/html", "") for data in shown), "html.parser")
    banner = soup.find(class_="banner") or {}
    about = {
        key: banner.get(f"data-{key}", "") for key in ("profile", "data", "seeds", "synthetic")
    }
    return {"title": plain[0], "question": plain[1], **about}


def render_page(notebook: NotebookNode, name: str, about: dict[str, str], sounds: bool) -> str:
    """Return the page of an executed notebook; it loads nothing from outside its folder.

    about: see `describe_page`; stamp and sources are optional. sounds: whether the page may hold a
    real sound. Raises `UserError` for a picture without a description, a resource from the net, or
    a sound that may not be there.
    """
    text, _ = _exporter().from_notebook_node(_clean_outputs(notebook, name))
    soup = BeautifulSoup(text, "html.parser")
    headline_first(soup)
    contents = link_headings(soup)
    make_scrollable(soup)
    glossary.mark_words(soup)
    heading = soup.h1.extract() if soup.h1 else ""  # the answer comes right after it
    given = {**about, "number": name[:2], "contents": contents, "body": Markup(str(soup))}
    given["heading"] = Markup(str(heading))
    page = template.render_page("page", given.pop("title"), **given)
    check_page(page, name, sounds)
    return page


def headline_first(soup: BeautifulSoup) -> None:
    """Move the section "Paper beside ours", the last of a notebook, before all others, in place."""
    sections = soup.find_all("section", class_=["words", "cell"], recursive=False)
    starts = [section for section in sections if section.find("h2")]
    for start in starts[1:]:
        if start.find("h2").get_text().startswith(HEADLINE):
            following = sections[sections.index(start) + 1 :]
            rest = takewhile(lambda section: not section.find("h2"), following)
            for section in [start, *rest]:
                starts[0].insert_before(section.extract())
            return


def link_headings(soup: BeautifulSoup) -> list[tuple[str, str]]:
    """Give every heading a visible link to itself; returns id and text of those of level 2."""
    for heading in soup.find_all(["h2", "h3"]):
        for old in heading.find_all("a", class_="anchor-link"):
            old.decompose()
        text = " ".join(heading.get_text().split())
        heading["id"] = heading.get("id") or re.sub(r"\W+", "-", text)
        link = soup.new_tag("a", href=f"#{heading['id']}", attrs={"class": "anchor-link"})
        link["aria-label"], link.string = f"Link to: {text}", "#"
        heading.append(link)
    for old in soup.select("h1 a.anchor-link"):
        old.decompose()
    return [(h["id"], " ".join(h.get_text().split()).rstrip("#")) for h in soup.find_all("h2")]


def make_scrollable(soup: BeautifulSoup) -> None:
    """Let every table and all code scroll by themselves, by keyboard too, in place."""
    for number, table in enumerate(soup.find_all("table"), 1):
        if not table.find_parent(class_="scroll"):
            label = table.find("caption").get_text() if table.find("caption") else f"Table {number}"
            attributes = {"class": "scroll", "role": "region", "tabindex": "0", "aria-label": label}
            table.wrap(soup.new_tag("div", attrs=attributes))
        for header in table.select("thead th"):
            header["scope"] = "col"
            if not header.get_text(strip=True):  # above the names of rows
                header.name = "td"
                del header["scope"]
    for code in soup.select(".highlight pre"):
        code["tabindex"] = "0"  # it scrolls on a phone


def render_index(
    pages: dict[str, dict[str, str]], claims: str = "", runs: int = 0, stamp: dict | None = None
) -> str:
    """Return the index of pages: file name without suffix -> `describe_page`'s dict and status.

    claims: HTML of the table of claims; runs: how many runs have a page.
    """
    given = {"pages": pages, "claims": Markup(claims), "runs": runs, "stamp": stamp or {}}
    text = template.render_page("index", template.about_site()["name"], **given)
    check_page(text, "index", sounds=False)
    return text


def check_page(page: str, name: str, sounds: bool) -> None:
    """Raise `UserError` for anything loaded from the net, missing descriptions and sounds."""
    soup = BeautifulSoup(page, "html.parser")
    for tag in soup.find_all(["script", "link", "img", "iframe", "audio", "video", "source"]):
        address = tag.get("src") or (tag.get("href") if tag.name == "link" else None)
        if address and re.match(r"(?:https?:)?//", address):
            raise UserError(f"{name}: <{tag.name}> loads {address}; a page must open offline")
        alt = (tag.get("alt") or "").strip()
        if tag.name == "img" and (not alt or alt.startswith(NO_ALT)):
            raise UserError(f"{name}: a picture has no description; give its <img> an alt text")
    for tag in soup.find_all(["script", "style"]):
        if OUTSIDE.search(tag.string or ""):
            raise UserError(f"{name}: a <{tag.name}> loads from the net; a page must open offline")
    for tag in soup.find_all("audio", src=list(listen.sources())):
        page = page.replace(str(tag), "")  # synthetic examples, which every page may hold
    if not sounds and SOUND.search(page):
        raise UserError(f"{name}: holds a real sound; show sounds with page.audio(...)")


@cache
def css() -> str:
    """Return the style of all pages, including that of code."""
    from pygments.formatters import HtmlFormatter

    code = HtmlFormatter(style="default").get_style_defs(".highlight")
    return (TEMPLATES / "page.css").read_text(encoding="utf-8") + code


@cache
def _exporter():  # noqa: ANN202  nbconvert is slow to import, so it is loaded on first use
    from nbconvert import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class MathRenderer(IPythonRenderer):
        """Formulas as MathML, which a browser shows without a script."""

        def inline_math(self, text: str) -> str:
            return mathml(text, "inline")

        def block_math(self, text: str) -> str:
            return f'<span class="formula" tabindex="0">{mathml(text, "block")}</span>'

    exporter = HTMLExporter(template_name="page", extra_template_basedirs=[str(TEMPLATES)])
    exporter.register_filter(
        "to_html", MarkdownWithMath(renderer=MathRenderer(escape=False)).render
    )
    return exporter


def markdown_to_html(text: str) -> str:
    """Return Markdown as HTML, as in the pages of notebooks."""
    return _exporter().environment.filters["to_html"](text)


def mathml(latex: str, display: str) -> str:
    r"""Return a formula as MathML; display: inline | block.

    latex2mathml's own `convert` lets the markup in \text{...} through; here it is escaped.
    """
    from xml.etree.ElementTree import tostring

    from latex2mathml.converter import convert_to_element

    root = convert_to_element(latex, display=display)
    for element in root.iter():
        element.text = html.unescape(element.text or "")  # it comes as &#x003BB;
    return tostring(root, encoding="unicode", short_empty_elements=False)


def _clean_outputs(notebook: NotebookNode, name: str) -> NotebookNode:
    """Return a copy whose text outputs hold no memory address and no folder of this machine."""
    import nbformat  # here: it takes seconds, and kernels need the templates alone

    copy = nbformat.from_dict(notebook)
    for cell in copy.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if any(kind.startswith("image/") for kind in data):
                raise UserError(
                    f"{name}: {cell.source.strip().splitlines()[-1]!r} draws a picture without a "
                    "description; show it with page.figure(fig, name)"
                )
            if "text" in output:
                output.text = _scrub_text(output.text)
            for kind in (kind for kind in data if kind.startswith("text/")):
                data[kind] = _scrub_text(data[kind])
    return copy


def _scrub_text(text: str) -> str:
    """Return the text without memory addresses and with names for folders, not in base64 data."""
    kernel = re.escape(tempfile.gettempdir()) + r"/ipykernel_\d+/\d+\.py"
    text = re.sub(kernel, "cell", re.sub(r" at 0x[0-9a-f]{6,}", "", text))
    folders = {str(paths.PROJECT): "PROJECT", sys.prefix: "PYTHON", os.path.expanduser("~"): "HOME"}
    folders |= {os.environ[name]: name for name in ROOTS if os.environ.get(name)}
    unknown = {"/", "~"}  # a home that is nowhere
    for folder in sorted(folders.keys() - unknown, key=len, reverse=True):
        whole = rf"(?<![\w+/]){re.escape(folder)}(?![\w.-])"
        text = re.sub(whole, folders[folder], text)
    return text
