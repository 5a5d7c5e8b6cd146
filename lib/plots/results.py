"""Figures of results: pure functions, data in, `Figure` with alt text out.

If no run is finished, a figure says so.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import product
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.data.icbhi import CLASSES
from lib.plots import style
from lib.plots.style import COLOURS, GREY, HATCHES, LIGHT_GREY, MARKERS, NO_RUN, format_values

NOT_MEASURED = "Nothing to draw: not measured here; the table says how."


READER_NAMES = {"ce": "CE", "patchmix_ce": "Patch-Mix CE", "patchmix_cl": "Patch-Mix CL",
                "dual_axis": "dual axis", "srad": "Lung-SRAD", "supcon": "SupCon",
                "mixup": "MixUp", "wrs": "WRS", "wrs_sam": "WRS + SAM"}  # fmt: skip


def plot_histories(
    histories: dict[str, pd.DataFrame], columns: Sequence[str], baseline: float = 50.0
) -> Figure:
    """Plot curves over the epochs: one panel for each column, one line for each run.

    histories: name -> table with "epoch" and `columns`; a column that a run lacks is left out. Of
    more than seven runs, those that end highest in the last column are drawn. baseline: where axes
    of Scores start.
    """
    if not histories:
        return style.empty_figure(NO_RUN)
    histories = {reader_name(name): table for name, table in histories.items()}
    shown = _highest(histories, columns[-1])
    fig, axes = style.panels(len(columns), 2, 3.3, 2.9)
    for ax, column in zip(axes, columns, strict=True):
        tables = {name: table for name, table in shown.items() if column in table}
        for i, name in enumerate(shown):
            if name in tables:
                ax.plot("epoch", column, data=tables[name], **style.line_style(i), label=name)
        if column.endswith("score"):
            _score_panel(ax, shown, column, baseline)
        ax.set(xlabel="epoch", title=column.replace("_", " "))
        ax.xaxis.get_major_locator().set_params(integer=True)
    fig.legend(*axes[0].get_legend_handles_labels(), ncols=1, **style.LEGEND_BELOW)
    ends = [
        f"{name} ends at {format_values(present, table.iloc[-1][present], 2)}"
        for name, table in histories.items()
        if (present := [column for column in columns if column in table])
    ]
    which = f" of the {len(shown)} of {len(histories)} runs that end highest"
    alt = f"Curves over the epochs{which * (len(shown) < len(histories))}: {', '.join(columns)}"
    scores = [column for column in columns if column.endswith("score")]
    alt += style.BELOW * any(
        (table[column] < baseline).any()
        for table in shown.values()
        for column in scores
        if column in table
    )
    return style.set_alt_text(fig, f"{alt.replace('_', ' ')}. {'; '.join(ends)}.")


def reader_name(name: str) -> str:
    """Return a name with methods as readers write them: "AST mini: Patch-Mix CL, tau=0.1"."""
    return re.sub(r"(?<![\w=])\w+(?![\w=])", lambda m: READER_NAMES.get(m[0], m[0]), name)


def _highest(histories: dict[str, pd.DataFrame], column: str) -> dict[str, pd.DataFrame]:
    """Return at most seven runs, those with the highest last value of a column, in their order."""
    ends = {
        name: table[column].iloc[-1] if column in table else -np.inf
        for name, table in histories.items()
    }
    names = sorted(ends, key=ends.get, reverse=True)[: style.MOST_LINES]
    return {name: table for name, table in histories.items() if name in names}


def _score_panel(
    ax: Axes, histories: dict[str, pd.DataFrame], column: str, baseline: float
) -> None:
    """Start the panel at the baseline; epochs below it are marked at the edge."""
    tables = [table for table in histories.values() if column in table]
    style.score_axis(ax, [value for table in tables for value in table[column]], baseline)
    for i, table in enumerate(histories.values()):
        if column in table:
            style.mark_below(ax, table["epoch"], table[column], COLOURS[i % 8], baseline)


def plot_sweep(points: pd.DataFrame, metric: str = "score") -> Figure:
    """Plot mean and std over seeds: a panel for each setting, the chosen value on grey.

    points: setting, value (as printed, in order), chosen (bool), seed and `metric` in percent.
    """
    if points.empty:
        return style.empty_figure(NO_RUN)
    settings = list(dict.fromkeys(points.setting))
    fig, axes = style.panels(len(settings), 2, 3.3, 2.9, sharey=True)
    texts = []
    for ax, setting in zip(axes, settings, strict=True):
        table = points[points.setting == setting].groupby("value", sort=False)
        table = table.agg(mean=(metric, "mean"), std=(metric, "std"), chosen=("chosen", "any"))
        x = np.arange(len(table))
        for position in x[table.chosen]:
            ax.axvspan(position - 0.4, position + 0.4, color=LIGHT_GREY, zorder=0)
        ax.errorbar(x, table["mean"], table["std"].fillna(0), **style.line_style(0), capsize=3)
        style.mark_below(ax, x, table["mean"], COLOURS[0])
        ax.set_xticks(x, table.index)
        ax.set(xlabel=setting, xlim=(-0.6, len(table) - 0.4))
        names = np.where(table.chosen, table.index.astype(str) + " (chosen)", table.index)
        texts.append(f"{setting}: {format_values(names, table['mean'], 2)}")
    axes[0].set_ylabel(f"{metric} (%)")
    for ax in axes:
        style.score_axis(ax, points[metric])
    seeds = int(points.groupby(["setting", "value"]).size().max())
    low = style.BELOW * bool((points[metric] < 50).any())
    alt = f"Mean {metric} over at most {seeds} seed{'s' * (seeds > 1)} against each setting{low}. "
    alt += f"{'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def plot_confusions(
    matrices: dict[str, np.ndarray],
    classes: Sequence[str] | Mapping[str, Sequence[str]] = CLASSES,
) -> Figure:
    """Plot confusion matrices: counts and percent of the row; rows are the truth.

    matrices: name -> (n, n) counts; classes: of all matrices, or name -> its classes.
    """
    if not matrices:
        return style.empty_figure(NO_RUN)
    names = classes if isinstance(classes, Mapping) else dict.fromkeys(matrices, classes)
    columns, width = (2, 3.3) if max(map(len, matrices.values())) <= 4 else (1, 6.6)
    fig, axes = style.panels(len(matrices), columns, width, 0.9 * width)
    texts = []
    for ax, (title, matrix) in zip(axes, matrices.items(), strict=True):
        labels = np.array(names[title])
        total = matrix.sum(axis=1)
        shares = 100 * matrix / total.clip(min=1)[:, None]
        cells = [f"{n}\n{s:.0f}%" for n, s in zip(matrix.flat, shares.flat, strict=True)]
        ticks = [style.SHORT_NAMES.get(name, name) for name in labels]
        style.heatmap(ax, shares, np.reshape(cells, matrix.shape), ticks, ticks)
        ax.tick_params("x", rotation=45)
        ax.set(title=fill(title, 9 * int(width)), xlabel="predicted", ylabel="true")
        recalls = format_values(labels[total > 0], np.diag(shares)[total > 0], 1)
        absent = ", ".join(labels[total == 0])
        texts.append(f"{title}: {recalls} percent" + (f", no {absent} in the truth" * bool(absent)))
    alt = f"Confusion matrices, rows are the truth. Recall: {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def plot_intervals(points: pd.DataFrame, metric: str = "Score") -> Figure:
    """Plot ours with its 95% interval beside the paper's value with its std, if published.

    points: name, value, low, high, and paper, paper_std (NaN if not published), in percent.
    """
    if points.empty:
        return style.empty_figure(NO_RUN)
    fig, axes = style.subplots(style.WIDTH, 1.3 + 0.6 * len(points))
    ax, y = axes[0, 0], np.arange(len(points))[::-1]
    reach = np.abs(points[["low", "high"]].to_numpy().T - points["value"].to_numpy())
    ours = {"fmt": "o", "color": COLOURS[0], "label": "ours"}
    ax.errorbar(points["value"], y + 0.12, xerr=reach, capsize=3, **ours)
    paper = {"fmt": "D", "color": GREY, "mfc": "white", "label": "paper (± std)"}
    if points.paper.notna().any():
        reach = points["paper_std"].fillna(0)
        ax.errorbar(points["paper"], y - 0.12, xerr=reach, capsize=3, **paper)
    style.score_axis(ax, [*points.high, *points.paper.dropna()], axis="x")
    style.mark_below(ax, y + 0.12, points["value"], COLOURS[0], axis="x")
    ax.set_yticks(y, [fill(name, 22) for name in points["name"]])
    ax.set(xlabel=f"{metric} (%)", ylim=(-0.6, len(points) - 0.4))
    fig.legend(ncols=3, **style.LEGEND_BELOW)
    texts = [
        f"{p.name} {p.value:.2f} ({p.low:.2f} to {p.high:.2f})"
        + ("" if np.isnan(p.paper) else f", paper {p.paper:.2f}")
        for p in points.itertuples(index=False)
    ]
    low = style.BELOW * bool((points.value < 50).any())
    alt = f"{metric} with 95% intervals over patients{low}. {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def plot_embeddings(
    tables: dict[str, pd.DataFrame], groupings: Sequence[str] = ("class", "patient"), most: int = 8
) -> Figure:
    """Plot points in the plane: a column for each table, a row for each way to colour them.

    tables: title -> x, y and a column for each grouping. The categories of a categorical column
    have fixed colours, whichever occur; of other columns the `most` frequent values are coloured.
    """
    if not tables:
        return style.empty_figure(NO_RUN)
    fig, axes = style.panels(len(groupings) * len(tables), 2, 3.3, 4.6)
    for ax, (grouping, title) in zip(axes, product(groupings, tables), strict=True):
        _scatter(ax, tables[title], tables[title][grouping], most)
        ax.set(title=f"{title},\nby {grouping}", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    texts = []
    for title, table in tables.items():
        counts = table[groupings[0]].value_counts(sort=False)
        texts.append(f"{title}: {len(table)} clips ({format_values(counts.index, counts)})")
    alt = f"Clips as points, coloured by {', by '.join(groupings)}. {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def _scatter(ax: Axes, table: pd.DataFrame, values: pd.Series, most: int) -> None:
    """Draw points in the colours of their values, those of rare values in grey."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        names = list(values.cat.categories)
    else:
        names = sorted(values.value_counts().index[:most])
    rare = table[~values.isin(names)]
    if len(rare):
        ax.scatter(
            rare.x, rare.y, s=5, color=LIGHT_GREY, marker=".", label="other", rasterized=True
        )
    for i, name in enumerate(names):
        points, look = table[values == name], {"color": COLOURS[i % 8], "marker": MARKERS[i % 8]}
        if len(points):
            ax.scatter(points.x, points.y, s=8, linewidth=0, label=name, rasterized=True, **look)
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.01), "frameon": False}
    ax.legend(**place, ncols=2, markerscale=1.5, handletextpad=0.1, columnspacing=0.6)


def plot_speeds(points: pd.DataFrame) -> Figure:
    """Plot bars of how many times as fast each variant is as the one it is compared with.

    points: case, variant, base, faster, faster_q1, faster_q3. The dashed line at 1 is the variant
    that is compared with; whiskers are quartiles.
    """
    if points.empty:
        return style.empty_figure(NOT_MEASURED)
    points = points.sort_values("variant", kind="stable", key=lambda names: pd.factorize(names)[0])
    points = points.assign(case=points.case.map(reader_name))
    several = points.variant.nunique() > 1
    names = points.variant + " · " + points.case if several else points.case
    fig, axes = style.subplots(style.WIDTH, 0.9 + 0.27 * len(points))
    ax, y = axes[0, 0], np.arange(len(points))[::-1]
    reach = np.abs(points[["faster_q1", "faster_q3"]].to_numpy().T - points.faster.to_numpy())
    cases = pd.factorize(points.case)[0] if several else np.zeros(len(points), int)
    looks = {"color": [COLOURS[i % 8] for i in cases], "hatch": [HATCHES[i % 4] for i in cases]}
    bars = ax.barh(y, points.faster, 0.75, xerr=reach, edgecolor="white", **looks)
    ax.bar_label(bars, fmt="%.2f", padding=2)
    ax.axvline(1, color="black", linestyle="--", linewidth=1)
    ax.set_yticks(y, names)
    base = ", ".join(dict.fromkeys(points.base))
    ax.set(xlabel=f"times as fast as: {base}", ylim=(-0.6, len(points) - 0.4))
    alt = f"Bars of how many times as fast as {base}. {format_values(names, points.faster, 2)}."
    return style.set_alt_text(fig, alt)
