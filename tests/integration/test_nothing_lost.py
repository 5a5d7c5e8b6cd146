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
from small_notebooks import write
from small_runs import BASE, PROFILE, use_experiments, write_cache

from lib import files, paths
from lib.config import override
from lib.data import synthetic
from lib.data.icbhi import ICBHI
from lib.errors import UserError
from lib.evaluation import scores
from lib.features import cache as features_cache
from lib.features.cache import cache_for
from lib.features.frontends import Fbank
from lib.reports import build
from lib.runs import execute, plan
from lib.runs import folder as run_folder
from lib.runs.results import collect_results
from lib.training import checkpoint, trainer

FRONTEND = Fbank(clip_seconds=1.0, mels=32)
EPOCHS = 100  # of a run that is interrupted: seconds


@pytest.fixture
def given(small_cache, tmp_path, monkeypatch):
    """The small cache as a folder that is given by FEATURES."""
    folder = write_cache(tmp_path / "given", small_cache, name=plan.MEL_CACHE)
    monkeypatch.setenv("FEATURES", str(folder))
    return folder


@contextmanager
def largest_file(size: int):
    """Any file that grows beyond `size` bytes cannot be written, by root neither."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# Interrupted


def small_project(folder):
    """A copy of the project whose notebook 06 needs one small run on a given cache."""
    experiment = asdict(override(BASE, epochs=EPOCHS))
    papers = f"""
_small = Experiment(**{experiment!r})
EXPERIMENTS = {{"small/ce": _small}}
GROUPS = {{"small": [TableRow("small/ce", {{"row": "small/ce"}}, _small)]}}
NOTEBOOKS = {{"06": ("small",)}}
"""
    kills.copy_project(folder, papers)
    shutil.rmtree(folder / "notebooks")
    write(folder / "notebooks/06_small.ipynb", "print(1)")
    return folder


def test_ctrl_c_and_a_second_command(given, tmp_path):
    """One command trains; a second is told who holds the runs; after Ctrl-C it continues."""
    project, root, log = small_project(tmp_path / "project"), tmp_path / "all", tmp_path / "log"
    command, features = (PROFILE, "06"), {"FEATURES": str(given)}
    first = kills.start(project, root, log, command, **features)
    try:
        assert kills.wait_until(lambda: list(root.glob("runs/*/epoch-*.pt"))), log.read_text()
        workers = [process for process in kills.processes(root) if process != first.pid]
        for worker in workers:  # or its run would end before the second command begins
            os.kill(worker, signal.SIGSTOP)
        second = kills.start(project, root, tmp_path / "second", command, **features)
        assert second.wait(180) == 2
        message = f"in use by process {first.pid}; wait for it or stop it"
        assert message in (tmp_path / "second").read_text()
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        os.killpg(first.pid, signal.SIGINT)
        assert first.wait(90) == 130
        assert "stopped; the same command continues from here" in log.read_text()
        assert "Traceback" not in log.read_text()
        assert kills.wait_until(lambda: not kills.processes(root), 60)
        assert kills.temporary_files(root) == [] and not list(root.glob("runs/*/result.json"))
        again = kills.start(project, root, log, command, **features)
        assert again.wait(300) == 0, log.read_text()
    finally:
        kills.end_all(root)
    (history,) = root.glob("runs/*/history.csv")
    epochs = [line.split(",")[0] for line in history.read_text().splitlines()]
    assert epochs == ["epoch", *map(str, range(1, EPOCHS + 1))]
    assert list(root.glob("reports/local/*/06_small.html")) and kills.temporary_files(root) == []
    (run_log,) = root.glob("runs/*/log.txt")
    assert run_log.read_text().count("epoch 1 took") == 1  # it continued


BUILD = """
import sys
from pathlib import Path

from lib.data.icbhi import ICBHI
from lib.features.cache import cache_for
from lib.features.frontends import Fbank

cache_for(ICBHI.open(Path(sys.argv[1])), Fbank(clip_seconds=1.0, mels=32))
"""


def test_a_killed_build_of_features_continues(tmp_path, monkeypatch):
    """kill -9 while several recordings are worked on: the next build gives the same bytes."""
    recordings, root = tmp_path / "recordings", tmp_path / "all"
    synthetic.write_icbhi(recordings, patients=12, cycles=8)
    environment = {"RUNS_ROOT": str(root / "runs"), "FEATURES_ROOT": str(root / "features")}
    parent = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(recordings)],
        env=os.environ | environment | {"PYTHONPATH": str(paths.PROJECT)},
        stderr=subprocess.DEVNULL,
    )
    try:
        work = f"features/icbhi-*/{features_cache.WORK}/*.npy"
        assert kills.wait_until(lambda: list(root.glob(work)))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert kills.wait_until(lambda: not kills.processes(root), 20)
    finally:
        kills.end_all(root)
    (killed,) = root.glob("features/icbhi-*")
    assert not (killed / "meta.json").exists(), "the build had ended: take more patients"
    files.temp_path(killed / "features.npy", parent.pid).write_bytes(b"half")
    dataset = ICBHI.open(recordings)
    whole = cache_for(dataset, FRONTEND, progress=False)
    monkeypatch.setenv("FEATURES_ROOT", str(root / "features"))
    assert cache_for(dataset, FRONTEND, progress=False).path == killed
    assert kills.temporary_files(root) == []
    for name in ("features.npy", "cycles.csv", "meta.json"):
        assert (killed / name).read_bytes() == (whole.path / name).read_bytes()


# Made once


def finished() -> dict[str, int]:
    """When each result was written, by its run's name without the hash."""
    results = paths.runs_root().glob("*/result.json")
    return {path.parent.name.rsplit("-s", 1)[0]: path.stat().st_mtime_ns for path in results}


def test_only_what_is_missing_is_trained(given, monkeypatch, capsys):
    """Also if all files look as if they came from another time; a failed run says so."""
    broken = override(BASE, name="small/lr", lr=float("inf"))
    group = use_experiments(monkeypatch, BASE, broken)
    assert len(execute.train_groups(PROFILE, group)) == 1
    assert finished().keys() == {"small.ce"}
    for day, path in enumerate(sorted(paths.runs_root().rglob("*"))):
        os.utime(path, (day * 86400, day * 86400 * 365))
    before = finished()
    capsys.readouterr()
    assert execute.train_groups(PROFILE, group) == []
    assert capsys.readouterr().out == "" and finished() == before
    results = collect_results(PROFILE, group).set_index("experiment")
    assert set(results.status["small/lr"]) == {"failed"}
    assert "the loss is nan in epoch 1" in results.reason["small/lr"].iloc[0]

    use_experiments(monkeypatch, BASE, override(broken, lr=2e-3))  # one setting of one experiment
    assert execute.train_groups(PROFILE, group) == []
    assert "2 runs: 1 cached, 1 to train" in capsys.readouterr().out
    after = finished()
    assert after.keys() == {"small.ce", "small.lr"} and after["small.ce"] == before["small.ce"]


def test_a_clock_that_jumps_changes_nothing(small_cache, tmp_path, monkeypatch):
    """`time.time` a year back and forth at every look, in a run and in a build of features."""
    recordings = tmp_path / "recordings"
    synthetic.write_icbhi(recordings, patients=2, cycles=4)

    def make(name):
        monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / name))
        folder = tmp_path / name / "run"
        files.write_json(folder / "experiment.json", {})
        trainer.fit(BASE, 1, small_cache, 40, folder)
        cache = cache_for(ICBHI.open(recordings), FRONTEND, progress=False)
        contents = {path.name: path.read_bytes() for path in cache.path.iterdir()}
        contents |= {n: (folder / n).read_bytes() for n in ("history.csv", "result.json")}
        arrays = run_folder.read_predictions(folder)
        return contents | {name: array.tobytes() for name, array in arrays.items()}

    steady = make("steady")
    year, looks, now = 365 * 86400, count(), time.time
    monkeypatch.setattr(time, "time", lambda: now() + (-1) ** next(looks) * year)
    assert make("jumping") == steady


# Full and closed


def test_a_full_disk_is_a_user_error_and_nothing_is_lost(tmp_path, monkeypatch):
    """A limit on the size of files stands for it: root is not exempt from that one."""
    recordings, folder = tmp_path / "recordings", tmp_path / "all"
    synthetic.write_icbhi(recordings, patients=1, cycles=2)
    arrays = {"test/label": np.random.default_rng(0).normal(size=9000)}
    monkeypatch.setattr(scores, "score_selections", lambda *given: {})
    facts = {"clips": ["x" * 9000]}
    table = [{"epoch": 1}]
    writes = {
        "epoch-0002.pt": lambda: checkpoint.save(folder, 2, {"w": torch.zeros(9000)}),
        "predictions.npz": lambda: run_folder.write_record(folder, table, arrays, {}, {}),
        "result.json": lambda: run_folder.write_record(folder, table, {}, {}, facts),
        "03_small.html": lambda: files.write_text(folder / "03_small.html", "x" * 9000),
    }
    for name, write_file in writes.items():
        files.write_text(folder / name, "old")
        with largest_file(5000), pytest.raises(UserError, match=f"{name}: larger than") as caught:
            write_file()
        assert "\n" not in str(caught.value)
        assert (folder / name).read_text() == "old" and kills.temporary_files(tmp_path) == []
        write_file()
        assert (folder / name).stat().st_size > 3000, name
    assert checkpoint.load(folder, torch.device("cpu"))["w"].shape == (9000,)
    with largest_file(5000), pytest.raises(UserError, match="npy: no space left"):
        cache_for(ICBHI.open(recordings), FRONTEND, progress=False)
    assert kills.temporary_files(tmp_path) == []
    assert len(cache_for(ICBHI.open(recordings), FRONTEND, progress=False).cycles)


@pytest.mark.parametrize("name", ["RUNS_ROOT", "FEATURES_ROOT", "REPORTS_ROOT"])
def test_a_closed_folder_is_told_before_anything_is_trained(tmp_path, monkeypatch, name):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(build, "open_context", lambda profile: pytest.fail("it read data"))
    for closed in (tmp_path / "file", tmp_path / "file/below", "/proc/nowhere"):
        monkeypatch.setenv(name, str(closed))
        with pytest.raises(UserError, match=f"^{closed}: cannot be .*; set {name}") as caught:
            build.build("laptop", ["06"])
        assert "\n" not in str(caught.value)


def test_the_command_says_in_one_line_that_reports_are_closed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lib", "smoke", "06"],
        env=os.environ | {"REPORTS_ROOT": "/proc/nowhere"},
        cwd=paths.PROJECT,
        capture_output=True,
        text=True,
    )
    *sources, error = done.stderr.splitlines()
    assert done.returncode == 2 and all("SYNTHETIC" in line for line in sources)
    assert error.startswith("error: /proc/nowhere: cannot be written to")
