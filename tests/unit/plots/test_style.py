"""Figures: the same bytes twice, alt text in every form, nothing from the net."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from lib.errors import UserError
from lib.plots import style


def _figure(alt: str = 'Three points, "rising" & more'):
    fig, axes = style.subplots(4, 3)
    axes[0, 0].plot([1, 2, 3])
    return style.set_alt_text(fig, alt)


def test_same_figure_same_bytes(tmp_path):
    first, second = (style.save_figure(_figure(), "f", tmp_path / side) for side in "ab")
    assert [path.name for path in first] == ["f.png", "f.svg"]
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes() != b""


def test_a_figure_drawn_twice_stays_the_same():
    fig = _figure()
    assert style.to_png(fig) == style.to_png(fig)
    assert style.to_svg(fig) == style.to_svg(fig)


def test_files_carry_alt_text_but_no_date():
    fig = _figure("Three points")
    assert Image.open(io.BytesIO(style.to_png(fig))).text["Description"] == "Three points"
    text = style.to_svg(fig).decode()
    assert "Three points" in text and "<dc:date>" not in text


def test_shown_with_alt_text_and_offline():
    html = style.show_figure(_figure())._repr_html_()
    assert 'alt="Three points, &quot;rising&quot; &amp; more"' in html
    assert html.startswith('<img src="data:image/png;base64,') and "http" not in html
    assert 'width="384"' in html  # 4 inches


def test_no_alt_text_no_figure():
    fig, _ = style.subplots(2, 2)
    for use in (style.to_png, style.to_svg, style.show_figure):
        with pytest.raises(UserError, match="alt text"):
            use(fig)


def test_alt_text_is_one_line():
    assert style.alt_text(_figure("one\n   two")) == "one two"


def test_style_does_not_leak():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    style.to_png(_figure())
    assert dict(mpl.rcParams) == before


def test_heat_writes_readable_text():
    fig, axes = style.subplots(3, 3)
    style.heatmap(axes[0, 0], np.array([[0.0, 10.0]]), [["a", "b"]])
    dark, light = axes[0, 0].texts  # on a pale and on a deep cell
    assert (dark.get_text(), light.get_text()) == ("a", "b")
    assert sum(to_rgb(dark.get_color())) < 1 < sum(to_rgb(light.get_color()))


def test_empty_says_why():
    fig = style.empty_figure("no run is finished")
    assert fig.axes[0].texts[0].get_text() == style.alt_text(fig) == "no run is finished"
