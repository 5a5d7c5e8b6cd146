"""Style: the same bytes twice, alt text in every form, nothing from the net."""

import base64
import io
import re

import matplotlib as mpl
import numpy as np
import pytest
import seaborn
from bs4 import BeautifulSoup
from matplotlib.colors import to_rgb
from matplotlib.text import Text
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
    assert '<img src="data:image/svg+xml;base64,' in html and "http" not in html
    assert 'width="384"' in html  # 4 inches


def test_a_shown_figure_has_a_caption_its_file_and_all_it_says_in_words():
    alt = "Scores with <intervals>. CE 50.00; SAM 51.00."
    soup = BeautifulSoup(style.show_figure(example(alt), "scores")._repr_html_(), "html.parser")
    caption = soup.figcaption
    assert caption.contents[0].strip() == "Scores with <intervals>."
    assert caption.a["href"] == "figures/scores.svg" and soup.figure["id"] == "figure-scores"
    assert "CE 50.00; SAM 51.00." in caption.details.text and soup.img["alt"] == alt
    one = BeautifulSoup(style.show_figure(example("One point"))._repr_html_(), "html.parser")
    assert one.find("details") is None


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


def test_colours_are_seaborns_for_colour_blind_readers():
    palette = seaborn.color_palette("colorblind").as_hex()
    assert set(style.COLOURS) <= set(palette) and len(set(style.COLOURS)) == 8


def test_pictures_in_an_svg_are_small_and_stay_what_they_show():
    noise = np.random.default_rng(0).random((200, 400))
    fig, axes = style.subplots(4, 3, 1, 2)
    axes[0, 0].imshow(noise, cmap="magma")
    axes[0, 1].imshow(noise > 0.5, cmap="gray", alpha=0.5)
    text = style.to_svg(style.set_alt_text(fig, "Noise.")).decode()
    kinds = re.findall(r"data:image/(\w+);base64,", text)
    assert sorted(kinds) == ["jpeg", "png"]
    first = re.search(r"data:image/jpeg;base64,([^\"]+)", text)[1]
    image = Image.open(io.BytesIO(base64.b64decode(first)))
    assert len(first) < len(style.to_png(fig)) and image.size[0] > 150


def test_text_of_every_figure_survives_a_phone():
    """One size of 12 points, in figures of at most 7.4 inches: 8 pixels if 390 are to be had."""
    fig, axes = style.panels(3, 2, 3.3, 2.9)
    axes[0].set(title="a", xlabel="b", ylabel="c")
    axes[0].plot([1], label="d")
    axes[0].legend()
    style.set_alt_text(fig, "A point.").canvas.draw()
    texts = fig.findobj(lambda artist: isinstance(artist, Text) and artist.get_text())
    assert {text.get_fontsize() for text in texts} == {12}
    assert 12 / 72 * 390 / fig.get_figwidth() > 8


def test_an_empty_figure_says_why():
    fig = style.empty_figure("no run is finished")
    assert fig.axes[0].texts[0].get_text() == style.alt_text(fig) == "no run is finished"
