"""What SAM does: to the Scores, to the curvature of the loss, and where it was measured."""

import numpy as np
import pandas as pd

from lib.analysis import inspect
from lib.rows_sam import PAIRS
from lib.runs import predictions
from lib.tables.format import MISSING, effect, format_mean_std, join_unique, status_text

DIFFERENCES = {
    "4 classes": ("test", "score"),
    "4 classes, honest": ("validation", "score"),
    "2 classes": ("test", "score_binary"),
    "2 classes, honest": ("validation", "score_binary"),
}
NUMBERS = {
    "Eigenvalue": ("eigenvalue", ".3g"),
    f"Sharpness at {inspect.RHO}": ("sharpness", ".3g"),
    "Loss": ("loss", ".3f"),
}
TRAININGS = ("plain", "SAM")


def effects(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each recipe: Score with SAM less that without, in four classes and in two.

    Points, with a paired 95% interval over patients, of the seeds that both have. The epoch is the
    best four-class Score on the test set, or, honest, on held-out patients.
    """
    return pd.DataFrame([_effect(results, *pair) for pair in PAIRS])


def _effect(results: pd.DataFrame, name: str, plain: str, sam: str) -> dict[str, str]:
    line = {"Recipe": name}
    for column, (selection, metric) in DIFFERENCES.items():
        pair = [predictions.of(results, experiment, selection) for experiment in (sam, plain)]
        line[column] = effect(*pair, metric)
    made = results[results.experiment.isin((plain, sam)) & (results.selection == "test")]
    done = made[(made.experiment == plain) & made.run.notna()]
    parts = (join_unique(done[part], "") for part in ("data", "weights", "setting"))
    return line | {
        "Plain run with": join_unique(parts),
        "Status": join_unique(status_text(made)),
    }


def flatness(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each recipe, plain and with SAM: curvature and sharpness after the last epoch.

    Mean ± std over seeds (n) of runs that kept them (`lib.analysis.inspect`). Ratio: eigenvalue over that
    of the same seed without SAM, their geometric mean.
    """
    lines = []
    for name, *pair in PAIRS:
        found = [inspect.of(results, experiment) for experiment in pair]
        both = sorted(set(found[0]) & set(found[1]))
        ratios = [found[1][s]["eigenvalue"] / found[0][s]["eigenvalue"] for s in both]
        mean = float(np.exp(np.mean(np.log(ratios)))) if ratios and min(ratios) > 0 else np.nan
        for training, kept in zip(TRAININGS, found, strict=True):
            line = {"Recipe": name, "Training": training}
            made = results[results.experiment == pair[training == "SAM"]]
            none = "not kept" if made.path.notna().any() else "not run"
            for column, (key, form) in NUMBERS.items():
                line[column] = format_mean_std([one[key] for one in kept.values()], form) or none
            ratio = f"{mean:.2f}" if training == "SAM" and not np.isnan(mean) else MISSING
            plain = results[results.experiment == pair[0]]
            lines.append(line | {"Ratio": ratio, "Plain run with": join_unique(plain.setting)})
    return pd.DataFrame(lines)


def loss_slices(results: pd.DataFrame) -> pd.DataFrame:
    """Points of `lib.plots.landscape.slices`: method, position, loss, seed."""
    parts = [
        pd.DataFrame(
            {
                "method": f"{name}, {training}",
                "position": kept["line/position"],
                "loss": kept["line/loss"],
                "seed": seed,
            }
        )
        for name, *pair in PAIRS
        for training, experiment in zip(TRAININGS, pair, strict=True)
        for seed, kept in inspect.of(results, experiment).items()
    ]
    columns = ["method", "position", "loss", "seed"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def loss_planes(results: pd.DataFrame) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Positions and losses (row, column) of the first recipe's two trainings, first seed."""
    name, *pair = PAIRS[0]
    found = {}
    for training, experiment in zip(TRAININGS, pair, strict=True):
        for kept in list(inspect.of(results, experiment).values())[:1]:
            found[f"{name}, {training}"] = kept
    losses = {key: kept["plane/loss"] for key, kept in found.items()}
    positions = [kept["plane/position"] for kept in found.values()]
    return (positions[0] if positions else np.zeros(0)), losses


def confusions(results: pd.DataFrame) -> dict[str, np.ndarray]:
    """Recipe and training -> matrix summed over seeds, of the first recipe, epoch as published."""
    name, *pair = PAIRS[0]
    found = {
        f"{name}, {training}": predictions.of(results, experiment)
        for training, experiment in zip(TRAININGS, pair, strict=True)
    }
    return {key: predictions.confusions(one) for key, one in found.items() if one}
