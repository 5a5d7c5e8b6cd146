"""Sounds on pages, with spectrograms: synthetic examples, and a run's surest mistakes."""

import base64
import io
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from lib import files, paths
from lib.analysis.mistakes import Mistake, find_sound
from lib.data import Dataset
from lib.data.audio import resample
from lib.data.synthetic import cycle_sound
from lib.plots.spectrograms import spectrogram_png
from lib.reports.template import render_template

RATE_HZ, SECONDS, TOP_HZ = 8000, 2.6, 2000
BREATH = {"breath_low_hz": 100, "breath_high_hz": 700, "wheeze_hz": 300}
BREATHS = ("normal", "normal", "crackle", "crackle", "wheeze", "wheeze")
# name -> class, whether its crackles are fine, what to hear and to see
EXAMPLES = {
    "Normal": ("normal", False, "Breathing in, then softer breathing out: a cloud without lines."),
    "Fine crackles": (
        "crackle",
        True,
        "Short high clicks: thin upright lines, strong near 750 Hz.",
    ),
    "Coarse crackles": (
        "crackle",
        False,
        "Lower, longer clicks: thicker lines, strong near 350 Hz.",
    ),
    "Wheeze": ("wheeze", False, "A held tone: level lines at 300 Hz and its multiples."),
    "Both": ("both", True, "Clicks and a tone in one breath: upright and level lines."),
}


@cache
def waves() -> dict[str, np.ndarray]:
    """Return the wave (samples,) of each example, at most 0.8, at 8 kHz; always the same."""
    sounds = {}
    for number, (name, (label, fine, _)) in enumerate(EXAMPLES.items()):
        rng, traits = np.random.default_rng([7, number]), BREATH | {"crackle_fine": float(fine)}
        wave = cycle_sound(rng, label, SECONDS, RATE_HZ, traits)
        sounds[name] = 0.8 * wave / np.abs(wave).max()
    return sounds


def built_in_recording() -> Path:
    """Return a synthetic recording of six breaths, a wav file that is written anew.

    Two are normal, two have coarse crackles, two wheeze; 15.6 s at 8 kHz.
    """
    rng = np.random.default_rng([7, 1])
    traits = BREATH | {"crackle_fine": 0.0}
    breaths = [cycle_sound(rng, label, SECONDS, RATE_HZ, traits) for label in BREATHS]
    return _write("synthetic_breaths.wav", np.concatenate(breaths))


def no_lung_sounds() -> list[Path]:
    """Return wav files of silence and of a tone of 440 Hz, 6 s each, which are written anew."""
    tone = np.sin(2 * np.pi * 440 * np.arange(6 * RATE_HZ) / RATE_HZ)
    return [_write("silence.wav", 0 * tone), _write("tone.wav", tone)]


def _write(name: str, wave: np.ndarray) -> Path:
    """Write a wave (samples,) of any height with a peak of 0.5; returns the path."""
    wave = 0.5 * wave / max(np.abs(wave).max(), 1e-9)
    with files.atomic_write(paths.features_root() / "examples" / name) as path:
        soundfile.write(path, wave, RATE_HZ, format="WAV")
    return paths.features_root() / "examples" / name


@cache
def sources() -> tuple[str, ...]:
    """Return the examples as WAV in data addresses: the only sounds that every page may hold."""
    return tuple(map(_data_address, waves().values()))


def _data_address(wave: np.ndarray) -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE_HZ, format="WAV", subtype="PCM_16")
    return f"data:audio/wav;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def players() -> str:
    """Return HTML with a player and a spectrogram of each example; a line moves as it plays."""
    sounds = [
        _shown(name, hear, wave, RATE_HZ) | {"source": source}
        for (name, (_, _, hear)), wave, source in zip(
            EXAMPLES.items(), waves().values(), sources(), strict=True
        )
    ]
    return render_template("listen", sounds=sounds, made_up=True)


def gallery(mistakes: list[Mistake], dataset: Dataset, embed: bool) -> str:
    """Return HTML with spectrogram, truth and probabilities of clips that were called wrong.

    embed: whether each has a player of its real sound. Without the recordings there is only text.
    """
    if not mistakes:
        return "<p>There is no finished run, or it made no mistake.</p>"
    sounds = []
    for mistake in mistakes:
        name = f"{mistake.truth.capitalize()}, called {mistake.predicted}"
        values = (f"{key} {value:.2f}" for key, value in mistake.probabilities.items())
        about = f"{', '.join(values)}. {mistake.cycle}, {mistake.device}."
        sounds.append({"name": name, "hear": about})
        if found := find_sound(mistake, dataset):
            wave = resample(found[0], found[1], RATE_HZ)
            sounds[-1] = _shown(name, about, wave, RATE_HZ)
            if embed:
                sounds[-1]["source"] = _data_address(wave)
    return render_template("listen", sounds=sounds, made_up=False)


def _shown(name: str, hear: str, wave: np.ndarray, rate_hz: int) -> dict[str, str]:
    """What the template shows of a wave (samples,): its words and its spectrogram."""
    picture = base64.b64encode(spectrogram_png(wave, rate_hz, TOP_HZ)).decode("ascii")
    seconds = f"{len(wave) / rate_hz:.1f} s"
    return {
        "name": name,
        "hear": hear,
        "picture": f"data:image/png;base64,{picture}",
        "top": f"0 to {TOP_HZ // 1000} kHz, {seconds}",
        "alt": f"Spectrogram of {seconds}, 0 to {TOP_HZ} Hz, {name.lower()}. {hear}",
    }
