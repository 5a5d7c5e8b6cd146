"""Measuring: every variant of a case in a process of its own, asked in turn, round after round.

A process is forked from a server that holds the libraries and has computed nothing, so that peak
memory, threads and global switches are a variant's own. While one works the others wait: rounds
are interleaved, every second one backwards, and a drift of the machine meets all alike.
"""

import math
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection

import numpy as np

PATIENCE_SECONDS = 300  # for a process that makes ready or works; then it is given up
ROUND_SECONDS = 0.4  # a round takes as many units as fill it
PRELOADED = [
    "benchmarks.plain_run",
    "benchmarks.ours",
    "lib.features.cache_build",
    "lib.data.audio",
]


class Unavailable(Exception):
    """Why a variant cannot be measured on this machine."""


@dataclass(frozen=True)
class Work:
    """What a variant does: `run(count)` pays `count * units`; `note` and `once` are said of it."""

    run: Callable[[int], object]
    units: int = 1
    note: str = ""
    once: dict[str, float] = field(default_factory=dict)  # what was paid before: name -> seconds


@dataclass(frozen=True)
class Variant:
    """One way to do a case's work; `make(**settings)` gives its `Work`, in its own process."""

    name: str
    make: Callable[..., Work]
    settings: dict
    copies: int = 1  # processes that work at the same time
    x: float = math.nan  # what a line over several variants is drawn against


@dataclass(frozen=True)
class Case:
    """Variants of the same work; the first is the one that others are compared with."""

    name: str
    variants: tuple[Variant, ...]
    unit: str = "s/step"
    compared: bool = True  # whether the variants do the same work
    rounds: int | None = None  # where a round is too dear for the number asked for
    round_seconds: float = ROUND_SECONDS  # 0: once a round, and no time to warm up


class Worker:
    """The processes of one variant."""

    def __init__(self, variant: Variant) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.variant = variant
        self.said: tuple = ("starting", "", {})
        self.processes, self.pipes = [], []
        for _ in range(variant.copies):
            mine, theirs = context.Pipe()
            target = (theirs, variant.make, variant.settings)
            process = context.Process(target=_serve, args=target)
            process.start()
            theirs.close()
            self.processes.append(process)
            self.pipes.append(mine)

    @property
    def ready(self) -> bool:
        """Whether it can work."""
        return self.said[0] == "ready"

    def wait(self) -> None:
        """Until it `said` ("ready", note, once), or ("not run" | "failed", reason, {})."""
        said = [_received(pipe) for pipe in self.pipes]
        self.said = next((one for one in said if one[0] != "ready"), said[0])

    def take(self, count: int) -> float:
        """Seconds that a unit costs when every copy runs `count` times, all at once."""
        for pipe in self.pipes:
            with suppress(OSError):  # one that ended is told of below
                pipe.send(count)
        said = [_received(pipe) for pipe in self.pipes]
        if dead := [one for one in said if not isinstance(one, float)]:
            self.said = dead[0]
            return math.nan
        return max(said) / self.variant.copies

    def end(self) -> float:
        """Peak memory of the largest process in MB (2 ** 20), or nan."""
        peaks = [math.nan]
        for pipe in self.pipes:
            with suppress(EOFError, OSError):
                pipe.send(0)
                peaks.append(pipe.recv())
        for process in self.processes:
            process.join(10)
        return max(peaks[1:], default=math.nan)

    def stop(self) -> None:
        """End processes that still run."""
        for process in self.processes:
            if process.is_alive():
                process.kill()
            process.join()


def run(case: Case, rounds: int) -> list[dict]:
    """Rows of a case, one a variant: medians, quartiles, memory, and how many times as fast."""
    with _workers(case) as workers:
        counts = {worker: _count(case, worker) for worker in workers if worker.ready}
        taken: dict[Worker, list[float]] = {worker: [] for worker in workers}
        for at in range(case.rounds or rounds):
            turn = workers if at % 2 == 0 else workers[::-1]  # no one is always first
            for worker in filter(lambda worker: worker.ready, turn):
                taken[worker].append(worker.take(counts[worker]))
        rows = []
        for worker in workers:
            base = taken[workers[0]] if case.compared and workers[0].ready else None
            rows += [_row(case, worker, taken[worker], base), *_once(case, worker)]
    return rows


def _count(case: Case, worker: Worker) -> int:
    """How often a variant runs in a round; found out by a first time, which also warms it up."""
    if not case.round_seconds:
        return 1
    start = time.perf_counter()
    worker.take(1)
    return max(1, round(case.round_seconds / (time.perf_counter() - start)))


@contextmanager
def _workers(case: Case) -> Iterator[list[Worker]]:
    """All processes of a case, ready or with a reason why not; none is left behind."""
    with ExitStack() as stack:
        workers = []
        for variant in case.variants:
            workers.append(Worker(variant))
            stack.callback(workers[-1].stop)
        for worker in workers:
            worker.wait()
        yield workers


def _row(case: Case, worker: Worker, taken: list[float], base: list[float] | None) -> dict:
    status, note, _ = worker.said
    row = {
        "case": case.name,
        "variant": worker.variant.name,
        "base": case.variants[0].name if case.compared else "",
        "unit": case.unit,
        "x": worker.variant.x,
        "note": note if status == "ready" else f"{status}: {note}",
    }
    if not worker.ready:
        return row
    row |= dict(zip(("q1", "median", "q3"), np.quantile(taken, (0.25, 0.5, 0.75)), strict=True))
    row |= {"rounds": len(taken), "peak_mb": worker.end()}
    if base is not None:
        speed = np.array(base) / np.array(taken)  # pairs of the same round
        names = ("faster_q1", "faster", "faster_q3")
        row |= dict(zip(names, np.quantile(speed, (0.25, 0.5, 0.75)), strict=True))
    return row


def _once(case: Case, worker: Worker) -> list[dict]:
    """Rows for what a variant pays once, such as compiling."""
    known = {"case": case.name, "unit": "s", "base": "", "rounds": 1}
    return [
        {**known, "variant": f"{worker.variant.name}: {name}", "median": cost}
        for name, cost in worker.said[2].items()
    ]


def _received(pipe: Connection) -> object:
    try:
        if not pipe.poll(PATIENCE_SECONDS):
            return "failed", f"no answer in {PATIENCE_SECONDS} s", {}
        return pipe.recv()
    except EOFError:
        return "failed", "its process ended; the reason stands on the screen", {}


def _serve(pipe: Connection, make: Callable[..., Work], settings: dict) -> None:
    """What a process does: make ready, then work as often as asked, then tell its peak memory."""
    try:
        work = make(**settings)
    except Unavailable as reason:
        pipe.send(("not run", str(reason), {}))
        return
    except Exception as error:  # one variant that fails must not cost the others
        traceback.print_exc(file=sys.stderr)
        line = (str(error).splitlines() or [""])[0]
        pipe.send(("failed", f"{type(error).__name__}: {line}", {}))
        return
    pipe.send(("ready", work.note, work.once))
    while count := pipe.recv():
        pipe.send(seconds(lambda count=count: work.run(count)) / count / work.units)
    pipe.send(peak_mb())


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes: by CUDA events where there is a GPU, else by the wall clock."""
    import torch

    if not torch.cuda.is_initialized():
        start = time.perf_counter()
        action()
        return time.perf_counter() - start
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    action()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000


def peak_mb() -> float:
    """Peak memory so far in MB: of the GPU if it is used, else of the largest process here."""
    import torch

    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(one).ru_maxrss for one in who) / 2**10
