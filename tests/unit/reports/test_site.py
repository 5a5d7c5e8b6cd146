"""Pages of a folder are one site: navigation, search, stamp; the same twice."""

import json
import os

import pytest
from bs4 import BeautifulSoup
from markupsafe import Markup

from lib import paths
from lib.reports import site
from lib.reports.template import render_page

PAGES = {name: {"title": f"Page {name[:2]}"} for name in ("07_a", "08_b", "10_c", "20_d")}


@pytest.fixture
def folder(tmp_path):
    body = Markup("<h1>Title</h1><p>Opening words.</p><h2 id='x'>Deep & dark</h2><p>Rare word.</p>")
    for address in [*(f"{name}.html" for name in PAGES), "index.html", "runs/r-s1/index.html"]:
        (tmp_path / address).parent.mkdir(parents=True, exist_ok=True)
        root = "../" * address.count("/")
        (tmp_path / address).write_text(render_page("glossary", "Title", root, body=body))
    site.write_glossary(tmp_path)
    site.link_pages(tmp_path, PAGES)
    site.write_assets(tmp_path)
    return tmp_path


def soup_of(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(), "html.parser")


def test_every_page_has_the_same_navigation_and_says_where_it_is(folder):
    for path in site.all_pages(folder):
        links = soup_of(path).select("nav.pages a")
        assert [a.text for a in links] == [
            "Start",
            *(p["title"] for p in PAGES.values()),
            "Glossary",
        ]
        assert all((path.parent / a["href"]).exists() for a in links), path
        here = [a for a in links if a.get("aria-current")]
        assert len(here) == (path.name != "index.html" or path.parent == folder)


def test_next_and_previous_skip_no_page(folder):
    at, seen = folder / "index.html", []
    while following := soup_of(at).select_one("a[rel=next]"):
        at = folder / following["href"]
        assert soup_of(at).select_one("a[rel=prev]")["href"] == (seen or ["index.html"])[-1]
        seen.append(at.name)
    assert seen == [*(f"{name}.html" for name in PAGES), "glossary.html"]


def test_pages_are_linked_again_to_the_same_bytes(folder):
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    site.link_pages(folder, PAGES)
    site.write_assets(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_the_search_index_has_every_section_of_a_page_and_no_picture(folder):
    text = (folder / "assets/search.js").read_text()
    entries = json.loads(text.removeprefix("window.searchIndex = ").rstrip(";\n"))
    (found,) = [e for e in entries if e["address"] == "08_b.html#x"]
    assert found == {"title": "Title", "heading": "Deep & dark", "address": "08_b.html#x",
                     "text": "Rare word. "}  # fmt: skip
    assert [e["address"] for e in entries if "runs/" in e["address"]] == ["runs/r-s1/index.html"]


def test_every_word_of_the_glossary_has_an_anchor(folder):
    ids = {tag["id"] for tag in soup_of(folder / "glossary.html").find_all(id=True)}
    assert {"se", "score", "1-1", "cas", "selection"} <= ids


def test_a_stamp_depends_on_the_runs_alone(tmp_path):
    record = tmp_path / "a-s1-00000000"
    record.mkdir()
    (record / "result.json").write_text("{}")
    os.utime(record / "result.json", (0, 86400 * 365))
    assert site.stamp([record])["newest"] == "1971-01-01"
    assert site.stamp([record]) == site.stamp([record])
    assert site.stamp()["newest"] == ""


def test_without_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROJECT", tmp_path)
    monkeypatch.setattr(site, "_commit", site._commit.__wrapped__)
    assert site.stamp()["commit"] == ""


def test_a_page_names_its_notebook_and_its_paper(tmp_path):
    notebook = paths.PROJECT / "notebooks/10_sam.ipynb"
    local = site.page_sources(notebook, tmp_path)
    assert local == [("Notebook", "notebooks/10_sam.ipynb"),
                     ("Paper: SAM", "https://arxiv.org/abs/2512.22564")]  # fmt: skip
    published = site.page_sources(notebook, paths.PROJECT / "reports")
    assert published[0] == ("Notebook", "../notebooks/10_sam.ipynb")
