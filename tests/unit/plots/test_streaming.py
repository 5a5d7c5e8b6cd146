"""Plot of a stream: windows and events lie at their times, the spectrogram shows what sounds."""

import numpy as np
import pandas as pd
import pytest

from lib.plots.streaming import plot_windows
from lib.plots.style import alt_text, to_png

RATE_HZ = 8000
COLUMNS = ["start", "end", "label"]


@pytest.fixture
def record():
    """Five seconds with a tone of 1 kHz in the second half, three windows and two events."""
    time = np.arange(5 * RATE_HZ) / RATE_HZ
    wave = np.where(time > 2.5, np.sin(2 * np.pi * 1000 * time), 0)
    windows = [(0.0, 3.0, "Normal"), (1.0, 4.0, "Wheeze"), (2.0, 5.0, "Wheeze")]
    events = [(0.5, 2.0, "Normal"), (2.5, 4.5, "Wheeze")]
    return wave, RATE_HZ, *(pd.DataFrame(rows, columns=COLUMNS) for rows in (windows, events))


def test_overlapping_windows_lie_at_their_times_in_lanes_of_their_own(record):
    fig = plot_windows(*record)
    wave, _, windows, events = fig.axes
    assert len(wave.lines[0].get_ydata()) == 40000
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in windows.patches]
    assert spans == [(0, 3), (1, 4), (2, 5)]
    assert len({bar.get_y() for bar in windows.patches}) == 3  # all overlap
    assert len({bar.get_y() for bar in events.patches}) == 1
    assert [text.get_text() for text in events.texts] == ["Normal", "Wheeze"]
    wheeze = {bar.get_facecolor() for bar in (windows.patches[1], events.patches[1])}
    assert len(wheeze) == 1 and windows.patches[0].get_facecolor() not in wheeze
    alt = alt_text(fig)
    assert "A record of 5.0 s" in alt and "1.0 to 4.0 s Wheeze" in alt
    assert "Truth: 0.5 to 2.0 s Normal; 2.5 to 4.5 s Wheeze." in alt
    assert to_png(fig) == to_png(plot_windows(*record))


def test_the_spectrogram_shows_the_tone_where_it_is(record):
    ax = plot_windows(*record).axes[1]
    image = ax.images[0]
    levels = image.get_array()[::-1]  # low frequencies first
    late = levels[:, levels.shape[1] * 3 // 4]
    assert late.argmax() / (len(late) - 1) * 4000 == pytest.approx(1000, abs=50)
    assert ax.get_xlim() == (0, 5) and ax.get_ylim() == (0, 4000)
    assert levels[:, 10].max() < image.get_clim()[0] < late.max()


def test_without_a_record_the_figure_says_so():
    nothing = pd.DataFrame(columns=COLUMNS)
    assert "no record" in alt_text(plot_windows(np.zeros(0), RATE_HZ, nothing, nothing))
