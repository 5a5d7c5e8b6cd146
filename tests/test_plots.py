"""Plots: what is drawn is what was given, and the alt text says the numbers."""

import numpy as np
import pandas as pd
import pytest

from lib import plots
from lib.data.icbhi import CLASSES
from lib.figures import alt_text, png

PAPER = pd.DataFrame([[2063, 1215, 501, 363], [1579, 649, 385, 143]], ["train", "test"], CLASSES)


def test_class_counts_draws_every_count():
    fig = plots.class_counts(PAPER // 2, PAPER)
    for ax, split in zip(fig.axes, PAPER.index, strict=True):
        heights = [bar.get_height() for bar in ax.patches]
        assert heights == [*PAPER.loc[split], *(PAPER.loc[split] // 2)]
    assert "paper normal 2063, crackle 1215" in alt_text(fig)


def test_durations_counts_every_cycle():
    seconds = {"normal": np.array([0.2, 3.0, 9.0]), "crackle": np.array([1.0])}
    fig = plots.durations(seconds, 8.0)
    assert max(bar.get_y() + bar.get_height() for bar in fig.axes[0].patches) >= 1
    assert sum(bar.get_height() for bar in fig.axes[0].patches) == 4
    assert "1 are longer" in alt_text(fig) and "0.20 to 9.00 s" in alt_text(fig)


def test_device_classes_shows_counts_and_shares_of_the_device():
    counts = pd.DataFrame([[3, 1, 0, 0], [0, 0, 0, 0]], ["Meditron", "Litt3200"], CLASSES)
    fig = plots.device_classes(counts)
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert texts[:2] == ["3 (75%)", "1 (25%)"] and texts[-1] == "0 (0%)"
    assert "Meditron: normal 3" in alt_text(fig)


def test_history_leaves_out_what_a_run_lacks():
    full = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "test_score": [50.0, 52.0]})
    fig = plots.history({"CE": full, "CL": full[["epoch", "loss"]]}, ["loss", "test_score"])
    assert [len(ax.lines) for ax in fig.axes] == [2, 1]
    assert list(fig.axes[1].lines[0].get_ydata()) == [50.0, 52.0]
    assert "CL ends at loss 0.50" in alt_text(fig)


def _points():
    rows = [("tau", 0.02, False, 1, 55.0), ("tau", 0.06, True, 1, 60.0), ("tau", 0.06, True, 2, 62)]
    rows += [("alpha", 1.0, True, 1, 60.0)]
    return pd.DataFrame(rows, columns=["setting", "value", "chosen", "seed", "score"])


def test_sweep_draws_means_and_marks_the_chosen_value():
    fig = plots.sweep(_points())
    tau, alpha = fig.axes
    assert list(tau.lines[0].get_ydata()) == [55.0, 61.0]
    assert len(tau.patches) == len(alpha.patches) == 1
    assert tau.patches[0].get_x() == pytest.approx(0.6)  # around the second value
    assert "0.06 (chosen) 61.00" in alt_text(fig) and "at most 2 seeds" in alt_text(fig)


def test_sweep_whiskers_are_the_std_over_seeds():
    whiskers = plots.sweep(_points()).axes[0].collections[0].get_segments()
    spread = np.std([60.0, 62.0], ddof=1)
    assert whiskers[1][:, 1] == pytest.approx([61 - spread, 61 + spread])
    assert whiskers[0][:, 1] == pytest.approx([55, 55])  # one seed: no spread is claimed


def test_confusions_shows_counts_and_row_percent():
    matrix = np.diag([8, 4, 2, 1]) + np.eye(4, k=1, dtype=int) * 2
    fig = plots.confusions({"CE": matrix, "empty": np.zeros((4, 4), dtype=int)})
    assert fig.axes[0].texts[0].get_text() == "8\n80.0%"
    assert fig.axes[0].texts[1].get_text() == "2\n20.0%"
    assert "CE: right normal 80.0, crackle 66.7, wheeze 50.0, both 100.0" in alt_text(fig)


def test_intervals_draws_bounds_and_the_paper_where_there_is_one():
    columns = ["name", "value", "low", "high", "paper", "paper_std"]
    rows = [("CE", 52.0, 49.0, 56.0, 59.55, 0.88), ("mn04", 51.0, 50.0, 53.0, np.nan, np.nan)]
    fig = plots.intervals(pd.DataFrame(rows, columns=columns))
    ours = fig.axes[0].collections[0].get_segments()
    assert [sorted(line[:, 0]) for line in ours] == [[49, 56], [50, 53]]
    alt = alt_text(fig)
    assert "CE 52.00 (49.00 to 56.00), paper 59.55" in alt and "mn04 51.00 (50.00 to 53.00)." in alt


def test_tsne_colours_every_point_once_in_each_panel():
    points = np.random.default_rng(0).normal(size=(60, 2))
    labels = {"class": np.repeat(CLASSES, 15), "patient": np.repeat(np.arange(20), 3).astype(str)}
    fig = plots.tsne({"CE": points, "CL": points}, labels, most=5)
    for ax in fig.axes:
        assert sum(len(dots.get_offsets()) for dots in ax.collections) == 60
    names = [text.get_text() for text in fig.axes[1].get_legend().get_texts()]
    assert names == list(CLASSES)
    assert len(fig.axes[3].get_legend().get_texts()) == 6  # five patients and "other"
    assert "60 test clips" in alt_text(fig)


def test_speeds_draw_every_ratio_and_name_the_base():
    columns = ["case", "variant", "base", "faster", "faster_q1", "faster_q3"]
    rows = [("ast", "bf16", "ours", 1.2, 1.1, 1.3), ("mn04", "bf16", "ours", 0.5, 0.4, 0.6)]
    rows.append(("ast", "compiled", "ours", 1.5, 1.5, 1.5))
    fig = plots.speeds(pd.DataFrame(rows, columns=columns))
    ax = fig.axes[0]
    widths = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}
    assert widths == {2: 1.2, 1: 0.5, 0: 1.5}  # by variant, from the top
    names = dict(zip(ax.get_yticks(), (t.get_text() for t in ax.get_yticklabels()), strict=True))
    assert names == {2: "bf16 · ast", 1: "bf16 · mn04", 0: "compiled · ast"}
    assert ax.get_xlabel() == "times as fast as: ours"
    assert "bf16 · mn04 0.50" in alt_text(fig)


def test_cost_lines_draw_points_and_the_fitted_line():
    rows = [("clips, an epoch", "s/epoch", x, 1 + 2 * x, 2 * x, 2 + 2 * x) for x in (1.0, 2.0, 4.0)]
    fig = plots.cost_lines(pd.DataFrame(rows, columns=["case", "unit", "x", "median", "q1", "q3"]))
    points, line = fig.axes[0].lines[0], fig.axes[0].lines[-1]
    assert list(points.get_ydata()) == [3, 5, 9]
    assert list(line.get_xdata()) == [0, 4] and line.get_ydata() == pytest.approx([1, 9])
    assert "clips, an epoch: 1 3.000, 2 5.000, 4 9.000 s" in alt_text(fig)


def test_nothing_finished_is_said():
    nothing = (
        plots.history({}, ["loss"]),
        plots.sweep(_points().iloc[:0]),
        plots.confusions({}),
        plots.intervals(pd.DataFrame()),
        plots.tsne({}, {}),
    )
    assert {alt_text(fig) for fig in nothing} == {plots.NO_RUN}


def test_same_input_same_bytes():
    assert png(plots.sweep(_points())) == png(plots.sweep(_points()))
