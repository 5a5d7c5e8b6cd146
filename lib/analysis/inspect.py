"""Analyses of a model that was just trained: how flat its minimum is, where it looks, which spatial
frequencies its layers hold.

The process that trained the model makes them after the last epoch, since weights are not published,
and saves them in the run's folder.
"""

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib.analysis import attention, frequency_response, landscape
from lib.analysis.curves import Arrays
from lib.config import Experiment
from lib.evaluation.scores import cycle_ids
from lib.evaluation.tasks import label_column
from lib.papers.sam import RHO
from lib.training.dataset import FeatureDataset

CLIPS = 32  # training clips on which the loss is measured, the same for every run of a split
LINE_STEPS, PLANE_STEPS = 17, 7
SPAN = 1.0  # slices go from -1 to 1 filter norms
RESPONSE_CLIPS = 16  # test clips whose maps are transformed, the same for every run of a split
EXAMPLES = {"crackle": 2, "wheeze": 2}  # test cycles whose attention is saved, by class


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

    Keys: eigenvalue, sharpness (at the published radius), loss, line/position, line/loss,
    plane/position, plane/loss (row, column).
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
