"""Tables as files and HTML: everything is escaped, and the same table gives the same bytes."""

import io

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib.reports import format
from lib.reports.links import ONLY, Origin
from lib.tables.format import csv_text

TABLE = pd.DataFrame(
    {
        "Mix & match": ["stop(z)", "a|b", "50%_x#1", "<b>"],
        "Score": ["62.37 ± 0.61", "not run", "55.00 (1)", "“–”"],
    }
)
RUNS = Origin((({"Row": "a"}, 1, "ce-s1-0000000a"), ({"Row": "a"}, 2, "ce-s2-0000000b")))
NOT_RUN = Origin(reason="takes too long")


def soup_of(table, origins=(), caption="") -> BeautifulSoup:
    return BeautifulSoup(format.render_table(table, "t", caption, origins), "html.parser")


def test_csv_is_read_back_as_it_was():
    text = csv_text(TABLE)
    assert pd.read_csv(io.StringIO(text)).equals(TABLE)
    assert "\r" not in text
    assert csv_text(pd.DataFrame({"a": [float("nan")]})) == "a\nnan\n"


def test_markdown_has_as_many_cells_in_each_line():
    lines = format.markdown(TABLE).splitlines()
    assert len(lines) == 2 + len(TABLE)
    assert all(line.replace(r"\|", "").count("|") == 3 for line in lines)
    assert r"a\|b" in lines[3] and "&lt;b>" in lines[5]


def test_latex_is_a_booktabs_tabular_with_everything_escaped():
    text = format.latex(TABLE)
    assert text.startswith("\\begin{tabular}{ll}\n\\toprule\n")
    assert "Mix \\& match & Score \\\\" in text
    assert "50\\%\\_x\\#1 & 55.00 (1)" in text
    assert "62.37 $\\pm$ 0.61" in text
    assert "``--''" in text
    assert text.isascii()


def test_the_same_table_gives_the_same_three_files(tmp_path):
    for side in "ab":
        format.save_table(TABLE, "t", tmp_path / side)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["t.csv", "t.md", "t.tex"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() != b""


def test_a_score_says_in_its_header_which_rule_selected_it():
    rules = {"Validation": ["1.00"], "Score": ["2.00"], "Test-selection gain": ["+1.00"]}
    names = [th.text for th in soup_of(pd.DataFrame({"Row": ["a"], **rules})).select("thead th")]
    assert names == ["Row", "Score, validation-selected", "Score, test-selected", format.GAIN]
    names = format.headers(["Test", "Last", "Score", "Test-selection gain"])
    assert names[:3] == ["Score, test-selected", "Score, last epoch", "Score"]
    assert format.headers(["Validation", "Test"]) == ["Validation", "Test"]


def test_a_long_text_has_a_wide_cell():
    table = pd.DataFrame(
        {"Row": ["a"], "Mark": ["never predicts crackle, both"], "Score": ["1.00"]}
    )
    cells = soup_of(table).select("tbody td")
    assert [cell["class"] for cell in cells] == [["text"], ["number"]]


def test_html_is_the_same_twice_and_escaped():
    html = format.render_table(TABLE, "t", "Sp & <i>Se</i>")
    assert html == format.render_table(TABLE, "t", "Sp & <i>Se</i>")
    assert "Mix &amp; match" in html and "&lt;b&gt;" in html
    assert "Sp &amp; &lt;i&gt;" in html and "<i>" not in html


def test_html_can_be_read_by_a_screen_reader_and_scrolled_by_keyboard():
    soup = soup_of(TABLE, caption="Scores.")
    assert [cell.text for cell in soup.select("tbody th[scope=row]")] == list(TABLE["Mix & match"])
    assert [cell.text for cell in soup.select("thead th[scope=col]")] == list(TABLE.columns)
    region = soup.find(role="region")
    assert region["aria-label"] == "Scores." and region["tabindex"] == "0"
    files = [(a.text, a["href"]) for a in soup.select(".files a")]
    assert files == [
        ("CSV", "tables/t.csv"),
        ("LaTeX", "tables/t.tex"),
        ("Markdown", "tables/t.md"),
    ]


@pytest.mark.parametrize(
    ("cell", "is_number"),
    [
        ("62.37 ± 0.61 (5)", True),
        ("12 ± 4.33 (2)", True),
        ("55.20", True),
        ("-3.10", True),
        ("51.20 to 60.01", True),
        ("+0.86 (-3.43 to +7.84)", True),
        ("within one std (0.88)", False),
        ("8 x 18", False),
        ("–", False),
    ],
)
def test_numbers_do_not_wrap(cell, is_number):
    soup = soup_of(pd.DataFrame({"Row": ["a"], "Score": [cell]}))
    assert bool(soup.select("td.number")) == is_number


def test_numbers_link_to_their_runs_and_published_ones_do_not():
    table = pd.DataFrame({
        "Row": ["a", "always “normal”"],
        "Paper Score": ["62.37", "–"],
        "Task 11, paper": ["0.5", "–"],
        "Score": ["60.00 ± 1.00 (2)", "50.00"],
        "Seeds": ["1: 59.00; 2: 61.00", "–"],
    })  # fmt: skip
    soup = soup_of(table, [RUNS, Origin()])
    cells = soup.select("tbody tr:first-child td")
    links = [[(a.text, a["href"]) for a in cell.find_all("a")] for cell in cells]
    one, two = (f"runs/ce-s{n}-0000000{c}/index.html" for n, c in ((1, "a"), (2, "b")))
    assert links == [
        *([], [], [("60.00 ± 1.00 (2)", one)]),
        *([("1: 59.00", one), ("2: 61.00", two)], [("s1", one), ("s2", two)]),
    ]
    assert cells[2].a["title"] == "from ce-s1-0000000a, ce-s2-0000000b"
    assert not soup.select("tbody tr:last-child a")
    hashes = pd.DataFrame({"Row": ["a"], "Runs": ["0000000a; 0000000b"]})
    assert [a["href"] for a in soup_of(hashes, [RUNS]).select("td a")] == [one, two]


def test_rows_that_were_not_run_are_folded_with_the_reasons():
    table = pd.DataFrame({"Row": list("abc"), "Score": ["60.00 (1)", "not run", "not run"]})
    soup = soup_of(table, [RUNS, NOT_RUN, NOT_RUN])
    assert [row.th.text for row in soup.select("details tbody tr")] == ["b", "c"]
    assert [row.th.text for row in soup.select("section > .scroll tbody tr")] == ["a"]
    assert soup.summary.text == "2 rows not run: 2 × takes too long"
    assert soup_of(table).find("details") is None  # nothing is known of runs


def test_what_most_rows_share_stands_above_and_rows_have_what_differs():
    settings = ["ICBHI; none; ast, 4 epochs"] * 2 + ["ICBHI; none; mn04, 4 epochs, blur 1"]
    table = pd.DataFrame({"Row": list("abcde"), "Score": ["1", "2", "3", "not run", "50.00"]})
    table["Verdict"] = [*3 * ["no verdict"], "not run", "–"]
    table["Setting"] = [*settings, "not run: too long", "by definition"]
    soup = soup_of(table, [RUNS, RUNS, RUNS, NOT_RUN, Origin()])
    assert [p.text for p in soup.select(".common")] == [
        "Verdict: no verdict.",
        "Setting, unless a row says otherwise: ICBHI, ast, 4 epochs.",
    ]
    shown = [row.find_all("td")[1].text for row in soup.select("section > .scroll tbody tr")]
    assert shown == ["–", "–", "mn04, blur 1; without: ast", "by definition"]
    one = soup_of(table.iloc[:1], [RUNS])  # of one row nothing is common
    assert one.select_one(".common") is None and "ICBHI; none; ast, 4 epochs" in one.text


def test_a_long_cell_is_folded():
    long = "a long setting, " * 10
    pair = pd.DataFrame({"Row": ["a"], "Setting": [long]})
    assert soup_of(pair).select_one("td").text.strip() == long.strip()  # nothing stands beside it
    cell = soup_of(pair.assign(Score="1.0")).select_one("td")
    assert cell.summary.text == f"{long[:50]}…" and cell.details.text.endswith(long)


def test_claims_are_never_folded_and_a_state_looks_like_itself():
    table = pd.DataFrame({"Claim": ["a", "b"], "State": ["refuted", "not run"]})
    soup = soup_of(table, [RUNS, NOT_RUN])
    assert soup.find("details") is None
    assert [each["class"] for each in soup.select("span.state")] == [
        *(["state", "refuted"], ["state", "open"])
    ]


def test_a_row_that_has_not_learnt_its_task_is_muted():
    table = pd.DataFrame({"Row": ["a", "b"], "Mark": ["predicts only wheeze", "–"]})
    rows = soup_of(table, [RUNS, RUNS]).select("tbody tr")
    assert [row.get("class") for row in rows] == [["muted"], None]


def test_columns_that_name_a_row_are_one_and_the_setting_is_last():
    cells = {"Method": "CL", "Mix": "Patch", "Stage": "2", "When": "-"}
    origin = Origin(((cells, 1, "ce-s1-0000000a"),))
    rows = cells | {"Setting": "ast"}, dict.fromkeys(cells, "–") | {"Setting": "–"}
    table = pd.DataFrame(rows).assign(Score=["50.00 (1)", "50.00"])
    table.loc[1, "Method"] = "always “normal”"
    soup = soup_of(table, [origin, Origin()])
    assert [cell.text for cell in soup.select("thead th")] == [
        *("Method · Mix · Stage · When", "Score", "Setting", "Runs")
    ]
    assert [cell.text for cell in soup.select("tbody th")] == [
        *("CL · Patch · Stage 2", "always “normal”")
    ]


def test_a_claim_whose_stand_in_alone_was_run_links_in_that_column_only():
    stand_in = ({"Claim": "SAM helps", ONLY: "On a model that has learnt"}, 1, "mn04-s1-0")
    table = pd.DataFrame([{"Claim": "SAM helps", "State": "not run", "Page": "10",
                           "Difference": "not run",
                           "On a model that has learnt": "+1.00"}])  # fmt: skip
    text = format.render_table(table, "claims", "", [Origin((stand_in,))])
    found = BeautifulSoup(text, "html.parser").select("tbody td a")
    links = {link.get_text(): link["href"] for link in found}
    assert links.pop("+1.00") == "runs/mn04-s1-0/index.html"
    assert not set(links) & {"10", "not run"}
