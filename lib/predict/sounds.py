"""Made-up sounds that are no lung sounds: what a detector of lung sounds must refuse."""

from collections.abc import Callable

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

RATE_HZ = 16000
BANDS_HZ = (2000, 4000, 7900)  # what recorders let through
LOUDNESS = (0.01, 0.9)  # peaks, as a share of full scale


def made_up_sound(kind: str, seed: int, seconds: float = 6.0) -> np.ndarray:
    """Return a sound of a kind of `KINDS`, (samples,) float32 at 16 kHz; same seed, same sound.

    Bandwidth, loudness and a noise floor are random, so that none of them tells the kind.
    """
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    wave = KINDS[kind](rng, round(seconds * RATE_HZ))
    wave = wave / np.abs(wave).max() + 10 ** rng.uniform(-5, -2) * rng.standard_normal(len(wave))
    wave = sosfilt(butter(4, rng.choice(BANDS_HZ), fs=RATE_HZ, output="sos"), wave)
    loudness = np.exp(rng.uniform(*np.log(LOUDNESS)))
    return (loudness * wave / np.abs(wave).max()).astype(np.float32)


def _seconds(samples: int) -> np.ndarray:
    return np.arange(samples) / RATE_HZ


def _tone(rng: np.random.Generator, samples: int) -> np.ndarray:
    hz = np.exp(rng.uniform(np.log(60), np.log(1900)))
    return _harmonics(rng, np.full(samples, hz))


def _harmonics(rng: np.random.Generator, hz: np.ndarray) -> np.ndarray:
    """A tone with up to 8 harmonics whose height (samples,) in Hz may change."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    count, slope = rng.integers(1, 9), rng.uniform(0.5, 2)
    return sum(np.sin(k * phase + rng.uniform(0, 6)) / k**slope for k in range(1, count + 1))


def _beeps(rng: np.random.Generator, samples: int) -> np.ndarray:
    period, duty = rng.uniform(0.2, 2), rng.uniform(0.1, 0.6)
    return _tone(rng, samples) * (_seconds(samples) % period < duty * period)


def _sweep(rng: np.random.Generator, samples: int) -> np.ndarray:
    low, high = np.sort(rng.uniform(60, 1900, 2))
    swing = np.sin(2 * np.pi * rng.uniform(0.2, 4) * _seconds(samples))
    return _harmonics(rng, (low + high) / 2 + (high - low) / 2 * swing)


def _music(rng: np.random.Generator, samples: int) -> np.ndarray:
    """One to three voices of plucked notes of a scale."""
    wave = np.zeros(samples)
    for _ in range(rng.integers(1, 4)):
        length, root = rng.uniform(0.15, 0.7), rng.uniform(80, 400)
        starts = np.arange(0, samples, int(length * RATE_HZ))
        for start in starts:
            semitones = rng.choice([0, 2, 4, 5, 7, 9, 11, 12])
            note = np.full(min(samples - start, 2 * RATE_HZ), root * 2 ** (semitones / 12))
            decay = np.exp(-_seconds(len(note)) / rng.uniform(0.1, 0.8))
            wave[start : start + len(note)] += decay * _harmonics(rng, note)
    return wave


def _noise(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Steady noise whose power falls with frequency to a random power."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hz = np.maximum(np.fft.rfftfreq(samples, 1 / RATE_HZ), 30)
    return np.fft.irfft(spectrum * hz ** -rng.uniform(0, 1.2), samples)


def _band_noise(rng: np.random.Generator, samples: int) -> np.ndarray:
    low = rng.uniform(60, 800)
    edges = low, min(low * rng.uniform(1.2, 4), 1900)
    return sosfilt(butter(2, edges, "band", fs=RATE_HZ, output="sos"), rng.standard_normal(samples))


def _hum(rng: np.random.Generator, samples: int) -> np.ndarray:
    tones = _harmonics(rng, np.full(samples, rng.choice([50.0, 60.0])))
    return tones / tones.std() + rng.uniform(0, 1) * _noise(rng, samples)


def _engine(rng: np.random.Generator, samples: int) -> np.ndarray:
    pulses = 1 + rng.uniform(0.3, 1) * _harmonics(rng, np.full(samples, rng.uniform(6, 40)))
    return pulses * _noise(rng, samples)


def _clicks(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Taps at random times, each a short damped oscillation."""
    impulses = rng.standard_normal(samples) * (rng.random(samples) < rng.uniform(1, 12) / RATE_HZ)
    radius, angle = rng.uniform(0.95, 0.998), 2 * np.pi * rng.uniform(80, 1500) / RATE_HZ
    impulses[rng.integers(samples // 2)] = 1
    return lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], impulses)


def _rubbing(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Noise in bursts that begin and end at once: a hand on the membrane."""
    levels = rng.choice([0.02, 0.3, 1.0], size=samples // 800 + 1, p=[0.5, 0.3, 0.2])
    return np.repeat(levels, 800)[:samples] * _noise(rng, samples)


def _speech(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Syllables: pulses of a voice, or a hiss, through three formants each."""
    wave, pitch = np.zeros(samples), rng.uniform(80, 260)
    at = 0
    while at < samples:
        length = int(rng.uniform(0.1, 0.3) * RATE_HZ)
        hz = pitch * np.linspace(*rng.uniform(0.8, 1.25, 2), length)
        phase = np.cumsum(hz) / RATE_HZ
        source = np.diff(np.floor(phase), prepend=0)
        if rng.random() < 0.25:
            source = 0.2 * rng.standard_normal(length)
        for formant, width in zip(rng.uniform([250, 800, 2000], [900, 2200, 3200]), (80, 100, 150),
                                  strict=True):  # fmt: skip
            radius = np.exp(-np.pi * width / RATE_HZ)
            angle = 2 * np.pi * formant / RATE_HZ
            gain = abs(1 - radius * np.exp(1j * angle)) ** 2
            source = lfilter([gain], [1, -2 * radius * np.cos(angle), radius**2], source)
        syllable = source * np.hanning(length) ** 0.5 * rng.uniform(0.3, 1)
        wave[at : at + length] += syllable[: samples - at]
        at += length + int((rng.random() < 0.25) * rng.uniform(0.1, 0.6) * RATE_HZ)
    return wave


KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "tone": _tone, "beeps": _beeps, "sweep": _sweep, "music": _music, "noise": _noise,
    "band noise": _band_noise, "hum": _hum, "engine": _engine, "clicks": _clicks,
    "rubbing": _rubbing, "speech": _speech,
}  # fmt: skip
