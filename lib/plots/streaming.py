"""Figure of a recording under the sliding windows of a stream (Hu et al. 2023, Figure 4)."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.data.sprsound import POOR
from lib.plots import style
from lib.plots.spectrograms import draw_sound
from lib.plots.style import COLOURS, HATCHES

SHARE_OF_A_LETTER = 0.014  # of the panel's width; a label wider than its bar is left out


def plot_windows(
    wave: np.ndarray, rate_hz: int, predicted: pd.DataFrame, events: pd.DataFrame
) -> Figure:
    """Plot a record as wave and spectrogram, and below the windows' labels and the true events.

    wave: (samples,); predicted, events: columns start, end (seconds), label. Windows that overlap
    lie in lanes of their own. An adventitious label has the same colour and hatch in both.
    """
    if not len(wave):
        return style.empty_figure("Nothing to draw: no record was classified.")
    fig, axes = style.subplots(
        style.WIDTH, 7.0, 4, 1, sharex=True, height_ratios=(1, 1.6, 1.6, 0.6)
    )
    top, middle, *lanes = axes[:, 0]
    draw_sound(top, middle, wave, rate_hz)
    looks = _looks([*events.label, *predicted.label])
    for ax, (name, table) in zip(lanes, (("windows", predicted), ("truth", events)), strict=True):
        _draw_lanes(ax, table, looks)
        ax.set(ylabel=name, yticks=[])
    lanes[-1].set_xlabel("time (s)")
    seconds = len(wave) / rate_hz
    alt = f"A record of {seconds:.1f} s. Windows: {_text(predicted)}. Truth: {_text(events)}."
    return style.set_alt_text(fig, alt)


def _text(table: pd.DataFrame) -> str:
    rows = table.itertuples(index=False)
    return "; ".join(f"{row.start:.1f} to {row.end:.1f} s {row.label}" for row in rows) or "none"


def _looks(labels: Iterable[str]) -> dict[str, dict]:
    """Return a colour and a hatch for every label; normal and poor quality are plain."""
    looks = {"Normal": {"color": style.LIGHT_GREY}, POOR: {"color": "#FFFFFF"}}
    for i, label in enumerate(dict.fromkeys(label for label in labels if label not in looks)):
        looks[label] = {"color": COLOURS[1 + i % 7], "hatch": HATCHES[i % 4]}
    return looks


def _draw_lanes(ax: Axes, table: pd.DataFrame, looks: dict[str, dict]) -> None:
    """Draw bars from start to end, each in the first free lane, with their labels."""
    lane_ends: list[float] = []
    for row in table.sort_values("start", kind="stable").itertuples(index=False):
        free = [i for i, end in enumerate(lane_ends) if end <= row.start + 1e-9]
        lane = free[0] if free else len(lane_ends)
        lane_ends[lane : lane + 1] = [row.end]
        bar = ax.barh(-lane, row.end - row.start, 0.85, row.start, edgecolor="black", linewidth=0.6,
                      **looks[row.label])  # fmt: skip
        text = style.SHORT_NAMES.get(row.label, row.label)
        if (row.end - row.start) / ax.get_xlim()[1] > SHARE_OF_A_LETTER * len(text):
            ax.bar_label(bar, [text], label_type="center",
                         bbox={"color": "white", "alpha": 0.7, "pad": 0.6})  # fmt: skip
