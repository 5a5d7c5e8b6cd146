"""What SAM changes: Scores, and the curvature and sharpness of the loss."""

import numpy as np
import pandas as pd

from lib.analysis import curves
from lib.papers.sam import PAIRS, RHO
from lib.tables.claims import difference_line
from lib.tables.format import MISSING, NumberFormat, format_mean_std, setting_text

NUMBERS = {
    "Eigenvalue": ("eigenvalue", NumberFormat(".3g")),
    f"Sharpness at {RHO}": ("sharpness", NumberFormat(".3g")),
    "Loss": ("loss", NumberFormat(".3f")),
}


def effects(results: pd.DataFrame) -> pd.DataFrame:
    """One line for each recipe: Score with SAM minus Score without, in four classes and in two.

    The epoch is test-selected or validation-selected by the four-class Score.
    """
    columns = {
        "4 classes": ("test", "score"),
        "4 classes, validation": ("validation", "score"),
        "2 classes": ("test", "score_binary"),
        "2 classes, validation": ("validation", "score_binary"),
    }
    return pd.DataFrame(
        difference_line({"Recipe": recipe}, (sam, plain), results, columns)
        for recipe, plain, sam in PAIRS
    )


def flatness(results: pd.DataFrame) -> pd.DataFrame:
    """One line for each recipe and training: curvature and sharpness after the last epoch.

    Mean ± std over the seeds (n) whose runs saved them (`lib.analysis.inspect`). Ratio: eigenvalue
    with SAM over that of the same seed without, geometric mean over seeds.
    """
    lines = []
    for recipe, *pair in PAIRS:
        saved = [curves.load_analyses(results, experiment.name) for experiment in pair]
        for training, experiment, arrays in zip(("plain", "SAM"), pair, saved, strict=True):
            runs = results[results.experiment == experiment.name]
            empty = "not saved" if runs.path.notna().any() else "not run"
            line = {"Recipe": recipe, "Training": training}
            for column, (key, form) in NUMBERS.items():
                line[column] = format_mean_std([a[key] for a in arrays.values()], form) or empty
            line["Ratio"] = _eigenvalue_ratio(*saved) if training == "SAM" else MISSING
            lines.append(line | {"Setting": setting_text(runs[runs.selection == "test"])})
    return pd.DataFrame(lines)


def _eigenvalue_ratio(plain: dict[int, curves.Arrays], sam: dict[int, curves.Arrays]) -> str:
    seeds = sorted(plain.keys() & sam.keys())
    ratios = np.array([sam[seed]["eigenvalue"] / plain[seed]["eigenvalue"] for seed in seeds])
    return f"{np.exp(np.log(ratios).mean()):.2f}" if seeds and ratios.min() > 0 else MISSING
