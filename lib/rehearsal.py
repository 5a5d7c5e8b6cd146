"""A rehearsal of the profile `paper`: every distinct experiment at its real size, for two steps.

`./run_all.sh rehearse [NOTEBOOK ...]` trains on a few synthetic clips, from random weights. Each
run stops at its checkpoint, goes on from it and writes its record; then the pages are made.
Everything lies in reports/local/rehearsal, and nothing in it is a result.
"""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files, papers, paths
from lib.config import Experiment
from lib.data import ICBHI, synthetic
from lib.data.dataset import SYNTHETIC_FILE
from lib.features.cache import FeatureCache, cache_for
from lib.features.frontends import frontend_for
from lib.papers.patchmix import CYCLES
from lib.papers.profiles import PAPER, REHEARSAL, apply_rules, seeds_of
from lib.papers.sprsound import EVENT_TASKS
from lib.runs.folder import COSTS
from lib.runs.plan import MEL_CACHE, PlannedRun, open_context, plan_runs

EPOCH = re.compile(r"epoch 1 took ([\d.]+) s, ([\d.]+) s of it training")
PATIENTS = {"icbhi": 8, "sprsound": 12}  # of the synthetic recordings
ICBHI_CLIPS = tuple(sum(cycles.values()) for cycles in CYCLES.values())  # training and test
EVENTS, RECORDS = (6656, 5557), (1949, 1605)  # the same of SPRSound's releases of 2022 and 2023


def rehearse(notebooks: list[str]) -> pd.DataFrame:
    """Rehearse what these notebooks need, and return a table of what each experiment costs.

    Columns: experiment, parameters (millions), memory (GB), batch, step (s), hours (projected for
    all seeds of the profile `paper` on one core of this machine). Finished runs are not repeated.
    """
    from lib.reports import build

    folder = paths.reports_root() / "local" / REHEARSAL.name
    _set_up(folder)
    try:
        build.build(REHEARSAL.name, notebooks)
    finally:
        table = costs(plan_runs(open_context(REHEARSAL.name), *papers.groups_of(notebooks)))
        files.write_text(folder / "rehearsal.csv", table.to_csv(index=False))
    return table


def _set_up(folder: Path) -> None:
    """Write the recordings and a cache of mel pictures; point all roots into the folder."""
    data, features = folder / "data", folder / "features"
    os.environ |= {
        "RUNS_ROOT": str(folder / "runs"),
        "FEATURES_ROOT": str(features),
        "DATA_ROOT": str(data),
        "OUT": str(folder),
        "REHEARSAL": "1",
    }
    if not (data / "icbhi" / SYNTHETIC_FILE).exists():
        synthetic.write_icbhi(data / "icbhi", patients=PATIENTS["icbhi"], cycles=2)
    if not (data / "sprsound" / SYNTHETIC_FILE).exists():
        synthetic.write_sprsound(data / "sprsound", patients=PATIENTS["sprsound"])
    os.environ["FEATURES"] = str(_mel_cache(data / "icbhi", features / MEL_CACHE))
    open_context.cache_clear()


def _mel_cache(recordings: Path, folder: Path) -> Path:
    """Write the features of the synthetic clips as a cache that is named after mel pictures."""
    source: FeatureCache = cache_for(ICBHI.open(recordings), frontend_for(Experiment("mel")))
    meta = {key: source.meta[key] for key in ("mean", "std")}
    files.write_text(folder / "cycles.csv", source.cycles.to_csv(index=False))
    with files.atomic_write(folder / "features.npy") as path, open(path, "wb") as handle:
        np.save(handle, source.features)
    files.write_json(folder / "meta.json", meta | {"name": MEL_CACHE, "note": "synthetic"})
    return folder


def costs(runs: list[PlannedRun]) -> pd.DataFrame:
    """Return the table of `rehearse`, one row for each distinct run; those not run say why."""
    rows = {}
    for run in runs:
        rows.setdefault(run.spec.hash8, {"experiment": run.name} | _cost(run))
    columns = ["experiment", "parameters", "memory", "batch", "step", "hours", "problem"]
    return pd.DataFrame(rows.values(), columns=columns)


def _cost(run: PlannedRun) -> dict:
    folder = run.spec.folder
    if not (folder / COSTS).exists():
        return {"problem": run.failed or run.reason or "not finished"}
    epoch, training = map(float, EPOCH.search((folder / "log.txt").read_text()).groups())
    result = files.read_json(folder / "result.json")
    batch, clips = run.experiment.batch_size, result["clips"]
    steps = clips["train"] // batch
    published = apply_rules(PAPER, papers.get_experiment(run.name))
    of_sprsound = EVENTS if published.task in ("icbhi4", *EVENT_TASKS) else RECORDS
    train, test = of_sprsound if published.dataset == "sprsound" else ICBHI_CLIPS
    seconds = training / steps / batch * train
    seconds += (epoch - training) / (clips["test"] + clips["validation"]) * test
    hours = seconds * published.epochs * len(seeds_of(PAPER, published)) / 3600
    return {
        "parameters": round(result["parameters"] / 1e6, 1),
        "memory": files.read_json(folder / COSTS)["memory_gb"],
        "batch": f"{batch} of {published.batch_size}",
        "step": round(training / steps, 2),
        "hours": round(hours, 1),
        "problem": "",
    }
