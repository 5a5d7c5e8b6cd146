"""Runs as processes of this machine: as many side by side as its cores and GPUs have room for.

Every run has a process that trains nothing else, so its bytes do not depend on where it ran.
"""

import importlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path

from lib import paths
from lib.config import Experiment
from lib.errors import unknown

EXECUTORS = ("local", "ray")
# For a run without a GPU: what "same bytes" holds for, and no other answer of torch to it.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
DEVICES = Path("/dev")
DEVICE_FILES = ("nvidia[0-9]*", "dxg", "kfd")  # Linux, WSL2, AMD
ASK_TORCH = """
import torch
for number in range(torch.cuda.device_count()):
    torch.zeros(1, device=f"cuda:{number}")  # an old driver counts its GPUs and cannot use them
    print(number)
"""
ASK_SECONDS = 120
# On Linux a run is a fork of a process that has imported torch and all else, which takes seconds.
FORKS = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
FORKS.set_forkserver_preload(["lib.worker"])


def executor_name() -> str:
    """What trains the runs (`EXECUTOR`, else "local"); an unknown name is a `UserError`."""
    name = os.environ.get("EXECUTOR") or "local"
    if name not in EXECUTORS:
        raise unknown("executor", name, EXECUTORS)
    return name


def visible_gpus() -> list[str]:
    """The GPUs that torch can use on this machine, named as CUDA_VISIBLE_DEVICES names them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = count_gpus(given)
    return [str(number) for number in range(count)] if given is None else given.split(",")[:count]


@cache
def count_gpus(given: str | None) -> int:
    """How many GPUs torch can use, asked once, in a child process.

    given: CUDA_VISIBLE_DEVICES, None if not set. Says so if /dev looks otherwise.
    """
    command, problem = [sys.executable, "-P", "-c", ASK_TORCH], "torch finds none"
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS)
        count = len(child.stdout.split())
        if child.returncode or child.stderr:
            problem = (child.stderr.strip().splitlines() or [problem])[-1]
    except subprocess.TimeoutExpired:
        count, problem = 0, f"torch gave no answer in {ASK_SECONDS} s"
    found = [path for kind in DEVICE_FILES for path in sorted(DEVICES.glob(kind))]
    hidden = given is not None and given.split(",")[0].strip() in ("", "-1")
    if found and not count and not hidden:
        print(f"no GPU is used although {found[0]} is here: {problem}; mend the driver, or install "
              "a torch that is built for it", file=sys.stderr, flush=True)  # fmt: skip
    elif count and not found:
        print(f"{count} GPUs of torch are used; {DEVICES} shows none", file=sys.stderr, flush=True)
    return count


def gpu_share(experiment: Experiment) -> float:
    """The share of a GPU that one run gets. Chosen by the models' sizes, not measured."""
    sized = experiment.model in ("ast", "dass")
    shares = {"base": 1.0, "medium": 1.0, "small": 0.5} if sized else {}
    return shares.get(experiment.size, 0.25)


def worker_arguments(folder: Path, features: Path, frames: int, *tests: str) -> list[str]:
    """Arguments of the Python that trains a run; tests: further test sets, each NAME=CACHE."""
    words = ["-m", "lib.worker", str(folder.absolute()), str(features.absolute()), str(frames)]
    return [*words, "--with-parent", *(word for test in tests for word in ("--test", test))]


def start_process(words: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen:
    """Start this Python on `words` in the project's folder, its output appended to `log`.

    Its standard input is a pipe that closes when the process that started it ends, however it
    ends: by that a run knows that nobody waits for it.
    """
    streams = {"stdin": subprocess.PIPE, "stderr": subprocess.STDOUT}
    environment = os.environ | environment
    with open(log, "a") as out:
        return subprocess.Popen(
            [sys.executable, *words], stdout=out, cwd=paths.PROJECT, env=environment, **streams
        )


def fork_process(words: list[str], log: Path, environment: dict[str, str]) -> BaseProcess:
    """As `start_process`, for `-m MODULE ARGUMENTS`, from a process that has imported `lib`.

    The module's `main` gets the arguments.
    """
    process = FORKS.Process(target=_run_main, args=(words, log, os.environ | environment))
    with _environment(environment | {"PYTHONPATH": str(paths.PROJECT)}):  # for the first process
        process.start()
    return process


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run_main(words: list[str], log: Path, environment: dict[str, str]) -> None:
    _, module, *arguments = words
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(paths.PROJECT)
    with open(log, "a") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    importlib.import_module(module).main(arguments)


class LocalPool:
    """A pool of processes: at most one a core, and no GPU given away more than once."""

    def __init__(self, cores: int | None = None, names: Iterable[str] | None = None) -> None:
        self.cores = cores or paths.available_cores()
        self.free = dict.fromkeys(visible_gpus() if names is None else names, 1.0)  # share left
        self.gpus = len(self.free)
        self.active: dict[str, tuple[BaseProcess, str | None, float]] = {}

    def room(self, share: float) -> bool:
        """Whether a run that needs this share of a GPU can start now."""
        return len(self.active) < self.cores and (not self.gpus or self._gpu(share) is not None)

    def start(self, key: str, share: float, words: list[str], log: Path) -> None:
        """Start a run for which there is room; `key` names it when it has finished."""
        gpu = self._gpu(share)
        environment = {} if self.gpus else ONE_THREAD
        if self.gpus > 1:
            environment = {"CUDA_VISIBLE_DEVICES": gpu}
        self.active[key] = (fork_process(words, log, environment), gpu, share)
        if gpu is not None:
            self.free[gpu] -= share

    def finished(self) -> list[tuple[str, int]]:
        """Runs that have ended since the last call, with exit codes (-n: stopped by signal n)."""
        codes = [(key, child.exitcode) for key, (child, *_) in self.active.items()]
        ended = [(key, code) for key, code in codes if code is not None]
        for key, _ in ended:
            child, gpu, share = self.active.pop(key)
            child.close()
            if gpu is not None:
                self.free[gpu] += share
        return ended

    def stop(self) -> None:
        """End what still runs, and wait for it."""
        for child, *_ in self.active.values():
            child.terminate()
        for child, *_ in self.active.values():
            child.join()

    def _gpu(self, share: float) -> str | None:
        """The fullest GPU that has room, so that empty ones are left for runs that need a whole."""
        fitting = [name for name, left in self.free.items() if left >= share]
        return min(fitting, key=self.free.get, default=None)
