"""Plots of the loss landscape: what is drawn is what was given, and alt texts have the numbers."""

import warnings

import numpy as np
import pandas as pd
import pytest

from lib.plots import landscape
from lib.plots.style import NO_RUN, alt_text, to_png

ROWS = [("CE", 1, -1.0, 4.0), ("CE", 1, 0.0, 1.0), ("CE", 1, 1.0, 5.0)]
ROWS += [("CE", 2, -1.0, 2.0), ("CE", 2, 0.0, 3.0), ("CE", 2, 1.0, 6.0)]
ROWS += [("SAM", 1, -1.0, 1.5), ("SAM", 1, 0.0, 1.0), ("SAM", 1, 1.0, 2.0)]
POINTS = pd.DataFrame(ROWS, columns=["method", "seed", "position", "loss"])


def test_loss_lines_show_means_and_seeds():
    fig = landscape.plot_loss_lines(POINTS)
    lines = [line for line in fig.axes[0].lines if len(line.get_ydata())]
    assert [line.get_ydata().tolist() for line in lines] == [
        [4, 1, 5], [2, 3, 6], [1.5, 1, 2], [3, 2, 5.5], [1.5, 1, 2],
    ]  # fmt: skip
    assert [line.get_xdata().tolist() for line in lines] == [[-1, 0, 1]] * 5
    assert [line.get_linewidth() for line in lines] == [0.6] * 3 + [1.8] * 2
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["CE", "SAM"]
    assert "CE: at -1 3.00, at 0 2.00, at 1 5.50; SAM: at -1 1.50" in alt_text(fig)


def test_every_recipe_has_a_panel_with_few_lines():
    named = POINTS.assign(method="AST, " + POINTS.method)
    named = pd.concat([named, POINTS.assign(method="AST + WRS, " + POINTS.method)])
    fig = landscape.plot_loss_lines(named)
    assert [ax.get_title() for ax in fig.axes] == ["AST", "AST + WRS"]
    drawn = [sum(len(line.get_ydata()) > 0 for line in ax.lines) for ax in fig.axes]
    assert drawn == [5, 5]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["CE", "SAM"]


def test_loss_planes_share_their_levels_with_rows_upwards():
    positions = np.linspace(-1, 1, 5)
    rising = np.arange(5.0)[:, None] + np.zeros(5)  # along the second direction alone
    fig = landscape.plot_loss_planes(positions, {"CE": rising, "SAM": 0.5 * rising + 1})
    panels = [ax for ax in fig.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == ["CE", "SAM"]
    levels = [ax.collections[0].levels for ax in panels]
    np.testing.assert_array_equal(levels[0], levels[1])
    assert (levels[0].min(), levels[0].max()) == (0, 4)
    middle = panels[0].collections[1].get_paths()[8].vertices  # a line of one level
    np.testing.assert_allclose(np.ptp(middle[:, 1]), 0, atol=1e-6)
    assert np.ptp(middle[:, 0]) == pytest.approx(2)
    assert "CE 0.00 to 4.00, SAM 1.00 to 3.00" in alt_text(fig)


@pytest.mark.parametrize("steep", [False, True])
def test_a_flat_plane_can_be_drawn(steep):
    losses = {"SAM": np.full((3, 3), 0.5)}
    if steep:
        losses["CE"] = losses["SAM"] + np.arange(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fig = landscape.plot_loss_planes(np.array([-1, 0, 1]), losses)
        assert len(to_png(fig)) > 1000


def test_a_sam_step_shows_where_it_looks_and_where_steps_end():
    fig = landscape.plot_sam_step(np.square, 0.5, 1.0, {"plain": 0.25, "SAM": 0.0})
    curve, *points = fig.axes[0].lines
    np.testing.assert_allclose(curve.get_ydata(), np.square(curve.get_xdata()))
    assert curve.get_xdata().min() < 0 and curve.get_xdata().max() > 1
    drawn = {line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in points}
    expected = {"start": 0.5, "where SAM looks": 1.0, "plain": 0.25, "SAM": 0.0}
    assert drawn == {name: (w, w**2) for name, w in expected.items()}
    assert "start 0.50, where SAM looks 1.00, plain 0.25, SAM 0.00" in alt_text(fig)


def test_without_a_run_a_figure_says_so():
    figures = landscape.plot_loss_lines(POINTS[:0]), landscape.plot_loss_planes(np.zeros(1), {})
    assert {alt_text(fig) for fig in figures} == {NO_RUN}
