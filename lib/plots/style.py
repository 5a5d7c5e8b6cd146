"""One style for every figure: new axes, alt text, and the same bytes for the same figure.

A plotting function returns a `Figure` that it made without pyplot, so nothing is global and no
figure appears twice. `set_alt_text` attaches a sentence that says what a reader would see; it goes
into the files and, as alt text, into the notebook (`show_figure`). Colours are Okabe and Ito's
(their yellow, faint on white, is olive), which colour-blind readers can tell apart; a colour that
means something comes with a marker, a hatch or a text.
"""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import matplotlib as mpl
import numpy as np
import seaborn
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lib import files
from lib.errors import UserError

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "image.interpolation": "nearest",  # few colours, so a third of the bytes
    "svg.hashsalt": "respiratory-sounds",  # ids in an SVG depend on it, not on the clock
}
DPI = 110
CSS_DPI = 96
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999933", "#000000")
MARKERS = "osD^vP*X"
HATCHES = ("", "//", "..", "xx")
GREY, LIGHT_GREY = "#8C8C8C", "#D0D0D0"
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
    """Attach one or two sentences that say what a reader would see; returns the figure."""
    fig.set_label(" ".join(text.split()))
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
    """Return the figure as SVG without a date, its alt text inside."""
    return _render(fig, "svg", {"Date": None, "Description": alt_text(fig)})


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


def show_figure(fig: Figure) -> HTML:
    """Return the figure for the last line of a cell: an embedded image with its alt text."""
    data = base64.b64encode(to_png(fig)).decode("ascii")
    width = round(fig.get_figwidth() * CSS_DPI)
    return HTML(
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt_text(fig))}" '
        f'width="{width}" style="max-width: 100%; height: auto;">'
    )


def format_values(names: Sequence[object], values: Sequence[float], digits: int = 0) -> str:
    """Return "normal 3642, crackle 1864", for alt texts."""
    return ", ".join(f"{n} {v:.{digits}f}" for n, v in zip(names, values, strict=True))


def line_style(i: int) -> dict[str, object]:
    """Return colour, marker and widths of the i-th line of a panel."""
    return {"color": COLOURS[i % 8], "marker": MARKERS[i % 8], "markersize": 4, "linewidth": 1.3}


def heatmap(
    ax: Axes, values: np.ndarray, texts: np.ndarray, columns: Sequence[str], rows: Sequence[str]
) -> None:
    """Draw a matrix (rows, columns) as coloured cells with a readable text in each."""
    top = max(values.max(), 1e-9)
    seaborn.heatmap(values, annot=texts, fmt="", cmap="Blues", vmin=0, vmax=top, cbar=False,
                    xticklabels=columns, yticklabels=rows, ax=ax)  # fmt: skip
    ax.tick_params(rotation=0)
