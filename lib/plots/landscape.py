"""Figures of how flat a minimum is: the loss along random directions and on planes."""

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure

from lib.plots import style
from lib.plots.style import COLOURS, NO_RUN, format_values

LEVELS = 16


def plot_loss_lines(points: pd.DataFrame) -> Figure:
    """Plot the loss along a random direction: each method's mean, and a thin line for each seed.

    points: method, position, loss, seed (`lib.analysis.landscape.loss_line`).
    """
    if points.empty:
        return style.empty_figure(NO_RUN)
    fig, axes = style.subplots(6.5, 3.2)
    ax, palette = axes[0, 0], list(COLOURS[: points.method.nunique()])
    look = {"x": "position", "y": "loss", "hue": "method", "palette": palette, "ax": ax}
    thin = {"units": "seed", "estimator": None, "linewidth": 0.6, "alpha": 0.5, "legend": False}
    seaborn.lineplot(points, **look, **thin)
    seaborn.lineplot(points, **look, style="method", errorbar=None, linewidth=1.8)
    ax.set(xlabel="position along the direction (1: as long as the weights)", ylabel="loss")
    ax.get_legend().remove()
    fig.legend(ncols=2, **style.LEGEND_BELOW)
    texts = []
    for method, group in points.groupby("method", sort=False):
        mean = group.groupby("position").loss.mean()
        ends = mean.iloc[[0, len(mean) // 2, -1]]
        texts.append(f"{method}: {format_values([f'at {x:g}' for x in ends.index], ends, 2)}")
    alt = f"Mean loss along random directions. {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def plot_loss_planes(positions: np.ndarray, losses: dict[str, np.ndarray]) -> Figure:
    """Plot contours of the loss on a plane of two random directions, the same levels in each panel.

    positions (steps,); losses: method -> (steps, steps), from `lib.analysis.landscape.loss_plane`.
    """
    if not losses:
        return style.empty_figure(NO_RUN)
    fig, axes = style.subplots(3.2 * len(losses) + 1.0, 3.2, 1, len(losses), sharey=True)
    low, high = np.min(list(losses.values())), np.max(list(losses.values()))
    levels = np.linspace(low, max(high, low + 1e-6), LEVELS)
    for ax, (method, loss) in zip(axes[0], losses.items(), strict=True):
        contours = ax.contourf(positions, positions, loss, levels, cmap="viridis")
        ax.contour(positions, positions, loss, levels, colors="white", linewidths=0.4)
        ax.plot(0, 0, marker="+", color="white", markersize=9, markeredgewidth=2)
        ax.set(title=method, xlabel="first direction", aspect="equal")
    axes[0, 0].set_ylabel("second direction")
    fig.colorbar(contours, ax=axes, label="loss", shrink=0.8)
    ranges = ", ".join(
        f"{name} {loss.min():.2f} to {loss.max():.2f}" for name, loss in losses.items()
    )
    alt = f"Contours of the loss around each model, which is the cross. Loss: {ranges}."
    return style.set_alt_text(fig, alt)
