"""kill -9 at random moments, then the same command: `python -m tests.kills [--kills 20]`.

A copy of the project runs notebook 06 on synthetic sounds with tiny models, once uninterrupted;
then in other folders, killed again and again: by turns all its processes and the driver alone,
whose workers may live on. At the end of each round all files must have the same bytes. It takes
about 8 minutes on two cores; the exit code is 1 on any difference.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
COMMAND = ("smoke", "06")
EPOCHS = 24
LATEST = 0.4  # of the whole command's time: kills fall between features and pages
PATIENCE_SECONDS = 120.0
ROOTS = ("runs", "features", "reports")
SETTINGS = ("DATA_ROOT", "FEATURES", "WEIGHTS_ROOT", "OUT", "SEEDS", "EXECUTOR", "RAY_ADDRESS")
TEXTS = (".csv", ".md", ".tex", ".html", ".svg", ".png", ".txt", ".wav", ".npy")
RECORDS = ("result.json", "experiment.json", "meta.json", "pages.json")
NOT_COMPARED = ("log.txt", "progress.txt")  # they tell how often a run was started


def copy_project(folder: Path, papers: str = "") -> Path:
    """Copy the project; its smoke profile trains `EPOCHS` epochs, `papers` ends its registry.

    A copy, so that nobody's edit during the minutes of a trial changes what is compared.
    """
    for name in ("lib", "benchmarks", "notebooks"):
        ignored = shutil.ignore_patterns("__pycache__", "kernel-ipc*")  # sockets of a kernel
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    shutil.copy(PROJECT / "requirements.txt", folder)
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
        elif path.name in RECORDS or (path.suffix in TEXTS and path.name not in NOT_COMPARED):
            contents[name] = path.read_bytes()
    return contents


def compare(expected: dict[str, bytes], root: Path) -> list[str]:
    """Return one line for each file that differs, is missing or is still temporary."""
    got = results(root)
    problems = [f"missing: {name}" for name in expected if name not in got]
    problems += [f"not in the reference: {name}" for name in got if name not in expected]
    problems += [f"differs: {name}" for name in expected if got.get(name, b"") != expected[name]]
    return problems + [f"temporary: {path.relative_to(root)}" for path in temporary_files(root)]


class Trial:
    """Folders, the log, and the seeded moments of one call of this script."""

    def __init__(self, folder: Path, seed: int, log: Path) -> None:
        self.folder, self.log = folder, log
        self.random = random.Random(seed)
        self.midway = 0  # kills of all processes that stopped a run between its epochs
        self.latest = 0.0  # seconds until the latest kill, from the uninterrupted command
        self.project = copy_project(folder / "project")
        self.output = log.with_suffix(".out.txt")
        self.output.unlink(missing_ok=True)
        log.write_text("")

    def say(self, line: str) -> None:
        """Print a line and append it to the log."""
        print(line, flush=True)
        with open(self.log, "a") as out:
            out.write(line + "\n")

    def finish(self, root: Path) -> list[str]:
        """Let the command end undisturbed; return its problems."""
        begun = time.monotonic()
        code = start(self.project, root, self.output).wait()
        seconds = time.monotonic() - begun
        self.latest = self.latest or LATEST * seconds
        self.say(f"  finished in {seconds:.1f} s, exit code {code}")
        alive = [] if wait_until(lambda: not processes(root), 30.0) else processes(root)
        problems = [f"exit code {code}"] if code else []
        return problems + [f"process {process} lives on" for process in alive]

    def kill_once(self, root: Path, number: int) -> bool:
        """Start, wait, kill; return False if the command had ended by itself before.

        Every fourth moment is counted from the next epoch that is written, so that some are sure
        to fall into training, however fast the machine.
        """
        alone, in_training = number % 2 == 0, number % 4 == 3
        moment = self.random.uniform(0.5, self.latest)
        driver, begun = start(self.project, root, self.output), time.monotonic()
        before = epochs(root)
        if in_training:
            wait_until(lambda: driver.poll() is not None or epochs(root) > before)
            moment = time.monotonic() - begun + moment / 10
        try:
            code = driver.wait(begun + moment - time.monotonic())
        except subprocess.TimeoutExpired:
            (os.kill if alone else os.killpg)(driver.pid, signal.SIGKILL)
            driver.wait()
            if not alone:
                end_all(root)  # orphans of an earlier driver too
            self.midway += not alone and epochs(root) > 0
            who = "driver alone" if alone else "all processes"
            self.say(f"kill {number:2d} at {moment:4.1f} s, {who}: {describe(root)}")
            return True
        self.say(f"  ended by itself within {moment:.1f} s, exit code {code}")
        return False

    def rounds(self, kills: int, expected: dict[str, bytes]) -> list[str]:
        """Kill until all kills are spent; compare a round that ended by itself, then start anew."""
        problems, number, turn = [], 1, 0
        while number <= kills and not problems:
            turn += 1
            root = self.folder / f"round-{turn}"
            root.mkdir()
            while number <= kills and self.kill_once(root, number):
                number += 1
            problems = self.finish(root) + compare(expected, root)
            self.say(f"round {turn}: {len(problems)} problems")
            end_all(root)
        if not self.midway:
            problems.append("no run was stopped in the middle: take more kills")
        return problems


def main() -> int:
    """Run the trial; 0 if nothing was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="keep the log here")
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        trial = Trial(folder, options.seed, (options.log or folder / "kills.log").resolve())
        try:
            trial.say(f"seed {options.seed}, {options.kills} kills; first without any:")
            whole = folder / "whole"
            whole.mkdir()
            problems = trial.finish(whole)
            expected = results(whole)
            trial.say(f"  {len(expected)} files and arrays to compare")
            problems = problems or trial.rounds(options.kills, expected)
        finally:
            for root in folder.iterdir():
                end_all(root)
        for problem in problems:
            trial.say(f"  {problem}")
        verdict = f"FAILED: {len(problems)} problems" if problems else "nothing was lost"
        trial.say(f"{options.kills} kills in {time.monotonic() - begun:.0f} s: {verdict}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
