"""Figures of the recordings: classes, lengths, devices, patients."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.plots.results import COLOURS, GREY, ticks
from lib.plots.style import format_values, heatmap, set_alt_text, subplots


def plot_class_counts(ours: pd.DataFrame, paper: pd.DataFrame) -> Figure:
    """Cycles of each class beside the paper's, one panel a split.

    ours, paper: index split, columns the classes, cells counts.
    """
    fig, axes = subplots(8.5, 3.2, 1, len(paper), sharey=True)
    for ax, split in zip(axes[0], paper.index, strict=True):
        at = np.arange(len(paper.columns))
        for shift, table, name, hatch in ((-0.2, paper, "paper", "//"), (0.2, ours, "here", "")):
            colour = GREY if name == "paper" else COLOURS[0]
            bars = ax.bar(at + shift, table.loc[split], 0.4, color=colour, hatch=hatch, label=name)
            for bar in bars:
                bar.set_edgecolor("white")
            ax.bar_label(bars, fontsize=7, padding=1)
        ax.set(xticks=at, xticklabels=paper.columns, title=f"{split} set")
    axes[0, 0].set_ylabel("cycles")
    axes[0, -1].legend(frameon=False)
    parts = [
        f"{split}: here {format_values(ours.columns, ours.loc[split])}; "
        f"paper {format_values(paper.columns, paper.loc[split])}."
        for split in paper.index
    ]
    return set_alt_text(fig, "Bars of the number of cycles of each class. " + " ".join(parts))


def plot_durations(seconds: dict[str, np.ndarray], clip_seconds: float) -> Figure:
    """Histogram of cycle lengths by class, with the length of a clip as a line.

    seconds: class -> lengths (cycles,) in s.
    """
    fig, axes = subplots(7.5, 3.2)
    ax = axes[0, 0]
    everything = np.concatenate(list(seconds.values()))
    bins = np.arange(0, np.ceil(everything.max()) + 0.5, 0.5)
    colours = COLOURS[: len(seconds)]
    ax.hist(list(seconds.values()), bins, stacked=True, color=colours, label=list(seconds))
    ax.axvline(clip_seconds, color="black", linestyle="--", label=f"clip, {clip_seconds:g} s")
    ax.set(xlabel="cycle length (s)", ylabel="cycles")
    ax.legend(frameon=False)
    longer = int((everything > clip_seconds).sum())
    alt = (
        f"Histogram of the lengths of {len(everything)} cycles by class: from "
        f"{everything.min():.2f} to {everything.max():.2f} s, median {np.median(everything):.2f} "
        f"s; {longer} are longer than the clip of {clip_seconds:g} s."
    )
    return set_alt_text(fig, alt)


def plot_devices(counts: pd.DataFrame) -> Figure:
    """Heat map of cycles by device and class; colour is the share within the device.

    counts: index device, columns classes.
    """
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    fig, axes = subplots(6.0, 0.8 + 0.5 * len(counts))
    texts = [
        [f"{n} ({s:.0%})" for n, s in zip(row, share, strict=True)]
        for row, share in zip(counts.to_numpy(), shares.to_numpy(), strict=True)
    ]
    ax = axes[0, 0]
    heatmap(ax, shares.to_numpy(), texts)
    ticks(ax, counts.columns, counts.index)
    parts = [f"{device}: {format_values(counts.columns, row)}" for device, row in counts.iterrows()]
    return set_alt_text(fig, "Cycles by device and class. " + "; ".join(parts) + ".")


def plot_patients(counts: pd.DataFrame) -> Figure:
    """Stacked bars: cycles of each patient by class. counts: index patient, columns classes."""
    fig, axes = subplots(9.5, 2.8)
    at, below = np.arange(len(counts)), np.zeros(len(counts))
    for colour, name in zip(COLOURS, counts.columns, strict=False):
        axes[0, 0].bar(at, counts[name], 0.9, below, color=colour, label=name)
        below += counts[name].to_numpy()
    axes[0, 0].set(xlabel="patients, by number of cycles", ylabel="cycles", xticks=[])
    axes[0, 0].legend()
    half = int((np.cumsum(below) < below.sum() / 2).sum()) + 1
    alt = (
        f"Cycles of each of {len(counts)} patients by class, most first: from {below.max():.0f} to "
        f"{below.min():.0f}; half of all cycles come from {half} patients."
    )
    return set_alt_text(fig, alt)
