"""Lung-SRAD's claim of frequencies in numbers: which layers are low passes, and what makes them."""

import numpy as np
import pandas as pd

from lib.analysis import frequency_response, inspect
from lib.rows_srad import SPECTRA
from lib.tables import format

HIGH = 0.5  # normalised frequencies above this one are high ones
POINTS = ["model", "layer", "map", "frequency", "amplitude"]
STAGE = "stage 2"  # DASS's third: cells of 16 x 16, as an AST with a stride of 16 has
COMPARED = (  # what, a model's layer, and whose is taken from it
    ("AST's blocks after the first", ("AST", "block"), ("AST", "block 0")),
    ("DASS's blocks after the first, one grid", ("DASS", STAGE), ("DASS", f"{STAGE} block 0")),
    (
        "AST's first block and its positions",
        ("AST", "block 0"),
        ("AST", frequency_response.PATCHES),
    ),
    ("DASS against AST", ("DASS", STAGE), ("AST", "block")),
    ("DASS: with blur against without", ("DASS + blur", STAGE), ("DASS", STAGE)),
    ("DASS: dual axis against fine-tuning", ("DASS, dual axis", STAGE), ("DASS", STAGE)),
    ("DASS: the same, last stage", ("DASS, dual axis", "stage 3"), ("DASS", "stage 3")),
    ("AST: dual axis against fine-tuning", ("AST, dual axis", "block"), ("AST", "block")),
)
Kept = dict[str, np.ndarray]


def responses(results: pd.DataFrame) -> pd.DataFrame:
    """Relative log amplitude by normalised frequency: model, layer, map, frequency, amplitude.

    map: its rows x columns. Layers in their order; a mean over the seeds that kept them
    (`lib.analysis.inspect.responses`).
    """
    parts = []
    for model, experiment in SPECTRA.items():
        for kept in inspect.of(results, experiment).values():
            parts += [_points(model, kept, layer) for layer in _layers(kept)]
    if not parts:
        return pd.DataFrame(columns=POINTS)
    by = POINTS[:-1]
    return pd.concat(parts).groupby(by, sort=False).amplitude.mean().reset_index()


def _layers(kept: Kept) -> list[str]:
    return [key.split("/")[1] for key in kept if key.endswith("/diagonal")]


def _points(model: str, kept: Kept, layer: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": model,
            "layer": layer,
            "map": _map(kept, layer),
            "frequency": kept[f"spectrum/{layer}/frequency"],
            "amplitude": kept[f"spectrum/{layer}/diagonal"],
        }
    )


def _map(kept: Kept, layer: str) -> str:
    return " x ".join(map(str, kept[f"spectrum/{layer}/map"]))


def _above(kept: Kept, layer: str) -> float:
    """Mean of a layer's curve over high frequencies."""
    curve = kept[f"spectrum/{layer}/diagonal"]
    return float(curve[kept[f"spectrum/{layer}/frequency"] > HIGH].mean())


def high(results: pd.DataFrame) -> pd.DataFrame:
    """A line a layer: mean log amplitude of high frequencies, relative to frequency 0.

    0 is as much as of frequency 0; the lower, the more the layer's map is that of a low pass. Mean
    ± std over seeds (n). Columns: Model, Layer, Map (rows x columns), Above 0.5, Run with.
    """
    lines = []
    for model, experiment in SPECTRA.items():
        found = list(inspect.of(results, experiment).values())
        said = format.join_unique(results[results.experiment == experiment].setting)
        for layer in _layers(found[0]) if found else ():
            amplitude = format.format_mean_std(_above(kept, layer) for kept in found)
            lines.append((model, layer, _map(found[0], layer), amplitude, said))
            said = "as above"
    return pd.DataFrame(lines, columns=["Model", "Layer", "Map", f"Above {HIGH}", "Run with"])


def low_pass(results: pd.DataFrame) -> pd.DataFrame:
    """The claim, a line a comparison: high frequencies of one layer less those of another.

    Mean ± std over the seeds (n) that kept both; above 0, the first holds more of them. Of layers
    with a common beginning of their name (COMPARED) the last one is taken. Columns: Comparison,
    Layers, Maps (only equal ones sample a clip alike), Difference above 0.5, Run with.
    """
    of = {model: inspect.of(results, experiment) for model, experiment in SPECTRA.items()}
    lines = []
    for name, *pair in COMPARED:
        one, other = (of[model] for model, _ in pair)
        both = [(one[seed], other[seed]) for seed in one if seed in other]
        made = results[results.experiment.isin([SPECTRA[model] for model, _ in pair])]
        setting = {"Run with": format.join_unique(made.setting)}
        lines.append({"Comparison": name} | _difference(pair, both) | setting)
    return pd.DataFrame(lines)


def _difference(pair: list[tuple[str, str]], both: list[tuple[Kept, Kept]]) -> dict[str, str]:
    """The cells of one comparison: of two models' layers, what each seed kept of both."""
    column = f"Difference above {HIGH}"
    if not both:
        return {"Layers": format.MISSING, "Maps": format.MISSING, column: "not run"}
    layers = [_last(kept, start) for kept, (_, start) in zip(both[0], pair, strict=True)]
    values = [_above(one, layers[0]) - _above(other, layers[1]) for one, other in both]
    named = (f"{model}, {layer}" for (model, _), layer in zip(pair, layers, strict=True))
    return {
        "Layers": " less ".join(named),
        "Maps": "; ".join(map(_map, both[0], layers)),
        column: format.format_mean_std(values, "+.2f"),
    }


def _last(kept: Kept, start: str) -> str:
    """The last layer whose name starts so."""
    return [layer for layer in _layers(kept) if layer.startswith(start)][-1]
