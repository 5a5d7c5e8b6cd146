"""Figure of spatial-frequency responses, layer by layer."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.plots import style


def plot_responses(points: pd.DataFrame) -> Figure:
    """Plot log amplitude by frequency: a panel for each model, lines for layers (dark first).

    Of a deep model seven layers are drawn, evenly spaced, with the first and the last.

    points: model, layer, frequency, amplitude relative to frequency 0; drawn is the mean over rows
    that share the first three (seeds, in `lib.analysis.curves.response_curves`).
    """
    if points.empty:
        return style.empty_figure(style.NO_RUN)
    points = points.groupby(["model", "layer", "frequency"], sort=False, as_index=False)
    models = points.amplitude.mean().groupby("model", sort=False)
    fig, axes = style.panels(len(models), 2, 3.3, 4.2, sharex=True, sharey=True)
    texts = []
    for ax, (model, table) in zip(axes, models, strict=True):
        layers = list(table.groupby("layer", sort=False))
        _draw_layers(ax, layers)
        ax.set(title=model, xlabel="normalised frequency", ylabel="log amplitude")
        ends = [f"{name} {line.amplitude.iloc[-1]:.2f}" for name, line in (layers[0], layers[-1])]
        texts.append(f"{model}: {', '.join(ends)}")
    alt = "Log amplitude against spatial frequency by layer, relative to frequency 0. "
    alt += f"At the highest frequency, first and last layer: {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def _draw_layers(ax: Axes, layers: list[tuple[str, pd.DataFrame]]) -> None:
    """Draw one line for each of at most seven layers, the legend below the panel."""
    count, shades = min(len(layers), style.MOST_LINES), colormaps["viridis"]
    for i, at in enumerate(np.linspace(0, len(layers) - 1, count).round().astype(int)):
        name, line = layers[at]
        look = {"color": shades(0.9 * i / max(count - 1, 1)), "linewidth": 1.3, "label": name}
        look |= {"marker": style.MARKERS[i], "markersize": 4}
        ax.plot(line.frequency, line.amplitude, markevery=max(1, len(line) // 6), **look)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False, ncols=2,
              columnspacing=0.8, handlelength=1.2)  # fmt: skip
