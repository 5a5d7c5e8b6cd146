"""The process of one run: it ends with its parent, and writes its record."""

import subprocess
import sys
import time

import pytest
from small_runs import BASE, write_cache

from lib import files, paths
from lib.config import override
from lib.runs import folder as runs_folder


@pytest.fixture
def worker(small_cache, tmp_path):
    """A function that starts a run of some epochs; returns its folder and process."""
    cache = str(write_cache(tmp_path / "cache", small_cache))

    def start(epochs):
        spec = runs_folder.RunSpec(override(BASE, epochs=epochs), 1, "f" * 64, "")
        folder = runs_folder.start_run(spec, {"name": "small", "note": ""}, "none")
        command = [sys.executable, "-m", "lib.worker", str(folder), cache, "40", "--with-parent"]
        command += ["--test", f"sprsound={cache}"]
        return folder, subprocess.Popen(command, cwd=paths.PROJECT, stdin=subprocess.PIPE)

    return start


def test_without_a_parent_it_ends_at_once_and_leaves_its_checkpoints(worker):
    folder, child = worker(1000)
    while not list(folder.glob("epoch-*.pt")):
        assert child.poll() is None
        time.sleep(0.05)
    child.stdin.close()  # as the system does when the parent dies
    assert child.wait(timeout=30) == 1
    assert not (folder / "result.json").exists() and list(folder.glob("epoch-*.pt"))


def test_with_a_parent_it_writes_its_record(worker):
    folder, child = worker(1)
    assert child.wait(timeout=120) == 0
    last = files.read_json(folder / "result.json")["selections"]["last"]
    assert last["sprsound"]["confusion"] == last["test"]["confusion"]
    machine = files.read_json(folder / "machine.json")
    assert machine["gpu"] == "none" and machine["compiled"] is False and len(machine["lib"]) == 64
