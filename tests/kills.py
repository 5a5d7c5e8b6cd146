"""kill -9 at random moments, then the same command: `python -m tests.kills [--kills 20]`.

A copy of the project makes the two tables and the page of notebook 06 on synthetic sounds with tiny
models, once uninterrupted; then in other folders, killed again and again: by turns all its
processes and the driver alone, whose workers may live on. Whatever stands at the end of each round
must be the same bytes. About 8 minutes on two cores; exit code 1 on any difference.
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
WORDS = ("smoke", "06")
EPOCHS = 24
LONGEST = 0.4  # of the whole command's time before it is killed: from the store to the pages
PATIENCE_SECONDS = 120.0
PLACES = ("runs", "stores", "reports")
TEXTS = (".csv", ".md", ".tex", ".html", ".svg", ".png", ".txt", ".wav", ".npy")
RECORDS = ("result.json", "experiment.json", "meta.json")
COUNTED_OUT = ("log.txt", "progress.txt")  # how often a run was started shows in its log


def copy_project(folder: Path, extra: str = "") -> Path:
    """A copy of the project whose smoke profile trains `EPOCHS` epochs; `extra` ends lib/rows.py.

    A copy, so that nobody's edit during the minutes of a trial changes what is compared.
    """
    for name in ("lib", "notebooks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    shutil.copy(PROJECT / "requirements.txt", folder)
    longer = f"replace(SMOKE, rules=(*SMOKE.rules, (HERE, {{'epochs': {EPOCHS}}})))"
    imports = "from dataclasses import replace\nfrom lib.profiles.shared import HERE"
    text = f"\n{imports}\n\nPROFILES['smoke'] = {longer}\n"
    with open(folder / "lib/profiles/__init__.py", "a") as out:
        out.write(text)
    with open(folder / "lib/rows.py", "a") as out:
        out.write(extra)
    return folder


def start(project: Path, root: Path, log: Path, **more: str) -> subprocess.Popen:
    """The command in a process group of its own, with all its folders below `root`."""
    gone = ("DATA_ROOT", "STORE", "REPORT_DIR", "WEIGHTS_ROOT")
    kept = {key: value for key, value in os.environ.items() if key not in gone}
    places = {f"{name.upper()}_ROOT": str(root / name) for name in PLACES}
    with open(log, "a") as out:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "lib", *WORDS],
            cwd=project,
            env=kept | places | {"PYTHONPATH": str(project)} | more,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_heed_ctrl_c,
        )


def _heed_ctrl_c() -> None:
    """A shell makes what it starts in the background deaf to Ctrl-C, and so would this be."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def processes(root: Path) -> list[int]:
    """Every living process that was started with its runs below `root`, except this one."""
    mark = f"RUNS_ROOT={root / 'runs'}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            mine = mark in (path / "environ").read_bytes().split(b"\0")
            alive = mine and (path / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:  # gone, or another user's
            continue
        if alive and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


def wait_until(said: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether something became true in time."""
    end = time.monotonic() + seconds
    while not said():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def end_all(root: Path) -> None:
    """Kill what still lives of the commands below `root`, each by its id."""
    for process in processes(root):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def standing(root: Path) -> str:
    """What stands below `root`, in words: how far the store, the runs and the pages are."""
    logs = [path.read_text() for path in root.glob("stores/icbhi-*/progress.txt")]
    store = f"{sum(text.count(chr(10)) for text in logs)} recordings"
    if list(root.glob("stores/icbhi-*/meta.json")):
        store = "whole"
    done = len(list(root.glob("runs/*/result.json")))
    pages = len(list(root.glob("reports/local/*/[0-9]*.html")))
    return (
        f"store {store}; runs {done} done, epochs of others {epochs(root)}; pages {pages}; "
        f"half-written files {len(left_half(root))}"
    )


def epochs(root: Path) -> int:
    """The epochs that stand in checkpoints of unfinished runs, added up."""
    newest = {path.parent: int(path.stem[6:]) for path in sorted(root.glob("runs/*/epoch-*.pt"))}
    return sum(newest.values())


def left_half(root: Path) -> list[Path]:
    """Every file or folder that is half written, or was when its writer died."""
    return sorted([*root.rglob("*.part"), *root.rglob("*.part.ipynb")])


def results(root: Path) -> dict[str, bytes]:
    """All that must not depend on how often the command was stopped, by path."""
    found = {}
    for path in sorted(p for place in PLACES for p in (root / place).rglob("*") if p.is_file()):
        name = str(path.relative_to(root))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                for key in arrays.files:
                    found[f"{name}/{key}"] = str(arrays[key].dtype).encode() + arrays[key].tobytes()
        elif path.name in RECORDS or (path.suffix in TEXTS and path.name not in COUNTED_OUT):
            found[name] = path.read_bytes()
    return found


def compare(wanted: dict[str, bytes], root: Path) -> list[str]:
    """One line for each file that differs, is missing or was left half written."""
    got = results(root)
    faults = [f"missing: {name}" for name in wanted if name not in got]
    faults += [f"not in the reference: {name}" for name in got if name not in wanted]
    faults += [f"differs: {name}" for name in wanted if got.get(name, wanted[name]) != wanted[name]]
    return faults + [f"half written: {path.relative_to(root)}" for path in left_half(root)]


class Trial:
    """Folders, the log, and the seeded moments of one call of this script."""

    def __init__(self, folder: Path, seed: int, log: Path) -> None:
        self.folder, self.log = folder, log
        self.random = random.Random(seed)
        self.midway = 0  # kills of all processes that stopped a run between its epochs
        self.longest = 0.0  # seconds until the latest kill, known from the uninterrupted one
        self.project = copy_project(folder / "project")
        self.output = log.with_suffix(".out.txt")
        self.output.unlink(missing_ok=True)
        log.write_text("")

    def say(self, line: str) -> None:
        """Print a line and keep it."""
        print(line, flush=True)
        with open(self.log, "a") as out:
            out.write(line + "\n")

    def finish(self, root: Path) -> list[str]:
        """Let the command end undisturbed; its faults."""
        begun = time.monotonic()
        code = start(self.project, root, self.output).wait()
        seconds = time.monotonic() - begun
        self.longest = self.longest or LONGEST * seconds
        self.say(f"  finished in {seconds:.1f} s, exit code {code}")
        alive = [] if wait_until(lambda: not processes(root), 30.0) else processes(root)
        faults = [f"exit code {code}"] if code else []
        return faults + [f"process {process} lives on" for process in alive]

    def kill_once(self, root: Path, number: int) -> bool:
        """Start, wait, kill; False if the command had ended by itself before its moment.

        Every fourth moment is counted from the next epoch that is written, so that some are sure
        to fall into training, however fast the machine.
        """
        alone, in_training = number % 2 == 0, number % 4 == 3
        moment = self.random.uniform(0.5, self.longest)
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
            self.say(f"kill {number:2d} at {moment:4.1f} s, {who}: {standing(root)}")
            return True
        self.say(f"  ended by itself within {moment:.1f} s, exit code {code}")
        return False

    def rounds(self, kills: int, wanted: dict[str, bytes]) -> list[str]:
        """Kill until all kills are spent; a round that ends by itself is compared, then anew."""
        faults, number, turn = [], 1, 0
        while number <= kills and not faults:
            turn += 1
            root = self.folder / f"round-{turn}"
            root.mkdir()
            while number <= kills and self.kill_once(root, number):
                number += 1
            faults = self.finish(root) + compare(wanted, root)
            self.say(f"round {turn}: {len(faults)} faults")
            end_all(root)
        if not self.midway:
            faults.append("no run was stopped in the middle: take more kills")
        return faults


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
            faults = trial.finish(whole)
            wanted = results(whole)
            trial.say(f"  {len(wanted)} files and arrays to compare")
            faults = faults or trial.rounds(options.kills, wanted)
        finally:
            for root in folder.iterdir():
                end_all(root)
        for fault in faults:
            trial.say(f"  {fault}")
        verdict = f"FAILED: {len(faults)} faults" if faults else "nothing was lost"
        trial.say(f"{options.kills} kills in {time.monotonic() - begun:.0f} s: {verdict}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
