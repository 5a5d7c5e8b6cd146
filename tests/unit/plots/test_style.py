"""Style: the same bytes twice, alt text in every form, nothing from the net."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from lib.errors import UserError
from lib.plots import style


def example(alt: str = 'Three points, "rising" & more'):
    fig, axes = style.subplots(4, 3)
    axes[0, 0].plot([1, 2, 3])
    return style.set_alt_text(fig, alt)


def test_same_figure_same_bytes(tmp_path):
    first, second = (style.save_figure(example(), "f", tmp_path / side) for side in "ab")
    assert [path.name for path in first] == ["f.png", "f.svg"]
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes() != b""
    fig = example()
    assert style.to_png(fig) == style.to_png(fig) == first[0].read_bytes()
    assert style.to_svg(fig) == style.to_svg(fig)


def test_files_hold_alt_text_but_no_date():
    fig = example("Three points")
    assert Image.open(io.BytesIO(style.to_png(fig))).text["Description"] == "Three points"
    text = style.to_svg(fig).decode()
    assert "Three points" in text and "<dc:date>" not in text


def test_notebooks_show_alt_text_and_work_offline():
    html = style.show_figure(example())._repr_html_()
    assert 'alt="Three points, &quot;rising&quot; &amp; more"' in html
    assert html.startswith('<img src="data:image/png;base64,') and "http" not in html
    assert 'width="384"' in html  # 4 inches


def test_a_figure_without_alt_text_is_an_error():
    fig, _ = style.subplots(2, 2)
    for use in (style.to_png, style.to_svg, style.show_figure):
        with pytest.raises(UserError, match="alt text"):
            use(fig)
    assert style.alt_text(example("one\n   two")) == "one two"


def test_style_does_not_leak():
    before = dict(mpl.rcParams)
    style.to_png(example())
    assert dict(mpl.rcParams) == before


def test_heatmap_writes_readable_text():
    fig, axes = style.subplots(3, 3)
    style.heatmap(axes[0, 0], np.array([[0.0, 10.0]]), np.array([["a", "b"]]), ["x", "y"], ["z"])
    dark, light = axes[0, 0].texts  # on a pale and on a deep cell
    assert (dark.get_text(), light.get_text()) == ("a", "b")
    assert sum(to_rgb(dark.get_color())) < 1 < sum(to_rgb(light.get_color()))
    assert [label.get_text() for label in axes[0, 0].get_xticklabels()] == ["x", "y"]


def test_an_empty_figure_says_why():
    fig = style.empty_figure("no run is finished")
    assert fig.axes[0].texts[0].get_text() == style.alt_text(fig) == "no run is finished"
