"""Train the runs that tables need, side by side: on this machine's cores, or on a Ray cluster.

Each run has its own process (`lib.worker`), so results do not depend on what ran before.
Interrupted at any moment, the same command continues where it stopped.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from lib import files, papers, paths
from lib.features.frontends import clip_frames
from lib.progress import progress_bar
from lib.runs import local, ray
from lib.runs.folder import failure_reason, start_run
from lib.runs.plan import (
    Context,
    PlannedRun,
    cache_name,
    estimate_seconds,
    has_weights,
    initial_weights_name,
    open_context,
    pending_runs,
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
        for run in pending:  # all features first, so that a bad recording is named at once
            for name in ("", *run.experiment.test_sets):
                context.cache(run.experiment, name)
        cores = None if context.profile.side_by_side else 1
        pool = ray.RayPool() if local.executor_name() == "ray" else local.LocalPool(cores)
        try:
            print(_announce(runs, pending, pool), flush=True)
            return _train(context, pending, pool)
        finally:
            pool.stop()


def train_notebooks(profile: str, notebooks: Sequence[str]) -> list[str]:
    """Train every run that these notebooks ("03", ...) need; returns the problems."""
    groups = papers.groups_of(notebooks)
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


def _announce(runs: Sequence[PlannedRun], pending: Sequence[PlannedRun], pool: Pool) -> str:
    """One line before training: how many runs, and how long they will take."""
    cached = len({run.spec.hash8 for run in runs if run.record and run not in pending})
    line = f"{cached + len(pending)} runs: {cached} cached, {len(pending)} to train"
    seconds = estimate_seconds(pending)
    if pool.gpus or not pool.cores or not all(seconds):
        return f"{line}; no time estimate for this machine"
    return f"{line}, about {sum(seconds) / pool.cores / 60:.0f} min on {pool.cores} cores"


def _train(context: Context, pending: list[PlannedRun], pool: Pool) -> list[str]:
    """Keep the pool full; one bar over the epochs of all runs. Returns the problems."""
    costs = zip(estimate_seconds(pending), pending, strict=True)
    waiting = [run for _, run in sorted(costs, key=lambda cost: -cost[0])]  # the longest first
    active, problems, finished = {}, [], 0.0
    total = sum(run.experiment.epochs for run in pending)
    with progress_bar(total=total, unit="epoch", bar_format=BAR) as bar:
        while waiting or active:
            while (run := _next(waiting)) and pool.room(local.gpu_share(run.experiment)):
                waiting.remove(run)
                active[run.spec.hash8] = run
                _start(context, run, pool)
            time.sleep(POLL_SECONDS)
            for key, code in pool.finished():
                run = active.pop(key)
                finished += run.experiment.epochs
                if code:
                    problems += [_problem(run, code), *_drop_followers(waiting, run)]
            epochs = {run.name: _epochs_done(run.spec.folder) for run in active.values()}
            names = ", ".join(name for name, done in epochs.items() if done)
            bar.set_description(names[:60], refresh=False)
            bar.update(max(0.0, finished + sum(epochs.values()) - bar.n))
    return problems


def _next(waiting: Sequence[PlannedRun]) -> PlannedRun | None:
    """The first run that can start now."""
    ready = (run for run in waiting if not run.pretraining or has_weights(run.pretraining))
    return next(ready, None)


def _drop_followers(waiting: list[PlannedRun], stopped: PlannedRun) -> list[str]:
    """Remove the runs that would start from a run that has stopped; one line for each."""
    lost = [run for run in waiting if stopped.spec in [stage.spec for stage in run.stages]]
    for run in lost:
        waiting.remove(run)
    return [f"{run.spec.folder.name}: not trained, since {stopped.name} was not" for run in lost]


def _start(context: Context, run: PlannedRun, pool: Pool) -> None:
    experiment = run.experiment
    features = context.cache(experiment)
    about = {"name": cache_name(features), "note": features.meta.get("note", "")}
    folder = start_run(run.spec, about, initial_weights_name(experiment))
    tests = [f"{name}={context.cache(experiment, name).path.absolute()}"
             for name in experiment.test_sets]  # fmt: skip
    words = local.worker_arguments(folder, features.path, clip_frames(experiment), *tests)
    pool.start(run.spec.hash8, local.gpu_share(experiment), words, folder.absolute() / "log.txt")


def _problem(run: PlannedRun, code: int) -> str:
    """Why a run has stopped without a result, in one line; the other runs continue."""
    folder = run.spec.folder
    if code < 0:
        problem = f"{folder.name}: stopped by signal {-code}; {AGAIN}"
    elif reason := failure_reason(run.spec):
        problem = f"failed: {reason}; to try again, delete {folder}"
    else:
        lines = (folder / "log.txt").read_text(errors="replace").strip().splitlines()
        problem = f"{folder.name}: stopped: {''.join(lines[-1:])}; {AGAIN}"
    tqdm.write(problem)
    return problem


def _epochs_done(folder: Path) -> float:
    try:
        return float(json.loads((folder / "progress.json").read_text())["epochs"])
    except (OSError, ValueError, KeyError, TypeError):  # not there yet, or being written
        return 0.0
