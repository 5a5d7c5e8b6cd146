"""A page opens offline, describes its pictures, escapes what it shows, and is always the same."""

import base64
import io
import re

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from small_notebooks import CARD

from lib.errors import UserError
from lib.reports import html, index, metadata


def png() -> str:
    noise = np.random.default_rng(0).integers(0, 255, (60, 2000, 3)).astype(np.uint8)
    held = io.BytesIO()
    Image.fromarray(noise).save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()


def executed(*outputs, source="1", words="Words.") -> nbformat.NotebookNode:
    code = new_code_cell(source, outputs=list(outputs), execution_count=1)
    heading = new_markdown_cell("# 03 Small\n\n**Question.** Does it\nrun?\n**Inputs.** None.")
    return new_notebook(cells=[heading, code, new_markdown_cell(words)])


def shown(**data) -> nbformat.NotebookNode:
    return new_output("display_data", data={k.replace("_", "/"): v for k, v in data.items()})


def outside(page: str) -> list[str]:
    """Addresses that a browser would load from the net: an own look, not lib.reports.html.check."""
    tags = BeautifulSoup(page, "html.parser").find_all(True)
    keys = ("src", "href", "data", "poster")
    loaded = [tag.get(key, "") for tag in tags if tag.name != "a" for key in keys]
    return [address for address in loaded if re.match(r"(\w+:)?//", address)]


def test_title_and_question_come_from_the_first_cell():
    assert html.heading(executed()) == ("03 Small", "Does it run?")


def test_a_page_needs_nothing_from_the_net():
    page = html.render(executed(shown(text_html="<b>bold</b>")), CARD)
    assert outside(page) == []
    assert "https://" not in page and "require" not in page and "mathjax" not in page.lower()
    assert "<b>bold</b>" in page


@pytest.mark.parametrize(
    "content",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<img alt="a" src="http://example.org/a.png">',
        '<link rel="stylesheet" href="//example.org/a.css">',
        "<style>@import 'a.css';</style>",
        "<style>p {background: url(https://example.org/a.png)}</style>",
        "<script>import('https://example.org/m.js')</script>",
    ],
)
def test_anything_from_the_net_is_an_error(content):
    with pytest.raises(UserError, match="03_small: .*open offline"):
        html.render(executed(shown(text_html=content)), CARD)


def test_a_picture_carries_its_description():
    page = html.render(executed(shown(image_png=png()), source="# Alt: A <line>.\nplot()"), CARD)
    image = BeautifulSoup(page, "html.parser").find("img")
    assert image["alt"] == "A <line>." and image["src"].startswith("data:image/png;base64,")


@pytest.mark.parametrize("data", [{"image_png": "AAAA"}, {"text_html": "<img src='data:,'>"}])
def test_a_picture_without_a_description_is_an_error(data):
    with pytest.raises(UserError, match="without a description|has no description"):
        html.render(executed(shown(**data)), CARD)


def test_same_content_same_bytes():
    """Ids, addresses and Styler ids differ between runs; the page does not."""
    first = executed(shown(text_html="<table id='T_0a1b2'></table>", text_plain="x"))
    second = executed(shown(text_html="<table id='T_fe9d8'></table>", text_plain="x"))
    second.metadata.papermill = {"start_time": "2026-01-01T00:00:00"}
    assert first.cells[0].id != second.cells[0].id
    assert html.render(first, CARD) == html.render(second, CARD)


def test_text_is_escaped():
    output = new_output("stream", text="<script>alert(1)</script>\x1b[31mred\x1b[0m")
    page = html.render(executed(output, source="a < b"), CARD)
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert "partial &lt;data&gt;" in page and "03 Small &lt;one&gt;" in page


def test_a_notebook_with_its_own_banner_has_one():
    page = html.render(executed(shown(text_html='<div class="banner">own</div>')), CARD)
    assert page.count('class="banner"') == 1


def test_formulas_become_mathml_and_code_does_not():
    words = "Loss $\\lambda_i < 1$ and $$z' = h(z)$$ but `$x$`, and \\$5."
    page = BeautifulSoup(html.render(executed(words=words), CARD), "html.parser")
    assert [m["display"] for m in page.find_all("math")] == ["inline", "block"]
    assert page.find("code").text == "$x$"
    assert "λ" in page.find("math").text


def test_words_in_formulas_stay_words():
    """latex2mathml alone would let the tag through."""
    page = html.mathml(r"<p>$\text{&lt;script&gt;alert(1)&lt;/script&gt;} \lambda$</p>")
    assert BeautifulSoup(page, "html.parser").find("script") is None
    assert BeautifulSoup(page, "html.parser").find("mtext").text == "<script>alert(1)</script>"
    assert "λ" in page


def test_code_is_closed_and_neighbours_are_linked():
    page = BeautifulSoup(html.render(executed(), CARD, None, CARD), "html.parser")
    assert page.find("details", class_="code").get("open") is None
    assert page.find("a", rel="next")["href"] == "03_small.html"
    assert page.find("a", rel="prev") is None
    assert page.find("a", class_="home")["href"] == "index.html"


def test_cards_thumbnails_and_index(tmp_path):
    folder = tmp_path / "local/quick-x"
    source = "# Alt: A line & more."
    page = html.render(executed(shown(image_png=png()), source=source), CARD)
    metadata.write_page(folder, page, CARD)
    assert [card.thumbnail_alt for card in metadata.cards(folder)] == ["A line & more."]
    assert Image.open(folder / "thumbnails/03_small.png").size[0] <= 640
    index.write_index(tmp_path / "local/index.html", [("Here", "About.", folder)])
    page = BeautifulSoup((tmp_path / "local/index.html").read_text(), "html.parser")
    card = page.find("article")
    assert card.find("img")["src"] == "quick-x/thumbnails/03_small.png"
    assert [a["href"] for a in card.find_all("a")] == ["quick-x/03_small.html"] * 2
    assert [d.text for d in card.find_all("dd")] == ["complete", "quick", "ICBHI, partial", "2"]
    assert "Does it run?" in card.text and page.find(class_="banner").text == "partial <data>"


def test_an_index_of_nothing_says_so(tmp_path):
    index.write_index(tmp_path / "index.html", [("Here", "About.", tmp_path)])
    assert "No page has been made yet" in (tmp_path / "index.html").read_text()
