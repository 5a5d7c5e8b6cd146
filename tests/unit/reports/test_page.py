"""Pages of a study: the banner, and files written as they are shown."""

import pandas as pd
import pytest

from lib import data, profiles
from lib.errors import UserError
from lib.plots import style
from lib.reports import page as reports_page
from lib.runs import plan


def a_study(profile, kind, banner):
    source = data.Source("icbhi", None, kind, banner)
    return plan.Study(profiles.get(profile), source)


def test_the_banner_says_what_numbers_stand_on():
    text = reports_page.banner(a_study("quick", "partial", "partial ICBHI: 293 <of> 920"))
    assert "Profile quick" in text and "293 &lt;of&gt; 920" in text and "no verdict" in text
    official = reports_page.banner(a_study("paper", "official", ""))
    assert "all 920 recordings" in official and "no verdict" not in official


def test_what_is_shown_is_saved(tmp_path):
    page = reports_page.Page(a_study("quick", "partial", ""), tmp_path)
    page.table(pd.DataFrame({"a": [1.5]}), "numbers")
    assert (tmp_path / "tables/numbers.csv").read_text() == "a\n1.5\n"
    fig, _ = style.subplots(2, 2)
    with pytest.raises(UserError, match="alt text"):
        page.figure(fig, "empty")
    shown = page.figure(style.set_alt_text(fig, "An empty square."), "empty")
    assert 'alt="An empty square."' in shown._repr_html_()
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {"empty.png", "empty.svg"}


def test_a_page_on_sprsound_says_how_much_of_it_is_here(monkeypatch):
    there = data.Source("sprsound", None, "synthetic", "SYNTHETIC sounds: no child")
    monkeypatch.setattr(plan, "sprsound_source", lambda profile: there)
    here = a_study("quick", "partial", "partial ICBHI")
    alone, both = (
        reports_page.banner(here, "sprsound"),
        reports_page.banner(here, "icbhi", "sprsound"),
    )
    assert "SYNTHETIC sounds: no child" in alone and "partial ICBHI" not in alone
    assert "partial ICBHI SYNTHETIC" in both
