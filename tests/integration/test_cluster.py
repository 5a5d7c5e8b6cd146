"""Ray: a cluster that loses a machine in mid-run gives the bytes of the local executor."""

import _thread
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ray.cluster_utils import Cluster as Nodes
from small_runs import BASE, write_cache

from lib import data, papers, paths
from lib.config import override
from lib.errors import UserError
from lib.papers import table_row
from lib.runs import execute, local, plan, ray

EPOCHS = 60


@pytest.fixture
def table(small_cache, tmp_path, monkeypatch):
    """A table "small" of two runs, long enough to be interrupted."""
    folder = write_cache(tmp_path / "given", small_cache, name=plan.MEL_STORE)
    monkeypatch.setenv("STORE", str(folder))
    experiments = [override(BASE, name=f"small/{n}", lr=n * 1e-4, epochs=EPOCHS) for n in (1, 2)]
    monkeypatch.setattr(papers, "EXPERIMENTS", {e.name: e for e in experiments})
    monkeypatch.setattr(
        papers, "GROUPS", {"small": [table_row.TableRow(e.name, {}, e.name) for e in experiments]}
    )
    source = data.Source("icbhi", tmp_path, "synthetic", "")
    monkeypatch.setattr(data, "synthetic_source", lambda: source)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("EXECUTOR", "ray")
    plan.open_study.cache_clear()
    yield "small"
    plan.open_study.cache_clear()


@pytest.fixture(scope="module")
def nodes():
    """A cluster of one node, with one core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_raylet_start_wait_time_s", "120")
        head = {"num_cpus": 1, "include_dashboard": False}
        found = Nodes(initialize_head=True, head_node_args=head)
        yield found
        found.shutdown()


def wait_for(found, seconds=60):
    """What `found` gives, once it gives anything."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return result


def nodes_of(folder: Path) -> list[str]:
    log = folder / "log.txt"
    return re.findall(r"Ray node (\w+)", log.read_text()) if log.exists() else []


def trained_on(node: str) -> Path | None:
    """The folder of a run that has a checkpoint and is on this node."""
    started = [f for f in paths.runs_root().glob("small*") if nodes_of(f)[-1:] == [node]]
    return next((f for f in started if any(f.glob("epoch-*.pt"))), None)


def running(folder: Path) -> list[str]:
    """The processes that train in this folder, or in those within it."""
    listed = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if f"-m lib.worker {folder}" in line]


def test_a_machine_dies_and_every_run_ends_with_the_local_bytes(
    table, nodes, tmp_path, monkeypatch
):
    dying = nodes.add_node(num_cpus=1)
    killed, orphans = [], []

    def kill():
        killed.append(wait_for(lambda: trained_on(dying.node_id)))
        (child,) = running(killed[0])
        nodes.remove_node(dying, allow_graceful=False)
        wait_for(lambda: child not in running(killed[0]), 20)
        orphans.append((killed[0] / "result.json").exists())  # it would have gone on to the end

    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "ray"))
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    killer = threading.Thread(target=kill)
    killer.start()
    assert execute.tables("smoke", table) == []
    killer.join()
    assert orphans == [False]
    check_resumed(killed[0])
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "local"))
    monkeypatch.setenv("EXECUTOR", "local")
    assert execute.tables("smoke", table) == []
    made = sorted((tmp_path / "local").glob("small*"))
    assert len(made) == 2
    for folder in made:
        check_same(folder, tmp_path / "ray" / folder.name)


def check_resumed(folder: Path) -> None:
    """Two machines made the run: the second went on where the first was stopped."""
    first, second = nodes_of(folder)
    assert first != second
    _, before, after = (folder / "log.txt").read_text().split("Ray node ")
    epochs = [[int(n) for n in re.findall(r"epoch (\d+) took", part)] for part in (before, after)]
    assert epochs[0][0] == 1 and epochs[1][0] > 1 and epochs[1][-1] == EPOCHS


def check_same(one: Path, other: Path) -> None:
    for name in ("history.csv", "result.json", "experiment.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    with np.load(one / "predictions.npz") as a, np.load(other / "predictions.npz") as b:
        assert sorted(a.files) == sorted(b.files)
        assert all(a[key].tobytes() == b[key].tobytes() for key in a.files)


def test_without_a_cluster_one_is_started_and_ctrl_c_leaves_nothing_running(table, monkeypatch):
    stopped = threading.Event()

    def interrupt():
        wait_for(lambda: list(paths.runs_root().glob("small*/epoch-*.pt")))
        while not stopped.is_set():  # one that falls into a callback of Ray's is lost
            _thread.interrupt_main()
            stopped.wait(10)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        execute.tables("smoke", table)
    stopped.set()
    wait_for(lambda: not running(paths.runs_root()))
    assert not list(paths.runs_root().glob("small*/result.json"))
    assert len(execute.tables("smoke", table)) == 0  # goes on
    assert len(list(paths.runs_root().glob("small*/result.json"))) == 2


def test_a_task_gives_its_exit_code_and_gets_the_environment(nodes, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    monkeypatch.setenv("STORE", "/here:/there")
    monkeypatch.setenv("WEIGHTS_ROOT", "/some where")
    made_by = ray.Cluster()
    names = ["WEIGHTS_ROOT", "RUNS_ROOT", "STORE", "OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    code = f"import os, sys; print([os.environ[n] for n in {names}], os.getcwd()); sys.exit(3)"
    killed = "import os; os.kill(os.getpid(), 9)"
    try:
        made_by.start("a", 1.0, ["-c", code], tmp_path / "a.txt")
        made_by.start("b", 1.0, ["-c", killed], tmp_path / "b.txt")
        ended = {}
        wait_for(lambda: ended.update(made_by.finished()) or len(ended) == 2)
        assert ended == {"a": 3, "b": -9}
        given = [os.environ[name] for name in names[:3]] + ["1", "1"]
        assert (tmp_path / "a.txt").read_text().splitlines()[1] == f"{given} {paths.PROJECT}"
        made_by.start("c", 1.0, ["-c", ""], tmp_path / "not shared" / "log.txt")
        with pytest.raises(UserError, match="not shared.*same folders at the same paths"):
            wait_for(made_by.finished)
    finally:
        made_by.stop()


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("127.0.0.1:1", "--address 127.0.0.1:1: no Ray cluster can be joined .*Connection refused"),
        ("nowhere.invalid:6379", "no Ray cluster can be joined there"),
        ("ray://host:10001", "not HOST:PORT"),
        ("host", "not HOST:PORT"),
    ],
)
def test_an_address_that_cannot_be_reached(monkeypatch, address, fault):
    monkeypatch.setenv("RAY_ADDRESS", address)
    start = time.monotonic()
    with pytest.raises(UserError, match=fault):
        ray.connect()
    assert time.monotonic() - start < 20


def test_ray_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match="Ray is not installed; pip install"):
        ray.connect()


def test_has_gpu_asks_the_cluster_only_where_there_is_one(monkeypatch):
    class Ray:
        @staticmethod
        def cluster_resources():
            return {"CPU": 4.0, "GPU": 0.5}

    monkeypatch.setattr(ray, "connect", lambda: Ray)
    monkeypatch.setattr(local, "gpus", lambda: [])
    monkeypatch.setenv("EXECUTOR", "ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert not plan.has_gpu()
    monkeypatch.setenv("RAY_ADDRESS", "host:6379")
    assert plan.has_gpu()
    monkeypatch.setenv("EXECUTOR", "local")
    assert not plan.has_gpu()
