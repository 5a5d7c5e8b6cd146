"""Figures of worked examples: every number stands in its cell, on one scale."""

import numpy as np

from lib.plots.examples import plot_maps
from lib.plots.style import alt_text


def test_maps_have_their_numbers_with_low_frequencies_at_the_bottom():
    fig = plot_maps({"mask": np.array([[0, 1], [1, 0]]), "clip": np.array([[2, 3], [4, 8]])})
    mask, clip = fig.axes
    assert [text.get_text() for text in clip.texts] == ["2", "3", "4", "8"]
    assert clip.texts[0].get_position() == (0.5, 0.5) and clip.get_ylim() == (0, 2)
    assert [ax.collections[0].get_clim() for ax in (mask, clip)] == [(0, 8)] * 2
    assert "mask: 0 1 / 1 0; clip: 2 3 / 4 8." in alt_text(fig)
