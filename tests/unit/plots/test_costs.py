"""Plots of costs: bars and lines show what was measured."""

import pandas as pd
import pytest

from lib.plots import costs
from lib.plots.style import alt_text


def test_speeds_draw_every_ratio_and_name_the_base():
    columns = ["case", "variant", "base", "faster", "faster_q1", "faster_q3"]
    rows = [("ast", "bf16", "ours", 1.2, 1.1, 1.3), ("mn04", "bf16", "ours", 0.5, 0.4, 0.6)]
    rows.append(("ast", "compiled", "ours", 1.5, 1.5, 1.5))
    fig = costs.plot_speeds(pd.DataFrame(rows, columns=columns))
    ax = fig.axes[0]
    widths = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}
    assert widths == {2: 1.2, 1: 0.5, 0: 1.5}  # by variant, from the top
    names = dict(zip(ax.get_yticks(), (t.get_text() for t in ax.get_yticklabels()), strict=True))
    assert names == {2: "bf16 · ast", 1: "bf16 · mn04", 0: "compiled · ast"}
    assert ax.get_xlabel() == "times as fast as: ours"
    assert "bf16 · mn04 0.50" in alt_text(fig)


def test_cost_lines_draw_points_and_the_fitted_line():
    rows = [("clips, an epoch", "s/epoch", x, 1 + 2 * x, 2 * x, 2 + 2 * x) for x in (1.0, 2.0, 4.0)]
    fig = costs.plot_scaling(
        pd.DataFrame(rows, columns=["case", "unit", "x", "median", "q1", "q3"])
    )
    points, line = fig.axes[0].lines[0], fig.axes[0].lines[-1]
    assert list(points.get_ydata()) == [3, 5, 9]
    assert list(line.get_xdata()) == [0, 4] and line.get_ydata() == pytest.approx([1, 9])
    assert "clips, an epoch: 1 3.000, 2 5.000, 4 9.000 s" in alt_text(fig)
