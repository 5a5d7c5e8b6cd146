"""What `lib.analysis.inspect` saved of runs, as tables of curves and as planes; needs no torch."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.runs import folder

Arrays = dict[str, np.ndarray]


def read_analysis(run: Path) -> Arrays:
    """Return what a run saved, {} if nothing."""
    path = run / folder.ANALYSIS
    return folder.read_arrays(path) if path.exists() else {}


def load_analyses(results: pd.DataFrame, experiment: str) -> dict[int, Arrays]:
    """Return what an experiment's finished runs saved, by seed; {} if none saved anything."""
    runs = results[(results.experiment == experiment) & results.path.notna()]
    runs = runs.drop_duplicates("seed").sort_values("seed")
    saved = {run.seed: read_analysis(Path(run.path)) for run in runs.itertuples()}
    return {seed: arrays for seed, arrays in saved.items() if arrays}


def response_curves(results: pd.DataFrame, models: dict[str, str]) -> pd.DataFrame:
    """Return the saved frequency responses of each model's runs, layers in order, one row a point.

    models: printed name -> experiment. Columns: model, layer, map (rows x columns of the layer's
    map), seed, frequency, amplitude.
    """
    tables = [pd.DataFrame(columns=["model", "layer", "map", "seed", "frequency", "amplitude"])]
    for model, experiment in models.items():
        for seed, arrays in load_analyses(results, experiment).items():
            for layer in (key.split("/")[1] for key in arrays if key.endswith("/diagonal")):
                prefix = f"spectrum/{layer}"
                size = " x ".join(map(str, arrays[f"{prefix}/map"]))
                points = {"frequency": arrays[f"{prefix}/frequency"]}
                points["amplitude"] = arrays[f"{prefix}/diagonal"].astype(float)
                about = {"model": model, "layer": layer, "map": size, "seed": seed}
                tables.append(pd.DataFrame(about | points))
    return pd.concat(tables[1:] or tables, ignore_index=True)


def loss_lines(results: pd.DataFrame, methods: dict[str, str]) -> pd.DataFrame:
    """Return the saved losses along a random direction: method, position, loss, seed."""
    tables = [pd.DataFrame(columns=["method", "position", "loss", "seed"])]
    for method, experiment in methods.items():
        for seed, arrays in load_analyses(results, experiment).items():
            points = {"position": arrays["line/position"], "loss": arrays["line/loss"]}
            tables.append(pd.DataFrame({"method": method, **points, "seed": seed}))
    return pd.concat(tables[1:] or tables, ignore_index=True)


def loss_planes(
    results: pd.DataFrame, methods: dict[str, str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return positions (steps,) and each method's losses (steps, steps), of its first seed."""
    positions, losses = np.zeros(0), {}
    for method, experiment in methods.items():
        for arrays in list(load_analyses(results, experiment).values())[:1]:
            positions, losses[method] = arrays["plane/position"], arrays["plane/loss"]
    return positions, losses
