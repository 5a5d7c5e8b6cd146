"""Stopped, full, closed, at odd times: nothing is lost or made twice."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count

import kills
import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from small_notebooks import CARD, write
from small_runs import BASE, write_cache

from lib import data, files, papers, paths, rows
from lib.config import override
from lib.data import synthetic
from lib.errors import UserError
from lib.evaluation import scores
from lib.features import cache_build
from lib.features.cache import cache_for
from lib.features.frontends import Fbank
from lib.papers import table_row
from lib.reports import build, format, metadata
from lib.runs import execute, plan
from lib.runs import folder as runs_folder
from lib.runs.results import collect_results as results_of
from lib.tables import compare
from lib.training import checkpoint, trainer

FRONT = Fbank(clip_seconds=1.0, mels=32)
EPOCHS = 150  # of a run that is interrupted: seconds


@pytest.fixture
def given(small_cache, tmp_path, monkeypatch):
    """The small store as a folder that is given by STORE."""
    folder = write_cache(tmp_path / "given", small_cache, name=plan.MEL_STORE)
    monkeypatch.setenv("STORE", str(folder))
    return folder


@pytest.fixture
def small(given, tmp_path, monkeypatch):
    """Sets the experiments of a table "small" in this process; the last ones are there at once."""
    source = data.Source("icbhi", tmp_path, "synthetic", "")
    monkeypatch.setattr(data, "synthetic_source", lambda: source)

    def choose(*experiments):
        monkeypatch.setattr(papers, "EXPERIMENTS", {e.name: e for e in experiments})
        made = [table_row.TableRow(e.name, {"row": e.name}, e.name) for e in experiments]
        monkeypatch.setattr(papers, "GROUPS", {"small": made})
        plan.open_study.cache_clear()

    yield choose
    plan.open_study.cache_clear()


def records() -> dict[str, int]:
    """When each result was written, by its run's name without the hash."""
    found = paths.runs_root().glob("*/result.json")
    return {path.parent.name.rsplit("-s", 1)[0]: path.stat().st_mtime_ns for path in found}


@contextmanager
def largest_file(size: int):
    """Any file that grows beyond `size` bytes fails to be written, as root too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# Interrupted


def small_project(folder):
    """A copy of the project whose notebook 06 wants one small run on the store of STORE."""
    settings = asdict(override(BASE, epochs=EPOCHS))
    extra = f"""
from lib import registry
from lib.settings import Experiment
registry.EXPERIMENTS = {{"small/ce": Experiment(**{settings!r})}}
TABLES = {{"small": [Row("small/ce", {{"row": "small/ce"}}, "small/ce")]}}
NOTEBOOKS = {{"06": ("small",)}}
"""
    kills.copy_project(folder, extra)
    shutil.rmtree(folder / "notebooks")
    write(folder / "notebooks/06_small.ipynb", "print(1)")
    return folder


def test_ctrl_c_and_a_second_command(given, tmp_path):
    """One command trains; a second is told who holds the runs; Ctrl-C; the same command ends."""
    project, root, log = small_project(tmp_path / "project"), tmp_path / "all", tmp_path / "log"
    first = kills.start(project, root, log, STORE=str(given))
    try:
        assert kills.wait_until(lambda: list(root.glob("runs/*/epoch-*.pt"))), log.read_text()
        second = kills.start(project, root, tmp_path / "second", STORE=str(given))
        assert second.wait(180) == 2
        said = (tmp_path / "second").read_text()
        assert f"in use by process {first.pid}; wait for it or stop it" in said
        assert first.poll() is None, "the first had ended: make its run longer"
        os.killpg(first.pid, signal.SIGINT)
        assert first.wait(90) == 130
        assert "stopped; the same command goes on from here" in log.read_text()
        assert "Traceback" not in log.read_text()
        assert kills.wait_until(lambda: not kills.processes(root), 60)
        assert kills.left_half(root) == [] and not list(root.glob("runs/*/result.json"))
        again = kills.start(project, root, log, STORE=str(given))
        assert again.wait(300) == 0, log.read_text()
    finally:
        kills.end_all(root)
    (history,) = root.glob("runs/*/history.csv")
    epochs = [line.split(",")[0] for line in history.read_text().splitlines()]
    assert epochs == ["epoch", *map(str, range(1, EPOCHS + 1))]
    assert list(root.glob("reports/local/*/06_small.html")) and kills.left_half(root) == []
    (trained,) = root.glob("runs/*/log.txt")
    assert trained.read_text().count("epoch 1 took") == 1  # it went on, not anew


BUILD = """
import sys
from pathlib import Path

from lib import data, store_build
from lib.features import FrontEnd
from lib.store import store_for

store_build.SYNC_SECONDS = 0
store_for(data.source(Path(sys.argv[1])), FrontEnd(clip_seconds=1.0, mels=32))
"""


def begun(root):
    return any(path.read_text() for path in root.glob("stores/*/progress.txt"))


def test_a_killed_store_build_is_finished(tmp_path, monkeypatch):
    """kill -9 while several recordings are worked on: the next build sweeps and ends the same."""
    made, root = tmp_path / "made", tmp_path / "all"
    synthetic.write(made, patients=12, cycles=8)
    (tmp_path / "build.py").write_text(BUILD)
    places = {"RUNS_ROOT": str(root / "runs"), "FEATURES_ROOT": str(root / "stores")}
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "build.py"), str(made)],
        env=os.environ | places | {"PYTHONPATH": str(paths.PROJECT)},
        stderr=subprocess.DEVNULL,
    )
    try:
        assert kills.wait_until(lambda: begun(root))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert kills.wait_until(lambda: not kills.processes(root), 20)
    finally:
        kills.end_all(root)
    (store,) = root.glob("stores/icbhi-*")
    assert not (store / "meta.json").exists(), "the build had ended: take more patients"
    machine = os.uname().nodename
    (store / f"features.npy.{machine}.{parent.pid}.part").write_bytes(b"half")
    monkeypatch.setattr(cache_build, "available_cores", lambda: 1)
    whole = cache_for(data.source(made), FRONT, progress=False)
    monkeypatch.setenv("FEATURES_ROOT", str(root / "stores"))
    killed = cache_for(data.source(made), FRONT, progress=False)
    assert killed.path == store and kills.left_half(root) == []
    for name in ("features.npy", "cycles.csv", "meta.json"):
        assert (killed.path / name).read_bytes() == (whole.path / name).read_bytes()


# Made once


def test_only_what_is_missing_is_made(small, capsys):
    """Also when all files look as if they came from another time; a failed run says so."""
    broken = override(BASE, name="small/lr", lr=float("inf"))
    small(BASE, broken)
    assert len(execute.tables("smoke", "small")) == 1
    assert records().keys() == {"small.ce"}
    for day, path in enumerate(sorted(paths.runs_root().rglob("*"))):
        os.utime(path, (day * 86400, day * 86400 * 365))
    before = records()
    capsys.readouterr()
    assert execute.tables("smoke", "small") == []
    assert capsys.readouterr().out == "" and records() == before

    table = compare.compare_rows(rows.table("small"), results_of("smoke", "small"))
    html_table = format.style_table(compare.selections(table), "small").to_html()
    lines = BeautifulSoup(html_table, "html.parser").find_all("tr")
    cells = {line.td.text: [cell.text for cell in line.find_all("td")] for line in lines if line.td}
    assert cells["small/lr"][1] == "failed"
    assert "the loss is nan in epoch 1" in table.set_index("Row").Status["small/lr"]

    small(BASE, override(broken, lr=2e-3))  # one setting of one experiment
    assert execute.tables("smoke", "small") == []
    assert "2 runs wanted: 1 done, 1 to make" in capsys.readouterr().out
    after = records()
    assert after.keys() == {"small.ce", "small.lr"} and after["small.ce"] == before["small.ce"]


def test_a_clock_that_jumps_changes_nothing(small_cache, tmp_path, monkeypatch):
    """`time.time` a year back and forth at every look, in a run and in the building of a store."""
    made = tmp_path / "made"
    synthetic.write(made, patients=2, cycles=4)
    monkeypatch.setattr(cache_build, "available_cores", lambda: 1)

    def make(name):
        monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / name))
        folder = tmp_path / name / "run"
        files.write_json(folder / "experiment.json", {})
        trainer.fit(BASE, 1, small_cache, 40, folder)
        store = cache_for(data.source(made), FRONT, progress=False)
        assert cache_for(data.source(made), FRONT, progress=False).path == store.path
        found = {path.name: path.read_bytes() for path in store.path.iterdir()}
        texts = {n: (folder / n).read_bytes() for n in ("history.csv", "result.json")}
        return (
            found
            | texts
            | {k: a.tobytes() for k, a in runs_folder.read_predictions(folder).items()}
        )

    steady = make("steady")
    year, looks, now = 365 * 86400, count(), time.time
    monkeypatch.setattr(time, "time", lambda: now() + (-1) ** next(looks) * year)
    assert make("jumping") == steady
    assert next(looks) > 1  # the clock was looked at


# Full and closed


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path, monkeypatch):
    """A limit on the size of files stands for it: root is not exempt from that one."""
    monkeypatch.setattr(cache_build, "available_cores", lambda: 1)
    made, folder = tmp_path / "made", tmp_path / "all"
    synthetic.write(made, patients=1, cycles=2)
    arrays = {"test/label": np.random.default_rng(0).normal(size=9000)}
    monkeypatch.setattr(scores, "score_selections", lambda *given: {})
    facts = {"clips": ["x" * 9000]}
    writes = {
        "epoch-0002.pt": lambda: checkpoint.save(folder, 2, {"w": torch.zeros(9000)}),
        "predictions.npz": lambda: runs_folder.write_record(folder, [{"epoch": 1}], arrays, {}, {}),
        "result.json": lambda: runs_folder.write_record(folder, [{"epoch": 1}], {}, {}, facts),
        "03_small.html": lambda: metadata.write_page(folder, "<p>" + "x" * 9000, CARD),
        "features.npy": lambda: cache_for(data.source(made), FRONT, progress=False),
    }
    for name, do in writes.items():
        old = folder / name
        files.write_text(old, "old")
        with largest_file(5000), pytest.raises(UserError, match=f"{name}: larger than") as caught:
            do()
        assert "\n" not in str(caught.value)
        assert old.read_text() == "old" and kills.left_half(tmp_path) == [], name
        do()
        if name != "features.npy":
            assert old.stat().st_size > 3000, name
    assert checkpoint.load(folder, torch.device("cpu"))["w"].shape == (9000,)


@pytest.mark.parametrize("name", ["RUNS_ROOT", "FEATURES_ROOT", "REPORTS_ROOT"])
def test_a_closed_folder_is_told_before_anything_is_trained(tmp_path, monkeypatch, name):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(execute, "run", lambda *given: pytest.fail("trained"))
    for closed in (tmp_path / "file", tmp_path / "file/below", "/proc/nowhere"):
        monkeypatch.setenv(name, str(closed))
        with pytest.raises(UserError, match=f"^{closed}: cannot be .*; set {name} to") as caught:
            build.build("smoke", ["06"])
        assert "\n" not in str(caught.value)


def test_closed_reports_of_the_profile_are_told(tmp_path, monkeypatch):
    """As after a first time as another user: the roots are open, the folder in them is not."""
    monkeypatch.setattr(execute, "run", lambda *given: pytest.fail("trained"))
    (build.local_root() / "smoke-icbhi-synthetic/.writable").mkdir(parents=True)
    with pytest.raises(UserError, match="smoke-icbhi-synthetic: cannot be written to"):
        build.build("smoke", ["06"])


def test_the_command_says_in_one_line_that_reports_are_closed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lib", "smoke", "06"],
        env=os.environ | {"REPORTS_ROOT": "/proc/nowhere"},
        cwd=paths.PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stdout == ""
    assert done.stderr.startswith("error: /proc/nowhere: cannot be written to")
