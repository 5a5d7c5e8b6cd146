"""Augmentation: SpecAugment and Patch-Mix. Nothing is changed in place; generators are passed in.

Random numbers are drawn on the host from a NumPy generator, so that a batch is the same on every
device, and the drawing does not wait for one.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MASKS = 2  # frequency masks and time masks per clip
INPUT_PATCH = 16  # side of a patch where Patch-Mix acts on the input spectrogram


def spec_augment(
    x: Tensor, rng: np.random.Generator, probability: float, frequency: int, time: int
) -> Tensor:
    """Mask two bands of mel bins, then two spans of frames, with the clip's mean.

    x (B, frames, mels) -> a new tensor of the same shape. Widths are drawn below `frequency` bins
    and `time` frames. Time masks take the mean after the frequency masks, as the official code
    does (Bae et al. 2023, section 3.3; no time warping).
    """
    chosen = torch.as_tensor(rng.random(len(x)) < probability, device=x.device)[:, None, None]
    y = x
    for axis, widest in ((2, frequency), (1, time)):
        mean = y.mean(dim=(1, 2), keepdim=True)  # (B, 1, 1)
        mask = _spans(len(x), x.shape[axis], widest, rng)  # (B, length)
        mask = torch.as_tensor(mask, device=x.device).unsqueeze(3 - axis)
        y = torch.where(mask & chosen, mean, y)
    return y


def _spans(batch: int, length: int, widest: int, rng: np.random.Generator) -> np.ndarray:
    """(B, length) bool: the union of two random spans per clip."""
    width = rng.integers(0, min(widest, length), size=(batch, MASKS))
    start = rng.integers(0, length - width + 1)
    at = np.arange(length)
    inside = (at >= start[..., None]) & (at < (start + width)[..., None])  # (B, MASKS, length)
    return inside.any(axis=1)


@dataclass(frozen=True)
class Mix:
    """Who is mixed with whom, where, and how much of the clip's own is left."""

    index: Tensor  # (B,) clip i takes its foreign patches from clip index[i]
    mask: Tensor  # (F, T) bool: True where the patch is foreign, the same for the whole batch
    lam: float  # share of the patches that are the clip's own


def draw_mix(
    batch: int, grid: tuple[int, int], mix: str, beta: float, rng: np.random.Generator
) -> Mix:
    """Draw lam ~ Beta(b, b), a permutation and the patches to replace (Bae et al. 2023, 4.2).

    `patch` replaces k = int(n (1 - lam)) of the n = F x T patches, `t_patch` k of the T columns;
    lam becomes the share that was really kept, 1 - k / n.
    """
    lam = rng.beta(beta, beta)
    index = rng.permutation(batch)
    mask = np.zeros(grid, dtype=bool)
    if mix == "patch":
        count = int(mask.size * (1 - lam))
        mask.flat[rng.choice(mask.size, count, replace=False)] = True
    else:
        count = int(grid[1] * (1 - lam))
        mask[:, rng.choice(grid[1], count, replace=False)] = True
    return Mix(torch.from_numpy(index), torch.from_numpy(mask), 1 - mask.sum() / mask.size)


def mix_grid(x: Tensor, mix: Mix) -> Tensor:
    """Replace the masked patches of a grid: x (B, D, F, T) -> (B, D, F, T)."""
    return torch.where(mix.mask.to(x.device), x[mix.index.to(x.device)], x)


def input_grid(frames: int, mels: int) -> tuple[int, int]:
    """Rows and columns of the 16 x 16 patches of a spectrogram; the last ones may be smaller."""
    return -(-mels // INPUT_PATCH), -(-frames // INPUT_PATCH)


def mix_input(x: Tensor, mix: Mix) -> Tensor:
    """Replace the masked 16 x 16 patches of a spectrogram: x (B, frames, mels), ours."""
    mask = mix.mask.repeat_interleave(INPUT_PATCH, 0).repeat_interleave(INPUT_PATCH, 1)
    mask = mask[: x.shape[2], : x.shape[1]].T  # (frames, mels)
    return torch.where(mask.to(x.device), x[mix.index.to(x.device)], x)
