"""Figures of how flat a minimum is: the loss along random directions, on planes, and a SAM step."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure

from lib.plots import style
from lib.plots.style import COLOURS, NO_RUN, format_values

LEVELS = 16


def plot_loss_lines(points: pd.DataFrame) -> Figure:
    """Plot the loss along a random direction: each method's mean, and a thin line for each seed.

    points: method, position, loss, seed (`lib.analysis.landscape.loss_line`). Methods named
    "recipe, training" have a panel for each recipe.
    """
    if points.empty:
        return style.empty_figure(NO_RUN)
    names = points.method.str.rpartition(", ")
    points = points.assign(recipe=names[0], training=names[2])
    recipes = points.groupby("recipe", sort=False)
    columns, width = (1, style.WIDTH - 0.4) if len(recipes) == 1 else (2, 3.3)
    fig, axes = style.panels(len(recipes), columns, width, 3.2)
    palette = dict(zip(points.training.unique(), COLOURS, strict=False))
    for ax, (recipe, table) in zip(axes, recipes, strict=True):
        look = {"x": "position", "y": "loss", "hue": "training", "palette": palette, "ax": ax}
        thin = {"units": "seed", "estimator": None, "linewidth": 0.6, "alpha": 0.5, "legend": False}
        seaborn.lineplot(table, **look, **thin)
        seaborn.lineplot(table, **look, style="training", errorbar=None, linewidth=1.8)
        ax.set(title=recipe, xlabel="position on the direction", ylabel="loss")
        ax.get_legend().remove()
    fig.legend(*axes[0].get_legend_handles_labels(), ncols=2, **style.LEGEND_BELOW)
    texts = []
    for method, group in points.groupby("method", sort=False):
        mean = group.groupby("position").loss.mean()
        ends = mean.iloc[[0, len(mean) // 2, -1]]
        texts.append(f"{method}: {format_values([f'at {x:g}' for x in ends.index], ends, 2)}")
    alt = f"Mean loss along random directions (1: as long as the weights). {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def plot_loss_planes(positions: np.ndarray, losses: dict[str, np.ndarray]) -> Figure:
    """Plot contours of the loss on a plane of two random directions, the same levels in each panel.

    positions (steps,); losses: method -> (steps, steps), from `lib.analysis.landscape.loss_plane`.
    """
    if not losses:
        return style.empty_figure(NO_RUN)
    fig, axes = style.panels(len(losses), 2, 3.3, 3.2, sharey=True)
    low, high = np.min(list(losses.values())), np.max(list(losses.values()))
    levels = np.linspace(low, max(high, low + 1e-6), LEVELS)
    for ax, (method, loss) in zip(axes, losses.items(), strict=True):
        contours = ax.contourf(positions, positions, loss, levels, cmap="viridis")
        ax.contour(positions, positions, loss, levels, colors="white", linewidths=0.4)
        ax.plot(0, 0, marker="+", color="white", markersize=9, markeredgewidth=2)
        ax.set(title=method, xlabel="first direction", aspect="equal")
    axes[0].set_ylabel("second direction")
    fig.colorbar(contours, ax=list(axes), label="loss", location="bottom", shrink=0.6)
    ranges = ", ".join(
        f"{name} {loss.min():.2f} to {loss.max():.2f}" for name, loss in losses.items()
    )
    alt = f"Contours of the loss around each model, which is the cross. Loss: {ranges}."
    return style.set_alt_text(fig, alt)


def plot_sam_step(
    loss: Callable[[np.ndarray], np.ndarray], start: float, highest: float, ends: dict[str, float]
) -> Figure:
    """Plot one step on a loss of one weight: where it starts, where SAM looks, where steps end.

    loss: weights (n,) -> losses (n,). highest: the weight at which SAM takes its gradient. ends:
    name -> weight after the step.
    """
    fig, axes = style.subplots(style.WIDTH, 4.0)
    ax, points = axes[0, 0], {"start": start, "where SAM looks": highest, **ends}
    reach = max(points.values()) - min(points.values())
    w = np.linspace(min(points.values()) - reach, max(points.values()) + 2 * reach, 400)
    ax.plot(w, loss(w), color="black", linewidth=1)
    for i, (name, weight) in enumerate(points.items()):
        look = {"linestyle": "none", "markersize": 9, "color": COLOURS[i], "label": name}
        ax.plot(weight, loss(weight), marker=style.MARKERS[i], **look)
    ax.set(xlabel="weight", ylabel="loss")
    fig.legend(ncols=2, **style.LEGEND_BELOW)
    alt = "One step on the loss of one weight, plain and with SAM. Weights: "
    return style.set_alt_text(fig, alt + format_values(points, points.values(), 2) + ".")
