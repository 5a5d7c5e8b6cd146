"""A page opens offline, describes its pictures, escapes what it shows, and is always the same."""

import os
import re
import sys

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from small_notebooks import ABOUT, BANNER, FIRST

from lib import paths
from lib.errors import UserError
from lib.reports import html, listen

SOUND = '<audio controls="controls"><source src="data:audio/wav;base64,UklGRg=="></audio>'


def executed(*outputs, source="1", words="Words.") -> nbformat.NotebookNode:
    code = new_code_cell(source, outputs=list(outputs), execution_count=1)
    return new_notebook(cells=[new_markdown_cell(FIRST), code, new_markdown_cell(words)])


def shown(**data) -> nbformat.NotebookNode:
    return new_output("display_data", data={k.replace("_", "/"): v for k, v in data.items()})


def render(notebook, sounds=False) -> str:
    return html.render_page(notebook, "03_small", ABOUT, sounds)


def outside(page: str) -> list[str]:
    """Addresses that a browser would load from the net, found without lib.reports.html."""
    tags = BeautifulSoup(page, "html.parser").find_all(True)
    keys = ("src", "href", "data", "poster")
    loaded = [tag.get(key, "") for tag in tags if tag.name != "a" for key in keys]
    return [address for address in loaded if re.match(r"(\w+:)?//", address)]


def test_the_index_says_what_the_first_cell_and_the_banner_say():
    about = html.describe_page(executed(shown(text_html=BANNER)))
    assert about == {
        "title": "03 Small",
        "question": "Does it run?",
        "profile": "laptop",
        "data": "ICBHI, partial",
        "seeds": "2",
        "synthetic": "",
    }
    assert html.describe_page(executed())["profile"] == ""


def test_a_page_needs_nothing_from_the_net():
    page = render(executed(shown(text_html="<b>bold</b>")))
    assert outside(page) == []
    assert "https://" not in page and "require" not in page and "mathjax" not in page.lower()
    assert "<b>bold</b>" in page


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "open offline"),
        ('<img alt="a" src="http://example.org/a.png">', "open offline"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "open offline"),
        ("<style>@import 'a.css';</style>", "open offline"),
        ("<style>p {background: url(https://example.org/a.png)}</style>", "open offline"),
        ("<script>import('https://example.org/m.js')</script>", "open offline"),
        ("<img src='data:,'>", "has no description"),
        (SOUND, "real sound"),
        ("<audio src='x.wav'>", "real sound"),
        ('<a href="data:audio/wav;base64,AA">x</a>', "real sound"),
        ("<video></video>", "real sound"),
    ],
)
def test_what_a_page_may_not_hold(content, problem):
    with pytest.raises(UserError, match=f"03_small: .*{problem}"):
        render(executed(shown(text_html=content)))


def test_a_page_that_may_hold_sounds():
    page = BeautifulSoup(render(executed(shown(text_html=SOUND)), sounds=True), "html.parser")
    assert page.find("audio").find("source")["src"] == "data:audio/wav;base64,UklGRg=="


def test_a_raw_figure_is_an_error_since_it_has_no_description():
    with pytest.raises(UserError, match="'1' draws a picture without a description; .*page.figure"):
        render(executed(shown(image_png="AAAA")))


def test_pages_hold_no_time_address_or_folder_of_the_machine(tmp_path, monkeypatch):
    """Two runs on two machines give the same bytes."""
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "sounds"))
    folders = [
        f"{paths.PROJECT}/a",
        f"{tmp_path}/sounds/a.wav",
        f"{sys.prefix}/b",
        os.path.expanduser("~/c"),
    ]
    first = "; ".join([*folders, "<F at 0x7f00aa11bb22>", "/tmp/ipykernel_12/34.py"])
    second = "PROJECT/a; DATA_ROOT/a.wav; PYTHON/b; HOME/c; <F>; cell"
    picture = "base64,AA/root/+"
    pages = []
    for text in (first, second):
        outputs = [new_output("stream", text=text), shown(text_html=f"{text}{picture}")]
        made = executed(*outputs)
        made.metadata.papermill = {"start_time": f"2026-01-01T{len(text):02d}:00:00"}
        pages.append(render(made))
    assert pages[0] == pages[1] and picture in pages[0] and "2026" not in pages[0]
    assert f"{tmp_path}/sounds-2" in render(
        executed(new_output("stream", text=f"{tmp_path}/sounds-2"))
    )


def test_text_is_escaped():
    output = new_output("stream", text="<script>alert(1)</script>\x1b[31mred\x1b[0m")
    page = render(executed(output, source="a < b"))
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert "ICBHI, &lt;partial&gt;" in page and "03 Small &lt;one&gt;" in page


def test_formulas_become_mathml_and_code_does_not():
    words = "Loss $\\lambda_i < 1$ and $$z' = h(z)$$ but `$x$`, and \\$5."
    page = BeautifulSoup(render(executed(words=words)), "html.parser")
    assert [m["display"] for m in page.find_all("math")] == ["inline", "block"]
    assert page.find("code").text == "$x$" and "$5" in page.text
    assert "λ" in page.find("math").text


def test_words_in_formulas_stay_words():
    """latex2mathml alone would let the tag through."""
    page = BeautifulSoup(
        html.mathml(r"\text{<script>alert(1)</script>} \lambda", "inline"), "html.parser"
    )
    assert page.find("script") is None and "λ" in page.text
    assert page.find("mtext").text == "<script>alert(1)</script>"


def test_code_is_closed_and_a_page_starts_with_the_way_home():
    soup = BeautifulSoup(render(executed()), "html.parser")
    assert soup.find("details", class_="code").get("open") is None
    assert soup.find("a", class_="home")["href"] == "index.html"
    assert "Research only, not for diagnosis" in soup.footer.text


def test_headings_have_visible_links_and_stand_in_the_contents():
    soup = BeautifulSoup(render(executed(words="## A & b\n\n### C\n\n## D")), "html.parser")
    assert [(a["href"], a.text) for a in soup.select("nav.contents a")] == [
        *(("#A-&-b", "A & b"), ("#D", "D"))
    ]
    for heading in soup.select("main h2, main h3"):
        assert heading.find("a", class_="anchor-link")["href"] == f"#{heading['id']}"


def test_the_result_comes_before_all_other_sections():
    codes = [new_code_cell(f"{n}", outputs=[new_output("stream", text=f"of {n}")]) for n in (1, 2)]
    words = [new_markdown_cell(t) for t in ("## First", "## Paper beside ours, four", "## Open")]
    cells = [new_markdown_cell(FIRST), words[0], codes[0], words[1], codes[1], words[2]]
    main = BeautifulSoup(render(new_notebook(cells=cells)), "html.parser").main
    assert [h.text.rstrip("#") for h in main.find_all("h2")] == [
        *("Paper beside ours, four", "First", "Open")
    ]
    assert main.text.index("of 2") < main.text.index("of 1")


def test_the_answer_comes_right_after_the_title():
    text = render(executed(shown(text_html="<p>shown</p>")))
    before, after = text.split("<!--answer--><!--/answer-->")
    assert "</h1>" in before and "Question." in after and text.count("<h1") == 1


def test_tables_of_a_notebook_scroll_by_themselves():
    table = "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>"
    soup = BeautifulSoup(render(executed(shown(text_html=table))), "html.parser")
    frame = soup.main.table.parent
    assert (frame["role"], frame["tabindex"]) == ("region", "0") and frame["aria-label"]
    assert soup.main.th["scope"] == "col" and soup.select_one(".highlight pre")["tabindex"] == "0"
    soup = BeautifulSoup(
        render(executed(shown(text_html=table.replace(">a<", "><")))), "html.parser"
    )
    assert soup.main.th is None and not soup.main.table.thead.td.has_attr("scope")


def test_the_synthetic_examples_may_be_on_every_page_and_no_other_sound():
    examples = listen.players()
    page = BeautifulSoup(render(executed(shown(text_html=examples))), "html.parser")
    assert len(page.find_all("audio")) == len(listen.EXAMPLES) == 5
    other = examples.replace("base64,UklGR", "base64,UklGS", 1)
    assert other != examples
    with pytest.raises(UserError, match="real sound"):
        render(executed(shown(text_html=other)))


def test_the_index():
    page = BeautifulSoup(html.render_index({"03_small": ABOUT}), "html.parser")
    link = page.select_one("tbody a")
    assert (link["href"], link.text) == ("03_small.html", "03 Small <one>")
    assert [cell.text for cell in page.find_all("td")] == [
        *("Does it run?", "complete", "laptop", "ICBHI, <partial>", "2")
    ]
    assert "No page has been made yet" in html.render_index({})
    sounds = "01_data_exploration.html#What-the-classes-sound-like"
    assert sounds in html.render_index({"01_data_exploration": ABOUT})
    assert sounds not in str(page)
