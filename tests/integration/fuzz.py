"""Damage files of every kind and read them: `python -m tests.integration.fuzz --cases 10000`.

Each case damages one file (`fuzz_mutators`), and what the project reads from it (`fuzz_kinds`) must
be right, or a `UserError` that names the file. All else is a failure:

    unclear     a `UserError` that names another file or none
    traceback   another exception, or the end of the process
    hang        no answer in 10 seconds of processor time, or in 5 minutes
    silent      accepted, but wrong

A case is named KIND:SEED; `--case KIND:SEED` runs it again and shows everything. 10,000 cases take
about 5 minutes on two cores. The exit code is 1 if any case failed.
"""

import argparse
import multiprocessing
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random

import torch

from lib.errors import UserError
from lib.paths import available_cores
from tests.integration.fuzz_kinds import KINDS, content, use_roots
from tests.integration.fuzz_mutators import damage

SECONDS = 10.0  # of processor time, since the machine may be busy
IDLE_SECONDS = 300.0
MEMORY_BYTES = 6 * 2**30
ALLOWED, FAILURES = ("right", "clear error"), ("unclear", "traceback", "hang", "silent")
PARENT_SECONDS = 5.0
HANGS = (signal.SIGALRM, signal.SIGPROF)
SHOWN = 5  # failures of each kind and outcome
CONTEXT = multiprocessing.get_context("fork")  # a worker starts with all that is imported here


@dataclass(frozen=True)
class Result:
    """How one case ended."""

    kind: str
    seed: int
    outcome: str
    detail: str = ""


def run_case(kind: str, seed: int, folder: Path) -> Result:
    """Damage a copy of the kind's files in `folder` and read it."""
    rng, case = Random(f"{kind}:{seed}"), KINDS[kind]
    work = Path(tempfile.mkdtemp(prefix=f"{kind}-{seed}-", dir=folder))
    shutil.copytree(folder / kind, work, dirs_exist_ok=True)
    paths = sorted({path for pattern in case.damaged for path in work.glob(pattern)})
    path = rng.choice([path for path in paths if path.is_file()])
    path.write_bytes(damage(path.read_bytes(), case.mutators, rng))
    try:
        outcome, detail = _outcome(kind, work, path, folder / kind)
        return Result(kind, seed, outcome, detail.replace(f"{work}/", ""))
    finally:
        shutil.rmtree(work)


def _outcome(kind: str, work: Path, path: Path, original: Path) -> tuple[str, str]:
    named, said = (path.name, path.parent.name), StringIO()
    where = str(path.relative_to(work))
    try:
        with redirect_stderr(said), redirect_stdout(said):
            reading = _read(kind, work)
            whole = _undamaged(kind, original)
            same = content(reading) == content(whole)
            if reading is not None and not same:
                problem = KINDS[kind].problem(work, path, reading, whole)
                if problem:
                    return "silent", f"{where}: {problem}"
    except UserError as error:
        clear = any(name in str(error) for name in named)
        return ("clear error" if clear else "unclear"), f"{where}: {error}"
    except Exception:  # the outcome of this case
        return "traceback", f"{where}: {traceback.format_exc()}"
    if reading is None and not any(name in said.getvalue() for name in named):
        return "unclear", f"{where}: nothing read, and said only {said.getvalue()!r}"
    return ("right" if same or not said.getvalue() else "clear error"), where


def _read(kind: str, folder: Path) -> object:
    use_roots(folder)
    return KINDS[kind].read(folder)


_readings: dict[str, object] = {}


def _undamaged(kind: str, folder: Path) -> object:
    """The reading of the kind's undamaged files, read once a process."""
    if kind not in _readings:
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:  # reading may change files
            shutil.copytree(folder, work, dirs_exist_ok=True)
            _readings[kind] = _read(kind, Path(work))
    return _readings[kind]


def _work(connection: Connection, folder: Path) -> None:
    """Run the cases that come in, each within its time, in this process with bounded memory."""
    _bound_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in HANGS:  # they end the process, whatever it is doing
        signal.signal(name, signal.SIG_DFL)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    while case := _next_case(connection):
        _set_timers(SECONDS, IDLE_SECONDS)
        result = run_case(*case, folder)
        _set_timers(0, 0)
        connection.send(result)


def _bound_memory() -> None:
    """Let this process take MEMORY_BYTES more than it has.

    RLIMIT_DATA counts what can be written to. RLIMIT_AS would count addresses that are only
    reserved too, as threads and Ray do: more of them the more cores there are.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _next_case(connection: Connection) -> tuple[str, int] | None:
    """Wait for a case; None if there is none any more, or nobody who would give one."""
    while not connection.poll(PARENT_SECONDS):
        if not multiprocessing.parent_process().is_alive():
            return None
    return connection.recv()


def _set_timers(processor: float, wall: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, processor)
    signal.setitimer(signal.ITIMER_REAL, wall)


class Worker:
    """A process that runs one case after another, and is replaced when it dies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.case: tuple[str, int] | None = None
        self._start()

    def _start(self) -> None:
        self.connection, theirs = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=_work, args=(theirs, self.folder), daemon=True)
        self.process.start()
        theirs.close()  # else its end would not be noticed

    def give(self, case: tuple[str, int] | None) -> None:
        """Send it a case, or None to end it."""
        self.case = case
        self.connection.send(case)

    def result(self) -> Result:
        """The result of its case; one that it did not survive is a hang or a traceback."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode
            self._start()
            outcome = "hang" if -code in HANGS else "traceback"
            return Result(*self.case, outcome, f"the process ended with {code}")


def run(cases: Sequence[tuple[str, int]], folder: Path, count: int) -> Iterator[Result]:
    """Run cases on `count` workers; the results as they come."""
    workers = [Worker(folder) for _ in range(min(count, len(cases)))]
    waiting, busy = iter(cases), {}

    def give(worker: Worker) -> None:
        case = next(waiting, None)
        worker.give(case)
        if case:
            busy[worker.connection] = worker

    for worker in workers:
        give(worker)
    while busy:
        for connection in wait(list(busy)):
            worker = busy.pop(connection)
            yield worker.result()
            give(worker)
    for worker in workers:
        worker.process.join()


def make(kinds: Sequence[str], folder: Path) -> None:
    """Write the undamaged files of these kinds, in a process that changes nothing here."""

    def write() -> None:
        torch.set_num_threads(1)
        for kind in kinds:
            (folder / kind).mkdir()
            KINDS[kind].make(folder / kind)
            _undamaged(kind, folder / kind)  # else each case would be an error

    process = CONTEXT.Process(target=write)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("the undamaged files could not be written and read")


def available(names: str = "") -> list[str]:
    """The kinds of these names, separated by commas, else all whose files are here."""
    wanted = names.split(",") if names else [name for name in KINDS if KINDS[name].available()]
    if unknown := set(wanted) - set(KINDS):
        raise SystemExit(f"unknown kind {', '.join(unknown)}; known: {', '.join(KINDS)}")
    return wanted


def table(results: Sequence[Result]) -> str:
    """Kinds in rows, outcomes in columns, and the first failures."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for result in results:
        counts[result.kind][result.outcome] += 1
    columns = (*ALLOWED, *FAILURES)
    total = sum(counts.values(), Counter())
    lines = ["".join([f"{'kind':14}", *(f"{name:>12}" for name in columns), f"{'cases':>9}"])]
    for name, count in (*counts.items(), ("all", total)):
        numbers = [f"{count[column]:12,}" for column in columns]
        lines.append("".join([f"{name:14}", *numbers, f"{count.total():9,}"]))
    shown: Counter = Counter()
    for result in results:
        if result.outcome in FAILURES:
            shown[result.kind, result.outcome] += 1
            if shown[result.kind, result.outcome] <= SHOWN:
                where, _, rest = result.detail.strip().partition(": ")
                last = rest.splitlines()[-1:] or [""]
                case = f"--case {result.kind}:{result.seed}"
                lines.append(f"{result.outcome}: {case} {where}: {last[0][:150]}")
    return "\n".join(lines)


def fuzz(kinds: Sequence[str], cases: int, seed: int = 0, workers: int = 1) -> list[Result]:
    """Run so many cases, the kinds by turns; sorted by kind and seed."""
    listed = [(kinds[i % len(kinds)], seed + i // len(kinds)) for i in range(cases)]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        make(kinds, Path(place))
        results = list(run(listed, Path(place), workers))
    return sorted(results, key=lambda result: (kinds.index(result.kind), result.seed))


def main() -> int:
    """Run the command; 1 if a case failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.integration.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case of each kind")
    parser.add_argument("--kind", default="", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--case", metavar="KIND:SEED", help="run this one case")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end the workers, remove the files
    start = time.monotonic()
    if options.case:
        kind, seed = options.case.split(":")
        (result,) = fuzz(available(kind), 1, int(seed))
        print(f"{result.outcome}: {result.detail}")
    else:
        kinds = available(options.kind)
        results = fuzz(kinds, options.cases, options.seed, available_cores())
        print(table(results))
        print(f"{len(results):,} cases in {time.monotonic() - start:.0f} s")
    failed = [r for r in ([result] if options.case else results) if r.outcome in FAILURES]
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
