"""Pictures of sounds: waveform, spectrogram, fbank, SpecAugment, Patch-Mix; alt text attached."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from lib.plots.results import COLOURS
from lib.plots.style import set_alt_text, subplots

CMAP = "magma"  # even steps of brightness, also for colour-blind readers and in print
HOP_SECONDS = 0.01
WINDOW_SECONDS = 0.025
SPANS = {"crackle": COLOURS[4], "wheeze": COLOURS[1], "both": COLOURS[3], "normal": "#D9D9D9"}


def plot_waveform(
    wave: np.ndarray, rate_hz: int, title: str = "", cycles: Sequence[tuple] = ()
) -> Figure:
    """Waveform above its spectrogram, annotated cycles shaded above.

    wave (samples,); cycles: (start, end, label) in seconds.
    """
    fig, axes = subplots(9.5, 4.6, 2, 1, sharex=True, height_ratios=(2, 3))
    top, below = axes[:, 0]
    seconds = np.arange(len(wave)) / rate_hz
    top.plot(seconds, wave, color="black", linewidth=0.4, rasterized=True)
    for start, end, label in cycles:
        top.axvspan(start, end, color=SPANS[label], alpha=0.45, lw=0)
        top.axvline(start, color="#444444", lw=0.6)
        top.annotate(label, ((start + end) / 2, 1.02), xycoords=("data", "axes fraction"),
                     ha="center", fontsize=7)  # fmt: skip
    window = int(WINDOW_SECONDS * rate_hz)
    below.specgram(
        np.asarray(wave, dtype=np.float64) + 1e-8,  # silence has no logarithm
        **{"NFFT": window, "Fs": rate_hz, "noverlap": window // 2, "cmap": CMAP},
    )
    top.set(ylabel="amplitude", xlim=(0, len(wave) / rate_hz))
    below.set(xlabel="time (s)", ylabel="frequency (Hz)", ylim=(0, min(rate_hz / 2, 4000)))
    fig.suptitle(title)
    alt = f"Waveform and spectrogram of {len(wave) / rate_hz:.1f} s at {rate_hz} Hz. {title}"
    named = [f"{label} {start:.1f} to {end:.1f} s" for start, end, label in cycles]
    return set_alt_text(fig, alt + (" Cycles: " + ", ".join(named) + "." if named else ""))


def plot_fbanks(panels: dict[str, np.ndarray]) -> Figure:
    """Log-mel features one above the other, on one scale of colours.

    panels: title -> (frames, mels). One panel shows an fbank, two a before and after.
    """
    fig, axes = subplots(9.5, 0.6 + 1.9 * len(panels), len(panels), 1)
    low, high = _range(panels.values())
    for ax, (title, x) in zip(axes[:, 0], panels.items(), strict=True):
        image = _fbank(ax, x, low, high)
        ax.set_title(title)
    axes[-1, 0].set_xlabel("time (s)")
    fig.colorbar(image, ax=axes, label="log-mel energy", shrink=0.8)
    shapes = [
        f"{title} ({x.shape[0]} frames x {x.shape[1]} mel bins)" for title, x in panels.items()
    ]
    return set_alt_text(fig, f"Log-mel spectrograms: {'; '.join(shapes)}.")


def plot_spec_augment(before: np.ndarray, after: np.ndarray) -> Figure:
    """A clip before and after SpecAugment, and what was masked: (frames, mels) each."""
    changed = before != after
    fig = plot_fbanks({"before": before, "after SpecAugment": after})
    frames, mels = changed.all(axis=1).sum(), changed.all(axis=0).sum()
    alt = (
        f"A log-mel spectrogram before and after SpecAugment: {changed.mean():.0%} of it is "
        f"replaced by the clip's mean, {frames} whole frames and {mels} whole mel bins."
    )
    return set_alt_text(fig, alt)


def plot_patch_mix(
    x: np.ndarray, other: np.ndarray, mask: np.ndarray, patch: int, stride: int, lam: float
) -> Figure:
    """Patch-Mix drawn on spectrograms: both clips, the token grid's mask, the mix as a picture.

    x, other (frames, mels); mask (F, T) bool, True where the token is the other clip's; patch and
    stride in frames and bins. Tokens overlap where the stride is smaller than the patch, and what
    is mixed are embeddings: the last panel shows which clip the middle of each patch comes from.
    """
    foreign = _pixels(mask, x.shape, patch, stride)
    mixed = np.where(foreign, other, x)
    fig, axes = subplots(9.5, 7.2, 4, 1, sharex=True)
    low, high = _range((x, other))
    titles = ("clip", "other clip", "tokens taken from the other clip", f"mix, λ = {lam:.2f}")
    for ax, picture, title in zip(axes[:, 0], (x, other, x, mixed), titles, strict=True):
        _fbank(ax, picture, low, high)
        ax.set_title(title)
    axes[2, 0].imshow(
        np.ma.masked_equal(foreign.T.astype(float), 0),
        **{"origin": "lower", "cmap": ListedColormap([COLOURS[4]]), "alpha": 0.8},
        **{"extent": (0, len(x) * HOP_SECONDS, 0, x.shape[1]), "aspect": "auto"},
    )
    for ax in axes[2:, 0]:
        _grid(ax, mask.shape, x.shape, patch, stride)
    axes[-1, 0].set_xlabel("time (s)")
    alt = (
        f"Patch-Mix on a grid of {mask.shape[0]} x {mask.shape[1]} tokens: {mask.sum()} of "
        f"{mask.size} come from the other clip, so lambda is {lam:.2f}."
    )
    return set_alt_text(fig, alt)


def _fbank(ax: Axes, x: np.ndarray, low: float, high: float) -> object:
    place = {"extent": (0, len(x) * HOP_SECONDS, 0, x.shape[1]), "origin": "lower"}
    ax.set_ylabel("mel bin")
    return ax.imshow(x.T, cmap=CMAP, vmin=low, vmax=high, aspect="auto", **place)


def _range(pictures: Iterable[np.ndarray]) -> tuple[float, float]:
    """One scale for all: digital silence and single peaks must not take up all colours."""
    low, high = np.percentile(np.concatenate([x.ravel() for x in pictures]), [1, 99.9])
    return low, high


def _edges(tokens: int, length: int, patch: int, stride: int) -> np.ndarray:
    """Where a token's own share of an axis ends: half way between the middles of two patches."""
    middles = np.arange(tokens) * stride + patch / 2
    inner = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[0], inner, [length]])


def _pixels(mask: np.ndarray, shape: tuple[int, int], patch: int, stride: int) -> np.ndarray:
    """The mask (F, T) as (frames, mels): a pixel belongs to the patch whose middle is nearest."""
    (rows, columns), (frames, mels) = mask.shape, shape
    at_mel, at_frame = np.arange(mels) + 0.5, np.arange(frames) + 0.5
    row = np.searchsorted(_edges(rows, mels, patch, stride)[1:-1], at_mel)
    column = np.searchsorted(_edges(columns, frames, patch, stride)[1:-1], at_frame)
    return mask[np.ix_(row, column)].T


def _grid(
    ax: Axes, tokens: tuple[int, int], shape: tuple[int, int], patch: int, stride: int
) -> None:
    frames, mels = shape
    across = _edges(tokens[1], frames, patch, stride) * HOP_SECONDS
    up = _edges(tokens[0], mels, patch, stride)
    lines = [((x, 0), (x, mels)) for x in across]
    lines += [((0, y), (across[-1], y)) for y in up]
    ax.add_collection(LineCollection(lines, colors="white", linewidths=0.3, alpha=0.6))
