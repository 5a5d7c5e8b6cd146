"""Figure of a recording with the probabilities of its parts."""

from collections.abc import Mapping
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.plots import style
from lib.plots.spectrograms import draw_sound
from lib.plots.style import COLOURS, GREY, LIGHT_GREY, MARKERS

LETTERS = 70  # in a line of the title
FADED = 0.35  # opacity of probabilities that are not to be trusted


def plot_prediction(
    wave: np.ndarray, rate_hz: int, parts: pd.DataFrame, summary: Mapping[str, float],
    warning: str = "", title: str = "",
) -> Figure:  # fmt: skip
    """Plot waveform and spectrogram, and below them the probability of each class over time.

    wave: (samples,); parts: start, end (seconds) and a probability for each class of `summary`,
    which has that of the whole recording. With a warning the probabilities are grey.
    """
    fig, axes = style.subplots(style.WIDTH, 6.4, 3, 1, sharex=True, height_ratios=(1, 1.6, 1.8))
    top, middle, bottom = axes[:, 0]
    draw_sound(top, middle, wave, rate_hz)
    _draw_tracks(bottom, parts, list(summary), faded=bool(warning))
    bottom.set(xlabel="time (s)", ylabel="probability", ylim=(-0.02, 1.02))
    fig.legend(*bottom.get_legend_handles_labels(), ncols=4, **style.LEGEND_BELOW)
    lines = [title, *wrap(warning and f"WARNING: {warning}", LETTERS)]
    fig.suptitle("\n".join(filter(None, lines)))
    means = style.format_values(list(summary), list(summary.values()), 2)
    alt = (
        f"{title}: waveform and spectrogram of {len(wave) / rate_hz:.1f} s, and the probability of "
        f"each class in {len(parts)} parts; means: {means}."
    )
    return style.set_alt_text(fig, f"{alt} {warning and f'Warning: {warning}.'}")


def _draw_tracks(ax: Axes, parts: pd.DataFrame, classes: list[str], faded: bool) -> None:
    """Draw a line for each class through the middles of the parts, and each part's extent."""
    middle = (parts.start + parts.end) / 2
    for i, name in enumerate(classes):
        look = {"color": GREY if faded else COLOURS[i % 8], "alpha": FADED if faded else 1}
        ax.hlines(parts[name], parts.start, parts.end, linewidth=0.8, **look)
        ax.plot(middle, parts[name], marker=MARKERS[i % 8], markersize=4, linewidth=1.3,
                linestyle=("-", "--", ":", "-.")[i % 4], label=name, **look)  # fmt: skip
    for edge in parts.start:
        ax.axvline(edge, color=LIGHT_GREY, linewidth=0.4, zorder=0)
