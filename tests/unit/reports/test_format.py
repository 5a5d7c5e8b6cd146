"""Tables as files and HTML: escaping, and the same bytes for the same input."""

import io

import pandas as pd
import pytest

from lib.reports import format
from lib.tables import format as tables_format

TABLE = pd.DataFrame(
    {
        "Mix & match": ["stop(z)", "a|b", "50%_x#1", "<b>"],
        "Score": ["62.37 ± 0.61", "not run", "55.00 (1)", "“–”"],
    }
)


def test_csv_is_read_back_as_it_was():
    text = tables_format.csv_text(TABLE)
    assert pd.read_csv(io.StringIO(text)).equals(TABLE)
    assert "\r" not in text


def test_csv_names_missing_numbers():
    assert tables_format.csv_text(pd.DataFrame({"a": [float("nan")]})) == "a\nnan\n"


def test_markdown_has_as_many_cells_in_each_line():
    lines = format.markdown(TABLE).splitlines()
    assert len(lines) == 2 + len(TABLE)
    assert all(line.replace(r"\|", "").count("|") == 3 for line in lines)
    assert r"a\|b" in lines[3]


def test_latex_is_a_booktabs_tabular_with_everything_escaped():
    text = format.latex(TABLE)
    assert text.startswith("\\begin{tabular}{ll}\n\\toprule\n")
    assert "Mix \\& match & Score \\\\" in text
    assert "50\\%\\_x\\#1 & 55.00 (1)" in text
    assert "62.37 $\\pm$ 0.61" in text
    assert "``--''" in text
    assert text.isascii()


def test_save_writes_three_files_twice_the_same(tmp_path):
    first, second = (format.save_table(TABLE, "t", tmp_path / side) for side in "ab")
    assert [path.name for path in first] == ["t.csv", "t.md", "t.tex"]
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes() != b""


def test_html_is_the_same_twice_and_escaped():
    html = format.style_table(TABLE, "table 1", "Sp & Se").to_html()
    assert html == format.style_table(TABLE, "table 1", "Sp & Se").to_html()
    assert "T_table-1" in html and "Mix &amp; match" in html and "&lt;b&gt;" in html


def test_captions_are_text():
    assert "<i>" not in format.style_table(TABLE, "t", "<i>").to_html()


@pytest.mark.parametrize("number", ["62.37 ± 0.61 (5)", "55.20", "-3.10", "51.20 to 60.01"])
def test_numbers_do_not_wrap(number):
    html = format.style_table(pd.DataFrame({"Score": [number]}), "t").to_html()
    assert format.KEPT_TOGETHER in html
    words = format.style_table(pd.DataFrame({"Score": ["within one std (0.88)"]}), "t").to_html()
    assert format.KEPT_TOGETHER not in words


def test_rows_without_a_result_are_grey():
    html = format.style_table(TABLE, "t").to_html()
    assert "#T_t_row1_col0, #T_t_row1_col1" in html and format.MUTED in html
