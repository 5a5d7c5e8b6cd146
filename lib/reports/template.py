"""Templates of the pages, and what each page says of the software."""

import tomllib
from functools import cache
from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader

from lib import paths

TEMPLATES = Path(__file__).parent / "templates"
CITATION, SETTINGS = paths.PROJECT / "CITATION.cff", paths.PROJECT / "pyproject.toml"


def render_template(name: str, /, **values: object) -> str:
    """Return a template of this package with escaped values."""
    return _environment().get_template(f"{name}.html.j2").render(**values)


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)


def render_page(template: str, title: str, root: str = "", /, **values: object) -> str:
    """Return a page from a template that extends the layout.

    root: the way from the page to the folder of all pages, "" or "../". Values that each page has:
    stamp (see `lib.reports.site.stamp`) and contents, id and text of each heading.
    """
    given = {"stamp": {}, "contents": [], "site": about_site(), **values}
    text = render_template(template, **given, title=title, root=root)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


@cache
def about_site() -> dict[str, str]:
    """Return name, title, version, authors and licence of the software, from its own files."""
    cited = yaml.safe_load(CITATION.read_text(encoding="utf-8"))
    project = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))
    return {
        "name": "Respiratory sounds",
        "title": cited["title"],
        "licence": cited["license"],
        "version": project["project"]["version"],
        "authors": ", ".join(author["name"] for author in cited["authors"]),
    }
