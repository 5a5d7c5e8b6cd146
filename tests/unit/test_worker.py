"""The process of one run: it ends with its parent, and writes its record."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_runs import BASE, write_cache

from lib import files, paths
from lib import worker as worker_module
from lib.config import override
from lib.errors import UserError
from lib.features.cache import open_cache
from lib.runs import folder as runs_folder


@pytest.fixture
def worker(small_cache, tmp_path):
    """A function that starts a run of some epochs; returns its folder and process."""
    cache = str(write_cache(tmp_path / "cache", small_cache))

    def start(epochs):
        experiment = override(BASE, epochs=epochs, test_sets=["sprsound"])
        spec = runs_folder.RunSpec(experiment, 1, "+".join(["f" * 64] * 2), "")
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
    assert [Path(path).name for path in machine["features"]] == ["cache", "cache"]
    assert machine["initial_weights"] == [] and runs_folder.damage(folder) == ""


def train(folder, features, *tests):
    """Train a run in this process."""
    words = [word for test in tests for word in ("--test", test)]
    worker_module.main([str(folder), str(features), "40", *words])


def test_a_feature_cache_of_other_recordings_is_refused(small_cache, tmp_path):
    """Of the run's own dataset, of a test set, and one too few or too many."""
    spec = runs_folder.RunSpec(override(BASE, test_sets=["icbhi"]), 1, f"{'f' * 64}+{'e' * 64}", "")
    folder = runs_folder.start_run(spec, {"name": "small", "note": ""}, "none")
    first = write_cache(tmp_path / "first", small_cache)
    test = write_cache(tmp_path / "test", small_cache, fingerprint="e" * 64)
    other = write_cache(tmp_path / "other", small_cache, fingerprint="a" * 64)
    for features, tests, named in (
        (other, [f"icbhi={test}"], other),
        (first, [f"icbhi={other}"], other),
        (first, [], folder),
        (first, [f"icbhi={test}", f"more={other}"], other),
    ):
        with pytest.raises(SystemExit, match=f"error: {named}: not the features of {folder.name}"):
            train(folder, features, *tests)
    assert {path.name for path in folder.iterdir()} <= {"experiment.json", ".lock"}
    train(folder, first, f"icbhi={test}")
    assert (folder / "result.json").exists()


def test_other_weights_than_planned_are_refused(small_cache, tmp_path, monkeypatch):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"planned")
    monkeypatch.setattr(worker_module, "local_file", lambda experiment: path)
    experiment = override(BASE, init="imagenet")
    spec = runs_folder.RunSpec(experiment, 1, "f" * 64, files.sha256_of(path))
    folder = runs_folder.start_run(spec, {"name": "small", "note": ""}, "imagenet")
    cache = open_cache(write_cache(tmp_path / "cache", small_cache))
    read = worker_module.require_inputs(folder, spec, [cache])
    assert read == {"features": [cache.path.name], "initial_weights": [path.name]}
    before = path.stat()
    path.write_bytes(b"another")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # of the same size and time
    with pytest.raises(UserError, match=f"{path}: not the weights of {folder.name}"):
        worker_module.require_inputs(folder, spec, [cache])


def test_a_damaged_record_is_trained_again_and_a_whole_one_is_not(small_cache, tmp_path, capsys):
    features = write_cache(tmp_path / "cache", small_cache)
    spec = runs_folder.RunSpec(override(BASE, epochs=1), 1, "f" * 64, "")
    folder = runs_folder.start_run(spec, {"name": "small", "note": ""}, "none")
    train(folder, features)
    whole = (folder / runs_folder.PREDICTIONS).read_bytes()
    capsys.readouterr()
    train(folder, features)
    assert capsys.readouterr().out == ""
    (folder / runs_folder.PREDICTIONS).write_bytes(whole[:-1])
    train(folder, features)
    said = capsys.readouterr().out
    assert "trained again: predictions.npz is not the file that the run wrote" in said
    assert (folder / runs_folder.PREDICTIONS).read_bytes() == whole
    assert runs_folder.damage(folder) == ""
