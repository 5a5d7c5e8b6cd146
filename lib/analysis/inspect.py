"""Analyses of a model that was just trained: how flat its minimum is, where it looks, which spatial
frequencies its layers hold.

The process that trained the model makes them after the last epoch, since weights are not published,
and saves them in the run's folder.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib.analysis import attention, frequency_response, landscape
from lib.config import Experiment
from lib.evaluation.scores import cycle_ids
from lib.evaluation.tasks import label_column
from lib.runs import folder
from lib.training.dataset import FeatureDataset

CLIPS = 32  # training clips on which the loss is measured, the same for every run of a split
RHO = 0.05  # the published radius, whatever a run was trained with
LINE_STEPS, PLANE_STEPS = 17, 7
SPAN = 1.0  # slices go from -1 to 1 filter norms
RESPONSE_CLIPS = 16  # test clips whose maps are transformed, the same for every run of a split
EXAMPLES = {"crackle": 2, "wheeze": 2}  # test cycles whose attention is saved, by class

Arrays = dict[str, np.ndarray]


def inspect_model(
    model: nn.Module,
    dataset: FeatureDataset,
    cycles: pd.DataFrame,
    splits: dict[str, np.ndarray],
    experiment: Experiment,
) -> Arrays:
    """Return what a run saves of its trained model; {} if the experiment asks for nothing.

    save_landscape: `inspect_landscape`, and attention of an AST on test cycles: attention/cycle,
    attention/last, attention/rollout (cycles, F, T). save_frequency_response: `inspect_response`.
    """
    arrays: Arrays = {}
    if experiment.save_landscape:
        arrays |= inspect_landscape(model, *_batch(dataset, _sample(splits["train"], CLIPS)))
        if hasattr(model, "vit"):
            rows = _example_rows(cycles.loc[splits["test"]], label_column(experiment.task))
            maps = attention.attention_maps(model, _batch(dataset, rows)[0]) if len(rows) else {}
            arrays |= {f"attention/{kind}": x.float().cpu().numpy() for kind, x in maps.items()}
            arrays["attention/cycle"] = cycle_ids(cycles.loc[rows])
    if experiment.save_frequency_response:
        x, _ = _batch(dataset, _sample(splits["test"], RESPONSE_CLIPS))
        arrays |= inspect_response(model, x)
    return arrays


def inspect_landscape(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> Arrays:
    """Return curvature, sharpness and slices of the loss on clips x (N, frames, mels), y (N,).

    Keys: eigenvalue, sharpness (at RHO), loss, line/position, line/loss, plane/position, plane/loss
    (row, column).
    """
    arrays = {"eigenvalue": landscape.largest_eigenvalue(model, x, y)}
    arrays["sharpness"] = landscape.sharpness(model, x, y, RHO)
    slices = {
        "line": landscape.loss_line(model, x, y, LINE_STEPS, SPAN, seed=0),
        "plane": landscape.loss_plane(model, x, y, PLANE_STEPS, SPAN, seed=0),
    }
    for name, values in slices.items():
        arrays[f"{name}/position"], arrays[f"{name}/loss"] = values
    arrays["loss"] = arrays["line/loss"][LINE_STEPS // 2]
    return {key: np.asarray(value) for key, value in arrays.items()}


def inspect_response(model: nn.Module, x: torch.Tensor) -> Arrays:
    """Return the frequency response of the patches and every block of an AST or DASS to clips x.

    Keys, layers in their order: spectrum/<layer>/frequency and spectrum/<layer>/diagonal, (n,) each
    (`lib.analysis.frequency_response`), and spectrum/<layer>/map, rows and columns of the map.
    """
    arrays = {}
    for layer, maps in frequency_response.feature_maps(model.eval(), x).items():
        shape = maps.shape[2:]
        arrays[f"spectrum/{layer}/frequency"] = frequency_response.frequencies(shape).numpy()
        arrays[f"spectrum/{layer}/diagonal"] = frequency_response.diagonal(maps).cpu().numpy()
        arrays[f"spectrum/{layer}/map"] = np.array(shape)
    return arrays


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


def _sample(rows: np.ndarray, count: int) -> np.ndarray:
    """Return `count` rows at random, the same for every run of a split."""
    return np.sort(np.random.default_rng(0).permutation(rows)[:count])


def _batch(dataset: FeatureDataset, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    return dataset.batch(torch.from_numpy(rows).to(dataset.labels.device))


def _example_rows(test: pd.DataFrame, column: str) -> np.ndarray:
    """Return rows of the longest cycles of each class in EXAMPLES, each of another patient.

    The longest are repeated least, so that a map shows a breath and not its echoes.
    """
    longest = test.assign(seconds=test.end - test.start).sort_values("seconds", ascending=False)
    rows = []
    for name, count in EXAMPLES.items():
        rows += [*longest[longest[column] == name].drop_duplicates("patient").index[:count]]
    return np.array(rows, dtype=np.int64)
