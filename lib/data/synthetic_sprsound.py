"""Synthetic sounds in SPRSound's official layout: the default without data, and the tests'.

The sounds are those of `lib.data.synthetic`; a rhonchus is a low tone, a stridor a high one. All
labels of all four tasks are there, in training and in both tests. No child was recorded.
"""

import json
from pathlib import Path

import numpy as np
import soundfile

from lib.data import MARK
from lib.data.sprsound import PARTS, POOR, record_label
from lib.data.synthetic import cycle_sound, written_once
from lib.files import write_json, write_text

VERSION = 1  # raise it when the same settings give other sounds
RATE = 8000
PARTS_OF = (("train",) * 4 + ("intra",), ("inter",) * 3)  # recordings of one known, one new child
NEW = 4  # every fourth child is new: it stands in the inter test alone
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


def default_root() -> Path:
    """The folder of the default recordings below the stores, written on first use (seconds)."""
    settings = {"version": VERSION, "dataset": "sprsound", "seed": 0, "patients": 40}
    return written_once(settings, lambda root: write(root, settings["seed"], settings["patients"]))


def write(root: Path, seed: int = 0, patients: int = 40) -> None:
    """Write 3 to 5 recordings for each child; same seed, same bytes.

    Known children have four recordings in training and one in the intra test, new ones three in
    the inter test.
    """
    for folder in {folder for _, *folders in PARTS.values() for folder in folders}:
        if "2023" not in folder:
            (root / folder).mkdir(parents=True, exist_ok=True)
    seen = dict.fromkeys(PARTS, 0)
    for index in range(patients):
        rng = np.random.default_rng([seed, index])
        child = f"{50001 + index}_{rng.uniform(0.2, 16):.1f}_{index % 2}"
        traits = {"breath_low_hz": rng.uniform(80, 150), "breath_high_hz": rng.uniform(400, 900)}
        for number, part in enumerate(PARTS_OF[index % NEW == NEW - 1]):
            name = f"{child}_p{number % 4 + 1}_{10 * index + number}"
            _write_record(root, part, name, rng, traits, seen[part])
            seen[part] += 1
    write_json(root / MARK, {"seed": seed, "patients": patients})


def _write_record(
    root: Path, part: str, name: str, rng: np.random.Generator, traits: dict, turn: int
) -> None:
    """One recording; kinds of records, and of events in them, take turns within a part."""
    kind = list(KINDS)[turn % len(KINDS)]
    if kind == POOR:
        sound, events = _poor(rng), []
    else:
        sound, events = _breaths(rng, _events(rng, kind, turn // len(KINDS)), traits)
    wave = rng.uniform(0.3, 0.8) * sound / np.abs(sound).max()
    _, notes, sounds = PARTS[part]
    soundfile.write(root / sounds / f"{name}.wav", wave, RATE, subtype="PCM_16")
    label = record_label(event["type"] for event in events)
    text = {"record_annotation": label, "event_annotation": events}
    write_text(root / notes / f"{name}.json", json.dumps(text))


def _events(rng: np.random.Generator, kind: str, turn: int) -> list[str]:
    """Three to five events, shuffled; one at least is what makes the record's kind."""
    count, odd = int(rng.integers(3, 6)), KINDS[kind]
    if not odd:
        return count * ["Normal"]
    labels = 2 * [odd[turn % len(odd)]] + (count - 2) * ["Normal"]
    return rng.permutation(labels).tolist()


def _breaths(rng: np.random.Generator, labels: list[str], traits: dict) -> tuple:
    """The sound (samples,) of events with pauses between them, and their annotation."""
    parts, events, now = [], [], 0
    for label in labels:
        pause, length = rng.integers(200, 600), rng.integers(900, 1800)  # milliseconds
        sound, hz, fine = SOUNDS[label]
        own = {"wheeze_hz": hz * rng.uniform(0.9, 1.1), "crackle_fine": float(fine)}
        parts += [np.zeros(8 * pause)]
        parts += [cycle_sound(rng, sound, length / 1000, RATE, traits | own)]
        events.append({"start": f"{now + pause}", "end": f"{now + pause + length}", "type": label})
        now += pause + length
    wave = np.concatenate([*parts, np.zeros(RATE // 10)])
    return wave + 0.02 * rng.standard_normal(len(wave)), events


def _poor(rng: np.random.Generator) -> np.ndarray:
    """Rubbing that drowns all breath: 5 to 8 s of loud noise in bursts."""
    samples = int(rng.uniform(5, 8) * RATE)
    bursts = np.repeat(rng.uniform(0.1, 1.0, samples // 800 + 1), 800)[:samples]
    return bursts * rng.standard_normal(samples)
