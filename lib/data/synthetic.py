"""Synthetic breath sounds in the official ICBHI layout: the default without data, and the tests'.

Each cycle is filtered noise under an inspiration and an expiration envelope, with heart beats;
crackles are short damped oscillations, wheezes harmonic tones; patients and devices differ.
No patient was recorded: numbers from these sounds say nothing about the real task.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, sosfilt

from lib.data import MARK
from lib.data.icbhi import CLASSES, FOLDER, LOCATIONS, SPLIT_FILE
from lib.files import digest, temp_path, write_json, write_text
from lib.paths import features_root

VERSION = 1  # raise it when the same settings give other sounds
# device -> (mode, rate in Hz, subtype, band in Hz): its colouring is a band-pass
DEVICES = {
    "Meditron": ("sc", 10000, "PCM_16", (20, 3000)),
    "Litt3200": ("sc", 4000, "PCM_16", (30, 1500)),
    "AKGC417L": ("mc", 44100, "PCM_24", (60, 8000)),
    "LittC2SE": ("mc", 44100, "PCM_16", (40, 2000)),
}
PATIENT_DEVICES = ("Meditron", "Litt3200", "AKGC417L", "Meditron", "LittC2SE", "Litt3200")
SPLIT = ("train", "test", "train", "train", "test")  # by patient: 60 to 40
SHARES = (0.45, 0.25, 0.18, 0.12)  # of `CLASSES`
INSPIRATION = 0.4  # share of a cycle


def default_root() -> Path:
    """The folder of the default recordings below the stores, written on first use (seconds)."""
    settings = {"version": VERSION, "seed": 0, "patients": 40, "cycles": 8}
    return written_once(
        settings, lambda root: write(root, *(settings[k] for k in ("seed", "patients", "cycles")))
    )


def written_once(settings: dict, write: Callable[[Path], None]) -> Path:
    """The folder below the stores that is named by its settings, written if it is not there."""
    root = features_root() / f"synthetic-{digest(settings)[:8]}"
    if not root.exists():
        part = temp_path(root)
        write(part)
        try:
            os.replace(part, root)
        except OSError:  # another process was first, with the same bytes
            shutil.rmtree(part)
    return root


def write(root: Path, seed: int = 0, patients: int = 40, cycles: int = 8) -> None:
    """Write 2 or 3 recordings of `cycles` breath cycles for each patient; same seed, same bytes.

    Patients stand on one side of the split only; each has all four classes.
    """
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    split, diagnosis, demographic = [], [], []
    for index in range(patients):
        rng = np.random.default_rng([seed, index])
        patient, device = 101 + index, PATIENT_DEVICES[index % len(PATIENT_DEVICES)]
        traits = _traits(rng)
        count = int(rng.integers(2, 4))
        labels = _labels(rng, count * cycles)
        for number in range(count):
            place = LOCATIONS[rng.integers(len(LOCATIONS))]
            name = f"{patient}_{number + 1}b1_{place}_{DEVICES[device][0]}_{device}"
            _write_recording(root / FOLDER / name, rng, device, traits, labels[number::count])
            split.append(f"{name}\t{SPLIT[index % len(SPLIT)]}\n")
        diagnosis.append(f"{patient}\t{'COPD' if traits['wheeze_hz'] < 300 else 'Pneumonia'}\n")
        demographic.append(f"{patient} {rng.integers(20, 80)} {'FM'[index % 2]} NA NA NA\n")
    write_text(root / SPLIT_FILE, "".join(split))
    write_text(root / "ICBHI_Challenge_diagnosis.txt", "".join(diagnosis))
    write_text(root / "ICBHI_Challenge_demographic_information.txt", "".join(demographic))
    write_json(root / MARK, {"seed": seed, "patients": patients, "cycles": cycles})


def _traits(rng: np.random.Generator) -> dict[str, float]:
    """What stays the same in all recordings of a patient."""
    return {
        "cycle_seconds": rng.uniform(2.0, 3.5),
        "breath_low_hz": rng.uniform(80, 150),
        "breath_high_hz": rng.uniform(400, 900),
        "wheeze_hz": rng.uniform(150, 450),
        "crackle_fine": float(rng.random() < 0.5),
        "heart_hz": rng.uniform(0.9, 1.6),
        "heart_gain": rng.uniform(0.2, 0.8),
    }


def _labels(rng: np.random.Generator, count: int) -> list[str]:
    """`count` shuffled labels, each class at least once, the rest in the patient's own shares."""
    own = rng.dirichlet(10 * np.array(SHARES))
    drawn = rng.choice(CLASSES, size=max(0, count - len(CLASSES)), p=own)
    return rng.permutation([*CLASSES, *drawn])[:count].tolist()


def _write_recording(
    path: Path, rng: np.random.Generator, device: str, traits: dict[str, float], labels: list[str]
) -> None:
    _, rate, subtype, (low, high) = DEVICES[device]
    lead = round(rng.uniform(0.1, 0.5), 3)
    sounds, lines, start = [np.zeros(int(lead * rate))], [], lead
    for label in labels:
        seconds = round(traits["cycle_seconds"] * rng.uniform(0.85, 1.15), 3)
        sounds.append(cycle_sound(rng, label, seconds, rate, traits))
        end = round(start + seconds, 3)
        crackle, wheeze = label in ("crackle", "both"), label in ("wheeze", "both")
        lines.append(f"{start:.3f}\t{end:.3f}\t{crackle:d}\t{wheeze:d}\n")
        start = end
    wave = np.concatenate([*sounds, np.zeros(rate // 10)])
    wave += _heart(rng, len(wave), rate, traits) + 0.02 * rng.standard_normal(len(wave))
    wave = sosfilt(butter(1, (low, min(high, 0.45 * rate)), "band", fs=rate, output="sos"), wave)
    wave *= rng.uniform(0.3, 0.8) / np.abs(wave).max()
    soundfile.write(path.with_suffix(".wav"), wave, rate, subtype=subtype)
    write_text(path.with_suffix(".txt"), "".join(lines))


def cycle_sound(
    rng: np.random.Generator, label: str, seconds: float, rate: int, traits: dict[str, float]
) -> np.ndarray:
    """One breath cycle of a class, (samples,) float64, breath noise of rms near 0.3."""
    sound = _breath(rng, round(seconds * rate), rate, traits)
    if label in ("crackle", "both"):
        for _ in range(rng.integers(12, 20)):
            _add(sound, rng.uniform(0.1, 0.9), _crackle(rng, rate, traits["crackle_fine"] > 0))
    if label in ("wheeze", "both"):
        tone = _wheeze(rng, rate, traits["wheeze_hz"], rng.uniform(0.4, 0.6) * seconds)
        _add(sound, rng.uniform(0.2, 0.4), tone)
    return sound


def _breath(rng: np.random.Generator, samples: int, rate: int, traits: dict) -> np.ndarray:
    """Band-limited noise; expiration is softer than inspiration."""
    band = (traits["breath_low_hz"], min(traits["breath_high_hz"], 0.45 * rate))
    noise = sosfilt(butter(2, band, "band", fs=rate, output="sos"), rng.standard_normal(samples))
    t = np.linspace(0, 1, samples)
    inhale = np.sin(np.pi * np.clip(t / INSPIRATION, 0, 1)) ** 2
    exhale = np.sin(np.pi * np.clip((t - INSPIRATION) / (0.9 - INSPIRATION), 0, 1)) ** 2
    return 0.6 * noise / noise.std() * (inhale + 0.5 * exhale)


def _crackle(rng: np.random.Generator, rate: int, fine: bool) -> np.ndarray:
    """A damped oscillation: fine ones are higher and die within 5 ms, coarse ones within 15 ms."""
    hz = rng.uniform(600, 900) if fine else rng.uniform(250, 450)
    decay = 0.0015 if fine else 0.004
    t = np.arange(int(0.03 * rate)) / rate
    return rng.uniform(4, 8) * np.exp(-t / decay) * np.sin(2 * np.pi * hz * t)


def _wheeze(rng: np.random.Generator, rate: int, hz: float, seconds: float) -> np.ndarray:
    """A slowly gliding tone of 100 ms or more with its harmonics up to 1,000 Hz."""
    t = np.arange(int(max(seconds, 0.1) * rate)) / rate
    glide = 1 + rng.uniform(-0.1, 0.1) * t / t[-1]
    phase = 2 * np.pi * np.cumsum(hz * rng.uniform(0.9, 1.1) * glide) / rate
    harmonics = range(1, int(1000 / (1.25 * hz)) + 1)  # 1.25: highest draw times highest glide
    tone = sum(np.sin(k * phase + rng.uniform(0, 2 * np.pi)) / k for k in harmonics)
    return rng.uniform(1.2, 2.0) * tone * np.hanning(len(t)) ** 0.25


def _heart(rng: np.random.Generator, samples: int, rate: int, traits: dict) -> np.ndarray:
    """Two thumps near 50 Hz for each beat."""
    sound = np.zeros(samples)
    t = np.arange(int(0.1 * rate)) / rate
    thump = np.sin(2 * np.pi * 50 * t) * np.hanning(len(t)) * traits["heart_gain"]
    beats = np.arange(rng.uniform(0, 1), samples / rate, 1 / traits["heart_hz"])
    for beat in beats:
        for delay, gain in ((0.0, 1.0), (0.3, 0.7)):
            _add(sound, (beat + delay) * rate / samples, gain * thump)
    return sound


def _add(sound: np.ndarray, where: float, event: np.ndarray) -> None:
    """Add an event in place, from the share `where` of the sound on; what sticks out is cut."""
    first = int(where * len(sound))
    part = sound[first : first + len(event)]
    part += event[: len(part)]
