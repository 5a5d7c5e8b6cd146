"""Recordings as waveforms: read, resample, fade, cut into clips of one length."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import soundfile

from lib.errors import UserError
from lib.files import readable

if TYPE_CHECKING:  # reading a file needs no torch
    from torchaudio.transforms import Resample

FADE_SAMPLES = 1000  # official code: rate / 16, at 16 kHz
OPEN_LENGTH = 0x7FFFF000  # from here on, a WAV header's length was written before it was known
UNKNOWN_LENGTH = 2**63 - 1  # what libsndfile says of a FLAC file through a pipe
BLOCK = 1 << 20  # samples that are read at once, whatever length the header promises
MAX_SAMPLES = 1 << 27  # of a recording, all channels; 50 minutes at 44.1 kHz, 0.5 GB
MAX_KERNEL = 1 << 24  # numbers in a resampling filter; 44.1 to 16 kHz has 72,480
SINC_WIDTH, ROLLOFF = 6, 0.99  # of torchaudio's filter
LOWEST_RATE_HZ = 500  # the lowest that any stethoscope has is 4,000
LOUDEST = 1e3  # sounds lie in [-1, 1]; floats may be a little beyond


class ClipSettings(Protocol):
    """The settings of a front end by which a recording is cut into clips."""

    rate_hz: int
    clip_seconds: float
    pad: str  # repeat (with fade-out) | cyclic | zero
    fade: str  # recording | cycle | none


def read(path: Path) -> tuple[np.ndarray, int]:
    """Return a sound file as mono float32 (samples,) in [-1, 1], and its rate in Hz.

    Channels are averaged. Raises `UserError` as `read_channels` does.
    """
    channels, rate = read_channels(path)
    return channels.mean(axis=1) if channels.shape[1] > 1 else channels[:, 0], rate


def read_channels(path: Path) -> tuple[np.ndarray, int]:
    """Return a sound file as float32 (samples, channels), and its rate in Hz.

    Raises `UserError` if the file is empty, truncated, unreadable or longer than `MAX_SAMPLES`, or
    holds samples that are not finite or beyond `LOUDEST`.
    """
    _require_file(path)
    try:
        with _Forward(path) as sound:
            promised, rate, log = sound.frames, sound.samplerate, sound.extra_info
            channels = _read_blocks(sound)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path}: not a readable sound file ({error}); fetch it again") from error
    if rate < LOWEST_RATE_HZ:
        raise UserError(f"{path}: its rate of {rate} Hz is too odd for a sound; fetch it again")
    # A WAV file that ends too early is read without an error, but libsndfile notes it in its log.
    cut = re.search(r"data : (\d+) \(should be", log)
    if channels is None:
        raise UserError(f"{path}: longer than {MAX_SAMPLES:,} samples; cut it into pieces")
    if len(channels) < promised < UNKNOWN_LENGTH or (cut and int(cut[1]) < OPEN_LENGTH):
        raise UserError(f"{path}: truncated; fetch it again")
    if len(channels) == 0:
        raise UserError(f"{path}: holds no sound; fetch it again")
    peak = np.abs(channels).max()
    if not np.isfinite(peak):
        raise UserError(f"{path}: holds NaN or infinite samples; fetch it again")
    if peak > LOUDEST:
        raise UserError(
            f"{path}: holds samples up to {peak:.3g}, but sound lies in [-1, 1]; fetch it again or "
            "divide its samples"
        )
    return channels, rate


class _Forward(soundfile.SoundFile):
    """A sound file that is read from its start to its end, so that the header may be wrong."""

    def seekable(self) -> bool:
        """Return False: after each block, soundfile would seek to where it is."""
        return False


def _read_blocks(sound: soundfile.SoundFile) -> np.ndarray | None:
    """Return what a sound file holds, (samples, channels), or None if that is too much."""
    frames, blocks, total = max(1, BLOCK // sound.channels), [], 0
    while len(block := sound.read(frames, dtype="float32", always_2d=True)):
        blocks.append(block)
        total += block.size
        if total > MAX_SAMPLES:
            return None
    return np.concatenate(blocks) if blocks else np.empty((0, sound.channels), np.float32)


def _require_file(path: Path) -> None:
    with readable(path), open(path, "rb"):
        pass


def length_seconds(path: Path) -> float:
    """Return the length of a sound file, by its header if that can be; else `UserError`."""
    _require_file(path)
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path}: not a readable sound file ({error}); fetch it again") from error
    if info.frames > MAX_SAMPLES:  # not to be believed
        return len(read(path)[0]) / info.samplerate
    return info.frames / info.samplerate


def describe_silence(path: Path) -> str:
    """Return that a sound file is digital silence, or which channels are; "" if none is."""
    channels, _ = read_channels(path)
    silent = np.ptp(channels, axis=0) == 0
    if silent.all():
        return "digital silence"
    return ", ".join(f"channel {number + 1} is silent" for number in np.flatnonzero(silent))


def read_at(path: Path, rate_hz: int) -> np.ndarray:
    """Return a sound file as mono float32 (samples,) at a rate; raises `UserError` naming it."""
    wave, rate = read(path)
    try:
        return resample(wave, rate, rate_hz)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def resample(wave: np.ndarray, rate: int, target_hz: int) -> np.ndarray:
    """Return (samples,) resampled by a windowed sinc, (ceil(samples * target_hz / rate),).

    Raises `UserError` if the rates have so small a common divisor that the filter would fill the
    memory, or if the result would have more than `MAX_SAMPLES`.
    """
    if rate == target_hz:
        return wave
    common = math.gcd(rate, target_hz)
    old, new = rate // common, target_hz // common
    width = math.ceil(SINC_WIDTH * old / (min(old, new) * ROLLOFF))
    if new * (old + 2 * width) > MAX_KERNEL or len(wave) * target_hz > MAX_SAMPLES * rate:
        raise UserError(
            f"its rate of {rate} Hz is too odd to be resampled to {target_hz} Hz; check the header "
            "or convert the file"
        )
    import torch  # here: reading a file needs none

    return _resampler(rate, target_hz)(torch.from_numpy(wave)).numpy()


@lru_cache(maxsize=8)
def _resampler(rate: int, target_hz: int) -> Resample:
    """A resampler whose filter is computed in float64, as in the official code."""
    from torchaudio.transforms import Resample

    return Resample(rate, target_hz, lowpass_filter_width=SINC_WIDTH, rolloff=ROLLOFF)


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
    wave = read_at(path, settings.rate_hz)
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
