"""Spectral responses as drawn: every layer's line, and an alt text that says the ends."""

import pandas as pd
from PIL import Image

from lib.plots import frequency_response, style
from lib.plots.results import NO_RUN
from lib.tables.frequency_response import POINTS


def points(models):
    return pd.DataFrame(
        [
            (model, f"block {at}", "4 x 5", frequency, -float(at + 1) * frequency)
            for model, layers in models.items()
            for at in range(layers)
            for frequency in (0.0, 0.5, 1.0)
        ],
        columns=POINTS,
    )


def test_every_layer_is_a_line_in_its_model_s_panel(tmp_path):
    fig = frequency_response.plot_responses(points({"AST": 3, "DASS": 7}))
    panels = [ax for ax in fig.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == ["AST", "DASS"]
    assert [len(ax.lines) for ax in panels] == [3, 7]
    assert panels[0].lines[2].get_ydata().tolist() == [0, -1.5, -3]
    assert panels[0].lines[2].get_xdata().tolist() == [0, 0.5, 1]
    assert panels[0].get_ylim() == panels[1].get_ylim()
    alt = style.alt_text(fig)
    assert "AST: block 0 -1.00, block 2 -3.00; DASS: block 0 -1.00, block 6 -7.00." in alt
    path = style.save_figure(fig, "one", tmp_path)[0]
    assert Image.open(path).size[0] > 500


def test_deep_models_name_some_layers_the_first_and_the_last_among_them():
    fig = frequency_response.plot_responses(points({"DASS": 26}))
    named = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert len(fig.axes[0].lines) == 26 and len(named) <= 9
    assert named[0] == "block 0" and named[-1] == "block 25"


def test_four_models_take_two_rows_of_panels():
    fig = frequency_response.plot_responses(points(dict.fromkeys("abcd", 2)))
    assert [ax.get_title() for ax in fig.axes if ax.axison] == list("abcd")


def test_nothing_to_draw():
    assert style.alt_text(frequency_response.plot_responses(pd.DataFrame(columns=POINTS))) == NO_RUN
