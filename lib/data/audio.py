"""Recordings as waveforms: read, resample, fade, cut into clips of one length."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from lib.errors import UserError

FADE_SAMPLES = 1000  # official code: rate / 16, at 16 kHz
STREAMED = 0xFFFFFFFF  # length of the sound in a WAV header that was written before it was known


class ClipSettings(Protocol):
    """The settings of a front end by which a recording is cut into clips."""

    rate_hz: int
    clip_seconds: float
    pad: str  # repeat (with fade-out) | cyclic | zero
    fade: str  # recording | cycle | none


def read(path: Path) -> tuple[np.ndarray, int]:
    """Return a sound file as mono float32 (samples,) in [-1, 1], and its rate in Hz.

    Channels are averaged. Raises `UserError` if the file is empty, truncated, unreadable or
    holds NaN or infinite samples.
    """
    try:
        with soundfile.SoundFile(path) as sound:
            expected, rate, log = sound.frames, sound.samplerate, sound.extra_info
            channels = sound.read(dtype="float32", always_2d=True)  # (samples, channels)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path}: not a readable sound file ({error}); fetch it again") from error
    # A WAV file that ends too early is read without an error, but libsndfile notes it in its log.
    cut = re.search(r"data : (\d+) \(should be", log)
    if len(channels) < expected or (cut and int(cut[1]) != STREAMED):
        raise UserError(f"{path}: truncated; fetch it again")
    if len(channels) == 0:
        raise UserError(f"{path}: holds no sound; fetch it again")
    if not np.isfinite(channels).all():
        raise UserError(f"{path}: holds NaN or infinite samples; fetch it again")
    return channels.mean(axis=1) if channels.shape[1] > 1 else channels[:, 0], rate


def resample(wave: np.ndarray, rate: int, target_hz: int) -> np.ndarray:
    """Return (samples,) resampled by a windowed sinc, (ceil(samples * target_hz / rate),)."""
    if rate == target_hz:
        return wave
    import torch  # here: reading a file needs none
    from torchaudio.functional import resample as windowed_sinc

    return windowed_sinc(torch.from_numpy(wave), rate, target_hz).numpy()


def fade(wave: np.ndarray, fade_in: int, fade_out: int) -> np.ndarray:
    """Return a copy that rises from 0 over `fade_in` samples and falls to 0 over `fade_out`."""
    wave = wave.copy()
    rise, fall = min(fade_in, len(wave)), min(fade_out, len(wave))
    wave[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    wave[len(wave) - fall :] *= np.linspace(1, 0, fall, dtype=np.float32)
    return wave


def cut_or_repeat(wave: np.ndarray, samples: int, pad: str) -> np.ndarray:
    """Return exactly `samples` samples: a longer wave is cut, a shorter one filled up by `pad`.

    repeat: the wave again and again, last 1,000 samples faded out (official code of Bae et al.
    2023); cyclic: the same without fade; zero: silence at the end.
    """
    if len(wave) > samples:
        return wave[:samples]
    if pad == "zero":
        return np.pad(wave, (0, samples - len(wave)))
    filled = np.resize(wave, samples)  # repeats
    return fade(filled, 0, FADE_SAMPLES) if pad == "repeat" else filled


def recording_wave(path: Path, settings: ClipSettings) -> np.ndarray:
    """Return a recording at the rate of `settings`, faded at both ends if fade is recording."""
    wave = resample(*read(path), settings.rate_hz)
    return fade(wave, FADE_SAMPLES, FADE_SAMPLES) if settings.fade == "recording" else wave


def cycle_clip(wave: np.ndarray, start: float, end: float, settings: ClipSettings) -> np.ndarray:
    """Return one cycle, `start` to `end` in seconds, of a `recording_wave` as a clip (samples,).

    The first and last sample are rounded down. Raises `UserError` as `excerpt` does.
    """
    cycle = excerpt(wave, start, end, settings.rate_hz, to_sample=int)
    if settings.fade == "cycle":
        cycle = fade(cycle, FADE_SAMPLES, FADE_SAMPLES)
    return cut_or_repeat(cycle, int(settings.clip_seconds * settings.rate_hz), settings.pad)


def excerpt(
    wave: np.ndarray, start: float, end: float, rate: int, to_sample: Callable[[float], int] = round
) -> np.ndarray:
    """Return `start` to `end` in seconds of a wave (samples,), to the nearest sample.

    Raises `UserError` if the wave holds nothing between them.
    """
    samples = wave[to_sample(start * rate) : to_sample(end * rate)]
    if len(samples) == 0:
        raise UserError(
            f"the cycle from {start} to {end} s lies past the end of the recording at "
            f"{len(wave) / rate:.3f} s; fix the annotation"
        )
    return samples
