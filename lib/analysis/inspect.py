"""What is kept of a trained model: how flat its minimum is, where it looks, which spatial
frequencies its layers hold.

Made once, after the last epoch, by the process that trained the model, since weights are not
published: geometry.npz in the run's folder (`save_landscape`, `save_frequency_response`).
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib.analysis import attention, frequency_response, landscape
from lib.evaluation import scores
from lib.runs import folder as runs_folder
from lib.training.dataset import Clips

CLIPS = 32  # training clips on which the loss is measured, the same for every run of a split
RHO = 0.05  # the published radius, whatever a run was trained with
LINE_STEPS, PLANE_STEPS = 17, 7
SPAN = 1.0  # slices go from -1 to 1 filter norms
HEARD = 16  # test clips whose maps are transformed, the same for every run of a split
SHOWN = {"crackle": 2, "wheeze": 2}  # test cycles whose attention is kept, by class


def look(
    model: nn.Module, clips: Clips, cycles: pd.DataFrame, sets: dict[str, np.ndarray], column: str
) -> dict[str, np.ndarray]:
    """Curvature, sharpness and slices of the loss on training clips; attention on test cycles.

    column: of `cycles`, with the classes' names. Keys: eigenvalue, products (Hessian-vector
    products it took), sharpness (at RHO), loss, clips, line/position, line/loss, plane/position,
    plane/loss (row, column); of an AST also attention/cycle, attention/last and attention/rollout
    (cycles, F, T).
    """
    x, y = _batch(clips, _some(sets["train"], CLIPS))
    eigenvalue, products = landscape.largest_eigenvalue(model, x, y)
    found = {
        "eigenvalue": eigenvalue,
        "products": products,
        "sharpness": landscape.sharpness(model, x, y, RHO),
        "clips": len(x),
    }
    slices = {"line": landscape.loss_line(model, x, y, LINE_STEPS, SPAN, seed=0)}
    slices["plane"] = landscape.loss_plane(model, x, y, PLANE_STEPS, SPAN, seed=0)
    for name, (position, loss) in slices.items():
        found |= {f"{name}/position": position, f"{name}/loss": loss}
    found["loss"] = slices["line"][1][LINE_STEPS // 2]
    if hasattr(model, "vit"):
        found |= _attention(model, clips, cycles, _shown(cycles.loc[sets["test"]], column))
    return {key: np.asarray(value) for key, value in found.items()}


def responses(model: nn.Module, clips: Clips, sets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Spectral response of the patches and every block of an AST or DASS, over HEARD test clips.

    Keys, layers in their order: spectrum/<layer>/frequency and spectrum/<layer>/diagonal, (n,) each
    (`lib.analysis.frequency_response`), and spectrum/<layer>/map, rows and columns of what was transformed.
    """
    x, _ = _batch(clips, _some(sets["test"], HEARD))
    found = {}
    for name, maps in frequency_response.feature_maps(model.eval(), x).items():
        found[f"spectrum/{name}/frequency"] = frequency_response.frequencies(maps.shape[2:]).numpy()
        found[f"spectrum/{name}/diagonal"] = frequency_response.diagonal(maps).cpu().numpy()
        found[f"spectrum/{name}/map"] = np.array(maps.shape[2:])
    return found


def read_analysis(folder: Path) -> dict[str, np.ndarray] | None:
    """What a run kept, or None."""
    path = folder / runs_folder.GEOMETRY
    return runs_folder.read_arrays(path) if path.exists() else None


def load_analyses(results: pd.DataFrame, experiment: str) -> dict[int, dict[str, np.ndarray]]:
    """What an experiment's finished runs kept, by seed; those that kept nothing are left out."""
    done = results[(results.experiment == experiment) & results.path.notna()]
    done = done.drop_duplicates("seed").sort_values("seed")
    found = {run.seed: read_analysis(Path(run.path)) for run in done.itertuples()}
    return {seed: kept for seed, kept in found.items() if kept}


def _some(rows: np.ndarray, count: int) -> np.ndarray:
    """The same rows of a set for every run."""
    return np.sort(np.random.default_rng(0).permutation(rows)[:count])


def _batch(clips: Clips, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    return clips.batch(torch.from_numpy(rows).to(clips.labels.device))


def _shown(test: pd.DataFrame, column: str) -> np.ndarray:
    """Rows of the cycles that are shown: of each class the longest ones, each of another patient.

    The longest are repeated least, so that a map shows a breath and not its echoes.
    """
    long = test.assign(seconds=test.end - test.start).sort_values("seconds", ascending=False)
    rows = []
    for name, count in SHOWN.items():
        rows += [*long[long[column] == name].drop_duplicates("patient").index[:count]]
    return np.array(rows, dtype=np.int64)


def _attention(
    model: nn.Module, clips: Clips, cycles: pd.DataFrame, rows: np.ndarray
) -> dict[str, np.ndarray]:
    chosen = cycles.loc[rows]
    maps = attention.attention_maps(model, _batch(clips, rows)[0]) if len(rows) else {}
    found = {f"attention/{key}": value.float().cpu().numpy() for key, value in maps.items()}
    return found | {"attention/cycle": scores.cycle_ids(chosen)}
