"""Figures of a search: its course, which settings mattered, and where the good ones lie.

As in `lib.plots.results`: pure functions, data in, `Figure` with alt text out. `found` is the table of
`lib.runs.tune_trials.results`: trial, one column a setting, score (percent on held-out patients), run.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from lib.plots.results import COLOURS, GREY
from lib.plots.style import empty_figure, format_values, set_alt_text, subplots

NO_TRIAL = "Nothing to draw: no trial is finished; python -m lib.runs.tune makes them."
TOO_ALIKE = "Nothing to draw: the trials are too few or too alike to tell settings apart."
BEST = {"color": COLOURS[5], "marker": "*", "s": 130, "zorder": 3, "label": "best"}
KNOWN = ("trial", "score", "run")  # columns that are no settings


def plot_history(found: pd.DataFrame) -> Figure:
    """Every trial's score in the order in which they were made, and the best so far as steps."""
    if found.empty:
        return empty_figure(NO_TRIAL)
    fig, axes = subplots(6.5, 3.0)
    ax, best = axes[0, 0], found.score.cummax()
    ax.scatter(found.trial, found.score, color=GREY, s=22, label="trial")
    ax.step(found.trial, best, where="post", color=COLOURS[0], label="best so far")
    top = found.loc[found.score.idxmax()]
    ax.scatter(top.trial, top.score, **BEST)
    ax.set(xlabel="trial", ylabel="validation score (%)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    fig.legend(loc="outside lower center", ncols=3, frameon=False)
    alt = (
        f"Validation scores of {len(found)} trials from {found.score.min():.1f} to "
        f"{top.score:.1f} percent; the best is trial {top.trial}. Best so far: "
        f"{format_values(found.trial[best.diff() != 0], best[best.diff() != 0], 1)}."
    )
    return set_alt_text(fig, alt)


def plot_importances(shares: pd.Series) -> Figure:
    """Bars: each setting's share in the scores' variance (`lib.runs.tune_trials.importance`)."""
    if shares.empty:
        return empty_figure(TOO_ALIKE)
    fig, axes = subplots(5.5, 0.8 + 0.3 * len(shares))
    ax, at = axes[0, 0], np.arange(len(shares))[::-1]
    bars = ax.barh(at, shares, 0.7, color=COLOURS[0])
    ax.bar_label(bars, fmt="%.2f", fontsize=7, padding=2)
    ax.set_yticks(at, shares.index)
    ax.set(xlabel="share in the variance of the score", xlim=(0, 1.1 * max(shares.max(), 0.01)))
    return set_alt_text(
        fig, f"Bars of each setting's importance: {format_values(shares.index, shares, 2)}."
    )


def plot_settings(found: pd.DataFrame) -> Figure:
    """Score against each setting, a panel for each; the best trial is a star.

    Learning rates are drawn on a logarithmic axis, chosen values side by side.
    """
    if found.empty:
        return empty_figure(NO_TRIAL)
    names = [name for name in found if name not in KNOWN]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    fig, axes = subplots(2.4 * columns, 2.2 * rows + 0.4, rows, columns, sharey=True)
    top = found.score.idxmax()
    for ax, name in zip(axes.flat, names, strict=False):
        x = found[name]
        if name not in ("lr", "supcon_lr", "tau"):
            values = sorted(x.unique())
            ax.set_xticks(range(len(values)), [str(value) for value in values])
            x = x.map(values.index)
        elif name != "tau":
            ax.set_xscale("log")
            ax.xaxis.set_minor_formatter(NullFormatter())  # within a decade they overlap
        ax.scatter(x, found.score, color=COLOURS[0], s=20, alpha=0.7)
        ax.scatter(x[top], found.score[top], **BEST)
        ax.set_xlabel(name)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    fig.supylabel("validation score (%)", fontsize=9)
    best = ", ".join(f"{name} {found.loc[top, name]:.4g}" for name in names)
    alt = (
        f"Validation score of {len(found)} trials against each setting. The best, "
        f"{found.score[top]:.1f} percent: {best}."
    )
    return set_alt_text(fig, alt)
