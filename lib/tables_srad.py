"""Lung-SRAD's claim of frequencies in numbers; its methods by backbone; what weights came in."""

from pathlib import Path

import pandas as pd

from lib import cells, geometry, runs, tables
from lib.rows_srad import BACKBONES, SPECTRA

HIGH = 0.5  # normalised frequencies above this one are high ones
POINTS = ["model", "layer", "map", "frequency", "amplitude"]
LAYERS = "all layers"
ACTIONS = ("loaded", "resized", "initialised", "left out")


def responses(results: pd.DataFrame) -> pd.DataFrame:
    """Relative log amplitude by normalised frequency: model, layer, map, frequency, amplitude.

    map: its rows x columns. Layers in their order; a mean over the seeds that kept them
    (`lib.geometry.responses`).
    """
    parts = []
    for model, experiment in SPECTRA.items():
        for kept in geometry.of(results, experiment).values():
            parts += _points(model, kept)
    if not parts:
        return pd.DataFrame(columns=POINTS)
    by = POINTS[:-1]
    return pd.concat(parts).groupby(by, sort=False).amplitude.mean().reset_index()


def _points(model: str, kept: dict) -> list[pd.DataFrame]:
    return [
        pd.DataFrame(
            {
                "model": model,
                "layer": key.split("/")[1],
                "map": " x ".join(map(str, kept[key.replace("/frequency", "/map")])),
                "frequency": frequency,
                "amplitude": kept[key.replace("/frequency", "/diagonal")],
            }
        )
        for key, frequency in kept.items()
        if key.endswith("/frequency")
    ]


def high(results: pd.DataFrame) -> pd.DataFrame:
    """A line a layer: mean log amplitude of high frequencies, relative to frequency 0.

    0 is as much as of frequency 0; the lower, the more the layer's map is that of a low pass.
    After each model's layers their mean. Columns: Model, Layer, Map (rows x columns; only equal
    ones sample a clip alike), Above 0.5, Run with (of the mean alone).
    """
    points = responses(results)
    columns = ["Model", "Layer", "Map", f"Above {HIGH}", "Run with"]
    by = ["model", "layer", "map"]
    found = points[points.frequency > HIGH].groupby(by, sort=False).amplitude.mean()
    lines = []
    for model, one in found.groupby("model", sort=False):
        layers = [*one.droplevel("model").items(), ((LAYERS, cells.NONE), one.mean())]
        setting = cells.words(results[results.experiment == SPECTRA[model]].setting)
        said = [cells.NONE] * len(one) + [setting]
        lines += [
            (model, *layer, f"{value:.2f}", words)
            for (layer, value), words in zip(layers, said, strict=True)
        ]
    return pd.DataFrame(lines, columns=columns)


def loaded(results: pd.DataFrame) -> pd.DataFrame:
    """What became of the keys of pretrained weights: a line for each model, first seed.

    Columns: Model, Weights, one of ACTIONS each (number of keys), Parameters.
    """
    lines = []
    for model, experiment in SPECTRA.items():
        done = results[(results.experiment == experiment) & results.path.notna()]
        for path in done.sort_values("seed").path.iloc[:1]:
            record = runs.read(Path(path))
            counts = pd.read_csv(Path(path) / "weights.csv").action.value_counts()
            line = {"Model": model, "Weights": record["weights"]["name"]}
            line |= {action: str(counts.get(action, 0)) for action in ACTIONS}
            lines.append(line | {"Parameters": f"{record['parameters']:,}"})
    return pd.DataFrame(lines, columns=["Model", "Weights", *ACTIONS, "Parameters"])


def crossed(results: pd.DataFrame) -> pd.DataFrame:
    """A line a method, columns the backbones: Score, and the honest one (Validation).

    The epoch of the first is chosen on the test set, as published.
    """
    made = tables.compare(BACKBONES, results).iloc[:-1]
    names = list(made.Architecture.unique())
    wide = made.pivot(index="Method", columns="Architecture", values=["Score", "Validation"])
    wide = wide.loc[made.Method.unique()]
    cells = {"Score": "{}", "Validation": "{}, honest"}
    columns = {
        form.format(name): wide[kind, name] for name in names for kind, form in cells.items()
    }
    return pd.DataFrame(columns).reset_index()
