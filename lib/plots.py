"""Figures of data and results: pure functions, data in, `Figure` with alt text out.

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
from lib.figures import blank, describe, empty, heat, listing

NO_COST = "Nothing to draw: not measured here; the table says how."
NO_RUN = "Nothing to draw: no run is finished; the table says why."
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999933", "#000000")
MARKERS = "osD^vP*X"
HATCHES = ("", "//", "..", "xx")
GREY = "#8C8C8C"


def class_counts(ours: pd.DataFrame, paper: pd.DataFrame) -> Figure:
    """Cycles of each class beside the paper's, one panel a split.

    ours, paper: index split, columns the classes, cells counts.
    """
    fig, axes = blank(8.5, 3.2, 1, len(paper), sharey=True)
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
        f"{split}: here {listing(ours.columns, ours.loc[split])}; "
        f"paper {listing(paper.columns, paper.loc[split])}."
        for split in paper.index
    ]
    return describe(fig, "Bars of the number of cycles of each class. " + " ".join(parts))


def durations(seconds: dict[str, np.ndarray], clip_seconds: float) -> Figure:
    """Histogram of cycle lengths by class, with the length of a clip as a line.

    seconds: class -> lengths (cycles,) in s.
    """
    fig, axes = blank(7.5, 3.2)
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
    return describe(fig, alt)


def device_classes(counts: pd.DataFrame) -> Figure:
    """Heat map of cycles by device and class; colour is the share within the device.

    counts: index device, columns classes.
    """
    shares = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    fig, axes = blank(6.0, 0.8 + 0.5 * len(counts))
    texts = [
        [f"{n} ({s:.0%})" for n, s in zip(row, share, strict=True)]
        for row, share in zip(counts.to_numpy(), shares.to_numpy(), strict=True)
    ]
    ax = axes[0, 0]
    heat(ax, shares.to_numpy(), texts)
    _ticks(ax, counts.columns, counts.index)
    parts = [f"{device}: {listing(counts.columns, row)}" for device, row in counts.iterrows()]
    return describe(fig, "Cycles by device and class. " + "; ".join(parts) + ".")


def patients(counts: pd.DataFrame) -> Figure:
    """Stacked bars: cycles of each patient by class. counts: index patient, columns classes."""
    fig, axes = blank(9.5, 2.8)
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
    return describe(fig, alt)


def history(runs: dict[str, pd.DataFrame], columns: Sequence[str]) -> Figure:
    """Curves over the epochs, one panel a column, one line a run.

    runs: name -> history with "epoch" and `columns`; a column that a run lacks is left out.
    """
    if not runs:
        return empty(NO_RUN)
    fig, axes = blank(min(3.4 * len(columns), 10), 2.9, 1, len(columns))
    for ax, column in zip(axes[0], columns, strict=True):
        for i, (name, table) in enumerate(runs.items()):
            if column in table:
                ax.plot(table["epoch"], table[column], **_line(i), label=name)
        ax.set(xlabel="epoch", title=column.replace("_", " "))
        ax.xaxis.get_major_locator().set_params(integer=True)
    fig.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    last = [
        f"{name} ends at {listing(kept, table.iloc[-1][kept], 2)}"
        for name, table in runs.items()
        if (kept := [column for column in columns if column in table])
    ]
    return describe(fig, f"Curves over the epochs of {', '.join(columns)}. {'; '.join(last)}.")


def _line(i: int) -> dict[str, object]:
    return {"color": COLOURS[i % 8], "marker": MARKERS[i % 8], "markersize": 4, "linewidth": 1.3}


def _ticks(ax: Axes, columns: Sequence[object], rows: Sequence[object]) -> None:
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=0)
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows, rotation=0)


def sweep(points: pd.DataFrame, metric: str = "score") -> Figure:
    """Figure 2: a panel for each setting, mean and std over seeds, the chosen value in grey.

    points: setting, value (as printed, in order), chosen (bool), seed and `metric` in percent
    (`lib.answers.sweep`).
    """
    if points.empty:
        return empty(NO_RUN)
    settings = list(dict.fromkeys(points.setting))
    fig, axes = blank(max(2.5 * len(settings), 3), 2.8, 1, len(settings), sharey=True)
    parts = []
    for ax, setting in zip(axes[0], settings, strict=True):
        one = points[points.setting == setting]
        table = one.groupby("value", sort=False)[metric].agg(["mean", "std", "count"])
        at = np.arange(len(table))
        chosen = table.index.isin(one.value[one.chosen])
        for x in at[chosen]:
            ax.axvspan(x - 0.4, x + 0.4, color="#D9D9D9", zorder=0)
        ax.errorbar(at, table["mean"], table["std"].fillna(0), **_line(0), capsize=3)
        ax.set_xticks(at, table.index)
        ax.set(xlabel=setting, xlim=(-0.6, len(table) - 0.4))
        names = [f"{v}{' (chosen)' if c else ''}" for v, c in zip(table.index, chosen, strict=True)]
        parts.append(f"{setting}: {listing(names, table['mean'], 2)}")
    axes[0, 0].set_ylabel(f"{metric} (%)")
    seeds = points.groupby(["setting", "value"]).size().max()
    alt = f"Mean {metric} over at most {seeds} seeds against each setting. {'; '.join(parts)}."
    return describe(fig, alt)


def confusions(matrices: dict[str, np.ndarray], classes: Sequence[str] = CLASSES) -> Figure:
    """Confusion matrices side by side: counts, and percent of the row; rows are the truth.

    matrices: name -> (n, n) counts.
    """
    if not matrices:
        return empty(NO_RUN)
    fig, axes = blank(3.6 * len(matrices) + 0.4, 3.4, 1, len(matrices), sharey=True)
    parts = []
    for ax, (name, matrix) in zip(axes[0], matrices.items(), strict=True):
        shares = 100 * matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
        pairs = zip(matrix, shares, strict=True)
        texts = [[f"{n}\n{s:.1f}%" for n, s in zip(*pair, strict=True)] for pair in pairs]
        heat(ax, shares, texts)
        _ticks(ax, classes, classes)
        ax.set(title=name, xlabel="answer")
        parts.append(f"{name}: right {listing(classes, np.diag(shares), 1)} percent")
    axes[0, 0].set_ylabel("truth")
    return describe(fig, "Confusion matrices, rows are the truth. " + "; ".join(parts) + ".")


def intervals(points: pd.DataFrame, metric: str = "Score") -> Figure:
    """Dots with whiskers: ours with its 95% interval, the paper's with its std where there is one.

    points: name, value, low, high, and paper, paper_std (nan where not published), in percent.
    """
    if points.empty:
        return empty(NO_RUN)
    fig, axes = blank(7.5, 0.9 + 0.45 * len(points))
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
    return describe(fig, f"{metric} with 95% intervals over patients. {'; '.join(parts)}.")


def tsne(panels: dict[str, np.ndarray], labels: dict[str, np.ndarray], most: int = 8) -> Figure:
    """Points in the plane: a column for each method, a row for each way to colour them.

    panels: method -> (clips, 2); labels: "class", "patient", ... -> (clips,). A label with more
    than `most` values keeps its most frequent ones, the rest is grey.
    """
    if not panels:
        return empty(NO_RUN)
    fig, axes = blank(4.2 * len(panels) + 1.4, 3.3 * len(labels), len(labels), len(panels))
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
    return describe(fig, alt)


def _scatter(ax: Axes, points: np.ndarray, values: np.ndarray, kept: list) -> None:
    rest = ~np.isin(values, kept)
    if rest.any():
        ax.scatter(*points[rest].T, s=5, color="#C8C8C8", marker=".", label="other")
    for i, name in enumerate(kept):
        at = values == name
        ax.scatter(*points[at].T, s=7, color=COLOURS[i], marker=MARKERS[i], lw=0, label=name)


def speeds(points: pd.DataFrame) -> Figure:
    """Bars of how many times as fast each variant is as the one it is compared with.

    points: case, variant, base, faster, faster_q1, faster_q3 (`lib.costs.speeds`). The dashed line
    at 1 is that variant itself; whiskers are quartiles.
    """
    if points.empty:
        return empty(NO_COST)
    variants = list(dict.fromkeys(points.variant))
    names = points.case if len(variants) == 1 else points.variant + " · " + points.case
    order = points.assign(name=names, at=points.variant.map(variants.index))
    order = order.sort_values("at", kind="stable")
    fig, axes = blank(7.5, 0.9 + 0.22 * len(order))
    ax, at = axes[0, 0], np.arange(len(order))[::-1]
    reach = np.abs(order[["faster_q1", "faster_q3"]].to_numpy().T - order["faster"].to_numpy())
    cases = list(dict.fromkeys(points.case)) if len(variants) > 1 else [None]
    for i, case in enumerate(cases):
        mine = np.ones(len(order), bool) if case is None else (order.case == case).to_numpy()
        look = {"color": COLOURS[i % 8], "hatch": HATCHES[i % 4], "edgecolor": "white"}
        bars = ax.barh(at[mine], order["faster"][mine], 0.75, xerr=reach[:, mine], **look)
        ax.bar_label(bars, fmt="%.2f", fontsize=7, padding=2)
    ax.axvline(1, color="black", linestyle="--", linewidth=1)
    ax.set_yticks(at, order.name, fontsize=7)
    base = ", ".join(dict.fromkeys(points.base))
    ax.set(xlabel=f"times as fast as: {base}", ylim=(-0.6, len(order) - 0.4))
    parts = listing(order.name, order["faster"], 2)
    return describe(fig, f"Bars of how many times as fast as {base}: {parts}.")


def cost_lines(points: pd.DataFrame) -> Figure:
    """Seconds against one size at a time, a panel for each, with the line that fits best.

    points: case, unit, x, median, q1, q3 (`lib.costs.lines`).
    """
    if points.empty:
        return empty(NO_COST)
    cases = list(points.groupby("case", sort=False))
    fig, axes = blank(9.5, 2.8 * -(-len(cases) // 3), -(-len(cases) // 3), min(3, len(cases)))
    parts = []
    for ax, (case, one) in zip(axes.flat, cases, strict=False):
        reach = np.abs(one[["q1", "q3"]].to_numpy().T - one["median"].to_numpy())
        look = _line(0) | {"linestyle": "none", "capsize": 3}
        ax.errorbar(one.x, one["median"], reach, **look)
        slope, start = np.polyfit(one.x, one["median"], 1)
        ends = np.array([0, one.x.max()])
        ax.plot(ends, start + slope * ends, color=GREY, linewidth=1, linestyle="--")
        what, _, rest = case.partition(", ")
        ax.set(xlabel=what, ylabel=one.unit.iloc[0], ylim=(0, None))
        ax.set_title(rest, fontsize=8)
        parts.append(f"{case}: {listing(one.x.map('{:g}'.format), one['median'], 3)} s")
    for ax in axes.flat[len(cases) :]:
        ax.set_axis_off()
    return describe(fig, f"Cost against size with fitted lines. {'; '.join(parts)}.")
