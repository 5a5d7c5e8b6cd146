"""The picture of a recording with the probabilities of its parts."""

import numpy as np
import pandas as pd

from lib.plots import style
from lib.plots.prediction import plot_prediction

PARTS = pd.DataFrame(
    {"start": [0.0, 1.0], "end": [1.0, 2.0], "normal": [0.9, 0.2], "wheeze": [0.1, 0.8]}
)
SUMMARY = {"normal": 0.55, "wheeze": 0.45}


def test_each_class_has_a_line_through_its_probabilities():
    wave = np.random.default_rng(0).standard_normal(16000)
    fig = plot_prediction(wave, 8000, PARTS, SUMMARY, title="a.wav")
    lines = {line.get_label(): line for line in fig.axes[2].lines}
    for name in SUMMARY:
        np.testing.assert_array_equal(lines[name].get_ydata(), PARTS[name])
        np.testing.assert_array_equal(lines[name].get_xdata(), [0.5, 1.5])
    text = style.alt_text(fig)
    assert text.startswith("a.wav: waveform and spectrogram of 2.0 s")
    assert "normal 0.55, wheeze 0.45" in text and "Warning" not in text


def test_a_warning_takes_the_colours_away_and_is_written():
    wave = np.random.default_rng(0).standard_normal(16000)
    fig = plot_prediction(wave, 8000, PARTS, SUMMARY, "far away", "a.wav")
    colours = {line.get_color() for line in fig.axes[2].lines if line.get_label() in SUMMARY}
    assert colours == {style.GREY}
    assert "WARNING: far away" in fig.get_suptitle() and "Warning: far away." in style.alt_text(fig)
