"""Lung-SRAD: where the weights come from, and which layers are low-pass filters."""

from pathlib import Path

import pandas as pd

from lib.analysis.curves import response_curves
from lib.papers.lung_srad import INSPECTED, LOW_PASS
from lib.runs import folder
from lib.tables.format import format_mean_std, join_unique

MODELS = {model: experiment.name for model, experiment in INSPECTED.items()}
ACTIONS = ("loaded", "resized", "initialised", "left out")
HIGH = 0.5  # frequencies above it, normalised to each layer's grid, are high


def weights(results: pd.DataFrame) -> pd.DataFrame:
    """One line for each model, first seed: how many keys of its weights were loaded or not."""
    lines = []
    for model, experiment in MODELS.items():
        recorded = results[(results.experiment == experiment) & results.path.notna()]
        for path in recorded.sort_values("seed").path.iloc[:1]:
            record = folder.read_record(Path(path))
            counts = pd.read_csv(Path(path) / "weights.csv").action.value_counts()
            line = {"Model": model, "Weights": record["weights"]["name"]}
            line |= {action: str(counts.get(action, 0)) for action in ACTIONS}
            lines.append(line | {"Parameters": f"{record['parameters']:,}"})
    return pd.DataFrame(lines, columns=["Model", "Weights", *ACTIONS, "Parameters"])


def high_amplitudes(results: pd.DataFrame) -> pd.DataFrame:
    """Mean log amplitude of each layer's high frequencies, relative to frequency 0.

    The lower, the more the layer is a low-pass filter. Columns: model, layer, map, seed, high.
    """
    curves = response_curves(results, MODELS)
    layers = curves[curves.frequency > HIGH].groupby(["model", "layer", "map", "seed"], sort=False)
    return layers.amplitude.mean().rename("high").reset_index()


def high_frequencies(results: pd.DataFrame) -> pd.DataFrame:
    """One line for each layer: `high_amplitudes` as mean ± std over seeds (n)."""
    layers = high_amplitudes(results).groupby(["model", "layer", "map"], sort=False)
    table = layers.high.agg(format_mean_std).rename(f"Above {HIGH}").reset_index()
    settings = [_setting(results, model) for model in table.model]
    table["Setting"] = pd.Series(settings, dtype=object).mask(table.model.duplicated(), "as above")
    return table.rename(columns=str.capitalize)


def low_pass(results: pd.DataFrame) -> pd.DataFrame:
    """One line for each comparison: `high_amplitudes` of one layer minus those of another.

    Mean ± std over the seeds (n) that saved both; above 0, the first layer has more of them. Only
    equal Maps sample a clip alike.
    """
    table, lines = high_amplitudes(results), []
    for text, *pair in LOW_PASS:
        sides = []
        for model, prefix in pair:
            layers = table[(table.model == model) & table.layer.str.startswith(prefix)]
            sides.append(layers.drop_duplicates("seed", keep="last"))
        both = sides[0].merge(sides[1], on="seed", suffixes=("_a", "_b"))
        a, b = (both[f"model_{side}"] + ", " + both[f"layer_{side}"] for side in "ab")
        difference = format_mean_std(both.high_a - both.high_b, signed=True)
        lines.append({
            "Comparison": text,
            "Layers": join_unique(a + " minus " + b),
            "Maps": join_unique(both.map_a + "; " + both.map_b),
            f"Difference above {HIGH}": difference or "not run",
            "Setting": _setting(results, *(model for model, _ in pair)),
        })  # fmt: skip
    return pd.DataFrame(lines)


def _setting(results: pd.DataFrame, *models: str) -> str:
    names = [MODELS[model] for model in models]
    return join_unique(results[results.experiment.isin(names)].setting)
