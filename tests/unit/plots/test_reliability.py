"""Figures of reliability draw what they are given, and say it in words."""

import numpy as np
import pandas as pd
import pytest

from lib.plots import reliability
from lib.plots.style import NO_RUN, alt_text, to_png


def line_of(ax, label):
    return next(line for line in ax.lines if line.get_label() == label)


def test_a_diagram_leaves_out_bins_of_few_clips():
    bins = np.full((15, 3), np.nan)
    bins[:, 0] = 0
    bins[7:10] = [[30, 0.5, 0.4], [9, 0.6, 0.1], [10, 0.7, 0.6]]
    fig = reliability.plot_diagrams({"A": {"before": bins, "after": bins}})
    assert line_of(fig.axes[0], "before scaling").get_xydata().tolist() == [[0.5, 0.4], [0.7, 0.6]]
    assert "A +0.10" in alt_text(fig)


def test_coverage_with_its_interval_and_the_promise():
    columns = ["row", "site", "value", "low", "high"]
    lines = [("a", "x", 80, 70, 85), ("a", "y", 20, 10, 30), ("b", "x", 95, 90, 99)]
    fig = reliability.plot_coverage(pd.DataFrame(lines, columns=columns))
    (ax,) = fig.axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["x", "y", "x"]
    assert line_of(ax, "promised: 90%").get_xdata()[0] == 90
    first, second = (bar.lines[0].get_xdata().tolist() for bar in ax.containers)
    assert first == [80, 20] and second == [95]
    assert "a on y 20.0 (10.0 to 30.0)" in alt_text(fig)


def test_few_patients_one_line_for_each_name():
    lines = [(name, k, 80 + k, 1.0) for name in ("a", "b") for k in (0, 5)]
    points = pd.DataFrame(lines, columns=["name", "k", "mean", "std"])
    fig = reliability.plot_few_patients(points)
    assert [bar.lines[0].get_ydata().tolist() for bar in fig.axes[0].containers] == [[80, 85]] * 2
    assert "a: 0 80.0, 5 85.0" in alt_text(fig)


def test_risk_in_percent_with_the_same_look_in_every_panel():
    curve = np.array([0.5, 1.0]), np.array([0.1, 0.3])
    fig = reliability.plot_risk({"ICBHI": {"a": curve}, "SPRSound": {"b": curve, "a": curve}})
    one, two = fig.axes
    assert two.lines[0].get_ydata().tolist() == pytest.approx([10, 30])
    assert one.lines[0].get_color() == two.lines[1].get_color() != two.lines[0].get_color()
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["a", "b"]
    assert "b on SPRSound 30.0" in alt_text(fig)


def test_published_differences_beside_the_band_of_detectable_ones():
    published = pd.DataFrame({"claim": ["big", "small"], "difference": [9.0, -1.0]})
    fig = reliability.plot_detectable(published, pd.Series([3.0, 4.0, 6.0]))
    (ax,) = fig.axes
    assert line_of(ax, "published").get_xdata().tolist() == [1, 9]
    assert (ax.patches[0].get_x(), ax.patches[0].get_width()) == (3, 3)
    assert "detectable 4.00, 3.00 to 6.00" in alt_text(fig) and "small -1.00" in alt_text(fig)


def test_without_runs_every_figure_says_so():
    nothing = pd.DataFrame()
    published = pd.DataFrame({"claim": ["big"], "difference": [9.0]})
    for fig in (reliability.plot_diagrams({}), reliability.plot_risk({}),
                reliability.plot_coverage(nothing), reliability.plot_few_patients(nothing),
                reliability.plot_detectable(published, pd.Series(dtype=float))):  # fmt: skip
        assert alt_text(fig) == NO_RUN and to_png(fig)
