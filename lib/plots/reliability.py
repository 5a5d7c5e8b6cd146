"""Figures of what probabilities are worth: diagrams, coverage, risk, what a test set can show."""

from collections.abc import Mapping
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.evaluation.conformal import COVERAGE
from lib.plots import style
from lib.plots.style import COLOURS, LIGHT_GREY, MARKERS, NO_RUN, format_values

FEWEST_CLIPS = 10  # of a bin that is drawn
DASHED = {"color": "black", "linestyle": ":", "linewidth": 1}


def plot_diagrams(diagrams: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Plot how often a model is right against how sure it is: a panel for each title.

    diagrams: title -> before and after temperature scaling -> bins (15, 3) of
    `lib.evaluation.calibration.reliability`.
    """
    if not diagrams:
        return style.empty_figure(NO_RUN)
    fig, axes = style.panels(len(diagrams), 2, 3.3, 3.3, sharey=True)
    texts = []
    for ax, (title, lines) in zip(axes, diagrams.items(), strict=True):
        ax.plot([0, 1], [0, 1], label="as sure as right", **DASHED)
        for i, (name, bins) in enumerate(lines.items()):
            clips, confidence, right = bins[bins[:, 0] >= FEWEST_CLIPS].T
            ax.plot(confidence, right, label=f"{name} scaling", **style.line_style(i))
        gap = np.average(confidence - right, weights=clips) if len(clips) else np.nan
        texts.append(f"{title} {gap:+.2f}")
        ax.set(title=fill(title, 26), xlim=(0, 1), ylim=(0, 1), xlabel="confidence")
    for ax in axes[::2]:
        ax.set_ylabel("share right")
    fig.legend(*axes[0].get_legend_handles_labels(), ncols=3, **style.LEGEND_BELOW)
    alt = "Reliability diagrams before and after temperature scaling, of bins of 10 clips or more. "
    alt += f"After it, mean confidence minus share right: {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def plot_coverage(points: pd.DataFrame) -> Figure:
    """Plot what sets that promise 90% cover, with 95% intervals: row, site, value, low, high."""
    if points.empty:
        return style.empty_figure(NO_RUN)
    fig, axes = style.subplots(style.WIDTH, 1.8 + 0.32 * len(points))
    ax, y = axes[0, 0], np.arange(len(points))[::-1]
    for i, (name, table) in enumerate(points.groupby("row", sort=False)):
        reach = np.abs(table[["low", "high"]].to_numpy().T - table["value"].to_numpy())
        look = {"fmt": MARKERS[i % 8], "color": COLOURS[i % 8], "capsize": 3, "label": name}
        ax.errorbar(table["value"], y[table.index], xerr=reach, **look)
    ax.axvline(100 * COVERAGE, label=f"promised: {COVERAGE:.0%}", **DASHED)
    ax.set_yticks(y, points.site)
    ax.set(xlabel="clips whose set holds the true class (%)", xlim=(0, 101))
    fig.legend(ncols=1, **style.LEGEND_BELOW)
    texts = [f"{p.row} on {p.site} {p.value:.1f} ({p.low:.1f} to {p.high:.1f})"
             for p in points.itertuples()]  # fmt: skip
    alt = f"What sets that promise 90% cover, in percent, with 95% intervals. {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def plot_few_patients(points: pd.DataFrame) -> Figure:
    """Plot coverage (mean and std) against the number of labelled patients: name, k, mean, std."""
    if points.empty:
        return style.empty_figure(NO_RUN)
    fig, axes = style.subplots(style.WIDTH, 4.6)
    ax, texts = axes[0, 0], []
    for i, (name, table) in enumerate(points.groupby("name", sort=False)):
        x = table.k + 0.25 * i  # beside each other
        ax.errorbar(x, table["mean"], table["std"], capsize=3, label=name, **style.line_style(i))
        texts.append(f"{name}: {format_values(table.k, table['mean'], 1)}")
    ax.axhline(100 * COVERAGE, label=f"promised: {COVERAGE:.0%}", **DASHED)
    ax.set(xlabel="labelled patients of the new site", ylabel="coverage (%)", ylim=(0, 101))
    ax.set_xticks(sorted(set(points.k)))
    fig.legend(ncols=1, **style.LEGEND_BELOW)
    alt = f"Coverage against the number of labelled patients of the new site. {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def plot_risk(curves: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> Figure:
    """Plot the share of errors among the surest clips: a panel for each dataset, a line a row."""
    if not curves:
        return style.empty_figure(NO_RUN)
    fig, axes = style.panels(len(curves), 2, 3.3, 3.3, sharey=True)
    rows = list(dict.fromkeys(name for lines in curves.values() for name in lines))
    texts, handles = [], {}
    for ax, (dataset, lines) in zip(axes, curves.items(), strict=True):
        for name, (answered, risk) in lines.items():
            look = style.line_style(rows.index(name)) | {"markevery": 0.2}
            (handles[name],) = ax.plot(100 * answered, 100 * risk, **look)
            texts.append(f"{name} on {dataset} {100 * risk[-1]:.1f}")
        ax.set(title=f"tested on {dataset}", xlabel="surest clips (%)", xlim=(0, 100))
        ax.set_ylim(0, 100)
    axes[0].set_ylabel("errors among them (%)")
    fig.legend([handles[name] for name in rows], rows, ncols=1, **style.LEGEND_BELOW)
    alt = "Share of errors among the surest clips. "
    return style.set_alt_text(fig, f"{alt}Of all clips, in percent: {'; '.join(texts)}.")


def plot_detectable(published: pd.DataFrame, smallest: pd.Series) -> Figure:
    """Plot published differences beside the smallest that the test set can show, in points.

    published: claim, difference; smallest: of each pair of runs.
    """
    if smallest.empty or published.empty:
        return style.empty_figure(NO_RUN)
    table = published.sort_values("difference", key=np.abs)
    fig, axes = style.subplots(style.WIDTH, 1.8 + 0.5 * len(table))
    ax, y = axes[0, 0], np.arange(len(table))
    low, median, high = smallest.min(), smallest.median(), smallest.max()
    ax.axvspan(low, high, color=LIGHT_GREY, zorder=0, label=f"of {len(smallest)} pairs of runs")
    ax.axvline(median, label="smallest detectable: median", **DASHED)
    points = {"color": COLOURS[0], "marker": MARKERS[0], "linestyle": "none"}
    ax.plot(table.difference.abs(), y, label="published", **points)
    ax.set_yticks(y, [fill(claim, 28) for claim in table.claim])
    ax.set(xlabel="difference in Score (points, without sign)", xlim=(0, None))
    fig.legend(ncols=3, **style.LEGEND_BELOW)
    values = format_values(table.claim, table.difference, 2)
    alt = f"Published differences beside the smallest that 49 patients can show. {values}; "
    return style.set_alt_text(fig, f"{alt}detectable {median:.2f}, {low:.2f} to {high:.2f}.")
