"""What the pages of a folder share: navigation, glossary, search, stamp, style and script."""

import json
import os
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pandas as pd
from bs4 import BeautifulSoup
from markupsafe import Markup

from lib import files, papers, paths
from lib.reports import glossary, html
from lib.reports.page import answer_box
from lib.reports.template import TEMPLATES, render_page, render_template
from lib.runs.folder import published_root
from lib.tables import answers, reliability

OWN_ANSWERS = answers.OWN_ANSWERS | {"13": reliability.page_answer}
PAGES = re.compile(r"(?<=<!--pages-->).*?(?=<!--/pages-->)", re.S)
ANSWER = re.compile(r"(?<=<!--answer-->).*?(?=<!--/answer-->)", re.S)
NEIGHBOURS = re.compile(r"(?<=<!--neighbours-->).*?(?=<!--/neighbours-->)", re.S)
SEARCHED = 1200  # letters of a section's text that the search sees
CODE = ("lib", "notebooks", "benchmarks", "docs/glossary.md")  # what makes a page


def stamp(records: Iterable[Path] = ()) -> dict[str, str]:
    """Return the commit that last changed what makes pages, and the date of the newest run.

    Both stay the same as long as code and runs do, so that a second build gives the same bytes.
    "" outside of git, and without runs. A published run has the date of its commit, because a
    clone sets the times of files; another has that of its result.json.
    """
    records = sorted(records)
    published = [record for record in records if record.parent == published_root()]
    local = [record / "result.json" for record in records if record.parent != published_root()]
    times = (path.stat().st_mtime for path in local if path.exists())
    dates = [datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d") for seconds in times]
    if published:
        dates.append(_git("log", "-1", "--format=%cs", "--", *map(str, published)))
    return {"commit": _commit(), "newest": max(dates, default="")}


@cache
def _commit() -> str:
    commit = _git("log", "-1", "--format=%h", "--", *CODE)
    changed = commit and _git("status", "--porcelain", "--", *CODE)
    return commit + " with changes" * bool(changed)


def _git(*words: str) -> str:
    """Return what git says of this checkout, or "" if there is none."""
    command = ["git", "-C", str(paths.PROJECT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def page_sources(notebook: Path, folder: Path) -> list[tuple[str, str]]:
    """Return text and address of what a page comes from: its notebook, then its papers."""
    inside = folder.is_relative_to(paths.PROJECT)
    address = os.path.relpath(notebook, folder) if inside else f"notebooks/{notebook.name}"
    number = notebook.name[:2]
    found = {name: paper for name, paper in papers.PAPERS.items() if number in paper.NOTEBOOKS}
    links = [
        (f"Paper: {name}", f"https://arxiv.org/abs/{match[1]}")
        for name, paper in found.items()
        if (match := re.search(r"arXiv (\d+\.\d+)", paper.__doc__))
    ]
    return [("Notebook", address), *links]


def read_pages(folder: Path) -> dict[str, dict[str, str]]:
    """Return what pages.json says of the pages in a folder, in reading order."""
    path = folder / "pages.json"
    pages = files.read_json(path) if path.exists() else {}
    return {name: pages[name] for name in sorted(pages) if (folder / f"{name}.html").exists()}


def finish(folder: Path) -> None:
    """Make one site of the pages in a folder: glossary, navigation, style, script, search."""
    write_answers(folder, read_pages(folder))
    write_glossary(folder)
    link_pages(folder, read_pages(folder))
    write_assets(folder)


def write_answers(folder: Path, pages: dict[str, dict[str, str]]) -> None:
    """Write the box that opens a page into each whose question its tables or claims answer."""

    def read(table: str) -> pd.DataFrame:
        path = folder / "tables" / f"{table}.csv"
        return pd.read_csv(path, dtype=str) if path.exists() else pd.DataFrame(columns=["Page"])

    claims = read("claims")
    for name, about in pages.items():
        own = OWN_ANSWERS.get(name[:2])
        answer = own(read) if own else answers.page_answer(claims, name[:2])
        box = answer_box(about["question"], **answer) if answer else ""
        page = folder / f"{name}.html"
        text = page.read_text(encoding="utf-8")
        if (changed := _put(box, ANSWER, text)) != text:
            files.write_text(page, changed)


def write_glossary(folder: Path) -> None:
    """Write glossary.html; each word has an anchor."""
    soup = BeautifulSoup(html.markdown_to_html(glossary.read_text()), "html.parser")
    taken: set[str] = set()
    for row in soup.select("tbody tr"):
        first = row.find("td")
        first.name, first["scope"] = "th", "row"
        for name in map(glossary.slug, glossary.glossary_names(first.get_text())):
            if name not in taken:
                taken.add(name)
                first.insert(0, BeautifulSoup(f'<span id="{name}"></span>', "html.parser"))
    html.make_scrollable(soup)
    html.link_headings(soup)
    page = render_page("glossary", "Glossary", body=Markup(str(soup)), stamp=stamp())
    files.write_text(folder / glossary.PAGE, page)


def link_pages(folder: Path, pages: dict[str, dict[str, str]]) -> None:
    """Write the navigation and the neighbours into every page of a folder."""
    listed = [("index.html", "Start"), *((f"{name}.html", p["title"]) for name, p in pages.items())]
    more = [("listen.html", "Listen"), ("leaderboard.html", "Leaderboard")]
    more.append(("runs/index.html", "All runs"))
    more.append((glossary.PAGE, "Glossary"))
    listed += [(address, title) for address, title in more if (folder / address).exists()]
    for path in all_pages(folder):
        here = path.relative_to(folder).as_posix()
        root, text = "../" * here.count("/"), path.read_text(encoding="utf-8")
        navigation = render_template("navigation", pages=listed, here=here, root=root)
        changed = _put(navigation, PAGES, text)
        if here in dict(listed):
            changed = _put(_neighbours(here, listed, root), NEIGHBOURS, changed)
        if changed != text:
            files.write_text(path, changed)


def _put(new: str, place: re.Pattern, text: str) -> str:
    return place.sub(lambda _: new, text, count=1)


def _neighbours(here: str, listed: list[tuple[str, str]], root: str) -> str:
    """Return the links to the pages before and after one."""
    at = [address for address, _ in listed].index(here)
    before, after = listed[at - 1] if at else None, (listed[at + 1 :] or [None])[0]
    return render_template("neighbours", previous=before, following=after, root=root)


def all_pages(folder: Path) -> list[Path]:
    """Return every page of a folder: those of notebooks, index, glossary, runs."""
    found = [*folder.glob("*.html"), *folder.glob("runs/*.html"), *folder.glob("runs/*/index.html")]
    return [path for path in sorted(found) if "<!--pages-->" in path.read_text(encoding="utf-8")]


def write_assets(folder: Path) -> None:
    """Write style, script and search index into assets/."""
    files.write_text(folder / "assets/page.css", html.css())
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    files.write_text(folder / "assets/page.js", script)
    entries = [entry for path in all_pages(folder) for entry in search_entries(path, folder)]
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
    files.write_text(folder / "assets/search.js", f"window.searchIndex = {text};\n")


def search_entries(path: Path, folder: Path) -> list[dict[str, str]]:
    """Return title, heading, address and text of each section of a page; one for a run's page."""
    text = re.sub(r"data:[\w/+]+;base64,[\w/+=]+", "", path.read_text(encoding="utf-8"))
    soup = BeautifulSoup(text, "html.parser")
    address, main = path.relative_to(folder).as_posix(), soup.find("main")
    title = soup.find("h1").get_text() if soup.find("h1") else soup.title.get_text()
    for tag in main.select("details, audio, nav, svg, .anchor-link"):
        tag.decompose()
    entries = [{"title": title, "heading": "", "address": address, "text": ""}]
    for element in main.find_all(["h2", "p", "li", "th", "td"]):
        words = " ".join(element.get_text(" ").split())
        if element.name == "h2" and "/" not in address:
            here = f"{address}#{element.get('id', '')}"
            entries.append({"title": title, "heading": words, "address": here, "text": ""})
        elif len(entries[-1]["text"]) < SEARCHED:
            entries[-1]["text"] += words + " "
    return [entry | {"text": entry["text"][: 200 if "/" in address else None]} for entry in entries]
