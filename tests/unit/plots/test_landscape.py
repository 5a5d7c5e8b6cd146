"""Figures of flatness and attention: what is drawn is what was given, and alt texts say it."""

import warnings

import numpy as np
import pandas as pd
import pytest

from lib.plots import landscape as plots
from lib.plots.style import alt_text, to_png

COLUMNS = ["method", "seed", "position", "loss"]
ROWS = [("CE", 1, -1.0, 4.0), ("CE", 1, 0.0, 1.0), ("CE", 1, 1.0, 5.0)]
ROWS += [("CE", 2, -1.0, 2.0), ("CE", 2, 0.0, 3.0), ("CE", 2, 1.0, 6.0)]
ROWS += [("SAM", 1, -1.0, 1.5), ("SAM", 1, 0.0, 1.0), ("SAM", 1, 1.0, 2.0)]
FOUND = pd.DataFrame(ROWS, columns=COLUMNS)


def test_slices_draws_means_and_seeds():
    fig = plots.plot_loss_lines(FOUND)
    lines = [line.get_ydata().tolist() for line in fig.axes[0].lines]
    assert lines == [[4, 1, 5], [2, 3, 6], [3, 2, 5.5], [1.5, 1, 2], [1.5, 1, 2]]
    assert [line.get_xdata().tolist() for line in fig.axes[0].lines] == [[-1, 0, 1]] * 5
    widths = [line.get_linewidth() for line in fig.axes[0].lines]
    assert max(widths[0], widths[1], widths[3]) < min(widths[2], widths[4])
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["CE", "SAM"]
    assert "CE: at -1 3.00, at 0 2.00, at 1 5.50; SAM: at -1 1.50" in alt_text(fig)


def test_slices_without_seeds():
    fig = plots.plot_loss_lines(FOUND[FOUND.seed == 1].drop(columns="seed"))
    assert [len(line.get_ydata()) for line in fig.axes[0].lines] == [3, 3]


def test_surface_shares_its_levels_and_stands_upright():
    positions = np.linspace(-1, 1, 5)
    rising = np.arange(5.0)[:, None] + np.zeros(5)  # along the second direction alone
    fig = plots.plot_loss_planes(positions, {"CE": rising, "SAM": 0.5 * rising + 1})
    panels = [ax for ax in fig.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == ["CE", "SAM"]
    levels = [ax.collections[0].levels for ax in panels]
    np.testing.assert_array_equal(levels[0], levels[1])
    assert (levels[0].min(), levels[0].max()) == (0, 4)
    middle = panels[0].collections[1].get_paths()[8].vertices  # a line of one level
    np.testing.assert_allclose(np.ptp(middle[:, 1]), 0, atol=1e-6)
    assert np.ptp(middle[:, 0]) == pytest.approx(2)
    assert "CE 0.00 to 4.00, SAM 1.00 to 3.00" in alt_text(fig)


def test_a_flat_surface_can_be_drawn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flat = np.full((3, 3), 0.5)
        assert len(to_png(plots.plot_loss_planes(np.array([-1, 0, 1]), {"SAM": flat}))) > 1000
        steep = flat + np.arange(3)
        assert len(
            to_png(plots.plot_loss_planes(np.array([-1, 0, 1]), {"SAM": flat + 0.01, "CE": steep}))
        )


def test_attention_lies_over_the_spectrogram():
    rng = np.random.default_rng(0)
    spectrogram, one = rng.normal(size=(300, 128)), rng.uniform(1, 3, (300, 128))
    one[150, 20], one[298:] = 9.0, np.nan
    fig = plots.plot_attention(
        spectrogram, {"last": one, "rollout": np.ones((300, 128))}, "101, crackle"
    )
    plain, last, rollout = fig.axes
    assert [len(ax.images) for ax in fig.axes] == [1, 2, 2]
    for ax in fig.axes:
        np.testing.assert_array_equal(ax.images[0].get_array(), spectrogram.T)
        for image in ax.images:
            assert image.origin == "lower" and image.get_extent() == [0, 3.0, 0, 128]
    opacity = last.images[1].get_alpha()
    assert opacity.shape == (128, 300) and (opacity[:, 298:] == 0).all()
    assert np.unravel_index(opacity.argmax(), opacity.shape) == (20, 150)
    assert opacity[:, :298].min() == 0 and 0.5 < opacity.max() < 1
    mean = np.nanmean(one)
    assert last.get_title() == f"last, {1 / mean:.2f} to {9 / mean:.2f} times the mean"
    assert rollout.get_title() == "rollout, 1.00 to 1.00 times the mean"
    assert f"last is highest, {9 / mean:.2f} times its mean, at 1.50 s and mel bin 20" in alt_text(
        fig
    )
    assert alt_text(fig).startswith("101, crackle: spectrogram of 3.0 s")
    assert fig.axes[-1].get_xlabel() == "time (s)" and len(to_png(fig)) > 1000


def test_nothing_to_draw_is_said():
    for fig in (plots.plot_loss_lines(FOUND[:0]), plots.plot_loss_planes(np.zeros(1), {})):
        assert "no run is finished" in alt_text(fig)
