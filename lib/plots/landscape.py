"""Figures of how flat a minimum is and of where a model looks, in the style of `lib.plots.results`."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from lib.plots.results import COLOURS, NO_RUN
from lib.plots.spectrograms import HOP_SECONDS
from lib.plots.style import empty_figure, format_values, set_alt_text, subplots

LEVELS = 16
STRONGEST = 0.85  # opacity where a map is highest
STYLES = ("-", "--", "-.", ":")


def plot_loss_lines(found: pd.DataFrame) -> Figure:
    """Loss along a random direction: each method's mean, and a thin line for each of its seeds.

    found: method, position, loss, and seed where there are several (`lib.analysis.landscape.loss_line`).
    """
    if found.empty:
        return empty_figure(NO_RUN)
    fig, axes = subplots(6.5, 3.2)
    ax, parts = axes[0, 0], []
    for i, (method, one) in enumerate(found.groupby("method", sort=False)):
        colour = COLOURS[i % len(COLOURS)]
        for _, seed in one.groupby("seed") if "seed" in one else ():
            ax.plot(seed.position, seed.loss, color=colour, linewidth=0.6, alpha=0.5)
        mean = one.groupby("position").loss.mean()
        ax.plot(mean, color=colour, linestyle=STYLES[i % 4], linewidth=1.8, label=method)
        ends = mean.iloc[[0, len(mean) // 2, -1]]
        parts.append(f"{method}: {format_values([f'at {at:g}' for at in ends.index], ends, 2)}")
    ax.set(xlabel="position along the direction (1: as long as the weights)", ylabel="loss")
    fig.legend(loc="outside lower center", ncols=2, frameon=False)
    return set_alt_text(fig, f"Mean loss along random directions. {'; '.join(parts)}.")


def plot_loss_planes(positions: np.ndarray, losses: dict[str, np.ndarray]) -> Figure:
    """Contours of the loss on a plane of two random directions, a panel a method, the same levels.

    positions (steps,); losses: method -> (steps, steps) as of `lib.analysis.landscape.loss_plane`.
    """
    if not losses:
        return empty_figure(NO_RUN)
    fig, axes = subplots(3.2 * len(losses) + 1.0, 3.2, 1, len(losses), sharey=True)
    low, high = (f([f(one) for one in losses.values()]) for f in (np.min, np.max))
    levels = np.linspace(low, max(high, low + 1e-6), LEVELS)
    parts = []
    for ax, (method, one) in zip(axes[0], losses.items(), strict=True):
        filled = ax.contourf(positions, positions, one, levels, cmap="viridis")
        ax.contour(positions, positions, one, levels, colors="white", linewidths=0.4)
        ax.plot(0, 0, marker="+", color="white", markersize=9, markeredgewidth=2)
        ax.set(title=method, xlabel="first direction", aspect="equal")
        parts.append(f"{method} {one.min():.2f} to {one.max():.2f}")
    axes[0, 0].set_ylabel("second direction")
    fig.colorbar(filled, ax=axes, label="loss", shrink=0.8)
    alt = f"Contours of the loss around each model, which is the cross. Loss: {', '.join(parts)}."
    return set_alt_text(fig, alt)


def plot_attention(spectrogram: np.ndarray, maps: dict[str, np.ndarray], title: str) -> Figure:
    """A spectrogram, and below it the same under each map: the more opaque, the more attention.

    spectrogram and each map (frames, mels), NaN where a map says nothing. A panel's colour runs
    from its map's lowest value to its highest; its title says how far apart these are.
    """
    fig, axes = subplots(9.5, 0.6 + 1.9 * (1 + len(maps)), 1 + len(maps), 1, sharex=True)
    for ax in axes[:, 0]:
        _draw(ax, spectrogram, cmap="gray")
        ax.set_ylabel("mel bin")
    parts = []
    for ax, (name, one) in zip(axes[1:, 0], maps.items(), strict=True):
        times = one / np.nanmean(one)  # 1: as much as of every other place
        low, high = np.nanmin(times), np.nanmax(times)
        share = np.nan_to_num((times - low) / max(high - low, 1e-9))
        _draw(ax, times, cmap=ListedColormap([COLOURS[1]]), alpha=STRONGEST * share.T)
        ax.set_title(f"{name}, {low:.2f} to {high:.2f} times the mean")
        frame, mel = np.unravel_index(np.nanargmax(times), times.shape)
        parts.append(f"{name} is highest, {high:.2f} times its mean, at "
                     f"{frame * HOP_SECONDS:.2f} s and mel bin {mel}")  # fmt: skip
    axes[-1, 0].set_xlabel("time (s)")
    fig.suptitle(title)
    seconds = len(spectrogram) * HOP_SECONDS
    return set_alt_text(fig, f"{title}: spectrogram of {seconds:.1f} s and attention over it. "
                         f"{'; '.join(parts)}.")  # fmt: skip


def _draw(ax: Axes, x: np.ndarray, **look: object) -> None:
    """(frames, mels) with time across and low frequencies at the bottom."""
    extent = (0, len(x) * HOP_SECONDS, 0, x.shape[1])
    ax.imshow(x.T, origin="lower", aspect="auto", extent=extent, **look)
