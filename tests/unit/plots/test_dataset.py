"""Plots of the recordings: every cycle is counted, and the alt text has the numbers."""

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from lib.data.icbhi import CLASSES
from lib.plots import dataset
from lib.plots.style import COLOURS, alt_text

PAPER = pd.DataFrame([[2063, 1215, 501, 363], [1579, 649, 385, 143]], ["train", "test"], CLASSES)


def test_class_counts_show_every_count():
    fig = dataset.plot_class_counts(PAPER // 2, PAPER)
    for ax, split in zip(fig.axes, PAPER.index, strict=True):
        heights = [bar.get_height() for bar in ax.patches]
        assert heights == [*PAPER.loc[split], *(PAPER.loc[split] // 2)]
    assert "paper normal 2063, crackle 1215" in alt_text(fig)


def test_durations_count_every_cycle():
    seconds = {"normal": np.array([0.2, 3.0, 9.0]), "crackle": np.array([1.0])}
    fig = dataset.plot_durations(seconds, 8.0)
    assert sum(bar.get_height() for bar in fig.axes[0].patches) == 4
    assert "1 are longer" in alt_text(fig) and "0.20 to 9.00 s" in alt_text(fig)


def test_without_events_the_figure_says_so():
    events = pd.DataFrame(columns=["1-1", "subset", "start", "end"])
    assert "no recordings of SPRSound" in alt_text(dataset.plot_event_durations(events))


def test_event_durations_are_shares_of_each_class():
    table = pd.DataFrame({"subset": ["train"] * 5 + ["inter"] * 4, "start": 1.0, "end": 1.6})
    table["1-1"] = ["Normal"] * 3 + ["Adventitious"] * 2 + ["Normal", "Adventitious"] * 2
    table.loc[:1, "end"] = 9.0  # longer than the axis
    fig = dataset.plot_event_durations(table)
    assert [ax.get_title() for ax in fig.axes] == ["train", "inter"]
    assert [ax.get_legend() for ax in fig.axes] == [None, None]  # one below, over no data
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Normal", "Adventitious"]
    colours = [to_hex(handle.get_facecolor()) for handle in legend.legend_handles]
    assert colours == [colour.lower() for colour in COLOURS[:2]]
    areas = [path.vertices for shape in fig.axes[0].collections for path in shape.get_paths()]
    assert sorted(area[:, 1].max() for area in areas) == [2 / 3, 1]
    alt = alt_text(fig)
    assert "train, Normal: median 3.00 s of 3" in alt
    assert "inter, Adventitious: median 0.60 s of 2" in alt


def test_devices_show_counts_and_shares_of_the_device():
    counts = pd.DataFrame([[3, 1, 0, 0], [0, 0, 0, 0]], ["Meditron", "Litt3200"], CLASSES)
    fig = dataset.plot_devices(counts)
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert texts[:2] == ["3 (75%)", "1 (25%)"] and texts[-1] == "0 (0%)"
    assert "Meditron: normal 3" in alt_text(fig)


def test_patients_stack_their_classes():
    counts = pd.DataFrame([[5, 1, 0, 2], [1, 1, 1, 0]], ["101", "102"], CLASSES)
    fig = dataset.plot_patients(counts)
    tops = [bar.get_y() + bar.get_height() for bar in fig.axes[0].patches]
    assert max(tops) == 8 and sum(bar.get_height() for bar in fig.axes[0].patches) == 11
    alt = alt_text(fig)
    assert "from 8 to 3" in alt and "half of all cycles come from 1 patients" in alt
