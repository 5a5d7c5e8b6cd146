"""The leaderboard: its cards, where its numbers come from, and what `verify` finds."""

import json

import numpy as np
import pandas as pd
import pytest
from submissions import submission

from lib.errors import UserError
from lib.papers import PUBLISHED
from lib.paths import PROJECT
from lib.reports import html
from lib.reports.score import write_leaderboard
from lib.score import leaderboard as board
from lib.score.leaderboard import leaderboard, read_card, verify_leaderboard

CARD = """
method = "Mine"
paper = "Me 2030"
backbone = "CNN"
pretraining = "none"
selection = "validation"
metadata = "no"
ensemble = "no"
dataset = "icbhi"
task = "icbhi4"
source = "my page"
"""


@pytest.fixture
def reports(monkeypatch):
    monkeypatch.setenv("REPORTS_ROOT", str(PROJECT / "reports"))


@pytest.fixture
def card(tmp_path, monkeypatch):
    """Write a card with some results; it is the only one."""
    monkeypatch.setattr(board, "FOLDER", tmp_path / "leaderboard")

    def write(results: str, text: str = CARD):
        path = tmp_path / "leaderboard/mine/card.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n[[results]]\n{results}\n")
        return path

    return write


@pytest.fixture
def table(reports):
    return leaderboard()


def test_the_published_rows(table):
    published = table[table.mark == "as published"]
    assert len(published) >= 25
    assert (published.source != "").all() and (published.paper != "").all()
    four = published[published.board == "ICBHI, four classes"].set_index(["method", "selection"])
    patch_mix = PUBLISHED["t3/patchmix_cl"]
    mine = four.loc[("Patch-Mix CL", "test")]
    assert (mine.score, mine.score_std, mine.sp) == (*patch_mix.values["score"], patch_mix.sp)
    again = "Patch-Mix CL, independent reproduction"
    assert tuple(four.loc[(again, "test")][["score", "score_std"]]) == (61.49, 0.91)
    assert tuple(four.loc[(again, "last")][["score", "score_std"]]) == (59.59, 0.47)
    assert tuple(four.loc[("M2D2-ICBHI", "validation")][["score", "score_std"]]) == (64.30, 0.73)
    shuvo = published[published.method == "Shuvo and Hasan"]
    assert shuvo.score.tolist() == [90.4, 84.5, 72.0, 57.1]
    assert set(shuvo.selection) == {"not stated"}


def test_every_number_of_a_paper_stands_in_its_file_alone():
    """A card with numbers names another source than the papers that are rebuilt here."""
    for path in sorted(board.FOLDER.glob("*/card.toml")):
        text = path.read_text()
        assert ("score =" in text) + ("published =" in text) + ("experiment =" in text) == 1, path


def test_stored_runs_are_recomputed(table):
    here = table[table.mark != "as published"]
    assert set(here.card) >= {"here-mn04-ce", "here-mn04-patchmix-cl"}
    recomputed = here[here.mark == "recomputed"]
    assert len(recomputed) >= 2
    assert ((recomputed.low < recomputed.score) & (recomputed.score < recomputed.high)).all()
    row = recomputed[(recomputed.card == "here-mn04-ce") & (recomputed.selection == "validation")
                     & (recomputed.board == "ICBHI, four classes")].iloc[0]  # fmt: skip
    scores = []
    for path in sorted((PROJECT / "reports/runs").glob("mn04_as.ce.mel-s*/result.json")):
        result = json.loads(path.read_text())
        scores.append(result["selections"]["validation"]["test"]["score"])
    assert row.seeds == len(scores) and row.score == pytest.approx(np.mean(scores), abs=2e-4)


def test_rows_are_sorted_within_boards(table):
    assert table.board.is_monotonic_increasing
    for _, rows in table.groupby("board"):
        assert rows.score.dropna().is_monotonic_decreasing


def test_predictions_beside_a_card_are_scored(card):
    path = card('predictions = "predictions.csv"')
    submission().to_csv(path.parent / "predictions.csv", index=False)
    rows = leaderboard()
    assert rows.board.tolist() == ["ICBHI, four classes", "ICBHI, two classes"]
    assert set(rows.mark) == {"recomputed"} and set(rows.seeds) == {1}
    claimed = round(float(rows.score[0]), 2)
    card(f'predictions = "predictions.csv"\nscore = {claimed}')
    assert leaderboard().score[0] == rows.score[0]
    card(f'predictions = "predictions.csv"\nscore = {claimed + 0.02}')
    with pytest.raises(UserError, match=f"claims {claimed + 0.02:.2f}, but predictions.csv gives"):
        leaderboard()


def test_an_experiment_without_runs_is_not_run(card):
    card('experiment = "nobody/ran/this"')
    row = leaderboard().iloc[0]
    assert row.mark == "not run" and np.isnan(row.score)


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ("score = 1.0\nscores = 2", "unknown field 'scores': did you mean 'score'"),
        ('score = 1.0\nselection = "tset"', "unknown selection 'tset': did you mean 'test'"),
        ('score = 1.0\nmetadata = "some"', "unknown metadata 'some'"),
        ('score = 1.0\ndataset = "icbi"', "unknown dataset 'icbi'"),
        ("sp = 1.0", "a result needs one of published, experiment, predictions, score"),
        ('published = ["t3/x"]\nexperiment = "y"', "a result needs one of"),
        ('published = ["t3/patchmix_kl"]', "unknown published row 't3/patchmix_kl': did you mean"),
        ("score = [1, 2, 3]", r"card.toml: score is \[1, 2, 3\]; write percent, such as 61.49 or"),
        ('score = "69.65"', "card.toml: score is '69.65'; write percent"),
        ("score = 0.6965", "card.toml: score is 0.6965; write percent"),
        ("score = [61.5, -1]", "score is .61.5, -1.; write percent"),
        ("score = nan", "score is nan; write percent"),
        ("score = 61.5\nsp = 101", "sp is 101; write percent"),
        ('score = 61.5\nyear = "in press"', "card.toml: year is 'in press'; write a year, such as"),
        ("score = 61.5\nseeds = 0", "seeds is 0; write how many, such as 5"),
        ("score = 61.5\nnote = 3", "note is 3; write text in quotes"),
        ('predictions = ["a.csv"]', r"card.toml: predictions is \['a.csv'\]; write text in quotes"),
        ('published = "t3/patchmix_cl"', "published is 't3/patchmix_cl'; write a list"),
        (
            'predictions = "a.csv"\ntask = "icbhi5"',
            "card.toml: unknown task of icbhi 'icbhi5'",
        ),
        ('score = 61.5\ntask = "1-1"', "card.toml: unknown task of icbhi '1-1'"),
        ("score = ", "is no TOML file"),
        ('predictions = "none.csv"', "none.csv: not found"),
    ],
)
def test_a_damaged_card_is_told(card, results, told):
    card(results)
    with pytest.raises(UserError, match=told):
        leaderboard()


def test_a_card_that_lacks_a_field_is_told(card):
    path = card("score = 1.0", CARD.replace('backbone = "CNN"', "").replace("source", "note"))
    with pytest.raises(UserError, match="card.toml: says nothing of backbone, source; add it"):
        leaderboard()
    for kind in ("predictions", "experiment"):
        without = CARD.replace('dataset = "icbhi"', "").replace('task = "icbhi4"', "")
        card(f'{kind} = "mine"', without)
        with pytest.raises(UserError, match="card.toml: says nothing of dataset, task; add it"):
            leaderboard()
    path.write_text(CARD)
    with pytest.raises(UserError, match=r"has no \[\[results\]\]; add one"):
        read_card(path)


@pytest.mark.parametrize("field", ["predictions", "experiment", "published", "score", "sp"])
def test_a_field_of_results_at_the_top_is_told(card, field):
    card("score = 61.5", f'{CARD}{field} = "x"')
    with pytest.raises(UserError, match=rf"card.toml: {field} is outside \[\[results\]\]; move"):
        leaderboard()


def test_verify_makes_the_table_again(card, tmp_path, monkeypatch):
    folder = tmp_path / "reports"
    monkeypatch.setenv("REPORTS_ROOT", str(folder))
    card("score = 61.5")
    assert verify_leaderboard() == []  # nothing is published
    write_leaderboard(folder)
    assert verify_leaderboard() == []
    card("score = 61.6")
    assert verify_leaderboard() == ["leaderboard.csv: differs when made from its cards and runs"]
    card("score = ")
    assert "is no TOML file" in verify_leaderboard()[0]


def test_the_published_page_is_that_of_its_cards(reports):
    assert (PROJECT / "reports/leaderboard.html").exists() and verify_leaderboard() == []


def test_the_page_shows_every_row_and_opens_offline(card, tmp_path):
    card('score = [61.5, 0.4]\nseeds = 3\nyear = 2030\nnote = "<b>bold</b>"\ncode = "https://a.b"')
    page = write_leaderboard(tmp_path / "out").read_text()
    html.check_page(page, "leaderboard", sounds=False)
    assert (
        "61.50 ± 0.40 (3)" in page and "&lt;b&gt;bold" in page and '<a href="https://a.b">' in page
    )
    for name in ("Board", "Mark", "Chosen on", "Metadata", "Ensemble"):
        assert f"<label>{name} <select" in page
    csv = pd.read_csv(tmp_path / "out/leaderboard.csv")
    assert csv.score.tolist() == [61.5] and csv.mark.tolist() == ["as published"]
