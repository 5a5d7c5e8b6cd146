"""Plots of frequency responses: every layer is a line, and the alt text has the last points."""

import pandas as pd

from lib.plots.frequency_response import plot_responses
from lib.plots.style import NO_RUN, alt_text

COLUMNS = ["model", "layer", "frequency", "amplitude"]


def points(models: dict[str, int]) -> pd.DataFrame:
    rows = [
        (model, f"block {i}", frequency, -float(i + 1) * frequency)
        for model, layers in models.items()
        for i in range(layers)
        for frequency in (0.0, 0.5, 1.0)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_every_layer_is_a_line_in_the_panel_of_its_model():
    fig = plot_responses(points({"AST": 3, "DASS": 7, "c": 1, "d": 1}))
    panels = [ax for ax in fig.axes if ax.axison]
    assert [ax.get_title() for ax in panels] == ["AST", "DASS", "c", "d"]  # in two rows
    assert [len(ax.lines) for ax in panels] == [3, 7, 1, 1]
    assert panels[0].lines[2].get_ydata().tolist() == [0, -1.5, -3]
    assert panels[0].lines[2].get_xdata().tolist() == [0, 0.5, 1]
    assert panels[0].get_ylim() == panels[1].get_ylim()
    alt = alt_text(fig)
    assert "AST: block 0 -1.00, block 2 -3.00; DASS: block 0 -1.00, block 6 -7.00;" in alt


def test_of_a_deep_model_seven_layers_are_drawn_with_the_first_and_the_last():
    fig = plot_responses(points({"DASS": 26}))
    names = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert len(fig.axes[0].lines) == len(names) == 7
    assert names[0] == "block 0" and names[-1] == "block 25"


def test_without_a_run_the_figure_says_so():
    assert alt_text(plot_responses(pd.DataFrame(columns=COLUMNS))) == NO_RUN
