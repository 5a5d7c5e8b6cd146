"""Figures of results: pure functions, data in, `Figure` with alt text out.

Colours are Okabe and Ito's (their yellow, faint on white, is olive), told apart by colour-blind
readers; where a colour means something, a marker, a hatch or a text says it too.
Where no run is finished, a figure says so.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.data.icbhi import CLASSES
from lib.plots.style import empty_figure, format_values, heatmap, set_alt_text, subplots

NO_RUN = "Nothing to draw: no run is finished; the table says why."
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999933", "#000000")
MARKERS = "osD^vP*X"
HATCHES = ("", "//", "..", "xx")
GREY = "#8C8C8C"


def plot_histories(runs: dict[str, pd.DataFrame], columns: Sequence[str]) -> Figure:
    """Curves over the epochs, one panel a column, one line a run.

    runs: name -> history with "epoch" and `columns`; a column that a run lacks is left out.
    """
    if not runs:
        return empty_figure(NO_RUN)
    fig, axes = subplots(min(3.4 * len(columns), 10), 2.9, 1, len(columns))
    for ax, column in zip(axes[0], columns, strict=True):
        for i, (name, table) in enumerate(runs.items()):
            if column in table:
                ax.plot(table["epoch"], table[column], **line(i), label=name)
        ax.set(xlabel="epoch", title=column.replace("_", " "))
        ax.xaxis.get_major_locator().set_params(integer=True)
    fig.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    last = [
        f"{name} ends at {format_values(kept, table.iloc[-1][kept], 2)}"
        for name, table in runs.items()
        if (kept := [column for column in columns if column in table])
    ]
    return set_alt_text(fig, f"Curves over the epochs of {', '.join(columns)}. {'; '.join(last)}.")


def line(i: int) -> dict[str, object]:
    return {"color": COLOURS[i % 8], "marker": MARKERS[i % 8], "markersize": 4, "linewidth": 1.3}


def ticks(ax: Axes, columns: Sequence[object], rows: Sequence[object]) -> None:
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=0)
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows, rotation=0)


def plot_sweep(points: pd.DataFrame, metric: str = "score") -> Figure:
    """Figure 2: a panel for each setting, mean and std over seeds, the chosen value in grey.

    points: setting, value (as printed, in order), chosen (bool), seed and `metric` in percent
    (`lib.runs.predictions.sweep`).
    """
    if points.empty:
        return empty_figure(NO_RUN)
    settings = list(dict.fromkeys(points.setting))
    fig, axes = subplots(max(2.5 * len(settings), 3), 2.8, 1, len(settings), sharey=True)
    parts = []
    for ax, setting in zip(axes[0], settings, strict=True):
        one = points[points.setting == setting]
        table = one.groupby("value", sort=False)[metric].agg(["mean", "std", "count"])
        at = np.arange(len(table))
        chosen = table.index.isin(one.value[one.chosen])
        for x in at[chosen]:
            ax.axvspan(x - 0.4, x + 0.4, color="#D9D9D9", zorder=0)
        ax.errorbar(at, table["mean"], table["std"].fillna(0), **line(0), capsize=3)
        ax.set_xticks(at, table.index)
        ax.set(xlabel=setting, xlim=(-0.6, len(table) - 0.4))
        names = [f"{v}{' (chosen)' if c else ''}" for v, c in zip(table.index, chosen, strict=True)]
        parts.append(f"{setting}: {format_values(names, table['mean'], 2)}")
    axes[0, 0].set_ylabel(f"{metric} (%)")
    seeds = points.groupby(["setting", "value"]).size().max()
    alt = f"Mean {metric} over at most {seeds} seeds against each setting. {'; '.join(parts)}."
    return set_alt_text(fig, alt)


def plot_confusions(matrices: dict[str, np.ndarray], classes: Sequence[str] = CLASSES) -> Figure:
    """Confusion matrices side by side: counts, and percent of the row; rows are the truth.

    matrices: name -> (n, n) counts.
    """
    if not matrices:
        return empty_figure(NO_RUN)
    fig, axes = subplots(3.6 * len(matrices) + 0.4, 3.4, 1, len(matrices), sharey=True)
    parts = []
    for ax, (name, matrix) in zip(axes[0], matrices.items(), strict=True):
        shares = 100 * matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
        pairs = zip(matrix, shares, strict=True)
        texts = [[f"{n}\n{s:.1f}%" for n, s in zip(*pair, strict=True)] for pair in pairs]
        heatmap(ax, shares, texts)
        ticks(ax, classes, classes)
        ax.set(title=name, xlabel="answer")
        parts.append(f"{name}: right {format_values(classes, np.diag(shares), 1)} percent")
    axes[0, 0].set_ylabel("truth")
    return set_alt_text(fig, "Confusion matrices, rows are the truth. " + "; ".join(parts) + ".")


def plot_intervals(points: pd.DataFrame, metric: str = "Score") -> Figure:
    """Dots with whiskers: ours with its 95% interval, the paper's with its std where there is one.

    points: name, value, low, high, and paper, paper_std (nan where not published), in percent.
    """
    if points.empty:
        return empty_figure(NO_RUN)
    fig, axes = subplots(7.5, 0.9 + 0.45 * len(points))
    ax = axes[0, 0]
    at = np.arange(len(points))[::-1]
    reach = np.abs(points[["low", "high"]].to_numpy().T - points["value"].to_numpy())
    ax.errorbar(
        points["value"], at + 0.12, xerr=reach, fmt="o", color=COLOURS[0], capsize=3, label="ours"
    )
    ax.errorbar(
        *(points["paper"], at - 0.12),
        xerr=points["paper_std"].fillna(0),
        **{"fmt": "D", "color": GREY, "mfc": "white", "capsize": 3, "label": "paper (± std)"},
    )
    ax.axvline(50, color="black", linestyle=":", linewidth=1, label="always “normal”")
    ax.set_yticks(at, points["name"])
    ax.set(xlabel=f"{metric} (%)", ylim=(-0.6, len(points) - 0.4))
    fig.legend(loc="outside lower center", ncols=3, frameon=False)
    parts = [
        f"{p.name} {p.value:.2f} ({p.low:.2f} to {p.high:.2f})"
        + ("" if np.isnan(p.paper) else f", paper {p.paper:.2f}")
        for p in points.itertuples(index=False)
    ]
    return set_alt_text(fig, f"{metric} with 95% intervals over patients. {'; '.join(parts)}.")


def plot_embeddings(
    panels: dict[str, np.ndarray], labels: dict[str, np.ndarray], most: int = 8
) -> Figure:
    """Points in the plane: a column for each method, a row for each way to colour them.

    panels: method -> (clips, 2); labels: "class", "patient", ... -> (clips,). A label with more
    than `most` values keeps its most frequent ones, the rest is grey.
    """
    if not panels:
        return empty_figure(NO_RUN)
    fig, axes = subplots(4.2 * len(panels) + 1.4, 3.3 * len(labels), len(labels), len(panels))
    for row, (what, values) in zip(axes, labels.items(), strict=True):
        frequent = pd.Series(values).value_counts().sort_index(kind="stable")
        kept = list(frequent.sort_values(ascending=False, kind="stable").index[:most])
        kept.sort(key=lambda name: CLASSES.index(name) if name in CLASSES else len(CLASSES))
        for ax, (method, points) in zip(row, panels.items(), strict=True):
            _scatter(ax, points, values, kept)
            ax.set(title=f"{method}, by {what}", xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        place = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
        row[-1].legend(**place, markerscale=2, title=what)
    clips = len(next(iter(panels.values())))
    alt = (
        f"t-SNE of {clips} test clips for {', '.join(panels)}; the same points are coloured by "
        f"{', '.join(labels)}."
    )
    return set_alt_text(fig, alt)


def _scatter(ax: Axes, points: np.ndarray, values: np.ndarray, kept: list) -> None:
    rest = ~np.isin(values, kept)
    if rest.any():
        ax.scatter(*points[rest].T, s=5, color="#C8C8C8", marker=".", label="other")
    for i, name in enumerate(kept):
        at = values == name
        ax.scatter(*points[at].T, s=7, color=COLOURS[i], marker=MARKERS[i], lw=0, label=name)
