"""Lung-SRAD: its methods by backbone, and what became of the weights."""

from pathlib import Path

import pandas as pd

from lib.rows_srad import BACKBONES, SPECTRA
from lib.runs import folder
from lib.tables import compare

ACTIONS = ("loaded", "resized", "initialised", "left out")


def loaded(results: pd.DataFrame) -> pd.DataFrame:
    """What became of the keys of pretrained weights: a line for each model, first seed.

    Columns: Model, Weights, one of ACTIONS each (number of keys), Parameters.
    """
    lines = []
    for model, experiment in SPECTRA.items():
        done = results[(results.experiment == experiment) & results.path.notna()]
        for path in done.sort_values("seed").path.iloc[:1]:
            record = folder.read(Path(path))
            counts = pd.read_csv(Path(path) / "weights.csv").action.value_counts()
            line = {"Model": model, "Weights": record["weights"]["name"]}
            line |= {action: str(counts.get(action, 0)) for action in ACTIONS}
            lines.append(line | {"Parameters": f"{record['parameters']:,}"})
    return pd.DataFrame(lines, columns=["Model", "Weights", *ACTIONS, "Parameters"])


def crossed(results: pd.DataFrame) -> pd.DataFrame:
    """A line a method, columns the backbones: Score, and the honest one (Validation).

    The epoch of the first is chosen on the test set, as published.
    """
    made = compare.compare_rows(BACKBONES, results).iloc[:-1]
    names = list(made.Architecture.unique())
    wide = made.pivot(index="Method", columns="Architecture", values=["Score", "Validation"])
    wide = wide.loc[made.Method.unique()]
    cells = {"Score": "{}", "Validation": "{}, honest"}
    columns = {
        form.format(name): wide[kind, name] for name in names for kind, form in cells.items()
    }
    return pd.DataFrame(columns).reset_index()
