"""From an executed notebook to one HTML file that opens offline and needs no script to be read."""

import html
import re
from base64 import b64encode
from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup
from nbformat import NotebookNode

from lib.errors import UserError
from lib.reports.metadata import Card
from lib.reports.notebook import steady

TEMPLATES = Path(__file__).parent / "templates"
IMAGES = ("image/svg+xml", "image/png", "image/jpeg")
NO_ALT = "No description has been provided"  # what nbconvert writes where there is none
OUTSIDE = re.compile(r"""url\(\s*["']?(?:https?:)?//|@import|\bimport\s*\(""")


def heading(notebook: NotebookNode) -> tuple[str, str]:
    """Title and question of a notebook: `# NN Title` and `**Question.** ...` of its first cell."""
    text = notebook.cells[0].source
    title = re.search(r"^# *(.+)$", text, flags=re.M)
    question = re.search(r"\*\*Question\.?\*\* *(.+?)(?=\n\*\*|\n\s*\n|\Z)", text, flags=re.S)
    return tuple(
        " ".join(re.sub(r"[*`]", "", m[1]).split()) if m else "" for m in (title, question)
    )


def render(
    notebook: NotebookNode, card: Card, previous: Card | None = None, following: Card | None = None
) -> str:
    """The page of an executed notebook: one file, nothing from outside, same input same bytes.

    Raises `UserError` for a picture without a description or a resource from the net.
    """
    ready = steady(notebook)
    _describe_pictures(ready, card.name)
    footer = f"Profile {card.profile}; data: {card.data}; seeds: {card.seeds}."
    page = {
        "title": card.title,
        "banner": "" if _has_banner(ready) else card.banner,
        "footer": f"{footer} Made by ./run_all.sh {card.profile} {card.name[:2]}.",
        "previous": previous and {"href": f"{previous.name}.html", "title": previous.title},
        "next": following and {"href": f"{following.name}.html", "title": following.title},
        "css": css(),
    }
    text, _ = _exporter().from_notebook_node(ready, resources={"page": page})
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    check(text, card.name)
    return text


def _has_banner(notebook: NotebookNode) -> bool:
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    return any('class="banner"' in o.get("data", {}).get("text/html", "") for o in outputs)


def check(page: str, name: str) -> None:
    """Raise `UserError` if a page needs the net or shows a picture without a description."""
    soup = BeautifulSoup(page, "html.parser")
    for tag in soup.find_all(["script", "link", "img", "iframe", "audio", "video", "source"]):
        address = tag.get("src") or (tag.get("href") if tag.name == "link" else None)
        if address and re.match(r"(?:https?:)?//", address):
            raise UserError(f"{name}: <{tag.name}> loads {address}; a page must open offline")
        described = (tag.get("alt") or "").strip()
        if tag.name == "img" and (not described or described.startswith(NO_ALT)):
            raise UserError(f"{name}: a picture has no description; give its <img> an alt text")
    for tag in soup.find_all(["script", "style"]):
        if OUTSIDE.search(tag.string or ""):
            raise UserError(f"{name}: a <{tag.name}> loads from the net; a page must open offline")


@cache
def css() -> str:
    """The style of all pages, with that of code."""
    from pygments.formatters import HtmlFormatter

    code = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    return (TEMPLATES / "page.css").read_text(encoding="utf-8") + code


@cache
def _exporter():  # noqa: ANN202  nbconvert is slow to import: only where a page is made
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="page", extra_template_basedirs=[str(TEMPLATES)])
    exporter.register_filter("math", mathml)
    return exporter


def mathml(text: str) -> str:
    """HTML in which $...$ and $$...$$ outside code are MathML, which needs no script."""
    if "$" not in text:
        return text
    soup = BeautifulSoup(text, "html.parser")
    for node in soup.find_all(string=re.compile(r"\$")):
        if node.find_parent(["code", "pre", "script", "style", "table"]):
            continue
        parts = re.split(r"(?<!\\)(\$\$.+?\$\$|\$[^$\n]+?\$)", str(node), flags=re.S)
        fresh = [
            _formula(part.strip("$"), "block" if part.startswith("$$") else "inline")
            if part.startswith("$") and len(part) > 2
            else html.escape(part.replace(r"\$", "$"), quote=False)
            for part in parts
        ]
        node.replace_with(BeautifulSoup("".join(fresh), "html.parser"))
    return str(soup)


def _formula(latex: str, display: str) -> str:
    r"""MathML of a formula; latex2mathml's own `convert` lets the markup in \text{...} through."""
    from xml.etree.ElementTree import tostring

    from latex2mathml.converter import convert_to_element

    root = convert_to_element(latex, display=display)
    for element in root.iter():
        element.text = html.unescape(element.text or "")  # it comes as &#x003BB;
    return tostring(root, encoding="unicode", short_empty_elements=False)


def _describe_pictures(notebook: NotebookNode, name: str) -> None:
    """Turn pictures into <img> with a description, in place.

    The description is the output's metadata `alt`, else the cell's comment line `# Alt: ...`.
    """
    for number, cell in enumerate(notebook.cells, 1):
        said = re.findall(r"^# ?Alt: *(.+)$", cell.source, flags=re.M)
        for output in cell.get("outputs", []):
            kind = next((kind for kind in IMAGES if kind in output.get("data", {})), None)
            if kind is None:
                continue
            alt = output.get("metadata", {}).get("alt") or (said.pop(0) if said else "")
            if not alt.strip():
                raise UserError(
                    f"{name}: cell {number} draws a picture without a description; "
                    "begin the cell with the line '# Alt: what the picture shows'"
                )
            content = output.data[kind]
            if kind == "image/svg+xml":
                content = b64encode(content.encode()).decode()
            content = re.sub(r"\s", "", content)
            image = f'<img alt="{html.escape(alt)}" src="data:{kind};base64,{content}">'
            output.data = {"text/html": f"<figure>{image}</figure>"}
