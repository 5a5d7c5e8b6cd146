"""One style for every figure: new axes, alt text, and the same bytes for the same figure.

A plotting function returns a `Figure` that it made without pyplot, so nothing is global and no
figure appears twice. `set_alt_text` attaches a sentence that says what a reader would see; it goes
into the files and, as alt text, into the notebook (`show_figure`). Colours are seaborn's palette
for colour-blind readers without its two faint ones; a colour that means something comes with a
marker, a hatch or a text. A figure is at most 7 inches wide and has one size of text, so that it
can be read on a phone, 390 pixels wide.
"""

import base64
import io
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import matplotlib as mpl
import numpy as np
import seaborn
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lib import files
from lib.errors import UserError

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "image.interpolation": "nearest",  # few colours, so a third of the bytes
    "svg.hashsalt": "respiratory-sounds",  # ids in an SVG depend on it, not on the clock
}
WIDTH = 7.0  # inches, of a figure as wide as a page
MOST_LINES = 7  # in a panel
DPI = 110
CSS_DPI = 96
COLOURS = tuple(seaborn.color_palette("colorblind").as_hex()[i] for i in (0, 1, 2, 4, 9, 3, 5, 7))
MARKERS = "osD^vP*X"
HATCHES = ("", "//", "..", "xx")
PICTURE = re.compile(rb"data:image/png;base64,([^\"]+)")  # inside an SVG
PLACES = re.compile(rb'\b(?:d|x|y)="[^"]*"')  # of lines and marks in an SVG
DECIMALS = re.compile(rb"(\.\d\d)\d+")
GREY, LIGHT_GREY = "#8C8C8C", "#D0D0D0"
BELOW = ", arrows for those below the axis"  # of a caption, if there are any
LEGEND_BELOW = {"loc": "outside lower center", "frameon": False}
NO_RUN = "Nothing to draw: no run is finished; the table says why."
SHORT_NAMES = {"Poor Quality": "Poor", "Adventitious": "Adv.", "Coarse Crackle": "Coarse",
               "Fine Crackle": "Fine", "Wheeze+Crackle": "W+C", "CAS & DAS": "Both"}  # fmt: skip


def subplots(
    width: float, height: float, rows: int = 1, columns: int = 1, **grid: object
) -> tuple[Figure, np.ndarray]:
    """Return a figure of width x height inches and its axes (rows, columns).

    grid: as for `Figure.subplots`.
    """
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
        return fig, fig.subplots(rows, columns, squeeze=False, **grid)


def panels(count: int, columns: int, width: float, height: float, **grid: object) -> tuple:
    """Return a figure and `count` axes in rows of at most `columns`; sizes of a panel in inches."""
    columns, rows = min(columns, count), -(-count // columns)
    fig, axes = subplots(width * columns + 0.4, height * rows, rows, columns, **grid)
    for ax in axes.flat[count:]:
        ax.set_axis_off()
    return fig, axes.flatten()[:count]


def empty_figure(reason: str) -> Figure:
    """Return a figure that says why there is nothing to draw, so that no page has a silent gap."""
    fig, axes = subplots(6.0, 1.0)
    axes[0, 0].set_axis_off()
    axes[0, 0].text(0.5, 0.5, reason, ha="center", va="center")
    return set_alt_text(fig, reason)


def set_alt_text(fig: Figure, text: str) -> Figure:
    """Attach sentences that say what a reader would see, the first a caption; returns the figure.

    It also gives all text one size: legends do not have that of `STYLE`.
    """
    fig.set_label(" ".join(text.split()))
    for each in fig.findobj(Text):
        each.set_fontsize(STYLE["font.size"])
    return fig


def alt_text(fig: Figure) -> str:
    """Return the attached alt text; a figure without one is a `UserError`."""
    if not fig.get_label():
        raise UserError("figure without alt text: call lib.plots.style.set_alt_text(fig, ...)")
    return fig.get_label()


def to_png(fig: Figure) -> bytes:
    """Return the figure as PNG: 110 dots an inch, 256 colours, its alt text inside."""
    image = Image.open(io.BytesIO(_render(fig, "png", {"Software": None}))).convert("RGB")
    text, buffer = PngInfo(), io.BytesIO()
    text.add_text("Description", alt_text(fig))
    image = image.quantize(256, dither=Image.Dither.NONE)
    image.save(buffer, "PNG", optimize=True, pnginfo=text, dpi=(DPI, DPI))
    return buffer.getvalue()


def to_svg(fig: Figure) -> bytes:
    """Return the figure as SVG without a date, its alt text inside.

    Pictures in it are small, and places have two decimals (a hundredth of a point).
    """
    text = _render(fig, "svg", {"Date": None, "Description": alt_text(fig)})

    def smaller(match: re.Match) -> bytes:
        kind, data = _smaller(match[1])
        return b"data:image/%s;base64,%s" % (kind.encode(), data)

    text = PLACES.sub(lambda match: DECIMALS.sub(rb"\1", match[0]), text)
    return PICTURE.sub(smaller, text)


def _smaller(picture: bytes) -> tuple[str, bytes]:
    """Return kind and bytes of a picture, base64 in and out, in a quarter of the space.

    JPEG, or PNG with 256 colours if parts of it are transparent.
    """
    image, buffer = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA"), io.BytesIO()
    if image.getextrema()[3] == (255, 255):
        kind = "jpeg"
        image.convert("RGB").save(buffer, "JPEG", quality=70, optimize=True)
    else:
        kind, palette = "png", image.quantize(256, method=Image.Quantize.FASTOCTREE)
        palette.save(buffer, "PNG", optimize=True)
    return kind, base64.b64encode(buffer.getvalue())


def _render(fig: Figure, kind: str, metadata: dict) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        fig.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def save_figure(fig: Figure, name: str, folder: Path) -> list[Path]:
    """Write `<name>.png` and `<name>.svg`; returns the paths. Same figure, same bytes."""
    contents = {f"{name}.png": to_png(fig), f"{name}.svg": to_svg(fig)}
    for file_name, content in contents.items():
        with files.atomic_write(folder / file_name) as temporary:
            temporary.write_bytes(content)
    return [folder / file_name for file_name in contents]


def show_figure(fig: Figure, name: str = "figure") -> HTML:
    """Return the figure for the last line of a cell: an embedded SVG with its alt text.

    Its caption is the first sentence of the alt text; the rest unfolds. `name` is that of its file.
    """
    data, alt = base64.b64encode(to_svg(fig)).decode("ascii"), alt_text(fig)
    caption, _, numbers = alt.partition(". ")
    details = f"<details><summary>In words</summary>{escape(numbers)}</details>" * bool(numbers)
    return HTML(
        f'<figure id="figure-{name}"><img src="data:image/svg+xml;base64,{data}" '
        f'alt="{escape(alt)}" width="{round(fig.get_figwidth() * CSS_DPI)}" '
        f'style="max-width: 100%; height: auto;"><figcaption>{escape(caption.rstrip("."))}. '
        f'<a href="figures/{name}.svg" download>SVG</a>{details}</figcaption></figure>'
    )


def format_values(names: Sequence[object], values: Sequence[float], digits: int = 0) -> str:
    """Return "normal 3642, crackle 1864", for alt texts."""
    return ", ".join(f"{n} {v:.{digits}f}" for n, v in zip(names, values, strict=True))


def line_style(i: int) -> dict[str, object]:
    """Return colour, marker and widths of the i-th line of a panel."""
    return {"color": COLOURS[i % 8], "marker": MARKERS[i % 8], "markersize": 4, "linewidth": 1.3}


def score_axis(ax: Axes, values: Sequence[float], baseline: float = 50.0, axis: str = "y") -> None:
    """Start an axis of Scores (percent) at a labelled line: what always answering "normal" gets.

    values: all Scores of the panel; those below the line do not set the scale (see `mark_below`).
    """
    top = max([baseline + 4, *(value for value in values if value > baseline)])
    margin = 0.08 * (top - baseline)
    ax.set(**{f"{axis}lim": (baseline, top + margin)})
    line = {"color": "black", "linestyle": ":", "linewidth": 1}
    text = f"{baseline:g}: always “normal”"
    if axis == "y":
        ax.axhline(baseline, clip_on=False, **line)
        place = {"xy": (1, baseline), "xycoords": ("axes fraction", "data"), "ha": "right"}
        place |= {"xytext": (0, 7), "textcoords": "offset points", "va": "bottom"}  # above marks
        behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
        ax.annotate(text, color="#595959", bbox=behind, **place)
    else:
        ax.axvline(baseline, clip_on=False, label=text, **line)


def mark_below(
    ax: Axes,
    positions: Sequence[float],
    values: Sequence[float],
    colour: str,
    baseline=50.0,
    axis="y",
) -> None:
    """Mark the Scores below the line of `score_axis` with arrows at the edge of the panel."""
    low = [at for at, value in zip(positions, values, strict=True) if value < baseline]
    edge = [baseline] * len(low)
    points, marker = ((low, edge), "v") if axis == "y" else ((edge, low), "<")
    if low:
        ax.plot(*points, marker, color=colour, markersize=5, clip_on=False, label="_below")


def heatmap(
    ax: Axes, values: np.ndarray, texts: np.ndarray, columns: Sequence[str], rows: Sequence[str]
) -> None:
    """Draw a matrix (rows, columns) as coloured cells with a readable text in each."""
    top = max(values.max(), 1e-9)
    seaborn.heatmap(values, annot=texts, fmt="", cmap="Blues", vmin=0, vmax=top, cbar=False,
                    xticklabels=columns, yticklabels=rows, ax=ax)  # fmt: skip
    ax.tick_params(rotation=0)
