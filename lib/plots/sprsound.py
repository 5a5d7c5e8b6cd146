"""Figures of SPRSound's paper: embeddings by task, confusions by task, a record under its windows.

In the style of `lib.plots.results`: data in, `Figure` with alt text out; where no run is finished, a figure
says so.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.data.sprsound import POOR, TASKS
from lib.paper_sprsound import TASK_NAMES
from lib.plots.results import COLOURS, HATCHES, MARKERS, NO_RUN
from lib.plots.style import empty_figure, format_values, heatmap, set_alt_text, subplots

FFT = 256
NO_RECORD = "Nothing to draw: no record was heard."
SHORT = {"Poor Quality": "Poor", "Adventitious": "Adv.", "Coarse Crackle": "Coarse",
         "Fine Crackle": "Fine", "Wheeze+Crackle": "W+C", "CAS & DAS": "Both"}  # fmt: skip


def embeddings(panels: dict[str, pd.DataFrame], most: int = 8) -> Figure:
    """Figure 2: the same points by class and, below, by patient; a column for each task.

    panels: task (1-1 ... 2-2) -> x, y, class, patient. Of more than `most` values the most frequent
    are kept, the rest is grey.
    """
    if not panels:
        return empty_figure(NO_RUN)
    fig, axes = subplots(3.4 * len(panels) + 0.4, 7.4, 2, len(panels))
    parts = []
    for column, (task, table) in zip(axes.T, panels.items(), strict=True):
        name = TASK_NAMES[task]
        for ax, what in zip(column, ("class", "patient"), strict=True):
            _scatter(ax, table, what, TASKS[task] if what == "class" else (), most)
            ax.set(title=f"{name}, by {what}", xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        counts = table["class"].value_counts(sort=False)
        parts.append(
            f"{name}: {len(table)} clips of {table.patient.nunique()} patients "
            f"({format_values(counts.index, counts)})"
        )
    return set_alt_text(
        fig, f"t-SNE of held-out clips by class and by patient. {'; '.join(parts)}."
    )


def _scatter(ax: Axes, table: pd.DataFrame, what: str, order: tuple[str, ...], most: int) -> None:
    """Points by a column; in `order` a name's place is its look, whatever else is there."""
    frequent = table[what].value_counts().index[:most]
    order = order or tuple(sorted(frequent))
    rest = table[~table[what].isin(frequent)]
    if len(rest):
        ax.scatter(rest.x, rest.y, s=5, color="#C8C8C8", marker=".", label="other")
    for i, name in enumerate(order):
        one = table[table[what] == name]
        look = {"color": COLOURS[i % 8], "marker": MARKERS[i % 8]}
        if name in frequent:
            ax.scatter(one.x, one.y, s=8, lw=0, label=name, **look)
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.01), "frameon": False}
    ax.legend(**place, ncols=3, fontsize=6, markerscale=1.5, handletextpad=0.1, columnspacing=0.6)


def confusions(matrices: dict[str, tuple[np.ndarray, tuple[str, ...]]]) -> Figure:
    """Figure 3: a confusion matrix for each task, counts and percent of the row, rows the truth.

    matrices: task -> (n, n) counts, classes. A class that the truth lacks is a row of zeros.
    """
    if not matrices:
        return empty_figure(NO_RUN)
    lines = -(-len(matrices) // 2)
    fig, axes = subplots(10, 4.4 * lines, lines, min(2, len(matrices)))
    parts = []
    for ax, (task, (matrix, classes)) in zip(axes.flat, matrices.items(), strict=False):
        shares = 100 * matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
        pairs = zip(matrix, shares, strict=True)
        texts = [[f"{n}\n{s:.0f}%" for n, s in zip(*pair, strict=True)] for pair in pairs]
        heatmap(ax, shares, texts)
        names = [SHORT.get(name, name) for name in classes]
        at = np.arange(len(classes)) + 0.5
        ax.set_xticks(at, names, rotation=0, fontsize=7)
        ax.set_yticks(at, names, rotation=0, fontsize=7)
        ax.set(title=TASK_NAMES.get(task, task), xlabel="answer", ylabel="truth")
        found = matrix.sum(axis=1) > 0
        right = format_values(np.array(classes)[found], np.diag(shares)[found], 1)
        lacks = ", ".join(np.array(classes)[~found])
        none = f", no {lacks} in the truth" if lacks else ""
        parts.append(f"{TASK_NAMES.get(task, task)}: right {right} percent{none}")
    for ax in axes.flat[len(matrices) :]:
        ax.set_axis_off()
    return set_alt_text(fig, f"Confusion matrices, rows are the truth. {'; '.join(parts)}.")


def lengths(events: pd.DataFrame, window: float = 3.0) -> Figure:
    """How long normal and adventitious events (1-1) of each part are: shares of half a tenth.

    events: 1-1, part, start and end in seconds; longer ones stand at `window`.
    """
    parts = list(dict.fromkeys(events.part))
    fig, axes = subplots(3.6 * len(parts) + 0.4, 2.9, 1, len(parts))
    edges, said = np.arange(0, window + 0.05, 0.05), []
    for ax, part in zip(axes.flat, parts, strict=True):
        here = events[events.part == part]
        for name, colour in zip(TASKS["1-1"], COLOURS, strict=False):
            group = here[here["1-1"] == name]
            seconds = (group.end - group.start).clip(upper=window)
            share = np.full(len(seconds), 1 / max(1, len(seconds)))
            ax.hist(seconds, edges, weights=share, label=name, histtype="stepfilled", alpha=0.55,
                    color=colour)  # fmt: skip
            said.append(f"{part}, {name}: median {seconds.median():.2f} s of {len(seconds)}")
        ax.set(title=part, xlabel="length of the event (s)")
    axes.flat[0].set_ylabel("share of the class")
    axes.flat[-1].legend(frameon=False)
    return set_alt_text(
        fig, "Histograms of the length of events by class. " + "; ".join(said) + "."
    )


def windows(wave: np.ndarray, rate_hz: int, heard: pd.DataFrame, truth: pd.DataFrame) -> Figure:
    """Figure 4: a record as wave and spectrogram, below it the windows' labels and the truth.

    wave: (samples,); heard, truth: columns start, end (seconds), label. Windows that overlap lie in
    lanes of their own. An adventitious label has a colour and a hatch, in both.
    """
    if not len(wave):
        return empty_figure(NO_RECORD)
    fig, axes = subplots(9.5, 6.2, 4, 1, sharex=True, height_ratios=(1, 1.6, 1.4, 0.6))
    seconds = len(wave) / rate_hz
    top, middle, below, last = axes[:, 0]
    top.plot(np.arange(len(wave)) / rate_hz, wave, color="black", linewidth=0.4)
    top.set(ylabel="wave", yticks=[])
    middle.imshow(_decibels(wave), origin="lower", aspect="auto", cmap="magma",
                  extent=(0, seconds, 0, rate_hz / 2000))  # fmt: skip
    middle.set(ylabel="kHz")
    looks = _looks([*truth.label, *heard.label])
    for ax, table, name in ((below, heard, "windows"), (last, truth, "truth")):
        _lanes(ax, table, looks)
        ax.set(ylabel=name, yticks=[], xlim=(0, seconds))
    last.set_xlabel("seconds")
    return set_alt_text(fig, f"A record of {seconds:.1f} s. Windows: {_said(heard)}. "
                         f"Truth: {_said(truth)}.")  # fmt: skip


def _said(table: pd.DataFrame) -> str:
    rows = table.itertuples(index=False)
    return "; ".join(f"{r.start:.1f} to {r.end:.1f} s {r.label}" for r in rows) or "none"


def _decibels(wave: np.ndarray) -> np.ndarray:
    """Spectrogram in dB (FFT / 2 + 1, frames), cut 80 below the loudest."""
    padded = np.pad(np.asarray(wave, np.float64), (0, max(0, FFT - len(wave))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[:: FFT // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(FFT))) ** 2
    decibels = 10 * np.log10(np.maximum(power, 1e-12))
    return np.maximum(decibels, decibels.max() - 80).T


def _looks(found: list[str]) -> dict[str, dict]:
    """A colour and a hatch for every label, the same in all lanes; normal and poor are plain."""
    looks = {"Normal": {"color": "#DDDDDD"}, POOR: {"color": "#FFFFFF"}}
    others = [name for name in dict.fromkeys(found) if name not in looks]
    for i, name in enumerate(others):
        looks[name] = {"color": COLOURS[1 + i % 7], "hatch": HATCHES[i % 4]}
    return looks


def _lanes(ax: Axes, table: pd.DataFrame, looks: dict[str, dict]) -> None:
    """Bars from start to end, each in the first lane that is free, with their labels."""
    free: list[float] = []
    for row in table.sort_values("start", kind="stable").itertuples(index=False):
        lane = next((i for i, end in enumerate(free) if end <= row.start + 1e-9), len(free))
        free[lane : lane + 1] = [row.end]
        ax.barh(-lane, row.end - row.start, 0.85, row.start, edgecolor="black", linewidth=0.6,
                **looks[row.label])  # fmt: skip
        place = {"ha": "center", "va": "center", "fontsize": 7}
        box = {"color": "white", "alpha": 0.7, "pad": 0.6}
        name = SHORT.get(row.label, row.label)
        ax.text((row.start + row.end) / 2, -lane, name, bbox=box, **place)
