"""What a notebook sees: the banner, files that are saved as they are shown, and sounds."""

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from IPython.display import HTML, Audio

from lib import papers, paths
from lib.data import ICBHI, SPRSound
from lib.errors import UserError
from lib.papers.profiles import get_profile
from lib.plots import style
from lib.reports import html, page
from lib.runs.plan import Context
from lib.runs.results import COLUMNS

PARTIAL = ICBHI("nowhere", "partial", "partial ICBHI: 293 <of> 920")
OFFICIAL = ICBHI("nowhere", "official")
SYNTHETIC = SPRSound("nowhere", "synthetic", "SYNTHETIC sounds: made up")


@pytest.fixture
def context(tmp_path, monkeypatch):
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    context = Context(get_profile("laptop"), PARTIAL)
    monkeypatch.setattr(page.plan, "open_context", lambda profile: context)
    monkeypatch.setattr(Context, "sprsound", SYNTHETIC)
    return context


def test_the_banner_says_what_the_numbers_come_from():
    text = page.banner(get_profile("laptop"), [PARTIAL, SYNTHETIC])
    assert "Profile laptop" in text and "293 &lt;of&gt; 920 SYNTHETIC" in text
    assert "no verdict" in text and "<b>Seeds</b>: 1." in text
    official = page.banner(get_profile("paper"), [OFFICIAL])
    assert "all recordings" in official and "no verdict" not in official


def test_the_index_reads_the_banner():
    about = html.describe_page(_executed(page.banner(get_profile("smoke"), [PARTIAL, SYNTHETIC])))
    assert (about["profile"], about["seeds"], about["synthetic"]) == ("smoke", "1", "")
    assert about["data"] == "ICBHI partial, synthetic SPRSound"
    about = html.describe_page(_executed(page.banner(get_profile("smoke"), [SYNTHETIC])))
    assert about["synthetic"] == "yes"


def _executed(text):
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    output = new_output("display_data", data={"text/html": text})
    return new_notebook(cells=[new_markdown_cell("# 03"), new_code_cell("1", outputs=[output])])


def test_what_is_shown_is_saved(context, capsys):
    opened = page.open_page("laptop")
    assert "HTML" in capsys.readouterr().out  # the banner
    opened.table("numbers", "A caption.", pd.DataFrame({"a": [1.5]}))
    assert (context.folder / "tables/numbers.csv").read_text() == "a\n1.5\n"
    fig, _ = style.subplots(2, 2)
    with pytest.raises(UserError, match="alt text"):
        opened.figure(fig, "empty")
    shown = opened.figure(style.set_alt_text(fig, "An empty square."), "empty")
    assert 'alt="An empty square."' in shown._repr_html_()
    assert {p.name for p in (context.folder / "figures").iterdir()} == {"empty.png", "empty.svg"}


@pytest.mark.parametrize("train", [True, False])
def test_a_registered_table_loads_its_group_once(context, monkeypatch, train):
    loaded = []

    def load(profile, group):
        loaded.append((profile, group))
        return pd.DataFrame(columns=COLUMNS)

    monkeypatch.setattr(page.execute, "train_and_load", load if train else None)
    monkeypatch.setattr(page, "collect_results", None if train else load)
    opened = page.open_page("laptop", train=train)
    for name in ("table2", "table2_details"):
        opened.table(name)
        assert len(pd.read_csv(context.folder / f"tables/{name}.csv")) >= len(
            papers.GROUPS["table2"]
        )
    assert loaded == [("laptop", "table2")]
    with pytest.raises(UserError, match="unknown table 'tabel2': did you mean 'table2'"):
        opened.table("tabel2")


@pytest.mark.parametrize(
    ("out", "allowed"),
    [
        ("elsewhere", True),
        ("reports_root/local/laptop-icbhi-partial", True),
        ("reports_root", False),
        ("reports_root/pages", False),
        (str(paths.PROJECT / "out"), False),
    ],
)
def test_real_sounds_are_only_where_git_cannot_commit_them(
    context, tmp_path, monkeypatch, out, allowed
):
    monkeypatch.setenv("OUT", str(tmp_path / out))
    wave = np.linspace(-1, 1, 100)
    shown = page.open_page("laptop").audio(wave, 4000)
    assert isinstance(shown, Audio if allowed else HTML)
    both = page.open_page("laptop", "icbhi", "sprsound").audio(wave, 4000)
    assert isinstance(both, Audio if allowed else HTML)
    assert isinstance(page.open_page("laptop", "sprsound").audio(wave, 4000), Audio)


@pytest.mark.parametrize("state", ["confirmed", "refuted", "undecided (one seed)", "not run"])
def test_an_answer_is_a_question_a_sentence_a_number_and_a_state(state):
    box = page.answer_box("Does <it> help?", "Yes.", "+1.96 (-1.01 to +4.80)", state, "a GPU")
    soup = BeautifulSoup(box, "html.parser")
    texts = [soup.select_one(f".{name}").text for name in ("question", "says", "number", "decides")]
    assert texts[:3] == ["Does <it> help?", "Yes.", "+1.96 (-1.01 to +4.80)"]
    assert texts[3] == "What would decide it: a GPU" and soup.find("span").text == state
    assert "decides" not in page.answer_box("q", "a", "", state, "")
    with pytest.raises(UserError, match="unknown state 'confirmd': did you mean 'confirmed'"):
        page.answer_box("q", "a", "", "confirmd", "")


def test_the_paper_profile_needs_all_recordings(monkeypatch):
    context = Context(get_profile("paper"), PARTIAL)
    monkeypatch.setattr(page.plan, "open_context", lambda profile: context)
    with pytest.raises(UserError, match="all are needed"):
        page.open_page("paper")
