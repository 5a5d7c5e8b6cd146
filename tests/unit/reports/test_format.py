"""Tables as files and HTML: everything is escaped, and the same table gives the same bytes."""

import io

import pandas as pd
import pytest

from lib.reports import format
from lib.tables.format import csv_text

TABLE = pd.DataFrame(
    {
        "Mix & match": ["stop(z)", "a|b", "50%_x#1", "<b>"],
        "Score": ["62.37 ± 0.61", "not run", "55.00 (1)", "“–”"],
    }
)


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


def test_html_is_the_same_twice_and_escaped():
    html = format.style_table(TABLE, "table 1", "Sp & <i>Se</i>").to_html()
    assert html == format.style_table(TABLE, "table 1", "Sp & <i>Se</i>").to_html()
    assert "T_table-1" in html and "Mix &amp; match" in html and "&lt;b&gt;" in html
    assert "Sp &amp; &lt;i&gt;" in html and "<i>" not in html


@pytest.mark.parametrize(
    ("cell", "wraps"),
    [
        ("62.37 ± 0.61 (5)", False),
        ("55.20", False),
        ("-3.10", False),
        ("51.20 to 60.01", False),
        ("within one std (0.88)", True),
    ],
)
def test_numbers_do_not_wrap(cell, wraps):
    html = format.style_table(pd.DataFrame({"Score": [cell]}), "t").to_html()
    assert (format.NO_WRAP not in html) == wraps


def test_rows_that_were_not_run_are_grey():
    html = format.style_table(TABLE, "t").to_html()
    assert "#T_t_row1_col0, #T_t_row1_col1" in html and format.MUTED in html
