"""Ray: a cluster that loses a machine during a run gives the bytes of the local executor."""

import _thread
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ray.cluster_utils import Cluster
from small_runs import BASE, PROFILE, use_experiments, write_cache

from lib import paths
from lib.config import override
from lib.errors import UserError
from lib.runs import execute, local, plan, ray

EPOCHS = 40


@pytest.fixture
def group(small_cache, tmp_path, monkeypatch):
    """A group of two runs, long enough to be interrupted, trained by Ray."""
    folder = write_cache(tmp_path / "given", small_cache, name=plan.MEL_CACHE)
    monkeypatch.setenv("FEATURES", str(folder))
    monkeypatch.setenv("EXECUTOR", "ray")
    runs = [override(BASE, name=f"small/{n}", lr=n * 1e-4, epochs=EPOCHS) for n in (1, 2)]
    return use_experiments(monkeypatch, *runs)


@pytest.fixture(scope="module")
def cluster():
    """A cluster of one node, with one core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_raylet_start_wait_time_s", "120")
        head = {"num_cpus": 1, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        yield cluster
        cluster.shutdown()


def wait_for(condition, seconds=60):
    """Return what `condition` gives, once it gives anything."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return result


def nodes_of(folder: Path) -> list[str]:
    """The Ray nodes that a run was on, in order."""
    log = folder / "log.txt"
    return re.findall(r"Ray node (\w+)", log.read_text()) if log.exists() else []


def trained_on(node: str) -> Path | None:
    """The folder of a run that has a checkpoint and is on this node."""
    started = [f for f in paths.runs_root().glob("small*") if nodes_of(f)[-1:] == [node]]
    return next((f for f in started if any(f.glob("epoch-*.pt"))), None)


def workers(folder: Path) -> list[str]:
    """The processes that train in this folder, or in those within it."""
    listed = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True).stdout
    return [line for line in listed.splitlines() if f"-m lib.worker {folder}" in line]


def test_a_node_dies_and_every_run_ends_with_the_local_bytes(group, cluster, tmp_path, monkeypatch):
    dying = cluster.add_node(num_cpus=1)
    killed, orphan_finished = [], []

    def kill():
        killed.append(wait_for(lambda: trained_on(dying.node_id)))
        (worker,) = workers(killed[0])
        cluster.remove_node(dying, allow_graceful=False)
        wait_for(lambda: worker not in workers(killed[0]), 20)
        orphan_finished.append((killed[0] / "result.json").exists())

    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "ray"))
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    killer = threading.Thread(target=kill)
    killer.start()
    assert execute.train_groups(PROFILE, group) == []
    killer.join()
    assert orphan_finished == [False]
    assert_resumed(killed[0])
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "local"))
    monkeypatch.setenv("EXECUTOR", "local")
    assert execute.train_groups(PROFILE, group) == []
    folders = sorted((tmp_path / "local").glob("small*"))
    assert len(folders) == 2
    for folder in folders:
        assert_same(folder, tmp_path / "ray" / folder.name)


def assert_resumed(folder: Path) -> None:
    """Two nodes trained the run: the second continued where the first was stopped."""
    first, second = nodes_of(folder)
    assert first != second
    _, before, after = (folder / "log.txt").read_text().split("Ray node ")
    epochs = [[int(n) for n in re.findall(r"epoch (\d+) took", log)] for log in (before, after)]
    assert epochs[0][0] == 1 and epochs[1][0] > 1 and epochs[1][-1] == EPOCHS


def assert_same(one: Path, other: Path) -> None:
    for name in ("history.csv", "result.json", "experiment.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    with np.load(one / "predictions.npz") as a, np.load(other / "predictions.npz") as b:
        assert sorted(a.files) == sorted(b.files)
        assert all(a[key].tobytes() == b[key].tobytes() for key in a.files)


def test_without_a_cluster_one_is_started_and_ctrl_c_leaves_nothing_running(group):
    stopped = threading.Event()

    def interrupt():
        wait_for(lambda: list(paths.runs_root().glob("small*/epoch-*.pt")))
        while not stopped.is_set():  # one that falls into a callback of Ray's is lost
            _thread.interrupt_main()
            stopped.wait(10)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        execute.train_groups(PROFILE, group)
    stopped.set()
    wait_for(lambda: not workers(paths.runs_root()))
    assert not list(paths.runs_root().glob("small*/result.json"))
    assert execute.train_groups(PROFILE, group) == []  # it continues
    assert len(list(paths.runs_root().glob("small*/result.json"))) == 2


def test_a_task_gives_its_exit_code_and_gets_the_environment(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.setenv("FEATURES", "/here:/there")
    monkeypatch.setenv("WEIGHTS_ROOT", "/some where")
    pool = ray.RayPool()
    names = ["WEIGHTS_ROOT", "RUNS_ROOT", "FEATURES", "OMP_NUM_THREADS", "MKL_NUM_THREADS"]
    code = f"import os, sys; print([os.environ[n] for n in {names}], os.getcwd()); sys.exit(3)"
    killed = "import os; os.kill(os.getpid(), 9)"
    try:
        pool.start("a", 1.0, ["-c", code], tmp_path / "a.txt")
        pool.start("b", 1.0, ["-c", killed], tmp_path / "b.txt")
        ended = {}
        wait_for(lambda: ended.update(pool.finished()) or len(ended) == 2)
        assert ended == {"a": 3, "b": -9}
        given = [os.environ[name] for name in names[:3]] + ["1", "1"]
        assert (tmp_path / "a.txt").read_text().splitlines()[1] == f"{given} {paths.PROJECT}"
        pool.start("c", 1.0, ["-c", ""], tmp_path / "not shared" / "log.txt")
        with pytest.raises(UserError, match="not shared.*same folders at the same paths"):
            wait_for(pool.finished)
    finally:
        pool.stop()


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("127.0.0.1:1", "--address 127.0.0.1:1: no Ray cluster can be joined .*Connection refused"),
        ("nowhere.invalid:6379", "no Ray cluster can be joined there"),
        ("ray://host:10001", "not HOST:PORT"),
        ("host", "not HOST:PORT"),
    ],
)
def test_an_address_that_cannot_be_reached(monkeypatch, address, problem):
    monkeypatch.setenv("RAY_ADDRESS", address)
    start = time.monotonic()
    with pytest.raises(UserError, match=problem):
        ray.connect()
    assert time.monotonic() - start < 20


def test_ray_does_not_start(monkeypatch):
    def init(**settings):
        raise Exception(f"timed out at {settings['address']}\nmore")

    monkeypatch.setattr("ray.init", init)
    with pytest.raises(UserError, match=r"did not start on this machine \(timed out at local\)"):
        ray.connect()


def test_ray_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match="Ray is not installed; pip install"):
        ray.connect()


def test_only_a_cluster_is_asked_for_its_gpus(monkeypatch):
    class Ray:
        @staticmethod
        def cluster_resources():
            return {"CPU": 4.0, "GPU": 0.5}

    monkeypatch.setattr(ray, "connect", lambda: Ray)
    monkeypatch.setattr(local, "visible_gpus", lambda: [])
    monkeypatch.setenv("EXECUTOR", "ray")
    assert not plan.has_gpu()
    monkeypatch.setenv("RAY_ADDRESS", "host:6379")
    assert plan.has_gpu()
    monkeypatch.setenv("EXECUTOR", "local")
    assert not plan.has_gpu()
