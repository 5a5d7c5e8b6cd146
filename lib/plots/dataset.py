"""Figures of the recordings: classes, durations, devices, patients."""

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure

from lib.plots import style
from lib.plots.style import COLOURS, GREY, format_values


def plot_class_counts(ours: pd.DataFrame, paper: pd.DataFrame) -> Figure:
    """Plot cycles of each class beside the paper's, one panel for each split.

    ours, paper: index split, columns the classes, cells counts.
    """
    fig, axes = style.subplots(style.WIDTH, 2.8 * len(paper), len(paper), 1, sharey=True)
    texts = []
    for ax, split in zip(axes[:, 0], paper.index, strict=True):
        counts = pd.DataFrame({"paper": paper.loc[split], "here": ours.loc[split]})
        counts.plot.bar(ax=ax, rot=0, width=0.8, color=[GREY, COLOURS[0]], legend=False,
                        edgecolor="white", title=f"{split} set")  # fmt: skip
        for bars, hatch in zip(ax.containers, ("//", ""), strict=True):
            ax.bar_label(bars, padding=1)
            for bar in bars:
                bar.set_hatch(hatch)
        here, published = (format_values(counts.index, counts[name]) for name in ("here", "paper"))
        texts.append(f"{split}: here {here}; paper {published}.")
        ax.set_ylabel("cycles")
    axes[0, 0].legend(frameon=False)
    alt = f"Bars of the number of cycles of each class. {' '.join(texts)}"
    return style.set_alt_text(fig, alt)


def plot_durations(seconds: dict[str, np.ndarray], clip_seconds: float) -> Figure:
    """Plot a histogram of cycle durations by class, with the duration of a clip as a line.

    seconds: class -> durations (cycles,) in s.
    """
    fig, axes = style.subplots(style.WIDTH, 3.4)
    ax, durations = axes[0, 0], np.concatenate(list(seconds.values()))
    bins = np.arange(0, np.ceil(durations.max()) + 0.5, 0.5)
    colours = COLOURS[: len(seconds)]
    ax.hist(list(seconds.values()), bins, stacked=True, color=colours, label=list(seconds))
    ax.axvline(clip_seconds, color="black", linestyle="--", label=f"clip, {clip_seconds:g} s")
    ax.set(xlabel="cycle duration (s)", ylabel="cycles")
    ax.legend(frameon=False)
    alt = (
        f"Histogram of the durations of {len(durations)} cycles by class: from "
        f"{durations.min():.2f} to {durations.max():.2f} s, median {np.median(durations):.2f} s; "
        f"{(durations > clip_seconds).sum()} are longer than the clip of {clip_seconds:g} s."
    )
    return style.set_alt_text(fig, alt)


def plot_event_durations(
    events: pd.DataFrame, classes: tuple[str, ...] = ("Normal", "Adventitious"), most: float = 3.0
) -> Figure:
    """Plot histograms of the durations of SPRSound's events by class, a panel for each subset.

    events: 1-1, subset, start and end in seconds; durations above `most` are drawn at `most`.
    """
    if events.empty:
        return style.empty_figure("Nothing to draw: no recordings of SPRSound are here.")
    subsets = list(dict.fromkeys(events.subset))
    fig, axes = style.panels(len(subsets), 2, 3.3, 2.9)
    seconds = (events.end - events.start).clip(upper=most)
    events, texts = events.assign(seconds=seconds), []
    for ax, subset in zip(axes, subsets, strict=True):
        table = events[events.subset == subset]
        colours = {"hue": "1-1", "hue_order": classes, "palette": COLOURS[:2], "alpha": 0.55}
        bins = {"stat": "proportion", "common_norm": False, "binwidth": 0.05, "binrange": (0, most)}
        seaborn.histplot(table, x="seconds", element="step", ax=ax, **colours, **bins)
        legend = ax.get_legend()
        legend.remove()
        ax.set(title=subset, xlabel="duration of the event (s)", ylabel="share of the class")
        for name in classes:
            group = table.seconds[table["1-1"] == name]
            texts.append(f"{subset}, {name}: median {group.median():.2f} s of {len(group)}")
    fig.legend(legend.legend_handles, classes, ncols=2, **style.LEGEND_BELOW)
    alt = f"Histograms of the durations of events by class. {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def plot_devices(counts: pd.DataFrame) -> Figure:
    """Plot a heat map of cycles by device and class; colour is the share within the device.

    counts: index device, columns classes.
    """
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0).to_numpy()
    fig, axes = style.subplots(style.WIDTH, 0.8 + 0.5 * len(counts))
    pairs = zip(counts.to_numpy().flat, shares.flat, strict=True)
    texts = np.reshape([f"{n} ({share:.0%})" for n, share in pairs], counts.shape)
    style.heatmap(axes[0, 0], shares, texts, counts.columns, counts.index)
    rows = [f"{device}: {format_values(counts.columns, row)}" for device, row in counts.iterrows()]
    return style.set_alt_text(fig, f"Cycles by device and class. {'; '.join(rows)}.")


def plot_patients(counts: pd.DataFrame) -> Figure:
    """Plot cycles of each patient by class, stacked. counts: index patient, columns classes."""
    fig, axes = style.subplots(style.WIDTH, 3.2)
    colours = COLOURS[: counts.shape[1]]
    counts.plot.bar(stacked=True, width=0.9, color=colours, ax=axes[0, 0], rasterized=True)
    axes[0, 0].set(xlabel="patients, by number of cycles", ylabel="cycles", xticks=[])
    total = counts.sum(axis=1).to_numpy()
    half = int((np.cumsum(total) < total.sum() / 2).sum()) + 1
    alt = (
        f"Cycles of each of {len(counts)} patients by class, most first: from {total.max()} to "
        f"{total.min()}; half of all cycles come from {half} patients."
    )
    return style.set_alt_text(fig, alt)
