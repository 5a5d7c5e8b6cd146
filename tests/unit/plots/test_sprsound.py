"""SPRSound's figures: what is drawn is what was given, and the alt text says it."""

import numpy as np
import pandas as pd
import pytest

from lib.data.sprsound import TASKS
from lib.plots import results, sprsound
from lib.plots.style import alt_text, to_png


def _panel(task, clips=60):
    rng = np.random.default_rng(0)
    classes = np.array(TASKS[task])[np.arange(clips) % len(TASKS[task])]
    patient = np.array([f"c{i % 12}" for i in range(clips)])
    points = rng.normal(size=(clips, 2))
    return pd.DataFrame(points, columns=["x", "y"]).assign(patient=patient, **{"class": classes})


def test_embeddings_colour_every_point_once_in_each_panel():
    fig = sprsound.embeddings({"1-1": _panel("1-1"), "1-2": _panel("1-2")}, most=8)
    assert len(fig.axes) == 4
    for ax in fig.axes:
        assert sum(len(dots.get_offsets()) for dots in ax.collections) == 60
    names = [text.get_text() for text in fig.axes[1].get_legend().get_texts()]
    assert names == list(TASKS["1-2"])
    patients = [text.get_text() for text in fig.axes[2].get_legend().get_texts()]
    assert len(patients) == 9 and patients[0] == "other"  # eight of twelve
    assert "Task 11: 60 clips of 12 patients (Normal 30, Adventitious 30)" in alt_text(fig)


def _looks(ax):
    dots = ax.collections
    return {one.get_label(): tuple(one.get_facecolor()[0].round(3)) for one in dots}


def test_a_class_has_one_look_whatever_else_is_there():
    panels = {task: _panel(task) for task in TASKS}
    full = [_looks(ax) for ax in sprsound.embeddings(panels).axes[:4]]
    assert len({looks["Normal"] for looks in full}) == 1
    assert [len(set(looks.values())) for looks in full] == [2, 7, 3, 5]
    some = {"1-2": panels["1-2"][panels["1-2"]["class"] != "Rhonchi"]}
    fewer = _looks(sprsound.embeddings(some).axes[0])
    assert len(fewer) == 6 and fewer.items() <= full[1].items()


def test_confusions_of_a_task_have_its_own_classes():
    matrix = np.array([[8, 0, 2], [0, 0, 0], [1, 1, 2]])
    fig = sprsound.confusions(
        {"2-1": (matrix, TASKS["2-1"]), "1-1": (np.eye(2, dtype=int), TASKS["1-1"])}
    )
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert texts == ["8\n80%", "0\n0%", "2\n20%", *3 * ["0\n0%"], "1\n25%", "1\n25%", "2\n50%"]
    assert len(fig.axes[1].texts) == 4
    alt = alt_text(fig)
    assert "Task 21: right Normal 80.0, Adventitious 50.0 percent, no Poor Quality in" in alt


@pytest.fixture
def record():
    """Five seconds with a tone of 1 kHz in the second half, three windows and two events."""
    rate = 8000
    time = np.arange(5 * rate) / rate
    wave = np.where(time > 2.5, np.sin(2 * np.pi * 1000 * time), 0)
    columns = ["start", "end", "label"]
    heard = [(0.0, 3.0, "Normal"), (1.0, 4.0, "Wheeze"), (2.0, 5.0, "Wheeze")]
    truth = [(0.5, 2.0, "Normal"), (2.5, 4.5, "Wheeze")]
    return wave, rate, pd.DataFrame(heard, columns=columns), pd.DataFrame(truth, columns=columns)


def test_windows_lie_at_their_times_and_in_lanes_of_their_own(record):
    fig = sprsound.windows(*record)
    wave, picture, heard, truth = fig.axes
    assert len(wave.lines[0].get_ydata()) == 40000
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in heard.patches]
    assert spans == [(0, 3), (1, 4), (2, 5)]
    assert len({bar.get_y() for bar in heard.patches}) == 3  # all overlap
    assert len({bar.get_y() for bar in truth.patches}) == 1
    assert [text.get_text() for text in truth.texts] == ["Normal", "Wheeze"]
    wheeze = {bar.get_facecolor() for bar in (heard.patches[1], truth.patches[1])}
    assert len(wheeze) == 1 and heard.patches[0].get_facecolor() not in wheeze
    alt = alt_text(fig)
    assert "A record of 5.0 s" in alt and "1.0 to 4.0 s Wheeze" in alt
    assert "Truth: 0.5 to 2.0 s Normal; 2.5 to 4.5 s Wheeze." in alt


def test_the_spectrogram_shows_the_tone_where_it_is(record):
    image = sprsound.windows(*record).axes[1].images[0]
    levels = image.get_array()
    late = levels[:, levels.shape[1] * 3 // 4]
    assert late.argmax() / (len(late) - 1) * 4 == pytest.approx(1.0, abs=0.05)  # kHz
    assert image.get_extent() == [0, 5, 0, 4] and image.origin == "lower"
    assert levels[:, 10].max() < late.max() - 60


def test_nothing_to_draw_is_said():
    assert alt_text(sprsound.embeddings({})) == results.NO_RUN
    assert alt_text(sprsound.confusions({})) == results.NO_RUN
    none = pd.DataFrame(columns=["start", "end", "label"])
    said = alt_text(sprsound.windows(np.zeros(0), 8000, none, none))
    assert said == sprsound.NO_RECORD


def test_same_input_same_bytes(record):
    assert to_png(sprsound.windows(*record)) == to_png(sprsound.windows(*record))
