"""Plots of results: what is drawn is what was given, and the alt text has the numbers."""

import numpy as np
import pandas as pd
import pytest

from lib.data.icbhi import CLASSES
from lib.data.sprsound import TASKS
from lib.plots import results, style
from lib.plots.style import NO_RUN, alt_text, to_png


def test_histories_leave_out_what_a_run_lacks():
    full = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "test_score": [50.0, 52.0]})
    runs = {"CE": full, "CL": full[["epoch", "loss"]]}
    fig = results.plot_histories(runs, ["loss", "test_score"])
    names = [[line.get_label() for line in ax.lines[:2]] for ax in fig.axes]
    assert names[0] == ["CE", "CL"] and names[1][0] == "CE" and "CL" not in names[1]
    assert list(fig.axes[1].lines[0].get_ydata()) == [50.0, 52.0]
    assert "CL ends at loss 0.50" in alt_text(fig)


def history(*scores):
    epochs = range(1, len(scores) + 1)
    return pd.DataFrame({"epoch": epochs, "loss": 1.0, "test_score": scores}, dtype=float)


def test_a_panel_has_seven_lines_at_most_those_that_end_highest():
    runs = {f"run {n}": history(50, 50 + n) for n in range(10)}
    fig = results.plot_histories(runs, ["loss", "test_score"])
    names = [text.get_text() for text in fig.legends[0].get_texts()]
    assert names == [f"run {n}" for n in range(3, 10)]
    assert [len(lines_of(ax)) for ax in fig.axes[:2]] == [7, 7]
    assert "the 7 of 10 runs that end highest" in alt_text(fig) and "run 0 ends at" in alt_text(fig)


def test_methods_are_named_as_readers_name_them():
    assert results.reader_name("AST mini: patchmix_cl, mix=ce") == "AST mini: Patch-Mix CL, mix=ce"


def lines_of(ax):
    return [line for line in ax.lines if line.get_label() in (f"run {n}" for n in range(10))]


def test_scores_start_at_a_labelled_line_and_a_failed_run_does_not_set_the_scale():
    runs = {"run 1": history(51, 55, 60), "run 2": history(55, 20, 57)}
    for baseline in (50.0, 25.0):
        ax = results.plot_histories(runs, ["loss", "test_score"], baseline).axes[1]
        low, high = ax.get_ylim()
        assert low == baseline and 60 < high < 64
        assert [text.get_text() for text in ax.texts] == [f"{baseline:g}: always “normal”"]
        (arrows,) = [
            line for line in ax.lines if line.get_marker() == "v" and line.get_label() == "_below"
        ]
        assert arrows.get_xydata().tolist() == [[2, baseline]]
        assert not arrows.get_clip_on()
        caption = alt_text(results.plot_histories(runs, ["loss", "test_score"], baseline))
        assert f"test score{style.BELOW}. " in caption
    ax = results.plot_histories({"run 1": history(10, 20)}, ["test_score"]).axes[0]
    assert ax.get_ylim() == pytest.approx((50, 54.32))  # all failed: the line is there all the same


def sweep_points():
    rows = [("tau", 0.02, False, 1, 55.0), ("tau", 0.06, True, 1, 60.0), ("tau", 0.06, True, 2, 62)]
    rows += [("alpha", 1.0, True, 1, 60.0)]
    return pd.DataFrame(rows, columns=["setting", "value", "chosen", "seed", "score"])


def test_a_sweep_shows_mean_and_std_and_marks_the_chosen_value():
    fig = results.plot_sweep(sweep_points())
    tau, alpha = fig.axes
    assert tau.get_ylim()[0] == 50 and tau.texts[0].get_text() == "50: always “normal”"
    assert list(tau.lines[0].get_ydata()) == [55.0, 61.0]
    assert len(tau.patches) == len(alpha.patches) == 1
    assert tau.patches[0].get_x() == pytest.approx(0.6)  # around the second value
    assert "0.06 (chosen) 61.00" in alt_text(fig) and "at most 2 seeds" in alt_text(fig)
    whiskers = tau.collections[0].get_segments()
    std = np.std([60.0, 62.0], ddof=1)
    assert whiskers[1][:, 1] == pytest.approx([61 - std, 61 + std])
    assert whiskers[0][:, 1] == pytest.approx([55, 55])  # one seed has no std
    assert to_png(fig) == to_png(results.plot_sweep(sweep_points()))
    assert style.BELOW not in alt_text(fig)
    assert style.BELOW in alt_text(results.plot_sweep(sweep_points().replace(55.0, 45.0)))


def test_confusions_show_counts_and_row_percent():
    matrix = np.diag([8, 4, 2, 1]) + np.eye(4, k=1, dtype=int) * 2
    fig = results.plot_confusions({"CE": matrix, "empty": np.zeros((4, 4), dtype=int)})
    assert fig.axes[0].texts[0].get_text() == "8\n80%"
    assert fig.axes[0].texts[1].get_text() == "2\n20%"
    assert "CE: normal 80.0, crackle 66.7, wheeze 50.0, both 100.0" in alt_text(fig)


def test_long_titles_of_confusions_stand_in_lines():
    title = "Fine-tuning: SPRSound → SPRSound"
    fig = results.plot_confusions({title: np.eye(4, dtype=int), "CE": np.eye(4, dtype=int)})
    assert max(map(len, fig.axes[0].get_title().splitlines())) <= 27


def test_confusions_of_tasks_have_their_own_classes():
    matrix = np.array([[8, 0, 2], [0, 0, 0], [1, 1, 2]])
    fig = results.plot_confusions({"2-1": matrix, "1-1": np.eye(2, dtype=int)}, TASKS)
    texts = [text.get_text() for text in fig.axes[0].texts]
    zero, quarter = "0\n0%", "1\n25%"
    assert texts == ["8\n80%", zero, "2\n20%", *3 * [zero], quarter, quarter, "2\n50%"]
    assert len(fig.axes[1].texts) == 4
    alt = alt_text(fig)
    assert "2-1: Normal 80.0, Adventitious 50.0 percent, no Poor Quality in the truth" in alt


def test_intervals_show_bounds_and_the_papers_value_if_published():
    columns = ["name", "value", "low", "high", "paper", "paper_std"]
    rows = [("CE", 52.0, 49.0, 56.0, 59.55, 0.88), ("mn04", 51.0, 50.0, 53.0, np.nan, np.nan)]
    fig = results.plot_intervals(pd.DataFrame(rows, columns=columns))
    assert fig.axes[0].get_xlim()[0] == 50
    ours = fig.axes[0].collections[0].get_segments()
    assert [sorted(line[:, 0]) for line in ours] == [[49, 56], [50, 53]]
    alt = alt_text(fig)
    assert "CE 52.00 (49.00 to 56.00), paper 59.55" in alt and "mn04 51.00 (50.00 to 53.00)." in alt
    assert alt.startswith("Score with 95% intervals over patients. ")
    texts = [text.get_text() for text in fig.legends[0].get_texts()]
    assert "paper (± std)" in texts
    low = pd.DataFrame([("mn04", 41.0, 40.0, 43.0, np.nan, np.nan)], columns=columns)
    fig = results.plot_intervals(low)
    assert "paper (± std)" not in [text.get_text() for text in fig.legends[0].get_texts()]
    assert style.BELOW in alt_text(fig)


def points(classes, names=None, clips=60):
    """Points of 12 patients; `names` are the classes that occur."""
    names = np.array(names or classes)
    x, y = np.random.default_rng(0).normal(size=(2, clips))
    label = pd.Categorical(names[np.arange(clips) % len(names)], classes)
    patient = [f"c{i % 12}" for i in range(clips)]
    return pd.DataFrame({"x": x, "y": y, "class": label, "patient": patient})


def test_embeddings_colour_every_point_once_in_each_panel():
    tables = {"CE": points(CLASSES), "CL": points(CLASSES)}
    fig = results.plot_embeddings(tables, ("class", "patient"), most=5)
    for ax in fig.axes:
        assert sum(len(dots.get_offsets()) for dots in ax.collections) == 60
    names = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in fig.axes]
    assert names[1] == list(CLASSES)
    assert len(names[3]) == 6 and names[3][0] == "other"  # five of twelve patients
    assert "CE: 60 clips (normal 15, crackle 15, wheeze 15, both 15)" in alt_text(fig)


def test_a_class_looks_the_same_whichever_others_occur():
    def looks(table):
        dots = results.plot_embeddings({"1-2": table}, ("class",)).axes[0].collections
        return {each.get_label(): tuple(each.get_facecolor()[0].round(3)) for each in dots}

    every = looks(points(TASKS["1-2"]))
    assert len(set(every.values())) == 7
    fewer = looks(points(TASKS["1-2"], [name for name in TASKS["1-2"] if name != "Rhonchi"]))
    assert len(fewer) == 6 and fewer.items() <= every.items()


def test_speeds_show_every_ratio_and_name_the_base():
    columns = ["case", "variant", "base", "faster", "faster_q1", "faster_q3"]
    rows = [("ast", "bf16", "ours", 1.2, 1.1, 1.3), ("ast", "compiled", "ours", 1.5, 1.5, 1.5)]
    rows.append(("mn04", "bf16", "ours", 0.5, 0.4, 0.6))
    fig = results.plot_speeds(pd.DataFrame(rows, columns=columns))
    ax = fig.axes[0]
    widths = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}
    assert widths == {2: 1.2, 1: 0.5, 0: 1.5}  # by variant, from the top
    names = dict(zip(ax.get_yticks(), (t.get_text() for t in ax.get_yticklabels()), strict=True))
    assert names == {2: "bf16 · ast", 1: "bf16 · mn04", 0: "compiled · ast"}
    assert ax.get_xlabel() == "times as fast as: ours"
    assert "bf16 · mn04 0.50" in alt_text(fig)


def test_without_data_a_figure_says_so():
    empty = pd.DataFrame()
    figures = [results.plot_histories({}, ["loss"]), results.plot_sweep(empty)]
    figures += [results.plot_confusions({}), results.plot_embeddings({})]
    figures.append(results.plot_intervals(empty))
    assert {alt_text(fig) for fig in figures} == {NO_RUN}
    assert alt_text(results.plot_speeds(empty)) == results.NOT_MEASURED
