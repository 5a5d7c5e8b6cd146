"""Recordings as waveforms: read, resample, fade, cut into clips of one length."""

import struct
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from lib.errors import UserError

FADE_SAMPLES = 1000  # official code: rate / 16, at 16 kHz


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
    _require_whole_wav(path)
    try:
        with soundfile.SoundFile(path) as sound:
            promised, rate = sound.frames, sound.samplerate
            channels = sound.read(dtype="float32", always_2d=True)  # (samples, channels)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path}: not a readable sound file ({error}); fetch it again") from error
    if len(channels) == 0:
        raise UserError(f"{path}: holds no sound; fetch it again")
    if len(channels) < promised:
        raise UserError(f"{path}: truncated; fetch it again")
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

    Raises `UserError` if the wave holds nothing between them.
    """
    cycle = wave[int(start * settings.rate_hz) : int(end * settings.rate_hz)]
    _require_samples(cycle, start, end, len(wave) / settings.rate_hz)
    if settings.fade == "cycle":
        cycle = fade(cycle, FADE_SAMPLES, FADE_SAMPLES)
    return cut_or_repeat(cycle, int(settings.clip_seconds * settings.rate_hz), settings.pad)


def excerpt(wave: np.ndarray, start: float, end: float, rate: int) -> np.ndarray:
    """Return `start` to `end` in seconds of a wave (samples,), to the nearest sample.

    Raises `UserError` if the wave holds nothing between them.
    """
    samples = wave[round(start * rate) : round(end * rate)]
    _require_samples(samples, start, end, len(wave) / rate)
    return samples


def _require_samples(samples: np.ndarray, start: float, end: float, seconds: float) -> None:
    if len(samples) == 0:
        raise UserError(
            f"the cycle from {start} to {end} s lies past the end of the recording at "
            f"{seconds:.3f} s; fix the annotation"
        )


def _require_whole_wav(path: Path) -> None:
    """Check the chunks of a WAV file: libsndfile accepts one that ends too early."""
    try:
        size = Path(path).stat().st_size
        with open(path, "rb") as handle:
            if handle.read(4) != b"RIFF":
                return
            handle.seek(12)
            while len(head := handle.read(8)) == 8:
                name, length = struct.unpack("<4sI", head)
                if name == b"data":
                    break
                handle.seek(length + length % 2, 1)
            else:
                raise UserError(f"{path}: truncated, it has no sound data; fetch it again")
            if handle.tell() + length > size and length != 0xFFFFFFFF:  # a stream's open length
                raise UserError(f"{path}: truncated, sound data are missing; fetch it again")
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror}); fetch it again") from error
