"""The commands score and leaderboard, as a user starts them."""

import json
import os
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup
from submissions import submission

from lib import __main__ as front
from lib.paths import PROJECT

SLOW = ("torch", "sklearn", "scipy", "matplotlib", "ray", "nbformat")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """`main` sets variables of the environment; they end with the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "mine.csv"
    submission().to_csv(path, index=False)
    return path


def test_score_prints_text_json_and_a_page(csv, capsys):
    page = csv.with_name("page.html")
    assert front.main(["score", str(csv), "--selected-on", "test", "--html", str(page)]) == 0
    text = capsys.readouterr().out
    for title in ("Scores in percent", "Confusion matrix", "By device", "By site", "By age",
                  "By sex", "Probabilities", "Definitions"):  # fmt: skip
        assert f"\n\n{title}" in text
    soup = BeautifulSoup(page.read_text(), "html.parser")
    titles = [title.text for title in soup.find_all("h2")]
    assert [line.split(" (")[0] for line in titles][0] == "Scores in percent"
    assert len(soup.find_all("table")) == len(titles) >= 8
    assert front.main(["score", str(csv), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    score = report["scores"][0]["score"]["value"]
    assert report["clips"] == 2756 and f"{score:.2f}" in text


def test_it_imports_nothing_slow(csv):
    """2,756 rows take under 2 s in all; half of that is Python starting."""
    code = f"import sys; from lib.__main__ import main; main(['score', {str(csv)!r}]);"
    code += f"print([name for name in {SLOW} if name in sys.modules], file=sys.stderr)"
    environment = os.environ | {
        "PYTHONPATH": str(PROJECT),
        "REPORTS_ROOT": str(PROJECT / "reports"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stderr == "[]\n" and "stored runs" in done.stdout


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("score", "score: name one file; docs/score.md says which columns it has"),
        ("score a.csv b.csv", "score: name one file"),
        ("score none.csv", "none.csv: not found"),
        ("score none.csv --dataset icbi", "unknown dataset 'icbi'"),
        ("score none.csv --selected-on tset", "unknown rule of --selected-on 'tset'"),
        ("score none --from-run", "unknown run 'none': known: "),
        (f"score {__file__} --from-run", "is a file, not a run; leave out --from-run"),
        ("leaderboard x", "leaderboard x: leaderboard takes no arguments"),
    ],
)
def test_a_problem_is_one_line_and_exit_code_2(line, told, capsys):
    assert front.main(line.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and told in error


def test_a_run_is_printed_as_a_file_that_score_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REPORTS_ROOT", str(PROJECT / "reports"))
    run = sorted((PROJECT / "reports/runs").glob("mn04_as.ce.mel-s1-*"))[0].name
    assert front.main(["score", run, "--from-run", "--selected-on", "last"]) == 0
    path = tmp_path / "run.csv"
    path.write_text(capsys.readouterr().out)
    assert front.main(["score", str(path), "--json"]) == 0
    score = json.loads(capsys.readouterr().out)["scores"][0]["score"]["value"]
    result = json.loads((PROJECT / "reports/runs" / run / "result.json").read_text())
    assert round(score, 4) == result["selections"]["last"]["test"]["score"]
    assert front.main(["score", run.replace("ce", "cee"), "--from-run"]) == 2
    assert f"did you mean '{run}'" in capsys.readouterr().err
    windows = sorted((PROJECT / "reports/runs").glob("*windows-s1-*"))[0].name
    assert front.main(["score", windows, "--from-run"]) == 2
    assert "its task 1-1-windows has no table of labels" in capsys.readouterr().err


def test_a_damaged_run_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REPORTS_ROOT", str(tmp_path))
    damaged = tmp_path / "runs/cnn-s1-00000000/predictions.npz"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"PK")
    assert front.main(["score", damaged.parent.name, "--from-run"]) == 2
    assert f"{damaged}: cannot be read (" in capsys.readouterr().err


def test_the_leaderboard_goes_to_a_folder(tmp_path, capsys):
    assert front.main(["leaderboard", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'leaderboard.html'}\n"
    assert (tmp_path / "leaderboard.csv").exists()
