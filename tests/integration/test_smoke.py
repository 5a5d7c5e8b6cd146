"""From end to end on synthetic sounds: every run, notebook and page; again, the same bytes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib import papers, paths

NOTEBOOKS = sorted(path.name[:2] for path in (paths.PROJECT / "notebooks").glob("*.ipynb"))
SETTINGS = ("DATA_ROOT", "FEATURES", "WEIGHTS_ROOT", "OUT", "SEEDS", "EXECUTOR")


def command(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """`./run_all.sh WORDS` in this environment, with all folders below `folder`."""
    environment = {key: value for key, value in os.environ.items() if key not in SETTINGS}
    for name in ("runs", "features", "reports"):
        environment[f"{name.upper()}_ROOT"] = str(folder / name)
    return subprocess.run(
        [sys.executable, "-P", "-m", "lib", *words],
        cwd=paths.PROJECT,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs and reports of the smoke profile, made once and published (some minutes)."""
    folder = tmp_path_factory.mktemp("smoke")
    done = command(folder, "smoke", "all", "--out", str(folder / "reports"))
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def contents(folder: Path, *kinds: str) -> dict[str, bytes]:
    """Path -> bytes of every file of these kinds in a folder."""
    files = [path for kind in kinds for path in folder.rglob(f"*.{kind}")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_every_page_is_there_and_says_that_its_data_are_synthetic(folder):
    pages = contents(folder / "reports", "html")
    shared = {"index.html", "glossary.html", "leaderboard.html", "runs/index.html"}
    assert {name[:2] for name in pages.keys() - shared} == {*NOTEBOOKS, "ru"}  # and of runs
    for name, page in pages.items():
        if name not in shared:
            assert "SYNTHETIC" in page.decode(), name
            images = BeautifulSoup(page, "html.parser").find_all("img")
            assert all(image.get("alt") for image in images), name


def test_every_registered_table_is_there_with_numbers_of_runs(folder):
    tables = {path.stem for path in (folder / "reports/tables").glob("*.csv")}
    assert set(papers.TABLES) <= tables
    results = pd.read_csv(folder / "reports/results/table2.csv")
    done = results[results.status == "done"]
    assert len(done) >= 10 and done.run.notna().all()
    assert done.data.str.contains("synthetic").all()
    assert results[results.status == "not run"].reason.notna().all()


def test_again_from_the_runs_gives_the_same_bytes(folder):
    """Into another folder, for pages of all kinds; no run is trained again."""
    pages = ("00", "06", "08")
    again = command(folder, "smoke", *pages, "--out", str(folder / "again"))
    assert again.returncode == 0 and "to train" not in again.stdout, again.stderr
    before, after = (contents(folder / name, "csv", "svg") for name in ("reports", "again"))
    assert len(after) > 20 and [name for name in after if before[name] != after[name]] == []
    for name in (path.name for path in (folder / "again").glob("[0-9]*.html")):
        pages = [(folder / place / name).read_text() for place in ("reports", "again")]
        first, second = (re.search("<main>.*<!--neighbours-->", page, re.S)[0] for page in pages)
        assert first == second, name


def test_verify_finds_a_changed_number(folder, tmp_path):
    assert command(folder, "verify").returncode == 0
    copy = tmp_path / "copy"
    shutil.copytree(folder / "reports", copy / "reports")
    path = copy / "reports/results/table2.csv"
    path.write_text(path.read_text().replace("synthetic", "ICBHI", 1))
    wrong = command(copy, "verify")
    assert wrong.returncode == 1 and "results/table2.csv" in wrong.stdout
