"""A rehearsal of the profile `paper`: every distinct experiment at its real size, for two steps.

`./run_all.sh rehearse [NOTEBOOK ...]` trains on a few synthetic clips. Pretrained weights are
random numbers in files of the published layout, which the real loader reads. Each run stops at its
checkpoint, goes on from it and writes its record; then the pages are made. Everything lies in
reports/local/rehearsal, and nothing in it is a result.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files, papers, paths
from lib.config import Experiment
from lib.data import ICBHI, synthetic
from lib.data.dataset import SYNTHETIC_FILE
from lib.features.cache import FeatureCache, cache_for
from lib.features.frontends import frontend_for
from lib.papers.profiles import REHEARSAL, REHEARSAL_GPU
from lib.rehearsal.costs import costs
from lib.rehearsal.weights import write_weights
from lib.runs.plan import MEL_CACHE, has_gpu, open_context, plan_runs


def rehearse(notebooks: list[str]) -> pd.DataFrame:
    """Rehearse what these notebooks need, and return `costs`, also as rehearsal.csv.

    Finished runs are not repeated. With a GPU the batches are the published ones.
    """
    from lib.reports import build

    profile, groups = REHEARSAL_GPU if has_gpu() else REHEARSAL, papers.groups_of(notebooks)
    folder = paths.reports_root() / "local" / profile.name
    _set_up(folder, patients=100 if profile == REHEARSAL_GPU else 8)
    write_weights(folder / "weights", profile, groups)
    try:
        build.build(profile.name, notebooks)
    finally:
        table = costs(plan_runs(open_context(profile.name), *groups))
        files.write_text(folder / "rehearsal.csv", table.to_csv(index=False))
    return table


def _set_up(folder: Path, patients: int) -> None:
    """Write the recordings and a cache of mel pictures; point all roots into the folder."""
    data, features = folder / "data", folder / "features"
    os.environ |= {
        "RUNS_ROOT": str(folder / "runs"),
        "FEATURES_ROOT": str(features),
        "WEIGHTS_ROOT": str(folder / "weights"),
        "DATA_ROOT": str(data),
        "OUT": str(folder),
        "REHEARSAL": "1",
    }
    if not (data / "icbhi" / SYNTHETIC_FILE).exists():
        synthetic.write_icbhi(data / "icbhi", patients=patients, cycles=2)
    if not (data / "sprsound" / SYNTHETIC_FILE).exists():
        synthetic.write_sprsound(data / "sprsound", patients=patients + 4)
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
