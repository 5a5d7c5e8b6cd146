"""The process that makes one run: it ends with its parent, and says what made the run."""

import subprocess
import sys
import time

import pytest
from small_runs import write_cache

from lib import files, paths
from lib.config import Experiment

SLOW = Experiment(
    "slow", normalise="dataset", size="nano", patch=8, stride=8, lr=1e-3, batch_size=4, epochs=1000
)


@pytest.fixture
def command(small_cache, tmp_path):
    """The words that start a run of 1,000 epochs, and its folder."""
    stored, folder = write_cache(tmp_path / "store", small_cache), tmp_path / "run"
    files.write_json(folder / "experiment.json", {"experiment": SLOW.__dict__, "seed": 1})
    return [sys.executable, "-m", "lib.worker", str(folder), str(stored), "40"], folder


def test_an_orphan_ends_at_once_and_leaves_what_it_has(command):
    words, folder = command
    child = subprocess.Popen([*words, "--with-parent"], cwd=paths.PROJECT, stdin=subprocess.PIPE)
    while not list(folder.glob("epoch-*.pt")):
        assert child.poll() is None
        time.sleep(0.05)
    child.stdin.close()  # as the system does when the parent dies
    assert child.wait(timeout=10) == 1
    assert not (folder / "result.json").exists() and list(folder.glob("epoch-*.pt"))


def test_with_a_living_parent_a_run_ends_well_and_names_its_machine(command):
    words, folder = command
    record = files.read_json(folder / "experiment.json")
    record["experiment"]["epochs"] = 1
    files.write_json(folder / "experiment.json", record)
    child = subprocess.Popen([*words, "--with-parent"], cwd=paths.PROJECT, stdin=subprocess.PIPE)
    assert child.wait(timeout=120) == 0
    assert (folder / "result.json").exists()
    machine = files.read_json(folder / "machine.json")
    assert machine["gpu"] == "none" and machine["compiled"] is False and len(machine["lib"]) == 64
