"""Runs as Ray tasks: on this machine, or on machines that share the folders (docs/cluster.md).

A task is one `pool.process`. When its worker or its machine dies, Ray gives the task to another
one, and the run goes on from its last checkpoint in the shared run folder.
"""

import os
import signal
import socket
import time
from functools import partial
from pathlib import Path
from types import ModuleType

from lib import paths
from lib.errors import UserError
from lib.runs import local

HANDED_ON = (
    *("DATA_ROOT", "FEATURES_ROOT", "RUNS_ROOT", "WEIGHTS_ROOT", "REPORTS_ROOT"),
    "STORE",
)
RETRIES = 100  # of one run, when workers or machines die under it; not when the run itself fails
OBJECT_STORE_BYTES = 100 * 1024**2  # only commands and exit codes go through it
REACH_SECONDS = 5
DYING_SECONDS = 3  # a machine that goes down may end the run a moment before the worker
STOP_SECONDS = 10


class RayPool:
    """A pool of Ray tasks, one core and a share of a GPU (where there are any) each."""

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
        environment = {name: os.environ[name] for name in HANDED_ON if os.environ.get(name)}
        needs = {"num_gpus": share} if self.gpus else {}
        environment |= {} if self.gpus else local.ONE_THREAD
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
    begin = partial(ray.init, log_to_driver=False, logging_level="ERROR")
    if address := os.environ.get("RAY_ADDRESS"):
        _reach(address)
        try:
            begin(address=address)
        except Exception as error:  # Ray raises bare ones here
            raise _not_reached(address, error) from error
        return ray
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 would let anything else go first
    os.environ.setdefault(
        "RAY_raylet_start_wait_time_s", "120"
    )  # a busy machine needs more than 30
    begin(
        address="local",
        num_cpus=paths.available_cores(),
        num_gpus=len(local.visible_gpus()),
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
    )
    return ray


def has_gpu() -> bool:
    """Whether the machines that Ray would use have a GPU; a laptop's is known without Ray."""
    if not os.environ.get("RAY_ADDRESS"):
        return bool(local.visible_gpus())
    return connect().cluster_resources().get("GPU", 0) > 0


def _reach(address: str) -> None:
    """Raise `UserError` unless something listens there: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()) or "//" in host:
        raise UserError(f"--address {address}: not HOST:PORT, such as 192.168.1.10:6379, or auto")
    try:
        socket.create_connection((host, int(port)), REACH_SECONDS).close()
    except OSError as error:
        raise _not_reached(address, error) from error


def _not_reached(address: str, error: Exception) -> UserError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return UserError(
        f"--address {address}: no Ray cluster can be joined there ({first}); start one with "
        "`ray start --head`, and run this on one of its machines (docs/cluster.md)"
    )


def _train(words: list[str], log: Path, environment: dict[str, str]) -> int:
    """What a Ray worker does: make one run; returns its exit code."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    with open(log, "a") as handle:
        handle.write(f"on {socket.gethostname()}, Ray node {node}\n")
    code = local.start_process(words, log, environment).wait()
    if code < 0:
        time.sleep(DYING_SECONDS)  # if the worker dies too, Ray makes the run elsewhere
    return code
