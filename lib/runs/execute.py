"""Train the runs that tables need, side by side: on this machine's cores, or on a Ray cluster.

Each run is a fresh process (`python -m lib.worker`), so results do not depend on what ran before.
Interrupted at any moment, the same command continues where it stopped.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from lib import files, papers, paths
from lib.features.frontends import clip_frames
from lib.runs import local, ray
from lib.runs.folder import WEIGHTS, failure_reason, start_run
from lib.runs.plan import (
    Context,
    PlannedRun,
    cache_name,
    cost_key,
    epoch_seconds,
    initial_weights_name,
    open_context,
    plan_runs,
)
from lib.runs.results import collect_results

POLL_SECONDS = 0.5
BAR = "{percentage:3.0f}%|{bar}| {n:.1f}/{total} epochs [{elapsed} < {remaining}] {desc}"
AGAIN = "the same command continues it"
Pool = local.LocalPool | ray.RayPool


def train_groups(profile: str, *groups: str) -> list[str]:
    """Train every run of these groups that has no record; returns the problems, one line each."""
    context = open_context(profile)
    runs = plan_runs(context, *groups)
    pending = pending_runs(runs)
    if not pending:
        return []
    with files.file_lock(paths.runs_root() / ".lock"):
        pool = _open_pool()
        try:
            print(_announce(runs, pending, pool), flush=True)
            return _train(context, pending, pool)
        finally:
            pool.stop()


def train_notebooks(profile: str, notebooks: Sequence[str]) -> list[str]:
    """Train every run that these notebooks ("03", ...) need; returns the problems."""
    groups = dict.fromkeys(name for one in notebooks for name in papers.NOTEBOOKS.get(one, ()))
    return train_groups(profile, *groups) if groups else []


def train_and_load(profile: str, group: str) -> pd.DataFrame:
    """The results of a group of rows (see `lib.runs.results`), after training what is missing.

    They are written to results/<group>.csv beside the report's tables, for `lib.tables.verify`.
    """
    train_groups(profile, group)
    results = collect_results(profile, group)
    text = results.drop(columns="path").to_csv(index=False)
    files.write_text(open_context(profile).folder / "results" / f"{group}.csv", text)
    return results


def pending_runs(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs to train, each once, in order: those without a record, and what they start from."""
    pending: dict[str, PlannedRun] = {}
    needed = set()  # runs that must leave their weights here
    for run in reversed(runs):
        if run.spec is None or run.failed or run.spec.hash8 in pending:
            continue
        weights_missing = run.spec.hash8 in needed and not has_weights(run)
        if weights_missing or (run.selections and not run.record):
            pending[run.spec.hash8] = run
            if run.pretraining:
                needed.add(run.pretraining.spec.hash8)
    return list(reversed(pending.values()))


def has_weights(run: PlannedRun) -> bool:
    """Whether a run is complete here with the weights that another one starts from."""
    folder = run.spec.folder
    return (folder / WEIGHTS).exists() and (folder / "result.json").exists()


def _open_pool() -> Pool:
    return ray.RayPool() if local.executor_name() == "ray" else local.LocalPool()


def _announce(runs: Sequence[PlannedRun], pending: Sequence[PlannedRun], pool: Pool) -> str:
    """One line before training: how many runs, and how long they will take."""
    cached = sum(run.record is not None for run in runs)
    line = f"{len(runs)} runs: {cached} cached, {len(pending)} to train"
    known = epoch_seconds()
    costs = [_cost(run, known) for run in pending]
    if pool.gpus or not pool.cores or not all(costs):
        return f"{line}; no time estimate for this machine"
    return f"{line}, about {sum(costs) / pool.cores / 60:.0f} min on {pool.cores} cores"


def _cost(run: PlannedRun, known: dict[tuple, float]) -> float:
    """Estimated seconds of a run; 0 if no run of its kind was trained here."""
    return known.get(cost_key(run.experiment), 0) * run.experiment.epochs


def _train(context: Context, pending: list[PlannedRun], pool: Pool) -> list[str]:
    """Keep the pool full; one bar over the epochs of all runs. Returns the problems."""
    known = epoch_seconds()  # the longest first, so that no core waits for one at the end
    waiting = sorted(pending, key=lambda run: -_cost(run, known))
    active, problems, finished = {}, [], 0.0
    total = sum(run.experiment.epochs for run in pending)
    interval = 0.5 if sys.stderr.isatty() else 30  # a log needs fewer lines than a screen
    with tqdm(total=total, unit="epoch", bar_format=BAR, mininterval=interval) as bar:
        while waiting or active:
            problems += _drop_orphans(waiting, active)
            while (run := _next(waiting)) and pool.room(local.gpu_share(run.experiment)):
                waiting.remove(run)
                active[run.spec.hash8] = run
                _start(context, run, pool)
            time.sleep(POLL_SECONDS)
            for key, code in pool.finished():
                run = active.pop(key)
                finished += run.experiment.epochs
                problems += _problem(run, code)
            done = {run.name: _epochs_done(run.spec.folder) for run in active.values()}
            names = ", ".join(name for name, epochs in done.items() if epochs)
            bar.set_description(names[:60], refresh=False)
            bar.update(max(0.0, finished + sum(done.values()) - bar.n))
    return problems


def _next(waiting: Sequence[PlannedRun]) -> PlannedRun | None:
    """The first run that can start now."""
    ready = (run for run in waiting if not run.pretraining or has_weights(run.pretraining))
    return next(ready, None)


def _drop_orphans(waiting: list[PlannedRun], active: dict[str, PlannedRun]) -> list[str]:
    """Remove runs whose pretraining ended without weights; one line for each."""
    coming = {run.spec.hash8 for run in waiting} | set(active)
    lost = [
        run
        for run in waiting
        if run.pretraining
        and not has_weights(run.pretraining)
        and run.pretraining.spec.hash8 not in coming
    ]
    for run in lost:
        waiting.remove(run)
    return [f"{run.spec.folder.name}: not trained, since {run.pretraining.name} was not"
            for run in lost]  # fmt: skip


def _start(context: Context, run: PlannedRun, pool: Pool) -> None:
    experiment = run.experiment
    cache = context.cache(experiment)
    about = {"name": cache_name(cache), "note": cache.meta.get("note", "")}
    folder = start_run(run.spec, about, initial_weights_name(experiment)).absolute()
    words = ["-m", "lib.worker", str(folder), str(cache.path.absolute())]
    words += [str(clip_frames(experiment)), "--with-parent"]
    for name in experiment.test_sets:
        words += ["--test", f"{name}={context.cache(experiment, name).path.absolute()}"]
    pool.start(run.spec.hash8, local.gpu_share(experiment), words, folder / "log.txt")


def _problem(run: PlannedRun, code: int) -> list[str]:
    """Why a run that ended has no result, as one line, or nothing; the other runs continue."""
    folder = run.spec.folder
    if code == 0:
        return []
    if code < 0:
        problem = f"{folder.name}: stopped by signal {-code}; {AGAIN}"
    elif reason := failure_reason(run.spec):
        problem = f"failed: {reason}; to try again, delete {folder}"
    else:
        lines = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
        problem = f"{folder.name}: stopped: {''.join(lines[-1:])}; {AGAIN}"
    tqdm.write(problem)
    return [problem]


def _epochs_done(folder: Path) -> float:
    try:
        return float(json.loads((folder / "progress.json").read_text())["epochs"])
    except (OSError, ValueError, KeyError):  # not there yet, or being written
        return 0.0
