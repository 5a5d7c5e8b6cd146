"""Augmentation and mixing: each is sampled first (`sample_*`) and then applied.

Numbers are sampled on the host with a NumPy generator, the same for every device, so a whole epoch
can be sampled ahead. They are applied to a batch on its device; nothing is changed in place.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

MASKS = 2  # frequency masks and time masks of a clip
INPUT_PATCH = 16  # side of a patch if Patch-Mix mixes the input spectrogram


class SpecAugmentMasks(NamedTuple):
    """Masked bands of mel bins, then masked spans of frames."""

    applied: Tensor  # (B,) bool: whether the clip is masked at all
    start: Tensor  # (B, 2, MASKS) first bin, first frame
    width: Tensor  # (B, 2, MASKS)


def sample_spec_augment(
    rng: np.random.Generator, batch: int, shape: tuple[int, int], probability: float,
    frequency: int, time: int,
) -> SpecAugmentMasks:  # fmt: skip
    """Sample two bands below `frequency` bins and two spans below `time` frames for each clip.

    shape: (frames, mels) of a clip. Source: Bae et al. 2023, section 3.3; no time warping.
    """
    applied = rng.random(batch) < probability
    starts, widths = [], []
    for length, limit in ((shape[1], frequency), (shape[0], time)):
        width = rng.integers(0, min(limit, length), size=(batch, MASKS))
        starts.append(rng.integers(0, length - width + 1))
        widths.append(width)
    arrays = applied, np.stack(starts, 1), np.stack(widths, 1)
    return SpecAugmentMasks(*map(torch.from_numpy, arrays))


def spec_augment(x: Tensor, masks: SpecAugmentMasks) -> Tensor:
    """Replace masked bands and spans by the clip's mean: x (B, frames, mels), a new tensor.

    Time masks use the mean after the frequency masks, as the official code does.
    """
    y = x
    for kind, axis in enumerate((2, 1)):
        position = torch.arange(x.shape[axis], device=x.device)
        start, width = masks.start[:, kind, :, None], masks.width[:, kind, :, None]
        masked = ((position >= start) & (position < start + width)).any(1)  # (B, length)
        masked = masked.unsqueeze(3 - axis) & masks.applied[:, None, None]
        y = torch.where(masked, y.mean(dim=(1, 2), keepdim=True), y)
    return y


class CropFlip(NamedTuple):
    """Where a window is cropped from its clip, and whether it is reversed in time."""

    position: Tensor  # (B,) in [0, 1), from the first possible crop to the last
    flip: Tensor  # (B,) bool


def sample_crop_flip(rng: np.random.Generator, batch: int, flip: float) -> CropFlip:
    """Sample a uniform position for each clip, reversed in time with probability `flip`."""
    return CropFlip(torch.from_numpy(rng.random(batch)), torch.from_numpy(rng.random(batch) < flip))


def flip_time(x: Tensor, flip: Tensor) -> Tensor:
    """Reverse the clips in time for which flip (B,) is True: x (B, frames, bins)."""
    return torch.where(flip[:, None, None], x.flip(1), x)


def roll_time(x: Tensor, frames: Tensor) -> Tensor:
    """Rotate each clip in time by frames (B,): x (B, frames, bins)."""
    source = torch.arange(x.shape[1], device=x.device) - frames[:, None]  # (B, frames)
    return x.gather(1, (source % x.shape[1])[..., None].expand_as(x))


class GainNoise(NamedTuple):
    """Which clips get louder or softer, and which get noise."""

    gain: Tensor  # (B,) added to the log-mel energies: 2 ln(factor on the samples)
    noisy: Tensor  # (B,) bool


def sample_gain_noise(rng: np.random.Generator, batch: int, gain: float) -> GainNoise:
    """Sample a factor U(1 - gain, 1 + gain) for half of the clips and noise for half of them."""
    factor = np.where(rng.random(batch) < 0.5, rng.uniform(1 - gain, 1 + gain, batch), 1.0)
    noisy = rng.random(batch) < 0.5
    return GainNoise(torch.from_numpy(2 * np.log(factor)).float(), torch.from_numpy(noisy))


def apply_gain_noise(x: Tensor, change: GainNoise, noise: Tensor) -> Tensor:
    """Change log-mel energies (B, frames, mels), not normalised, as if the samples were changed.

    A gain is exact except at Kaldi's floor. Noise is an approximation: its mean power (mels,) is
    added, without its randomness and its correlation with the sound.
    """
    x = x + change.gain[:, None, None]
    return torch.where(change.noisy[:, None, None], torch.logaddexp(x, noise.log()), x)


class MixUp(NamedTuple):
    """Which clip is added to each clip, and the share of the clip itself."""

    index: Tensor  # (B,)
    lam: Tensor  # ()


def sample_mixup(rng: np.random.Generator, batch: int, beta: float) -> MixUp:
    """Sample a permutation and lam ~ Beta(b, b), one for the batch (Zhang et al. 2018)."""
    lam = torch.tensor(rng.beta(beta, beta), dtype=torch.float64)
    return MixUp(torch.from_numpy(rng.permutation(batch)), lam)


class PatchMix(NamedTuple):
    """Which clip is mixed into each clip, in which patches, and the share of the clip itself."""

    index: Tensor  # (B,) clip i gets its foreign patches from clip index[i]
    mask: Tensor  # (F, T) bool: True where the patch is foreign, the same for the whole batch
    lam: Tensor  # () share of the patches that stay


def sample_patch_mix(
    rng: np.random.Generator, batch: int, grid: tuple[int, int], mix: str, beta: float,
    contiguous: bool = False,
) -> PatchMix:  # fmt: skip
    """Sample lam ~ Beta(b, b), a permutation and the patches to replace (Bae et al. 2023, 4.2).

    `patch` replaces k = int(n (1 - lam)) of the n = F x T patches, `t_patch` k of the T columns,
    `f_patch` k of the F rows, at random or (contiguous) side by side; lam becomes the share that
    really stays, 1 - k / n.
    """
    lam = rng.beta(beta, beta)
    index = rng.permutation(batch)
    mask = np.zeros(grid, dtype=bool)
    units = {"patch": mask.reshape(-1), "t_patch": mask.T, "f_patch": mask}[mix]  # views of mask
    count = int(len(units) * (1 - lam))
    if contiguous and mix != "patch":
        first = rng.integers(0, len(units) - count + 1)
        units[first : first + count] = True
    else:
        units[rng.choice(len(units), count, replace=False)] = True
    share = torch.tensor(1 - mask.sum() / mask.size, dtype=torch.float64)
    return PatchMix(torch.from_numpy(index), torch.from_numpy(mask), share)


def mix_grid(x: Tensor, mix: PatchMix) -> Tensor:
    """Replace the masked patches of a grid: x (B, D, F, T) -> (B, D, F, T)."""
    return torch.where(mix.mask, x[mix.index], x)


def input_grid(frames: int, mels: int) -> tuple[int, int]:
    """Return rows and columns of a spectrogram's 16 x 16 patches; the last ones may be smaller."""
    return -(-mels // INPUT_PATCH), -(-frames // INPUT_PATCH)


def mix_input(x: Tensor, mix: PatchMix) -> Tensor:
    """Replace the masked 16 x 16 patches of a spectrogram: x (B, frames, mels); not published."""
    mask = mix.mask.repeat_interleave(INPUT_PATCH, 0).repeat_interleave(INPUT_PATCH, 1)
    mask = mask[: x.shape[2], : x.shape[1]].T  # (frames, mels)
    return torch.where(mask, x[mix.index], x)
