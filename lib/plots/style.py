"""Blank figures in one style; how they are kept and shown: with alt text, the same byte by byte.

A plotting function makes a `Figure` without pyplot, so nothing is global and no figure appears
twice. It describes what it drew in a sentence (`describe`), which travels with the figure into
the files and, as alt text, into the notebook (`show`).
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import matplotlib as mpl
import numpy as np
import seaborn
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
    "svg.hashsalt": "respiratory-sounds",  # ids of an SVG are drawn from it, not from the clock
}
DPI = 110
CSS_DPI = 96


@dataclass(frozen=True)
class Picture:
    """What a notebook cell shows: an image with alt text."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def subplots(
    width: float, height: float, rows: int = 1, columns: int = 1, **grid: object
) -> tuple[Figure, np.ndarray]:
    """A figure of width x height inches and its axes (rows, columns).

    grid: as for `Figure.subplots`.
    """
    with mpl.rc_context(STYLE):
        fig = Figure(figsize=(width, height), layout="constrained")
        return fig, fig.subplots(rows, columns, squeeze=False, **grid)


def empty_figure(reason: str) -> Figure:
    """A figure that says why there is nothing to draw, so that a page never has a silent gap."""
    fig, axes = subplots(6.0, 1.0)
    axes[0, 0].set_axis_off()
    axes[0, 0].text(0.5, 0.5, reason, ha="center", va="center")
    return set_alt_text(fig, reason)


def set_alt_text(fig: Figure, alt: str) -> Figure:
    """Attach the alt text: one or two sentences that say what a reader would see."""
    fig.set_label(" ".join(alt.split()))
    return fig


def alt_text(fig: Figure) -> str:
    """The attached alt text; a figure without one is a `UserError`."""
    if not fig.get_label():
        raise UserError("figure without alt text: call figures.describe(fig, ...) on it first")
    return fig.get_label()


def to_png(fig: Figure) -> bytes:
    """The figure as PNG, 110 dots an inch, in 256 colours, its alt text inside."""
    full = Image.open(io.BytesIO(_bytes(fig, "png", {"Software": None})))
    said = PngInfo()
    said.add_text("Description", alt_text(fig))
    small = io.BytesIO()
    picture = full.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(small, "PNG", optimize=True, pnginfo=said, dpi=(DPI, DPI))
    return small.getvalue()


def to_svg(fig: Figure) -> bytes:
    """The figure as SVG without a date, its alt text inside."""
    return _bytes(fig, "svg", {"Date": None, "Description": alt_text(fig)})


def _bytes(fig: Figure, kind: str, metadata: dict) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        fig.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def save_figure(fig: Figure, name: str, folder: Path) -> list[Path]:
    """Write `<name>.png` and `<name>.svg`; returns the paths. Same figure, same bytes."""
    paths = []
    for ending, content in (("png", to_png(fig)), ("svg", to_svg(fig))):
        paths.append(Path(folder) / f"{name}.{ending}")
        with files.atomic_write(paths[-1]) as part:
            part.write_bytes(content)
    return paths


def show_figure(fig: Figure) -> Picture:
    """For the last line of a cell: the figure as an image with its alt text, nothing from afar."""
    data = base64.b64encode(to_png(fig)).decode("ascii")
    width = round(fig.get_figwidth() * CSS_DPI)
    return Picture(
        f'<img src="data:image/png;base64,{data}" alt="{escape(alt_text(fig))}" '
        f'width="{width}" style="max-width: 100%; height: auto;">'
    )


def format_values(names: Sequence[object], values: Sequence[float], digits: int = 0) -> str:
    """ "normal 3642, crackle 1864": for alt texts."""
    return ", ".join(f"{n} {v:.{digits}f}" for n, v in zip(names, values, strict=True))


def heatmap(
    ax: Axes, values: np.ndarray, texts: Sequence[Sequence[str]], cmap: str = "Blues"
) -> None:
    """A matrix (rows, columns) as coloured cells with a text in each, dark or light to be read."""
    top = max(values.max(), 1e-9)
    seaborn.heatmap(values, annot=np.array(texts), fmt="", cmap=cmap, vmin=0, vmax=top, cbar=False,
                    ax=ax)  # fmt: skip
