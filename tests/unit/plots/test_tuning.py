"""Figures of a search say in words what they show."""

import numpy as np
import pandas as pd
import pytest

from lib.plots import tuning
from lib.plots.style import alt_text, to_png

FOUND = pd.DataFrame({
    "trial": [1, 2, 3, 4], "lr": [1e-3, 1e-2, 1e-4, 3e-3], "hop": [64, 128, 64, 512],
    "tau": [0.1, 0.5, 0.9, 0.3], "score": [50.0, 62.5, 40.0, 62.0], "run": list("abcd"),
})  # fmt: skip


def test_progress_names_the_best_so_far():
    fig = tuning.plot_history(FOUND)
    assert "best is trial 2" in alt_text(fig) and "so far: 1 50.0, 2 62.5." in alt_text(fig)
    steps = fig.axes[0].lines[0].get_ydata()
    assert steps.tolist() == [50.0, 62.5, 62.5, 62.5] and to_png(fig)


def test_importance_is_drawn_largest_first():
    fig = tuning.plot_importances(pd.Series({"lr": 0.7, "hop": 0.3}))
    assert alt_text(fig) == "Bars of each setting's importance: lr 0.70, hop 0.30."
    widths = {bar.get_y(): bar.get_width() for bar in fig.axes[0].patches}
    assert widths[max(widths)] == 0.7 and to_png(fig)


def test_a_panel_for_each_setting_with_the_best_marked():
    fig = tuning.plot_settings(FOUND)
    panels = {ax.get_xlabel(): ax for ax in fig.axes if ax.get_xlabel()}
    assert list(panels) == ["lr", "hop", "tau"] and panels["lr"].get_xscale() == "log"
    stars = {name: ax.collections[1].get_offsets().tolist() for name, ax in panels.items()}
    assert stars == {"lr": [[1e-2, 62.5]], "hop": [[1, 62.5]], "tau": [[0.5, 62.5]]}
    assert "62.5 percent: lr 0.01, hop 128, tau 0.5." in alt_text(fig) and to_png(fig)


@pytest.mark.parametrize("draw", [tuning.plot_history, tuning.plot_settings])
def test_nothing_yet_is_said(draw):
    assert "no trial is finished" in alt_text(draw(FOUND.iloc[:0]))
    nothing = tuning.plot_importances(pd.Series(dtype=np.float64))
    assert "too few or too alike" in alt_text(nothing)
