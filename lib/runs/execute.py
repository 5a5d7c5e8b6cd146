"""Make the runs that tables want, side by side in a pool: this machine's cores, or a Ray cluster.

Each run is a fresh process (`python -m lib.worker`), so results do not depend on what ran before.
Interrupted at any moment, the same command goes on where it stopped.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from lib import files, paths, profiles, rows
from lib.features.frontends import clip_frames
from lib.runs import folder as runs_folder
from lib.runs import local, ray
from lib.runs.plan import Planned, Study, open_study, plan, weights_name
from lib.runs.results import of

POLL_SECONDS = 0.5
Pool = local.Machine | ray.Cluster


def tables(profile: str, *names: str) -> list[str]:
    """Make every run that these tables want and that does not exist yet; returns the faults."""
    study = open_study(profile)
    planned = plan(study, *names)
    pending = _pending(planned)
    if not pending:
        return []
    with files.file_lock(paths.runs_root() / ".lock"):
        made_by = _open_pool()
        try:
            print(_announce(study, planned, pending, made_by), flush=True)
            return _run_all(study, pending, made_by)
        finally:
            made_by.stop()


def _pending(planned: list[Planned]) -> list[Planned]:
    """What is to be made, each run once: those without a record, and parents without weights."""
    found = {p.wanted.hash8: p for p in planned if p.wanted and not p.record and not p.failed}
    todo = list(found.values())
    while todo:
        parent = todo.pop().parent
        if parent and parent.wanted.hash8 not in found and not _ready(parent):
            found[parent.wanted.hash8] = parent
            todo.append(parent)
    return list(found.values())


def _ready(parent: Planned | None) -> bool:
    """Whether a run with this parent can start: a published record has no weights to start from."""
    folder = parent and parent.wanted.folder
    return not parent or (
        (folder / runs_folder.WEIGHTS).exists() and (folder / "result.json").exists()
    )


def run(profile: str, notebooks: list[str]) -> list[str]:
    """Make every run that these notebooks want ("03", ...), with one bar; returns the faults."""
    names = dict.fromkeys(name for n in notebooks for name in rows.NOTEBOOKS.get(n, ()))
    return tables(profile, *names) if names else []


def results(profile: str, name: str) -> pd.DataFrame:
    """Make what is missing; give the results of a table (see `lib.runs.results`).

    They are kept as results/<name>.csv beside the report's tables, for `lib.tables.verify`.
    """
    tables(profile, name)
    found = of(profile, name)
    text = found.drop(columns="path").to_csv(index=False)
    files.write_text(open_study(profile).folder / "results" / f"{name}.csv", text)
    return found


def _open_pool() -> Pool:
    if local.executor() == "ray":
        return ray.Cluster()
    return local.Machine()


def _announce(study: Study, planned: list[Planned], pending: list[Planned], made_by: Pool) -> str:
    done = sum(p.record is not None for p in planned)
    line = f"{len(planned)} runs wanted: {done} done, {len(pending)} to make"
    costs = [profiles.seconds(study.profile, p.experiment) for p in pending]
    if made_by.gpus or not made_by.cores or any(cost is None for cost in costs):
        return f"{line}; nobody has measured how long they take here"
    return f"{line}, about {sum(costs) / made_by.cores / 60:.0f} min on {made_by.cores} cores"


def _run_all(study: Study, pending: list[Planned], made_by: Pool) -> list[str]:
    """Keep the pool full, longest runs first; one bar over the epochs of all runs."""
    pending = sorted(pending, key=lambda p: (_seconds(study, p), local.gpu_share(p.experiment)))
    total = sum(p.experiment.epochs for p in pending)
    active: dict[str, Planned] = {}
    faults = []
    finished = 0.0
    interval = 0.5 if sys.stderr.isatty() else 30  # a log wants fewer lines than a screen
    with tqdm(total=total, unit="epoch", bar_format=BAR, mininterval=interval) as bar:
        while pending or active:
            faults += _orphans(pending, active)
            while (planned := _next(pending)) and made_by.room(local.gpu_share(planned.experiment)):
                pending.remove(planned)
                active[planned.wanted.hash8] = planned
                _start(study, planned, made_by)
            time.sleep(POLL_SECONDS)
            for key, code in made_by.finished():
                planned = active.pop(key)
                finished += planned.experiment.epochs
                faults += _settle(planned, code)
            begun = [(p.name, _epochs_done(p.wanted.folder)) for p in active.values()]
            names = ", ".join(name for name, epochs in begun if epochs)
            bar.set_description(names[:60], refresh=False)
            bar.update(max(0.0, finished + sum(epochs for _, epochs in begun) - bar.n))
    return faults


def _next(pending: list[Planned]) -> Planned | None:
    """The longest run that can start now."""
    return next((p for p in reversed(pending) if _ready(p.parent)), None)


def _orphans(pending: list[Planned], active: dict[str, Planned]) -> list[str]:
    """Take out runs whose parent will not be made any more; one line for each."""
    coming = {p.wanted.hash8 for p in pending} | set(active)
    lost = [p for p in pending if not _ready(p.parent) and p.parent.wanted.hash8 not in coming]
    for planned in lost:
        pending.remove(planned)
    return [f"{p.wanted.folder.name}: not made, since {p.parent.name} was not" for p in lost]


def _seconds(study: Study, planned: Planned) -> float:
    known = profiles.seconds(study.profile, planned.experiment)
    return float("inf") if known is None else known


BAR = "{percentage:3.0f}%|{bar}| {n:.1f}/{total} epochs [{elapsed} < {remaining}] {desc}"


def _start(study: Study, planned: Planned, made_by: Pool) -> None:
    experiment = planned.experiment
    features = study.store(experiment)
    folder = runs_folder.start(
        planned.wanted, study.data_name(experiment), weights_name(experiment)
    )
    folder = folder.absolute()
    words = ["-m", "lib.worker", str(folder), str(features.path.absolute())]
    words += [str(clip_frames(experiment)), "--with-parent"]
    made_by.start(planned.wanted.hash8, local.gpu_share(experiment), words, folder / "log.txt")


def _settle(planned: Planned, code: int) -> list[str]:
    """What is to be said of a run that ended: nothing, or why it has no result; others go on."""
    folder = planned.wanted.folder
    if code == 0:
        return []
    again = "the same command goes on with it"
    if code < 0:
        fault = f"{folder.name}: stopped by signal {-code}; {again}"
    elif why := runs_folder.failure(planned.wanted):
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
