"""Figures of what things cost; where nothing was measured, a figure says so."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.plots.results import COLOURS, GREY, HATCHES, line
from lib.plots.style import empty_figure, format_values, set_alt_text, subplots

NO_COST = "Nothing to draw: not measured here; the table says how."


def plot_speeds(points: pd.DataFrame) -> Figure:
    """Bars of how many times as fast each variant is as the one it is compared with.

    points: case, variant, base, faster, faster_q1, faster_q3 (`benchmarks.results.speeds`). The dashed line
    at 1 is that variant itself; whiskers are quartiles.
    """
    if points.empty:
        return empty_figure(NO_COST)
    variants = list(dict.fromkeys(points.variant))
    names = points.case if len(variants) == 1 else points.variant + " · " + points.case
    order = points.assign(name=names, at=points.variant.map(variants.index))
    order = order.sort_values("at", kind="stable")
    fig, axes = subplots(7.5, 0.9 + 0.22 * len(order))
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
    parts = format_values(order.name, order["faster"], 2)
    return set_alt_text(fig, f"Bars of how many times as fast as {base}: {parts}.")


def plot_scaling(points: pd.DataFrame) -> Figure:
    """Seconds against one size at a time, a panel for each, with the line that fits best.

    points: case, unit, x, median, q1, q3 (`benchmarks.results.lines`).
    """
    if points.empty:
        return empty_figure(NO_COST)
    cases = list(points.groupby("case", sort=False))
    fig, axes = subplots(9.5, 2.8 * -(-len(cases) // 3), -(-len(cases) // 3), min(3, len(cases)))
    parts = []
    for ax, (case, one) in zip(axes.flat, cases, strict=False):
        reach = np.abs(one[["q1", "q3"]].to_numpy().T - one["median"].to_numpy())
        look = line(0) | {"linestyle": "none", "capsize": 3}
        ax.errorbar(one.x, one["median"], reach, **look)
        slope, start = np.polyfit(one.x, one["median"], 1)
        ends = np.array([0, one.x.max()])
        ax.plot(ends, start + slope * ends, color=GREY, linewidth=1, linestyle="--")
        what, _, rest = case.partition(", ")
        ax.set(xlabel=what, ylabel=one.unit.iloc[0], ylim=(0, None))
        ax.set_title(rest, fontsize=8)
        parts.append(f"{case}: {format_values(one.x.map('{:g}'.format), one['median'], 3)} s")
    for ax in axes.flat[len(cases) :]:
        ax.set_axis_off()
    return set_alt_text(fig, f"Cost against size with fitted lines. {'; '.join(parts)}.")
