"""Make the runs that tables want: as many side by side as there are cores, one thread each.

Each run is a fresh process (`python -m lib.train`), so results do not depend on what ran before.
Interrupted at any moment, the same command goes on where it stopped.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from lib import files, profiles, rows, runs
from lib.features import front_end
from lib.results import of
from lib.study import Planned, Study, has_gpu, open_study, plan, weights_name

POLL_SECONDS = 0.5


def tables(profile: str, *names: str) -> list[str]:
    """Make every run that these tables want and that does not exist yet; returns the faults."""
    study = open_study(profile)
    planned = plan(study, *names)
    pending = {p.wanted.hash8: p for p in planned if p.wanted and not p.record and not p.failed}
    if pending:
        print(_announce(study, planned, list(pending.values())), flush=True)
        with files.locked(files.runs_root() / ".lock"):
            return _run_all(study, list(pending.values()))
    return []


def run(profile: str, notebooks: list[str]) -> list[str]:
    """Make every run that these notebooks want ("03", ...), with one bar; returns the faults."""
    names = dict.fromkeys(name for n in notebooks for name in rows.NOTEBOOKS.get(n, ()))
    return tables(profile, *names) if names else []


def results(profile: str, name: str) -> pd.DataFrame:
    """Make what is missing; give the results of a table (see `lib.results`).

    They are kept as results/<name>.csv beside the report's tables, for `lib.verify`.
    """
    tables(profile, name)
    found = of(profile, name)
    text = found.drop(columns="path").to_csv(index=False)
    files.write_text(open_study(profile).folder / "results" / f"{name}.csv", text)
    return found


def slots() -> int:
    """Runs side by side: one per core, or one on a GPU."""
    return 1 if has_gpu() else files.cores()


def _announce(study: Study, planned: list[Planned], pending: list[Planned]) -> str:
    done = sum(p.record is not None for p in planned)
    line = f"{len(planned)} runs wanted: {done} done, {len(pending)} to make"
    costs = [profiles.seconds(study.profile, p.experiment) for p in pending]
    if any(cost is None for cost in costs):
        return f"{line}; nobody has measured how long they take here"
    return f"{line}, about {sum(costs) / slots() / 60:.0f} min on {slots()} cores"


def _run_all(study: Study, pending: list[Planned]) -> list[str]:
    """Keep every slot busy, longest runs first; one bar over the epochs of all runs."""
    pending = sorted(pending, key=lambda p: _seconds(study, p))
    total = sum(p.experiment.epochs for p in pending)
    active: dict[subprocess.Popen, Planned] = {}
    faults = []
    finished = 0.0
    interval = 0.5 if sys.stderr.isatty() else 30  # a log wants fewer lines than a screen
    with tqdm(total=total, unit="epoch", bar_format=BAR, mininterval=interval) as bar:
        try:
            while pending or active:
                while pending and len(active) < slots():
                    planned = pending.pop()
                    active[_start(study, planned)] = planned
                time.sleep(POLL_SECONDS)
                for process in [p for p in active if p.poll() is not None]:
                    planned = active.pop(process)
                    finished += planned.experiment.epochs
                    faults += _settle(planned, process.returncode)
                at = finished + sum(_epochs_done(p.wanted.folder) for p in active.values())
                names = ", ".join(p.name for p in active.values())
                bar.set_description(names[:60], refresh=False)
                bar.update(max(0.0, at - bar.n))
        finally:
            for process in active:
                process.terminate()
            for process in active:
                process.wait()
    return faults


def _seconds(study: Study, planned: Planned) -> float:
    known = profiles.seconds(study.profile, planned.experiment)
    return float("inf") if known is None else known


BAR = "{percentage:3.0f}%|{bar}| {n:.1f}/{total} epochs [{elapsed} < {remaining}] {desc}"


def _start(study: Study, planned: Planned) -> subprocess.Popen:
    features = study.store(planned.experiment)
    folder = runs.start(
        planned.wanted, study.data_name(planned.experiment), weights_name(planned.experiment)
    )
    command = [sys.executable, "-m", "lib.train", str(folder), str(features.path)]
    command.append(str(front_end(planned.experiment).frames))
    threads = {} if has_gpu() else {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with open(folder / "log.txt", "a") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=files.PROJECT,
            env=os.environ | threads,
        )


def _settle(planned: Planned, code: int) -> list[str]:
    """What is to be said of a run that ended: nothing, or why it has no result; others go on."""
    folder = planned.wanted.folder
    if code == 0:
        return []
    again = "the same command goes on with it"
    if code < 0:
        fault = f"{folder.name}: stopped by signal {-code}; {again}"
    elif why := runs.failure(planned.wanted):
        fault = f"failed: {why}; to try again, delete {folder}"
    else:
        words = (folder / "log.txt").read_text(errors="replace").strip().splitlines()[-1:]
        fault = f"{folder.name}: stopped: {''.join(words)}; {again}"
    tqdm.write(fault)
    return [fault]


def _epochs_done(folder: Path) -> float:
    try:
        return float(json.loads((folder / "progress.json").read_text())["epochs"])
    except (OSError, ValueError, KeyError):  # not there yet, or being written
        return 0.0
