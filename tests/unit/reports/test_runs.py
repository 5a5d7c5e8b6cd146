"""The page of a run says what its record says."""

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib import papers, paths
from lib.config import override
from lib.papers.patchmix import EXPERIMENTS
from lib.reports import runs
from lib.runs import folder
from lib.runs.folder import RunSpec

NAME = "ast_in_as/ce"
PAGES = {"04_table2": {"title": "04 Table 2", "profile": "laptop"}}
DEVICES = np.array(["A", "B"])


def write_run(seed: int) -> str:
    """Write the record of a run whose predictions are known; returns its name."""
    experiment = override(EXPERIMENTS[NAME], epochs=3, lr=1e-3)
    spec = RunSpec(experiment, seed, "d" * 64, "")
    path = folder.start_run(spec, {"name": "small <data>", "note": ""}, "none")
    label = np.array([0, 0, 0, 0, 1, 1, 2, 3], np.int8)
    predicted = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    arrays = {
        "test/label": label,
        "test/cycle": np.arange(8).astype(str),
        "test/patient": np.arange(8).astype(str),
        "test/device": np.repeat(DEVICES, 4),
        "test/subset": np.full(8, ""),
        "validation/test/logits": np.eye(4, dtype=np.float32)[predicted],
    }
    history = [{"epoch": n, "loss": 1 / n, "validation_score": 40 + 10 * n} for n in (1, 2, 3)]
    facts = {"clips": {"train": 10, "test": 8}, "parameters": 1234}
    folder.write_record(path, history, arrays, {"validation": 2}, facts)
    return path.name


@pytest.fixture
def soup(tmp_path):
    names = [write_run(seed) for seed in (1, 2)]
    assert runs.write_runs(runs.find_records(names), tmp_path, PAGES) == 2
    text = (tmp_path / "runs" / names[0] / "index.html").read_text()
    return BeautifulSoup(text, "html.parser")


def rows(soup, title) -> list[list[str]]:
    table = soup.find(attrs={"aria-label": title}).tbody
    return [[cell.text for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]


def test_scores_by_rule_class_and_device(soup):
    table = rows(soup, "Scores by model selection")
    assert table[0] == ["validation", "test", "2", *3 * ["75.00"], "100.00"]
    assert table[-1][:2] == ["test", "no epoch qualifies"]
    assert rows(soup, "Confusion matrix")[0] == ["normal", "3 (75%)", "1 (25%)", "0 (0%)", "0 (0%)"]
    assert rows(soup, "Scores by class") == [
        ["normal", "4", "75.00", "100.00"],
        ["crackle", "2", "50.00", "50.00"],
        ["wheeze", "1", "100.00", "50.00"],
        ["both", "1", "100.00", "100.00"],
    ]
    assert rows(soup, "Scores by device") == [
        ["A", "4", "75.00", "–", "–"],
        ["B", "4", "–", "75.00", "–"],
    ]


def test_settings_are_the_differences_to_the_published_ones(soup):
    published = papers.EXPERIMENTS[NAME]
    assert rows(soup, "Settings") == [
        ["lr", str(published.lr), "0.001"],
        ["epochs", str(published.epochs), "3"],
    ]


def test_curves_start_at_the_line_of_always_normal(soup):
    loss, score = soup.select(".curves svg")
    ticks = [text.text for text in score.find_all("text")]
    assert {"50", "60", "70"} <= set(ticks) and any("always" in tick for tick in ticks)
    assert "validation: 70.00 at the end" in score["aria-label"]
    assert "training: 0.33 at the end" in loss["aria-label"]


def test_it_links_pages_and_other_seeds_and_says_how_to_make_it_again(soup):
    links = {a.text: a["href"] for a in soup.main.find_all("a")}
    assert links["04 Table 2"] == "../../04_table2.html"
    (other,) = [text for text in links if text.startswith("seed 2")]
    assert links[other].startswith("../ast_in_as.ce-s2-") and links[other].endswith("/index.html")
    assert soup.find("pre").text == "./run_all.sh train laptop 04 --seeds 1 --data DIR"
    assert "small <data>" in soup.main.text and "1,234" in soup.main.text


def test_files_are_linked_if_the_page_lies_beside_them(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(paths.reports_root() / "runs"))
    names = [write_run(1)]
    runs.write_runs(runs.find_records(names), paths.reports_root(), {})
    page = paths.reports_root() / "runs" / names[0] / "index.html"
    links = BeautifulSoup(page.read_text(), "html.parser").select("main ul a")
    assert "predictions.npz" in [a["href"] for a in links]
    assert all((page.parent / a["href"]).exists() for a in links)


def test_a_damaged_record_has_no_page_and_is_named(tmp_path, capsys):
    name = write_run(1)
    (paths.runs_root() / name / "history.csv").write_text("")
    assert runs.find_records([name, "gone-s1-00000000"]) == []
    assert f"{name}: no page: history.csv is not the file" in capsys.readouterr().err


def test_a_score_below_the_line_lies_on_the_axis():
    chart = runs._chart("Score (%)", {"a": pd.Series([10.0, 60.0])}, 50.0)
    assert chart["lines"][0]["path"] == f"M40.0 {runs.BOTTOM:.1f}L330.0 {runs.TOP:.1f}"
    assert [text for _, text in chart["ticks"]] == ["50", "55", "60"]
