"""Where an AST looks: attention that finished runs kept, over the spectrograms of the cycles."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib import registry
from lib.analysis import attention, explore, inspect
from lib.config import Experiment
from lib.data import Source, audio, icbhi
from lib.evaluation import scores
from lib.features.frontends import Fbank, clip_frames
from lib.profiles import apply
from lib.runs.plan import Study


@dataclass(frozen=True)
class Attended:
    """One cycle as the models saw it, and how each of them spread its attention over it."""

    cycle: str  # recording:cycle
    label: str
    spectrogram: np.ndarray  # (frames, mels), zeros that were added included
    maps: dict[str, np.ndarray]  # method and kind of map -> (frames, mels)
    frames: int  # without the zeros


def cycles(here: Study, results: pd.DataFrame, methods: dict[str, str]) -> list[Attended]:
    """The cycles whose attention finished runs kept, first seed; empty if features are not here.

    methods: name -> experiment, all with one front end.
    """
    kept = {name: found for name, e in methods.items() if (found := _first(results, e))}
    if not kept:
        return []
    experiment = apply(here.profile, registry.get(methods[next(iter(kept))]))
    store = here.store(experiment)
    if store is None:
        return []
    rows = pd.Series(store.cycles.index, scores.cycle_ids(store.cycles))
    shown = []
    for at, cycle in enumerate(next(iter(kept.values()))["attention/cycle"]):
        own = np.asarray(store.features[rows[cycle]], np.float32)
        x = np.pad(own, ((0, max(0, experiment.pad_frames - len(own))), (0, 0)))
        maps = {
            f"{name}: {kind}": drawn(found[f"attention/{kind}"][at], x.shape, experiment)
            for name, found in kept.items()
            for kind in ("last", "rollout")
        }
        label = str(store.cycles.label[rows[cycle]])
        shown.append(Attended(str(cycle), label, x, maps, len(own)))
    return shown


def sounds(source: Source, shown: list[Attended]) -> list[np.ndarray]:
    """What the pictures show as samples at 16 kHz; empty where the recordings are not here."""
    if not explore.has_recordings(source):
        return []
    paths, table = icbhi.audio_files(source.root), icbhi.cycles(source.root)
    table = table.set_index(scores.cycle_ids(table))
    front = Fbank(fade="none")
    found = []
    for one in shown:
        cycle = table.loc[one.cycle]
        wave = audio.recording_wave(paths[cycle.recording], front)
        sound = audio.excerpt(wave, cycle.start, cycle.end, front.rate_hz)
        found.append(sound[: one.frames * front.hop])
    return found


def drawn(found: np.ndarray, shape: tuple[int, int], experiment: Experiment) -> np.ndarray:
    """A map (F, T) of patches as a picture (frames, mels)."""
    patches = experiment.patch, experiment.stride
    return attention.to_spectrogram(torch.from_numpy(found), *shape, *patches).numpy()


def on_zeros(here: Study, results: pd.DataFrame, methods: dict[str, str]) -> pd.DataFrame:
    """How much attention goes to patches that see nothing but added zeros, beside their share.

    Columns: Training, Patches of zeros (share of all), Last block, Rollout (share of attention,
    mean over the kept cycles), in percent.
    """
    lines = []
    for name, e in methods.items():
        found, experiment = _first(results, e), apply(here.profile, registry.get(e))
        if not found:
            continue
        start = np.arange(found["attention/last"].shape[2]) * experiment.stride
        blank = start >= clip_frames(experiment)
        line = {"Training": name, "Patches of zeros": f"{100 * blank.mean():.1f}"}
        for kind, column in (("last", "Last block"), ("rollout", "Rollout")):
            share = found[f"attention/{kind}"][:, :, blank].sum(axis=(1, 2)).mean()
            line[column] = f"{100 * share:.1f}"
        lines.append(line)
    return pd.DataFrame(lines, columns=["Training", "Patches of zeros", "Last block", "Rollout"])


def _first(results: pd.DataFrame, experiment: str) -> dict[str, np.ndarray] | None:
    done = results[(results.experiment == experiment) & results.path.notna()]
    for path in done.sort_values("seed", kind="stable").path.iloc[:1]:
        found = inspect.read_analysis(Path(path))
        return found if found and "attention/last" in found else None
    return None
