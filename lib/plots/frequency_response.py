"""Figures of spectral responses, in the style of `lib.plots.results`."""

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.plots.results import MARKERS, NO_RUN
from lib.plots.style import empty_figure, set_alt_text, subplots

NAMED = 8  # layers in a panel's legend; of deeper models every second, third, ... has a name
PANELS = 3  # a row


def plot_responses(found: pd.DataFrame) -> Figure:
    """Relative log amplitude by frequency: a panel a model, a line a layer, dark to light.

    found: model, layer, frequency, amplitude (`lib.tables.frequency_response.responses`).
    """
    if found.empty:
        return empty_figure(NO_RUN)
    models = found.groupby("model", sort=False)
    rows, columns = -(-len(models) // PANELS), min(len(models), PANELS)
    shape = 3.3 * columns + 0.4, 2.9 * rows
    fig, axes = subplots(*shape, rows, columns, sharex=True, sharey=True)
    parts = []
    for ax, (model, one) in zip(axes.flat, models, strict=False):
        ends = _panel(ax, one)
        ax.set(title=model, xlabel="normalised frequency")
        said = ", ".join(f"{layer} {value:.2f}" for layer, value in ends)
        parts.append(f"{model}: {said}")
    for ax in axes.flat[len(models) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("log amplitude less that at 0")
    alt = (
        "Log amplitude against spatial frequency by layer, relative to frequency 0. At the highest"
    )
    return set_alt_text(fig, f"{alt} frequency, first and last layer: {'; '.join(parts)}.")


def _panel(ax: Axes, one: pd.DataFrame) -> list[tuple[str, float]]:
    """Draw the layers of one model; the first and last of them at their highest frequency."""
    layers = list(one.groupby("layer", sort=False))
    step, shades = -(-len(layers) // NAMED), colormaps["viridis"]
    for at, (layer, line) in enumerate(layers):
        named = at % step == 0 or at == len(layers) - 1
        ax.plot(
            *(line.frequency, line.amplitude),
            color=shades(0.9 * at / max(len(layers) - 1, 1)),
            marker=MARKERS[at % len(MARKERS)] if named else None,
            markevery=max(1, len(line) // 6),
            markersize=3.5,
            linewidth=1.1,
            label=layer if named else None,
        )
    ax.legend(frameon=False, fontsize=6)
    return [(layer, line.amplitude.iloc[-1]) for layer, line in (layers[0], layers[-1])]
