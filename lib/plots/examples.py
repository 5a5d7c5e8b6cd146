"""Figures of worked examples: maps so small that each number fits into its cell."""

import numpy as np
import seaborn
from matplotlib.figure import Figure

from lib.plots import style


def plot_maps(maps: dict[str, np.ndarray]) -> Figure:
    """Plot small maps with the number in each cell, on one colour scale.

    maps: title -> (F, T), time across and low frequencies at the bottom.
    """
    fig, axes = style.panels(len(maps), 2, 3.3, 2.9)
    top = max(values.max() for values in maps.values())
    for ax, (title, values) in zip(axes, maps.items(), strict=True):
        look = {"annot": True, "fmt": ".0f", "cmap": "Blues", "vmin": 0, "vmax": top}
        seaborn.heatmap(values, cbar=False, xticklabels=[], yticklabels=[], ax=ax, **look)
        ax.invert_yaxis()
        ax.set(title=title, xlabel="time", ylabel="frequency")
    texts = [
        f"{title}: {' / '.join(' '.join(f'{value:.0f}' for value in row) for row in values)}"
        for title, values in maps.items()
    ]
    alt = f"Small maps with the number in each cell. Rows from low frequency: {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)
