"""Figures of sounds: waveform, spectrogram, fbank, SpecAugment, Patch-Mix, attention."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image
from scipy import signal

from lib.plots import style
from lib.plots.style import COLOURS, LIGHT_GREY

COLOUR_MAP = "magma"  # even steps of brightness, also for colour-blind readers and in print
HOP_SECONDS = 0.01
WINDOW_SECONDS = 0.025
CYCLES = {"crackle": COLOURS[4], "wheeze": COLOURS[1], "both": COLOURS[3], "normal": LIGHT_GREY}
MAX_HZ, RANGE_DB = 4000, 80  # what a spectrogram shows
STRONGEST = 0.85  # opacity where an attention map is highest


def plot_waveform(
    wave: np.ndarray, rate_hz: int, title: str = "", cycles: Sequence[tuple] = ()
) -> Figure:
    """Plot a waveform with its annotated cycles, and its spectrogram below.

    wave (samples,); cycles: (start, end, label) in seconds.
    """
    fig, axes = style.subplots(style.WIDTH, 5.0, 2, 1, sharex=True, height_ratios=(2, 3))
    top = axes[0, 0]
    draw_sound(top, axes[1, 0], wave, rate_hz)
    for start, end, label in cycles:
        top.axvspan(start, end, color=CYCLES[label], alpha=0.45, lw=0)
        top.axvline(start, color="#444444", lw=0.6)
        top.annotate(label, ((start + end) / 2, 1.02), xycoords=("data", "axes fraction"),
                     rotation=40, va="bottom")  # fmt: skip
    axes[1, 0].set_xlabel("time (s)")
    fig.suptitle(title)
    alt = f"Waveform and spectrogram of {len(wave) / rate_hz:.1f} s at {rate_hz} Hz. {title}"
    names = [f"{label} {start:.1f} to {end:.1f} s" for start, end, label in cycles]
    return style.set_alt_text(fig, alt + (" Cycles: " + ", ".join(names) + "." if names else ""))


def draw_sound(top: Axes, bottom: Axes, wave: np.ndarray, rate_hz: int) -> None:
    """Draw a wave (samples,) on one axes and its spectrogram up to 4 kHz on another."""
    top.plot(np.arange(len(wave)) / rate_hz, wave, color="black", linewidth=0.4, rasterized=True)
    window = int(WINDOW_SECONDS * rate_hz)
    samples = np.pad(np.asarray(wave, np.float64), (0, max(0, window + 1 - len(wave))))
    samples += 1e-8  # silence has no logarithm
    settings = {"NFFT": window, "Fs": rate_hz, "noverlap": window // 2, "cmap": COLOUR_MAP}
    levels, *_, image = bottom.specgram(samples, **settings)
    loudest = 10 * np.log10(levels.max())
    image.set_clim(loudest - RANGE_DB, loudest)
    top.set(ylabel="amplitude", xlim=(0, len(wave) / rate_hz))
    bottom.set(ylabel="frequency (Hz)", ylim=(0, min(rate_hz / 2, MAX_HZ)))


def plot_fbanks(fbanks: dict[str, np.ndarray]) -> Figure:
    """Plot log-mel features one above the other, on one colour scale.

    fbanks: title -> (frames, mels). One panel shows an fbank, two a before and after.
    """
    fig, axes = style.subplots(style.WIDTH, 0.6 + 1.9 * len(fbanks), len(fbanks), 1)
    scale = _scale(fbanks.values())
    for ax, (title, x) in zip(axes[:, 0], fbanks.items(), strict=True):
        image = _draw(ax, x, cmap=COLOUR_MAP, **scale)
        ax.set_title(title)
    axes[-1, 0].set_xlabel("time (s)")
    fig.colorbar(image, ax=axes, label="log-mel energy", shrink=0.8)
    shapes = [f"{name} ({x.shape[0]} frames x {x.shape[1]} mel bins)" for name, x in fbanks.items()]
    return style.set_alt_text(fig, f"Log-mel spectrograms: {'; '.join(shapes)}.")


def plot_spec_augment(before: np.ndarray, after: np.ndarray) -> Figure:
    """Plot a clip before and after SpecAugment, (frames, mels) each."""
    changed = before != after
    fig = plot_fbanks({"before": before, "after SpecAugment": after})
    frames, mels = changed.all(axis=1).sum(), changed.all(axis=0).sum()
    alt = (
        f"A log-mel spectrogram before and after SpecAugment: {changed.mean():.0%} of it is "
        f"replaced by the clip's mean, {frames} whole frames and {mels} whole mel bins."
    )
    return style.set_alt_text(fig, alt)


def plot_patch_mix(
    x: np.ndarray, other: np.ndarray, mask: np.ndarray, patch: int, stride: int, lam: float
) -> Figure:
    """Plot Patch-Mix on spectrograms: both clips, the mask on the token grid, the mix.

    x, other (frames, mels); mask (F, T) bool, True if the token comes from the other clip; patch
    and stride in frames and bins. Tokens overlap if the stride is smaller than the patch, and
    embeddings are mixed: the last panel shows which clip the centre of each patch comes from.
    """
    from_other = _spread_mask(mask, x.shape, patch, stride)
    fig, axes = style.subplots(style.WIDTH, 7.6, 4, 1, sharex=True)
    fbanks = {"clip": x, "other clip": other, "tokens taken from the other clip": x}
    fbanks[f"mix, λ = {lam:.2f}"] = np.where(from_other, other, x)
    for ax, (title, fbank) in zip(axes[:, 0], fbanks.items(), strict=True):
        _draw(ax, fbank, cmap=COLOUR_MAP, **_scale((x, other)))
        ax.set_title(title)
    _draw(axes[2, 0], from_other, cmap=ListedColormap([COLOURS[4]]), alpha=0.8 * from_other.T)
    for ax in axes[2:, 0]:
        _draw_grid(ax, x.shape, patch, stride)
    axes[-1, 0].set_xlabel("time (s)")
    alt = (
        f"Patch-Mix on a grid of {mask.shape[0]} x {mask.shape[1]} tokens: {mask.sum()} of "
        f"{mask.size} come from the other clip, so lambda is {lam:.2f}."
    )
    return style.set_alt_text(fig, alt)


def plot_attention(spectrogram: np.ndarray, maps: dict[str, np.ndarray], title: str) -> Figure:
    """Plot a spectrogram, and below it the same under each map: more opaque is more attention.

    spectrogram and each map (frames, mels); a map is NaN where no patch lies. The colour of a panel
    runs from the map's lowest to its highest value, and its title gives both.
    """
    rows = 1 + len(maps)
    fig, axes = style.subplots(style.WIDTH, 0.6 + 1.9 * rows, rows, 1, sharex=True)
    for ax in axes[:, 0]:
        _draw(ax, spectrogram, cmap="gray")
    texts = []
    for ax, (name, attention) in zip(axes[1:, 0], maps.items(), strict=True):
        relative = attention / np.nanmean(attention)  # 1: as much as the mean of all places
        low, high = np.nanmin(relative), np.nanmax(relative)
        opacity = STRONGEST * np.nan_to_num((relative - low) / max(high - low, 1e-9))
        _draw(ax, relative, cmap=ListedColormap([COLOURS[1]]), alpha=opacity.T)
        ax.set_title(f"{name}, {low:.2f} to {high:.2f} times the mean")
        frame, mel = np.unravel_index(np.nanargmax(relative), relative.shape)
        texts.append(f"{name} is highest, {high:.2f} times its mean, at "
                     f"{frame * HOP_SECONDS:.2f} s and mel bin {mel}")  # fmt: skip
    axes[-1, 0].set_xlabel("time (s)")
    fig.suptitle(title)
    seconds = len(spectrogram) * HOP_SECONDS
    alt = f"{title}: spectrogram of {seconds:.1f} s and attention over it. {'; '.join(texts)}."
    return style.set_alt_text(fig, alt)


def _draw(ax: Axes, x: np.ndarray, **look: object) -> AxesImage:
    """Draw (frames, mels) with time across and low frequencies at the bottom."""
    ax.set_ylabel("mel bin")
    extent = (0, len(x) * HOP_SECONDS, 0, x.shape[1])
    return ax.imshow(x.T, origin="lower", aspect="auto", extent=extent, **look)


def _scale(fbanks: Iterable[np.ndarray]) -> dict[str, float]:
    """One colour scale for all: digital silence and single peaks must not take up all colours."""
    low, high = np.percentile(np.concatenate([x.ravel() for x in fbanks]), [1, 99.9])
    return {"vmin": low, "vmax": high}


def _spread_mask(mask: np.ndarray, shape: tuple[int, int], patch: int, stride: int) -> np.ndarray:
    """Return the mask (F, T) as (frames, mels), each pixel from the patch with nearest centre."""
    rows, columns = (
        np.clip((np.arange(pixels) + 0.5 - (patch - stride) / 2) // stride, 0, tokens - 1)
        for tokens, pixels in zip(mask.shape, reversed(shape), strict=True)
    )
    return mask[np.ix_(rows.astype(int), columns.astype(int))].T


def _draw_grid(ax: Axes, shape: tuple[int, int], patch: int, stride: int) -> None:
    """Draw lines half way between the centres of patches on a spectrogram (frames, mels)."""
    frames, mels = (np.arange((patch + stride) / 2, length - patch / 2, stride) for length in shape)
    look = {"colors": "white", "linewidths": 0.3, "alpha": 0.6}
    ax.vlines(frames * HOP_SECONDS, 0, shape[1], **look)
    ax.hlines(mels, 0, shape[0] * HOP_SECONDS, **look)


def spectrogram_png(wave: np.ndarray, rate_hz: int, max_hz: int) -> bytes:
    """Return a spectrogram as PNG without axes, time across, 0 to `max_hz`. wave (samples,)."""
    window = int(WINDOW_SECONDS * rate_hz)
    settings = {"nperseg": window, "noverlap": window * 3 // 4, "nfft": 2 * window}
    frequencies, _, power = signal.spectrogram(wave, rate_hz, **settings)
    level = 10 * np.log10(power[frequencies <= max_hz][::-1] + 1e-12)
    share = np.clip((level - level.max() + RANGE_DB) / RANGE_DB, 0, 1)
    image = Image.fromarray((255 * share).astype(np.uint8)).convert("P")
    image.putpalette(
        (255 * colormaps[COLOUR_MAP](np.arange(256))[:, :3]).astype(np.uint8).tobytes()
    )
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
