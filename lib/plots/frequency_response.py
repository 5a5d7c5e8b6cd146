"""Figure of spatial-frequency responses, layer by layer."""

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.plots import style

MOST_NAMES = 8  # layers in a panel's legend; deeper models name every second, third, ... layer


def plot_responses(points: pd.DataFrame) -> Figure:
    """Plot log amplitude by frequency: a panel for each model, a line for each layer (dark first).

    points: model, layer, frequency, amplitude relative to frequency 0; drawn is the mean over rows
    that share the first three (seeds, in `lib.analysis.curves.response_curves`).
    """
    if points.empty:
        return style.empty_figure(style.NO_RUN)
    points = points.groupby(["model", "layer", "frequency"], sort=False, as_index=False)
    models = points.amplitude.mean().groupby("model", sort=False)
    fig, axes = style.panels(len(models), 3, 3.3, 2.9, sharex=True, sharey=True)
    texts = []
    for ax, (model, table) in zip(axes, models, strict=True):
        layers = list(table.groupby("layer", sort=False))
        _draw_layers(ax, layers)
        ax.set(title=model, xlabel="normalised frequency", ylabel="log amplitude minus that at 0")
        ends = [f"{name} {line.amplitude.iloc[-1]:.2f}" for name, line in (layers[0], layers[-1])]
        texts.append(f"{model}: {', '.join(ends)}")
    alt = "Log amplitude against spatial frequency by layer, relative to frequency 0. "
    alt += f"At the highest frequency, first and last layer: {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def _draw_layers(ax: Axes, layers: list[tuple[str, pd.DataFrame]]) -> None:
    """Draw one line for each layer; every `step`-th and the last have a marker and a name."""
    step, shades = -(-len(layers) // MOST_NAMES), colormaps["viridis"]
    for i, (name, line) in enumerate(layers):
        look = {"color": shades(0.9 * i / max(len(layers) - 1, 1)), "linewidth": 1.1}
        if i % step == 0 or i == len(layers) - 1:
            look |= {"label": name, "marker": style.MARKERS[i % 8], "markersize": 3.5}
        ax.plot(line.frequency, line.amplitude, markevery=max(1, len(line) // 6), **look)
    ax.legend(frameon=False, fontsize=6)
