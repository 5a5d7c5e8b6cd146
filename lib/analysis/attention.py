"""Where an AST looks: attention over a spectrogram's patches, of the last block and rolled out.

A map says from which patches z is read, not what is in them nor whether it matters.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import fold

from lib.analysis.landscape import eval_mode
from lib.config import Experiment
from lib.data import ICBHI, audio
from lib.evaluation import scores
from lib.features.cache import FeatureCache
from lib.features.frontends import Fbank, clip_frames
from lib.models.ast import AST
from lib.runs import folder

KEYS = {"last": "attention/last", "rollout": "attention/rollout"}


@torch.no_grad()
def attention_maps(model: AST, x: Tensor) -> dict[str, Tensor]:
    """Return attention maps "last" and "rollout" of x (B, frames, mels): (B, F, T), with sum 1.

    Both are the mean over the tokens that make z: class and distillation token, or all. "last": the
    last block's attention, mean over heads. "rollout": attention and the residual connection, half
    each, multiplied over all blocks (Abnar & Zuidema 2020, section 3). Row 0 of F are the lowest
    mels. Takes memory for a (B, heads, N, N) matrix, N = 2 + F * T. In eval mode.
    """
    with _recorded_attention(model) as blocks:
        model(x)
    reader = torch.zeros_like(blocks[0][0, 0])  # (N,)
    reader[: model.pooled] = 1
    reader = (reader / reader.sum())[None, None]  # (1, 1, N)
    flow = reader
    for attention in reversed(blocks):  # from z down to the patches
        flow = (flow @ attention + flow) / 2  # (B, 1, N), still with sum 1
    return {"last": _to_grid(reader @ blocks[-1], model), "rollout": _to_grid(flow, model)}


@contextmanager
def _recorded_attention(model: AST) -> Iterator[list[Tensor]]:
    """Give a list that fills with each block's attention (B, N, N), mean over heads, row by reader.

    timm's fused kernel returns none, so the blocks use the plain one in the meantime.
    """
    modules, recorded = [block.attn for block in model.vit.blocks], []
    fused = [module.fused_attn for module in modules]
    hooks = [
        module.attn_drop.register_forward_hook(lambda _, __, out: recorded.append(out.mean(1)))
        for module in modules
    ]
    try:
        with eval_mode(model):
            for module in modules:
                module.fused_attn = False
            yield recorded
    finally:
        for module, before, hook in zip(modules, fused, hooks, strict=True):
            module.fused_attn = before
            hook.remove()


def _to_grid(attention: Tensor, model: AST) -> Tensor:
    """Return attention to patches (B, F, T), with sum 1, from that to all tokens (B, 1, N)."""
    patches = attention[:, 0, 2:]  # (B, F * T), time runs fastest
    return (patches / patches.sum(1, keepdim=True)).unflatten(1, model.grid)


def to_spectrogram(attention: Tensor, frames: int, mels: int, patch: int, stride: int) -> Tensor:
    """Return a map (F, T) spread over its spectrogram (frames, mels).

    A pixel has the mean of the patches that cover it, NaN if none does: at stride 10 the last
    frames and mels.
    """
    kernel = {"output_size": (mels, frames), "kernel_size": patch, "stride": stride}
    columns = attention.reshape(1, 1, -1).expand(1, patch * patch, -1)  # (1, patch ^ 2, F * T)
    total = fold(columns, **kernel)[0, 0]  # (mels, frames)
    cover = fold(torch.ones_like(columns), **kernel)[0, 0]
    return (total / cover).T


@dataclass(frozen=True)
class AttentionExample:
    """One cycle as models saw it, and how each of them spread its attention over it."""

    cycle: str  # recording:cycle
    label: str
    spectrogram: np.ndarray  # (frames, mels), with padding
    maps: dict[str, np.ndarray]  # method and kind of map -> (frames, mels)
    frames: int  # without padding

    def sounds(self, dataset: ICBHI) -> list[np.ndarray]:
        """Return the samples at 16 kHz; empty if the recording is not here."""
        if dataset.kind == "none":
            return []
        cycles = dataset.load()
        cycle = cycles.loc[scores.cycle_ids(cycles) == self.cycle].iloc[0]
        frontend = Fbank(fade="none")
        wave = audio.recording_wave(dataset.audio_files()[cycle.recording], frontend)
        samples = audio.excerpt(wave, cycle.start, cycle.end, frontend.rate_hz)
        return [samples[: self.frames * frontend.hop]]


def load_examples(
    results: pd.DataFrame,
    methods: dict[str, str],
    find_cache: Callable[[Experiment], FeatureCache | None],
) -> list[AttentionExample]:
    """Return the cycles whose attention finished runs saved, first seed; empty without features.

    methods: name -> experiment's name, all with one front end; find_cache: its features.
    """
    saved = {name: run for name, e in methods.items() if (run := _first_run(results, e))}
    experiment, first = next(iter(saved.values()), (None, {}))
    cache = find_cache(experiment) if saved else None
    if cache is None:
        return []
    rows = pd.Series(cache.cycles.index, scores.cycle_ids(cache.cycles))
    examples = []
    for i, cycle in enumerate(first["attention/cycle"]):
        x = np.asarray(cache.features[rows[cycle]], np.float32)  # (frames, mels)
        padding = max(0, experiment.pad_frames - len(x))
        spectrogram = np.pad(x, ((0, padding), (0, 0)))
        shape = *spectrogram.shape, experiment.patch, experiment.stride
        maps = {
            f"{name}: {kind}": to_spectrogram(torch.from_numpy(arrays[key][i]), *shape).numpy()
            for name, (_, arrays) in saved.items()
            for kind, key in KEYS.items()
        }
        label = str(cache.cycles.label[rows[cycle]])
        examples.append(AttentionExample(str(cycle), label, spectrogram, maps, len(x)))
    return examples


def attention_on_padding(results: pd.DataFrame, methods: dict[str, str]) -> pd.DataFrame:
    """Return the share of attention on patches that see nothing but padding, in percent.

    methods: name -> experiment's name. Columns: Training, Patches of zeros (share of all), Last
    block, Rollout (mean over the saved cycles).
    """
    rows = []
    for name, experiment in methods.items():
        run = _first_run(results, experiment)
        if run:
            settings, arrays = run
            starts = np.arange(arrays["attention/last"].shape[2]) * settings.stride
            padding = starts >= clip_frames(settings)  # (T,)
            attention = [arrays[key][:, :, padding].sum((1, 2)).mean() for key in KEYS.values()]
            rows.append((name, *(f"{100 * share:.1f}" for share in (padding.mean(), *attention))))
    return pd.DataFrame(rows, columns=["Training", "Patches of zeros", "Last block", "Rollout"])


def _first_run(
    results: pd.DataFrame, experiment: str
) -> tuple[Experiment, dict[str, np.ndarray]] | None:
    """Return settings and saved analyses of the run of the first seed, if it saved attention."""
    runs = results[(results.experiment == experiment) & results.path.notna()]
    for path in map(Path, runs.sort_values("seed", kind="stable").path.iloc[:1]):
        if (path / folder.ANALYSIS).exists():
            arrays = folder.read_arrays(path / folder.ANALYSIS)
            if "attention/last" in arrays:
                return folder.read_spec(path).experiment, arrays
    return None
