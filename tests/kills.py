"""Stop the same command at random moments, by all that can stop it: `python -m tests.kills`.

A copy of the project runs notebook 06 on synthetic sounds with tiny models, once undisturbed; then
in other folders, stopped again and again:

    SIGKILL     20 times: by turns all its processes, and the driver alone
    SIGINT      Ctrl-C, 3 times: exit code 130
    SIGTERM     3 times: by turns to the driver alone, and to all
    full disk   a small one that grows (root alone can make it; else a limit on the size of files)
    two         two drivers at once in the same folders
    Ray         a worker of Ray is killed, then Ray's own process on this machine

At the end of each round all files must have the bytes of the undisturbed ones, and no temporary
file, lock or process may be left. It takes about 20 minutes on two cores; the exit code is 1 on any
difference.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

PROJECT = Path(__file__).resolve().parent.parent
COMMAND = ("smoke", "06")
EPOCHS = 6
LATEST = 0.4  # of the whole command's time: kills fall between features and pages
PATIENCE_SECONDS = 120.0
STOPPED = {"SIGINT": 130, "SIGTERM": -signal.SIGTERM, "SIGKILL": -signal.SIGKILL}  # exit codes
FEATURE_SHARES = (0.3, 0.9)  # of the bytes of sounds and features: the disk is full among them
MORE_BYTES = (50_000, 400_000)  # beyond them: it is full among runs and pages
ROOTS = ("runs", "features", "reports")
SETTINGS = ("DATA_ROOT", "FEATURES", "WEIGHTS_ROOT", "OUT", "SEEDS", "EXECUTOR", "RAY_ADDRESS")
TEXTS = (".csv", ".md", ".tex", ".html", ".svg", ".png", ".txt", ".wav", ".npy")
RECORDS = ("result.json", "experiment.json", "meta.json", "pages.json", "checksums.json")
# How often a run was started; when which file was read.
NOT_COMPARED = ("runs/*/log.txt", "features/checksums.json")


def copy_project(folder: Path, papers: str = "") -> Path:
    """Copy the project; its smoke profile trains `EPOCHS` epochs, `papers` ends its registry.

    A copy, so that nobody's edit during the minutes of a trial changes what is compared.
    """
    for name in ("lib", "benchmarks", "notebooks", "docs"):
        ignored = shutil.ignore_patterns("__pycache__", "kernel-ipc*")  # sockets of a kernel
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    for name in ("requirements.txt", "pyproject.toml", "CITATION.cff"):
        shutil.copy(PROJECT / name, folder)
    changes = {"papers/__init__.py": papers}
    changes["papers/profiles.py"] = f"""
from dataclasses import replace

PROFILES["smoke"] = replace(SMOKE, rules=(*SMOKE.rules, (ICBHI, {{"epochs": {EPOCHS}}})))
"""
    for name, text in changes.items():
        with open(folder / "lib" / name, "a") as out:
            out.write(text)
    return folder


def start(
    project: Path, root: Path, log: Path, command: tuple[str, ...] = COMMAND, **more: str
) -> subprocess.Popen:
    """Start a command in a process group of its own, with all its folders below `root`."""
    environment = {key: value for key, value in os.environ.items() if key not in SETTINGS}
    environment |= {f"{name.upper()}_ROOT": str(root / name) for name in ROOTS}
    with open(log, "a") as out:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "lib", *command],
            cwd=project,
            env=environment | {"PYTHONPATH": str(project)} | more,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_default_ctrl_c,
        )


def _default_ctrl_c() -> None:
    """Receive Ctrl-C even if a shell started this test in the background, where it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def processes(root: Path) -> list[int]:
    """Return every living process that was started with its runs below `root`, but this one."""
    variable = f"RUNS_ROOT={root / 'runs'}".encode()
    numbers = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = variable in (path / "environ").read_bytes().split(b"\0")
            alive = ours and (path / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:  # gone, or another user's
            continue
        if alive and int(path.name) != os.getpid():
            numbers.append(int(path.name))
    return numbers


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> bool:
    """Wait; return whether the condition became true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def end_all(root: Path) -> None:
    """Kill every process of the commands below `root` that still lives, each by its id."""
    for process in processes(root):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def describe(root: Path) -> str:
    """Return how far the features, the runs and the pages below `root` are."""
    features = "complete" if list(root.glob("features/icbhi-*/meta.json")) else "incomplete"
    done = len(list(root.glob("runs/*/result.json")))
    pages = len(list(root.glob("reports/local/*/[0-9]*.html")))
    return (
        f"features {features}; runs {done} done, epochs of others {epochs(root)}; pages {pages}; "
        f"temporary files {len(temporary_files(root))}"
    )


def epochs(root: Path) -> int:
    """Return the sum of the epochs in the newest checkpoints of unfinished runs."""
    newest = {path.parent: int(path.stem[6:]) for path in sorted(root.glob("runs/*/epoch-*.pt"))}
    return sum(newest.values())


def temporary_files(root: Path) -> list[Path]:
    """Return every file or folder that is being written, or was when its writer died."""
    return sorted(root.rglob(".*.part~rs"))


def results(root: Path) -> dict[str, bytes]:
    """Return path -> bytes of everything that must not depend on how often it was stopped."""
    contents = {}
    for path in sorted(p for name in ROOTS for p in (root / name).rglob("*") if p.is_file()):
        name = str(path.relative_to(root))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                for key in arrays.files:
                    contents[f"{name}/{key}"] = (
                        str(arrays[key].dtype).encode() + arrays[key].tobytes()
                    )
        elif any(path.relative_to(root).match(pattern) for pattern in NOT_COMPARED):
            continue
        elif path.name in RECORDS or path.suffix in TEXTS:
            contents[name] = path.read_bytes()
    return contents


def held_locks(root: Path) -> list[Path]:
    """Return every lock below `root` that a process holds."""
    held = []
    for path in sorted(root.rglob("*.lock")):
        lock = FileLock(path, timeout=0)
        try:
            with lock:
                continue
        except Timeout:
            held.append(path)
    return held


def compare(expected: dict[str, bytes], root: Path) -> list[str]:
    """Return one line for each file that differs, is missing or temporary, and each held lock."""
    got = results(root)
    problems = [f"missing: {name}" for name in expected if name not in got]
    problems += [f"not in the reference: {name}" for name in got if name not in expected]
    both = expected.keys() & got.keys()
    problems += [f"differs: {name}" for name in sorted(both) if got[name] != expected[name]]
    problems += [f"temporary: {path.relative_to(root)}" for path in temporary_files(root)]
    return problems + [f"held: {path.relative_to(root)}" for path in held_locks(root)]


def size_of(root: Path) -> int:
    """Return the bytes of all files below `root`."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[int], dict] | None]:
    """Mount a disk at `folder`; yield a function that sets its size in bytes, None if not root."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "kills", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        yield None
        return
    try:
        yield lambda size: subprocess.run(
            ["mount", "-o", f"remount,size={size}", str(folder)], check=True
        )
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Trial:
    """Folders, the log, and the seeded moments of one call of this script."""

    def __init__(self, folder: Path, seed: int, log: Path) -> None:
        self.folder, self.log = folder, log
        self.random = random.Random(seed)
        self.midway = 0  # SIGKILLs of all processes that stopped a run between its epochs
        self.latest = 0.0  # seconds until the latest stop, from the undisturbed command
        self.expected: dict[str, bytes] = {}
        self.project = copy_project(folder / "project")
        self.output = log.with_suffix(".out.txt")
        self.output.unlink(missing_ok=True)
        log.write_text("")
        self.say(f"{'what':28}{'when':>8}  result")

    def say(self, line: str) -> None:
        """Print a line and append it to the log."""
        print(line, flush=True)
        with open(self.log, "a") as out:
            out.write(line + "\n")

    def row(self, what: str, seconds: float, result: str) -> None:
        """Say a line of the table."""
        self.say(f"{what:28}{seconds:6.1f} s  {result}")

    def start(self, root: Path, **more: str) -> subprocess.Popen:
        """Start the command in `root`."""
        return start(self.project, root, self.output, **more)

    def said(self) -> int:
        """How many bytes all commands have printed so far."""
        return self.output.stat().st_size if self.output.exists() else 0

    def undisturbed(self) -> list[str]:
        """Run the command once; what it writes is what all others must write."""
        root = self.folder / "whole"
        root.mkdir()
        begun = time.monotonic()
        problems = self.finish(root)
        self.latest = LATEST * (time.monotonic() - begun)
        self.expected = results(root)
        self.say(f"  {len(self.expected)} files and arrays to compare")
        return problems

    def finish(self, root: Path) -> list[str]:
        """Let the command end undisturbed; return its problems."""
        begun = time.monotonic()
        code = self.start(root).wait()
        alive = [] if wait_until(lambda: not processes(root), 30.0) else processes(root)
        problems = [f"exit code {code}"] if code else []
        problems += [f"process {process} lives on" for process in alive]
        if self.expected:
            problems += compare(self.expected, root)
        result = "; ".join(problems[:3]) or ("same bytes" if self.expected else "reference")
        self.row("  to its end", time.monotonic() - begun, result)
        return problems

    def stop_once(self, root: Path, number: int, how: str, who: str) -> list[str] | None:
        """Start, wait, stop; the problems, or None if the command had ended by itself before.

        Every fourth moment is counted from the next epoch that is written, so that some are sure
        to fall into training, however fast the machine.
        """
        moment, before, printed = self.random.uniform(0.5, self.latest), epochs(root), self.said()
        driver, begun = self.start(root), time.monotonic()
        if number % 4 == 3:
            wait_until(lambda: driver.poll() is not None or epochs(root) > before)
            moment = time.monotonic() - begun + moment / 10
        try:
            code = driver.wait(max(0.0, begun + moment - time.monotonic()))
            self.row("  ended before the stop", moment, f"exit code {code}")
            return None
        except subprocess.TimeoutExpired:
            pass
        (os.killpg if who == "all" else os.kill)(driver.pid, getattr(signal, how))
        problems = self._ended(driver, root, how, who, printed)
        self.midway += (how, who) == ("SIGKILL", "all") and epochs(root) > 0
        self.row(f"{number:2d} {how} {who}", moment, "; ".join([*problems, describe(root)]))
        return problems

    def _ended(
        self, driver: subprocess.Popen, root: Path, how: str, who: str, printed: int
    ) -> list[str]:
        """Wait until the stopped command has ended; what is wrong with how it did."""
        try:
            code = driver.wait(60)
        except subprocess.TimeoutExpired:
            end_all(root)
            return [f"it goes on 60 s after {how}"]
        if how == "SIGKILL":
            if who == "all":
                end_all(root)  # orphans of an earlier driver too
            return []
        problems = [] if code == STOPPED[how] else [f"exit code {code}"]
        if not wait_until(lambda: not processes(root), 30.0):
            problems.append(f"processes {processes(root)} live on")
            end_all(root)
        return problems + self._tracebacks(printed)

    def _tracebacks(self, printed: int) -> list[str]:
        new = self.output.read_bytes()[printed:] if self.output.exists() else b""
        return ["a traceback"] if b"Traceback" in new else []

    def rounds(self, stops: list[tuple[str, str]]) -> list[str]:
        """Stop until all stops are spent; compare a round that ended by itself, then start anew."""
        problems, number, turn = [], 0, 0
        while number < len(stops) and not problems:
            turn += 1
            root = self.folder / f"round-{turn}"
            root.mkdir()
            stopped: list[str] | None = []
            while number < len(stops) and stopped == []:
                stopped = self.stop_once(root, number + 1, *stops[number])
                number += stopped is not None
            problems = (stopped or []) + self.finish(root)
            end_all(root)
        if not self.midway:
            problems.append("no run was stopped in the middle: take more kills")
        return problems

    def full_disk(self) -> list[str]:
        """Let the disk be full at several moments; then there is room, and it ends."""
        problems = []
        with small_disk(self.folder / "disk") as resize:
            root = self.folder / "disk" / "root"
            root.mkdir()
            features = size_of(self.folder / "whole" / "features")
            sizes = [int(share * features) for share in FEATURE_SHARES]
            sizes += [features + more for more in MORE_BYTES]
            for size in sizes if resize else MORE_BYTES:
                printed, begun = self.said(), time.monotonic()
                if resize:
                    resize(size)
                with nullcontext() if resize else file_limit(size):
                    code = self.start(root).wait()
                wrong = self._tracebacks(printed) + ["it says nothing"] * (code == 0)
                wrong += [f"temporary: {path.name}" for path in temporary_files(root)]
                what = f"full {'disk' if resize else 'file'} {size / 1e6:.1f} MB"
                seconds = time.monotonic() - begun
                self.row(what, seconds, "; ".join([*wrong, f"exit code {code}", describe(root)]))
                problems += wrong
            if resize:
                resize(2 * features)
            return problems + self.finish(root)

    def two_drivers(self) -> list[str]:
        """Start two at once: one may refuse, both end, and nothing is made twice or mixed."""
        root = self.folder / "two"
        root.mkdir()
        printed, begun = self.said(), time.monotonic()
        codes = sorted([driver.wait() for driver in [self.start(root), self.start(root)]])
        new = self.output.read_bytes()[printed:]
        problems = [] if codes in ([0, 0], [0, 2]) else [f"exit codes {codes}"]
        if codes == [0, 2] and b"in use by process" not in new:
            problems.append("the second does not say who holds the folder")
        problems += self._tracebacks(printed)
        seconds = time.monotonic() - begun
        self.row("two drivers", seconds, "; ".join([*problems, f"exit codes {codes}"]))
        return problems + self.finish(root)

    def ray(self) -> list[str]:
        """Kill a worker of Ray, after which the command goes on; then Ray on this machine."""
        problems = []
        for what, name, survives in (
            ("a worker of Ray", b"ray::", True),
            ("Ray on this machine", b"raylet/raylet", False),
        ):
            root = self.folder / name.decode().strip(":").replace("/", "-")
            root.mkdir()
            begun, driver = time.monotonic(), self.start(root, EXECUTOR="ray")
            found = wait_until(lambda: epochs(root) or driver.poll() is not None)  # noqa: B023
            time.sleep(self.random.uniform(0, 1))
            victims = [p for p in processes(root) if name in command_of(p)]
            if not found or not victims:
                problems.append(f"no process of {what}")
            for victim in victims[:1]:
                os.kill(victim, signal.SIGKILL)
            moment, code = time.monotonic() - begun, driver.wait()
            if survives and code:
                problems.append(f"exit code {code} after {what} was killed")
            if not wait_until(lambda: not processes(root), 60.0):  # noqa: B023
                problems.append(f"processes live on after {what} was killed")
                end_all(root)
            self.row(f"SIGKILL {what}", moment, f"exit code {code}, {describe(root)}")
            problems += self.finish(root)
        return problems


def command_of(process: int) -> bytes:
    """Return the command line of a process, b"" if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file of a process that is started here grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def main() -> int:
    """Run the trial; 0 if nothing was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.kills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=20, help="with SIGKILL")
    parser.add_argument("--signals", type=int, default=3, help="with SIGINT, and with SIGTERM")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("stops", "disk", "two", "ray"), help="one part alone")
    parser.add_argument("--log", type=Path, help="keep the log here")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end what it started, then itself
    stops = [("SIGKILL", ("all", "driver")[n % 2]) for n in range(options.kills)]
    stops += [("SIGINT", "all")] * options.signals
    stops += [("SIGTERM", ("driver", "all")[n % 2]) for n in range(options.signals)]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        trial = Trial(folder, options.seed, (options.log or folder / "kills.log").resolve())
        parts = {
            "stops": lambda: trial.rounds(stops),
            "disk": trial.full_disk,
            "two": trial.two_drivers,
            "ray": trial.ray,
        }
        try:
            problems = trial.undisturbed()
            for name, part in parts.items():
                if not problems and options.only in (None, name):
                    problems = part()
        finally:
            for root in [*folder.iterdir(), folder / "disk" / "root"]:
                end_all(root)
        for problem in problems:
            trial.say(f"  {problem}")
        verdict = f"FAILED: {len(problems)} problems" if problems else "nothing was lost"
        trial.say(f"{time.monotonic() - begun:.0f} s: {verdict}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
