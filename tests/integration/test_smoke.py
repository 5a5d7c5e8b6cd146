"""The whole way, on synthetic sounds: every run, every notebook, every page, twice the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from lib import papers, paths

PAGES = ["00", "01", "02", *papers.NOTEBOOKS]  # all but the benchmarks, which no run makes


def command(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """`./run_all.sh WORDS` in this environment, with runs, stores and reports below `folder`."""
    places = {name: str(folder / name.lower()) for name in ("RUNS_ROOT", "FEATURES_ROOT")}
    places["REPORTS_ROOT"] = str(folder / "reports")
    kept = {k: v for k, v in os.environ.items() if k not in ("DATA_ROOT", "STORE", "REPORT_DIR")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "lib", *words],
        cwd=paths.PROJECT,
        env=kept | places,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The reports of the smoke profile, made once (some minutes)."""
    folder = tmp_path_factory.mktemp("smoke")
    made = command(folder, "smoke", *PAGES)
    assert made.returncode == 0, made.stderr[-2000:]
    return folder / "reports"


def pages(reports: Path) -> dict[str, bytes]:
    """Every table, result and page, by its path."""
    here = reports / "local/smoke-icbhi-synthetic"
    found = [p for kind in ("html", "csv") for p in here.rglob(f"*.{kind}")]
    return {str(path.relative_to(here)): path.read_bytes() for path in found}


def test_every_page_is_there_and_names_its_synthetic_data(reports):
    names = {name for name in pages(reports) if name.endswith(".html")}
    assert {name[:2] for name in names} == {*PAGES, "in"}  # and index.html
    for name in names - {"index.html"}:
        text = pages(reports)[name].decode()
        assert "SYNTHETIC" in text, name
        images = BeautifulSoup(text, "html.parser").find_all("img")
        assert all(image.get("alt") for image in images), name


def test_tables_hold_numbers_that_runs_made(reports):
    table = pd.read_csv(reports / "local/smoke-icbhi-synthetic/results/table2.csv")
    done = table[table.status == "done"]
    assert len(done) >= 10 and done.run.notna().all()
    assert (done.data == "synthetic").all()
    assert set(table[table.status == "not run"].reason.notna()) == {True}


def test_again_from_the_cache_gives_the_same_bytes(reports):
    before = pages(reports)
    shutil.rmtree(reports)
    again = command(reports.parent, "smoke", *PAGES)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "to make" not in again.stdout  # no run was made again
    after = pages(reports)
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == []


def test_publish_then_verify(reports):
    assert command(reports.parent, "publish").returncode == 0
    assert (reports / "index.html").exists()
    assert command(reports.parent, "verify").returncode == 0
    path = reports / "results/table2.csv"
    path.write_text(path.read_text().replace("synthetic", "ICBHI", 1))
    wrong = command(reports.parent, "verify")
    assert wrong.returncode == 1 and "results/table2.csv" in wrong.stdout
