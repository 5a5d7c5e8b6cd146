"""Plots: what is drawn is what was given, and the alt text says the numbers."""

import numpy as np
import pandas as pd
import pytest

from lib.data.icbhi import CLASSES
from lib.plots import results
from lib.plots.style import alt_text, to_png


def test_history_leaves_out_what_a_run_lacks():
    full = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "test_score": [50.0, 52.0]})
    fig = results.plot_histories(
        {"CE": full, "CL": full[["epoch", "loss"]]}, ["loss", "test_score"]
    )
    assert [len(ax.lines) for ax in fig.axes] == [2, 1]
    assert list(fig.axes[1].lines[0].get_ydata()) == [50.0, 52.0]
    assert "CL ends at loss 0.50" in alt_text(fig)


def _points():
    rows = [("tau", 0.02, False, 1, 55.0), ("tau", 0.06, True, 1, 60.0), ("tau", 0.06, True, 2, 62)]
    rows += [("alpha", 1.0, True, 1, 60.0)]
    return pd.DataFrame(rows, columns=["setting", "value", "chosen", "seed", "score"])


def test_sweep_draws_means_and_marks_the_chosen_value():
    fig = results.plot_sweep(_points())
    tau, alpha = fig.axes
    assert list(tau.lines[0].get_ydata()) == [55.0, 61.0]
    assert len(tau.patches) == len(alpha.patches) == 1
    assert tau.patches[0].get_x() == pytest.approx(0.6)  # around the second value
    assert "0.06 (chosen) 61.00" in alt_text(fig) and "at most 2 seeds" in alt_text(fig)


def test_sweep_whiskers_are_the_std_over_seeds():
    whiskers = results.plot_sweep(_points()).axes[0].collections[0].get_segments()
    spread = np.std([60.0, 62.0], ddof=1)
    assert whiskers[1][:, 1] == pytest.approx([61 - spread, 61 + spread])
    assert whiskers[0][:, 1] == pytest.approx([55, 55])  # one seed: no spread is claimed


def test_confusions_shows_counts_and_row_percent():
    matrix = np.diag([8, 4, 2, 1]) + np.eye(4, k=1, dtype=int) * 2
    fig = results.plot_confusions({"CE": matrix, "empty": np.zeros((4, 4), dtype=int)})
    assert fig.axes[0].texts[0].get_text() == "8\n80.0%"
    assert fig.axes[0].texts[1].get_text() == "2\n20.0%"
    assert "CE: right normal 80.0, crackle 66.7, wheeze 50.0, both 100.0" in alt_text(fig)


def test_intervals_draws_bounds_and_the_paper_where_there_is_one():
    columns = ["name", "value", "low", "high", "paper", "paper_std"]
    rows = [("CE", 52.0, 49.0, 56.0, 59.55, 0.88), ("mn04", 51.0, 50.0, 53.0, np.nan, np.nan)]
    fig = results.plot_intervals(pd.DataFrame(rows, columns=columns))
    ours = fig.axes[0].collections[0].get_segments()
    assert [sorted(line[:, 0]) for line in ours] == [[49, 56], [50, 53]]
    alt = alt_text(fig)
    assert "CE 52.00 (49.00 to 56.00), paper 59.55" in alt and "mn04 51.00 (50.00 to 53.00)." in alt


def test_tsne_colours_every_point_once_in_each_panel():
    points = np.random.default_rng(0).normal(size=(60, 2))
    labels = {"class": np.repeat(CLASSES, 15), "patient": np.repeat(np.arange(20), 3).astype(str)}
    fig = results.plot_embeddings({"CE": points, "CL": points}, labels, most=5)
    for ax in fig.axes:
        assert sum(len(dots.get_offsets()) for dots in ax.collections) == 60
    names = [text.get_text() for text in fig.axes[1].get_legend().get_texts()]
    assert names == list(CLASSES)
    assert len(fig.axes[3].get_legend().get_texts()) == 6  # five patients and "other"
    assert "60 test clips" in alt_text(fig)


def test_nothing_finished_is_said():
    nothing = (
        results.plot_histories({}, ["loss"]),
        results.plot_sweep(_points().iloc[:0]),
        results.plot_confusions({}),
        results.plot_intervals(pd.DataFrame()),
        results.plot_embeddings({}, {}),
    )
    assert {alt_text(fig) for fig in nothing} == {results.NO_RUN}


def test_same_input_same_bytes():
    assert to_png(results.plot_sweep(_points())) == to_png(results.plot_sweep(_points()))
