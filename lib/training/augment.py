"""Augmentation: SpecAugment and Patch-Mix, each drawn first and then applied.

Numbers are drawn on the host from a NumPy generator, so that they are the same for every device and
can be drawn for a whole epoch ahead. Applying them is for a whole batch, on the tensors' device,
and changes nothing in place.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

MASKS = 2  # frequency masks and time masks per clip
INPUT_PATCH = 16  # side of a patch where Patch-Mix acts on the input spectrogram


class SpecAugmentMasks(NamedTuple):
    """Where SpecAugment masks: bands of mel bins first, then spans of frames."""

    chosen: Tensor  # (B,) bool: whether the clip is masked at all
    start: Tensor  # (B, 2, MASKS) first bin, first frame
    width: Tensor  # (B, 2, MASKS)


def sample_spec_augment(
    rng: np.random.Generator,
    batch: int,
    shape: tuple[int, int],
    probability: float,
    frequency: int,
    time: int,
) -> SpecAugmentMasks:
    """Two bands below `frequency` bins and two spans below `time` frames for each clip.

    shape: (frames, mels) of a clip. Source: Bae et al. 2023, section 3.3; no time warping.
    """
    chosen = rng.random(batch) < probability
    starts, widths = [], []
    for length, widest in ((shape[1], frequency), (shape[0], time)):
        width = rng.integers(0, min(widest, length), size=(batch, MASKS))
        starts.append(rng.integers(0, length - width + 1))
        widths.append(width)
    return SpecAugmentMasks(
        *map(torch.from_numpy, (chosen, np.stack(starts, 1), np.stack(widths, 1)))
    )


def spec_augment(x: Tensor, spans: SpecAugmentMasks) -> Tensor:
    """Replace masked bands and spans by the clip's mean: x (B, frames, mels), a new tensor.

    Time masks take the mean after the frequency masks, as the official code does.
    """
    y = x
    for kind, axis in enumerate((2, 1)):
        at = torch.arange(x.shape[axis], device=x.device)
        start, width = spans.start[:, kind, :, None], spans.width[:, kind, :, None]
        mask = ((at >= start) & (at < start + width)).any(1)  # (B, length)
        mask = mask.unsqueeze(3 - axis) & spans.chosen[:, None, None]
        y = torch.where(mask, y.mean(dim=(1, 2), keepdim=True), y)
    return y


class CropFlip(NamedTuple):
    """Which part of a clip is seen, and whether backwards."""

    at: Tensor  # (B,) in [0, 1): where the crop lies between the first place and the last
    flip: Tensor  # (B,) bool


def sample_crop_flip(rng: np.random.Generator, batch: int, flip: float) -> CropFlip:
    """A random place for each clip, reversed in time with probability `flip`."""
    return CropFlip(torch.from_numpy(rng.random(batch)), torch.from_numpy(rng.random(batch) < flip))


def flip_time(x: Tensor, flip: Tensor) -> Tensor:
    """Reverse chosen clips in time: x (B, frames, bins)."""
    return torch.where(flip[:, None, None], x.flip(1), x)


class GainNoise(NamedTuple):
    """Which clips are louder or softer, and which are noisy."""

    gain: Tensor  # (B,) added to the log-mel energies: 2 ln(factor on the samples)
    noisy: Tensor  # (B,) bool


def sample_gain_noise(rng: np.random.Generator, batch: int, gain: float) -> GainNoise:
    """Every other clip times U(1 - gain, 1 + gain), and every other one noisy, as published."""
    factor = np.where(rng.random(batch) < 0.5, rng.uniform(1 - gain, 1 + gain, batch), 1.0)
    noisy = rng.random(batch) < 0.5
    return GainNoise(torch.from_numpy(2 * np.log(factor)).float(), torch.from_numpy(noisy))


def apply_gain_noise(x: Tensor, wave: GainNoise, noise: Tensor) -> Tensor:
    """Log-mel energies (B, frames, mels) as if the samples had been changed, then normalised.

    A gain is exact but for Kaldi's floor. Noise is an approximation: its mean power (mels,) is
    added, without its chance and without what it has in common with the sound.
    """
    x = x + wave.gain[:, None, None]
    return torch.where(wave.noisy[:, None, None], torch.logaddexp(x, noise.log()), x)


class MixUp(NamedTuple):
    """Who is added to whom, and how much of the clip's own is kept: MixUp's draws."""

    index: Tensor  # (B,)
    lam: Tensor  # ()


def sample_mixup(rng: np.random.Generator, batch: int, beta: float) -> MixUp:
    """A permutation and lam ~ Beta(b, b), one for the batch (Zhang et al. 2018)."""
    lam = torch.tensor(rng.beta(beta, beta), dtype=torch.float64)
    return MixUp(torch.from_numpy(rng.permutation(batch)), lam)


class PatchMix(NamedTuple):
    """Who is mixed with whom, where, and how much of the clip's own is left."""

    index: Tensor  # (B,) clip i takes its foreign patches from clip index[i]
    mask: Tensor  # (F, T) bool: True where the patch is foreign, the same for the whole batch
    lam: Tensor  # () share of the patches that are the clip's own


def sample_patch_mix(
    rng: np.random.Generator,
    batch: int,
    grid: tuple[int, int],
    mix: str,
    beta: float,
    contiguous: bool = False,
) -> PatchMix:
    """Draw lam ~ Beta(b, b), a permutation and the patches to replace (Bae et al. 2023, 4.2).

    `patch` replaces k = int(n (1 - lam)) of the n = F x T patches, `t_patch` k of the T columns,
    `f_patch` k of the F rows, at random or one stretch; lam becomes the share that was really
    kept, 1 - k / n.
    """
    lam = rng.beta(beta, beta)
    index = rng.permutation(batch)
    mask = np.zeros(grid, dtype=bool)
    if mix == "patch":
        count = int(mask.size * (1 - lam))
        mask.flat[rng.choice(mask.size, count, replace=False)] = True
    else:
        lines = mask.T if mix == "t_patch" else mask
        count = int(len(lines) * (1 - lam))
        if contiguous:
            first = rng.integers(0, len(lines) - count + 1)
            lines[first : first + count] = True
        else:
            lines[rng.choice(len(lines), count, replace=False)] = True
    kept = torch.tensor(1 - mask.sum() / mask.size, dtype=torch.float64)
    return PatchMix(torch.from_numpy(index), torch.from_numpy(mask), kept)


def mix_grid(x: Tensor, mix: PatchMix) -> Tensor:
    """Replace the masked patches of a grid: x (B, D, F, T) -> (B, D, F, T)."""
    return torch.where(mix.mask, x[mix.index], x)


def input_grid(frames: int, mels: int) -> tuple[int, int]:
    """Rows and columns of the 16 x 16 patches of a spectrogram; the last ones may be smaller."""
    return -(-mels // INPUT_PATCH), -(-frames // INPUT_PATCH)


def mix_input(x: Tensor, mix: PatchMix) -> Tensor:
    """Replace the masked 16 x 16 patches of a spectrogram: x (B, frames, mels), ours."""
    mask = mix.mask.repeat_interleave(INPUT_PATCH, 0).repeat_interleave(INPUT_PATCH, 1)
    mask = mask[: x.shape[2], : x.shape[1]].T  # (frames, mels)
    return torch.where(mask, x[mix.index], x)
