"""Synthetic breath sounds in the official layouts of ICBHI and SPRSound, if no data are here.

Each cycle is filtered noise under an inspiration and an expiration envelope, with heart beats;
crackles are short damped oscillations, wheezes harmonic tones (a rhonchus is a low one, a stridor a
high one); patients and devices differ. No patient was recorded: numbers from these sounds say
nothing about the real task.
"""

import io
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, sosfilt

from lib.data.dataset import SYNTHETIC_FILE
from lib.data.icbhi import CLASSES, DEMOGRAPHICS, DIAGNOSES, ICBHI, LOCATIONS, SPLIT_FILE
from lib.data.sprsound import POOR, SUBSETS, record_label
from lib.files import disk_errors, temp_path, write_json, write_text
from lib.paths import features_root

VERSION = 1  # raise it if the same seed gives other sounds
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


def default_root(dataset: str) -> Path:
    """Return the folder of the default recordings of icbhi or sprsound, written on first use."""
    root = features_root() / f"synthetic-{dataset}-v{VERSION}"
    if not root.exists():
        temporary = temp_path(root)
        try:
            with disk_errors(root):
                write_icbhi(temporary) if dataset == "icbhi" else write_sprsound(temporary)
                os.replace(temporary, root)
        except OSError:
            if not root.exists():  # else another process was first, with the same bytes
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return root


def write_icbhi(root: Path, seed: int = 0, patients: int = 40, cycles: int = 8) -> None:
    """Write 2 or 3 recordings of `cycles` breath cycles for each patient; same seed, same bytes.

    A patient is on one side of the split only; each has all four classes.
    """
    (root / ICBHI.folder).mkdir(parents=True, exist_ok=True)
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
            _write_recording(root / ICBHI.folder / name, rng, device, traits, labels[number::count])
            split.append(f"{name}\t{SPLIT[index % len(SPLIT)]}\n")
        diagnosis.append(f"{patient}\t{'COPD' if traits['wheeze_hz'] < 300 else 'Pneumonia'}\n")
        demographic.append(f"{patient} {rng.integers(20, 80)} {'FM'[index % 2]} NA NA NA\n")
    write_text(root / SPLIT_FILE, "".join(split))
    write_text(root / DIAGNOSES, "".join(diagnosis))
    write_text(root / DEMOGRAPHICS, "".join(demographic))
    write_json(root / SYNTHETIC_FILE, {"seed": seed, "patients": patients, "cycles": cycles})


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
    shares = rng.dirichlet(10 * np.array(SHARES))
    more = rng.choice(CLASSES, size=max(0, count - len(CLASSES)), p=shares)
    return rng.permutation([*CLASSES, *more])[:count].tolist()


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
    _write_wav(path.with_suffix(".wav"), wave, rate, subtype)
    write_text(path.with_suffix(".txt"), "".join(lines))


def _write_wav(path: Path, wave: np.ndarray, rate: int, subtype: str) -> None:
    """Write a wave (samples,); a full disk is an OSError, which libsndfile would not tell."""
    box = io.BytesIO()
    soundfile.write(box, wave, rate, subtype=subtype, format="WAV")
    path.write_bytes(box.getvalue())


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
    place = sound[first : first + len(event)]
    place += event[: len(place)]


RATE = 8000  # of SPRSound
KNOWN, NEW = 4 * ("train",) + ("intra",), 3 * ("inter",)  # subsets of a child's recordings
# event -> class of its sound, height of its tone in Hz, whether its crackles are fine
SOUNDS = {
    "Normal": ("normal", 300, False),
    "Rhonchi": ("wheeze", 130, False),
    "Wheeze": ("wheeze", 350, False),
    "Stridor": ("wheeze", 650, False),
    "Coarse Crackle": ("crackle", 300, False),
    "Fine Crackle": ("crackle", 300, True),
    "Wheeze+Crackle": ("both", 350, True),
}
KINDS = {  # record -> the events that it may have beside normal ones
    "Normal": (),
    POOR: (),
    "CAS": ("Rhonchi", "Wheeze", "Stridor"),
    "DAS": ("Coarse Crackle", "Fine Crackle"),
    "CAS & DAS": ("Wheeze+Crackle",),
}


def write_sprsound(root: Path, seed: int = 0, patients: int = 40) -> None:
    """Write 3 to 5 recordings for each child; same seed, same bytes.

    Every fourth child is new: three recordings in the inter test. The others have four in training
    and one in the intra test.
    """
    for folder in {folder for subset in (*KNOWN, *NEW) for folder in SUBSETS[subset][1:]}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    count = Counter()
    for index in range(patients):
        rng = np.random.default_rng([seed, index])
        child = f"{50001 + index}_{rng.uniform(0.2, 16):.1f}_{index % 2}"
        traits = {"breath_low_hz": rng.uniform(80, 150), "breath_high_hz": rng.uniform(400, 900)}
        for number, subset in enumerate(NEW if index % 4 == 3 else KNOWN):
            name = f"{child}_p{number % 4 + 1}_{10 * index + number}"
            _write_record(root, subset, name, rng, traits, count[subset])
            count[subset] += 1
    write_json(root / SYNTHETIC_FILE, {"seed": seed, "patients": patients})


def _write_record(
    root: Path, subset: str, name: str, rng: np.random.Generator, traits: dict, turn: int
) -> None:
    """One recording; kinds of records, and of events in them, take turns within a subset."""
    kind, turn = list(KINDS)[turn % len(KINDS)], turn // len(KINDS)
    poor = kind == POOR
    sound, events = _poor(rng) if poor else _breaths(rng, _event_labels(rng, kind, turn), traits)
    wave = rng.uniform(0.3, 0.8) * sound / np.abs(sound).max()
    _, notes, sounds = SUBSETS[subset]
    _write_wav(root / sounds / f"{name}.wav", wave, RATE, "PCM_16")
    label = record_label(event["type"] for event in events)
    text = {"record_annotation": label, "event_annotation": events}
    write_text(root / notes / f"{name}.json", json.dumps(text))


def _event_labels(rng: np.random.Generator, kind: str, turn: int) -> list[str]:
    """Three to five events, shuffled; one at least is what makes the record's kind."""
    count, odd = int(rng.integers(3, 6)), KINDS[kind]
    if not odd:
        return count * ["Normal"]
    labels = 2 * [odd[turn % len(odd)]] + (count - 2) * ["Normal"]
    return rng.permutation(labels).tolist()


def _breaths(
    rng: np.random.Generator, labels: list[str], traits: dict
) -> tuple[np.ndarray, list[dict]]:
    """The sound (samples,) of events with pauses between them, and their annotation."""
    sounds, events, start = [], [], 0
    for label in labels:
        pause, length = rng.integers(200, 600), rng.integers(900, 1800)  # milliseconds
        sound, hz, fine = SOUNDS[label]
        tone = {"wheeze_hz": hz * rng.uniform(0.9, 1.1), "crackle_fine": float(fine)}
        sounds.append(np.zeros(RATE // 1000 * pause))
        sounds.append(cycle_sound(rng, sound, length / 1000, RATE, traits | tone))
        start += pause
        events.append({"start": f"{start}", "end": f"{start + length}", "type": label})
        start += length
    wave = np.concatenate([*sounds, np.zeros(RATE // 10)])
    return wave + 0.02 * rng.standard_normal(len(wave)), events


def _poor(rng: np.random.Generator) -> tuple[np.ndarray, list[dict]]:
    """Rubbing that drowns all breath: 5 to 8 s of loud noise in bursts, without events."""
    samples = int(rng.uniform(5, 8) * RATE)
    bursts = np.repeat(rng.uniform(0.1, 1.0, samples // 800 + 1), 800)[:samples]
    return bursts * rng.standard_normal(samples), []
