"""Plots of the recordings: every cycle is counted, and the alt text says the numbers."""

import numpy as np
import pandas as pd

from lib.data.icbhi import CLASSES
from lib.plots import dataset
from lib.plots.style import alt_text

PAPER = pd.DataFrame([[2063, 1215, 501, 363], [1579, 649, 385, 143]], ["train", "test"], CLASSES)


def test_class_counts_draws_every_count():
    fig = dataset.plot_class_counts(PAPER // 2, PAPER)
    for ax, split in zip(fig.axes, PAPER.index, strict=True):
        heights = [bar.get_height() for bar in ax.patches]
        assert heights == [*PAPER.loc[split], *(PAPER.loc[split] // 2)]
    assert "paper normal 2063, crackle 1215" in alt_text(fig)


def test_durations_counts_every_cycle():
    seconds = {"normal": np.array([0.2, 3.0, 9.0]), "crackle": np.array([1.0])}
    fig = dataset.plot_durations(seconds, 8.0)
    assert max(bar.get_y() + bar.get_height() for bar in fig.axes[0].patches) >= 1
    assert sum(bar.get_height() for bar in fig.axes[0].patches) == 4
    assert "1 are longer" in alt_text(fig) and "0.20 to 9.00 s" in alt_text(fig)


def test_device_classes_shows_counts_and_shares_of_the_device():
    counts = pd.DataFrame([[3, 1, 0, 0], [0, 0, 0, 0]], ["Meditron", "Litt3200"], CLASSES)
    fig = dataset.plot_devices(counts)
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert texts[:2] == ["3 (75%)", "1 (25%)"] and texts[-1] == "0 (0%)"
    assert "Meditron: normal 3" in alt_text(fig)
