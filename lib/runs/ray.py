"""Runs as Ray tasks: on this machine, or on machines that share the folders (docs/cluster.md).

A task is one `local.start_process`. When its worker or its machine dies, Ray gives the task to
another one, and the run goes on from its last checkpoint in the shared run folder.
"""

import os
import signal
import socket
import time
from pathlib import Path
from types import ModuleType

from lib import paths
from lib.errors import UserError
from lib.runs import local

HANDED_ON = ("DATA_ROOT", "FEATURES_ROOT", "RUNS_ROOT", "WEIGHTS_ROOT", "REPORTS_ROOT", "FEATURES")
RETRIES = 100  # of one run, when workers or machines die under it; not when the run itself fails
OBJECT_STORE_BYTES = 100 * 1024**2  # only commands and exit codes go through it
REACH_SECONDS = 5
DYING_SECONDS = 3  # a machine that goes down may end the run a moment before the worker
STOP_SECONDS = 10


class RayPool:
    """A pool of Ray tasks: a core and, if there are any, a share of a GPU for each."""

    def __init__(self) -> None:
        self.ray = connect()
        resources = self.ray.cluster_resources()
        self.cores = int(resources.get("CPU", 0))
        self.gpus = int(resources.get("GPU", 0))
        self.active: dict = {}  # the task's reference -> key

    def room(self, share: float) -> bool:
        """Always: Ray queues, and a cluster that grows by demand must see all of it."""
        return True

    def start(self, key: str, share: float, words: list[str], log: Path) -> None:
        """Hand a run to Ray; `key` names it when it has finished."""
        needs = {"num_gpus": share} if self.gpus else {}
        environment = folders() | ({} if self.gpus else local.ONE_THREAD)
        task = self.ray.remote(num_cpus=1, max_retries=RETRIES, **needs)(_train)
        self.active[task.remote(words, log, environment)] = key

    def finished(self) -> list[tuple[str, int]]:
        """Runs that have ended since the last call, with exit codes (-n: stopped by signal n)."""
        tasks = list(self.active)
        ended, _ = self.ray.wait(tasks, num_returns=len(tasks), timeout=0) if tasks else ([], [])
        return [(self.active.pop(task), self._code(task)) for task in ended]

    def stop(self) -> None:
        """End what still runs or waits, leave the cluster, and end one that was started here."""
        tasks = list(self.active)
        for task in tasks:
            self.ray.cancel(task, force=True)
        if tasks:
            self.ray.wait(tasks, num_returns=len(tasks), timeout=STOP_SECONDS)
        self.ray.shutdown()

    def _code(self, task: object) -> int:
        try:
            return self.ray.get(task)
        except self.ray.exceptions.RayTaskError as error:
            raise UserError(
                f"Ray: a run could not start on a machine of the cluster ({error.cause}); all need "
                "the same environment and the same folders at the same paths (docs/cluster.md)"
            ) from error
        except self.ray.exceptions.RayError:  # its workers died, more than RETRIES times
            return -signal.SIGKILL


def folders() -> dict[str, str]:
    """The environment that says where the folders are, for a worker on another machine."""
    return {name: os.environ[name] for name in HANDED_ON if os.environ.get(name)}


def connect() -> ModuleType:
    """Ray, connected to the cluster at RAY_ADDRESS, else to one started on this machine alone."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray reports to its makers unless told not to
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "--executor ray: Ray is not installed; pip install -r requirements.txt"
        ) from error
    if ray.is_initialized():
        return ray
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 would let anything else go first
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # of the cluster's own processes
    settings = {"log_to_driver": False, "logging_level": "ERROR"}
    if address := os.environ.get("RAY_ADDRESS"):
        settings["address"] = address
        problem = f"--address {address}: no Ray cluster can be joined there ({{}}); start one with "
        problem += "`ray start --head`, and run this on one of its machines (docs/cluster.md)"
    else:
        settings |= {"address": "local", "include_dashboard": False}
        settings |= {"num_cpus": paths.available_cores(), "num_gpus": len(local.visible_gpus())}
        settings["object_store_memory"] = OBJECT_STORE_BYTES
        problem = (
            "--executor ray: Ray did not start on this machine ({}); is it too busy? try again"
        )
    try:
        if address:
            _reach(address)
        ray.init(**settings)
    except UserError:
        raise
    except Exception as error:  # Ray raises bare ones
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(problem.format(first)) from error
    return ray


def has_gpu() -> bool:
    """Whether the machines that Ray would use have a GPU; a laptop's is known without Ray."""
    if not os.environ.get("RAY_ADDRESS"):
        return bool(local.visible_gpus())
    return connect().cluster_resources().get("GPU", 0) > 0


def _reach(address: str) -> None:
    """Raise `OSError` unless something listens there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not (host and port.isdigit()) or "//" in host:
        raise UserError(f"--address {address}: not HOST:PORT, such as 192.168.1.10:6379, or auto")
    socket.create_connection((host, int(port)), REACH_SECONDS).close()


def _train(words: list[str], log: Path, environment: dict[str, str]) -> int:
    """Train one run on a Ray worker; returns its exit code."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    with open(log, "a") as out:
        out.write(f"on {socket.gethostname()}, Ray node {node}\n")
    code = local.start_process(words, log, environment).wait()
    if code < 0:
        time.sleep(DYING_SECONDS)  # if the worker dies too, Ray trains the run elsewhere
    return code
