"""A store's clips as tensors on one device: batches by row numbers, normalised as they are read."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.config import CHOICES
from lib.errors import UserError, unknown
from lib.features.cache import AUDIOSET, FeatureCache
from lib.training import augment
from lib.training.augment import GainNoise

NORMALISE = CHOICES["normalise"]
FLAT = 1e-5  # smallest std of a clip: digital silence stays finite


@dataclass(frozen=True)
class FeatureDataset:
    """All clips of a store and their labels, as windows of `frames`.

    On a GPU the whole store is resident (1.4 GB for ICBHI at 8 s), so that a step needs nothing
    from the host; on a CPU it stays the file that it is, and pages are read as they are wanted.
    """

    features: Tensor  # (N, >= frames, bins), or of all cycles (total_frames, bins)
    labels: Tensor  # (N,)
    frames: int
    offset: Tensor | None  # (N,) first frame of each cycle; None: all are equally long
    length: Tensor | None  # (N,) frames of each cycle
    mean: Tensor | float  # of AudioSet or the store; (N,) of each cycle in a ragged store
    std: Tensor | float
    by_clip: bool
    cyclic: bool = False  # whether a shorter cycle is repeated, not set among zeros
    blank: int = 0  # frames of zeros after each clip, which are normalised with it
    stretched: int = 0  # frames to which clips are stretched, if not 0
    noise: Tensor | None = None  # (mels,) what noise adds to the power
    spread: float = 2.0  # x ends with a std of 1 / spread: AST's code halves, a z-score does not

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and bins of a clip in a batch."""
        return self.stretched or self.frames + self.blank, self.features.shape[-1]

    def batch(
        self, rows: Tensor, at: Tensor | None = None, wave: GainNoise | None = None
    ) -> tuple[Tensor, Tensor]:
        """x (B, frames, bins) float32, (x - mean) / (spread std), and labels y (B,) of some rows.

        wave: how the samples are changed before all else (`augment.change_wave`).
        at: (B,) in [0, 1), where the window lies in a cycle that is longer, or a shorter cycle in
        the window, which is filled up with the mean or its own repeats; None: in the middle.
        Cycles that are all equally long are cut at the end.
        """
        if self.offset is None:
            x = self.features[rows, : self.frames].float()
            x = x if wave is None else augment.apply_gain_noise(x, wave, self.noise)
            x = F.pad(x, (0, 0, 0, self.blank))
            x = interpolate_frames(x, self.stretched) if self.stretched else x
            return self._fixed(x), self.labels[rows]
        middle = torch.full((len(rows),), 0.5, device=rows.device)
        return self._window(rows, middle if at is None else at), self.labels[rows]

    def _fixed(self, x: Tensor) -> Tensor:
        if not self.by_clip:
            return x.sub_(self.mean).div_(self.spread * self.std)
        std, mean = torch.std_mean(x, dim=(1, 2), correction=0, keepdim=True)
        return x.sub_(mean).div_(self.spread * std.clamp(min=FLAT))

    def _window(self, rows: Tensor, at: Tensor) -> Tensor:
        spare = self.length[rows] - self.frames  # below 0: the cycle is shorter
        start = (at * (spare.abs() + 1)).long() * spare.sign()
        places = start[:, None] + torch.arange(self.frames, device=rows.device)  # (B, frames)
        inside = (places >= 0) & (places < self.length[rows, None])
        if self.cyclic:
            places, inside = places % self.length[rows, None], torch.ones_like(inside)
        places = torch.where(inside, places, 0) + self.offset[rows, None]
        x = self.features[places].float()  # (B, frames, bins)
        mean, std = self.mean, self.std
        if self.by_clip:
            mean, std = mean[rows, None, None], std[rows, None, None]
        x = (x - mean) / (self.spread * std)
        return torch.where(inside[..., None], x, 0)


def load_dataset(
    store: FeatureCache,
    labels: np.ndarray,
    frames: int,
    normalise: str,
    device: torch.device,
    pad: str = "zero",
    pad_frames: int = 0,
    noise: Tensor | None = None,
    interpolated_frames: int = 0,
) -> FeatureDataset:
    """The clips of a store on a device.

    pad: of a ragged store's shorter cycles; "cyclic" repeats them, all else leaves zeros. pad_frames:
    frames up to which clips get zeros before they are normalised. noise: (mels,) what the noise of
    `augment.change_wave` adds. interpolated_frames: frames to which clips are stretched before they are
    normalised. Raises `UserError` for an unknown normalisation, and for zeros, noise or stretching
    where clips are ragged.
    """
    if normalise not in NORMALISE:
        raise unknown("normalise", normalise, NORMALISE)
    if store.features.ndim == 2 and (pad_frames or interpolated_frames or noise is not None):
        raise UserError(
            f"{store.path}: pad_frames, interpolated_frames, gain and noise are for clips of one length; set 0"
        )
    if noise is not None and len(noise) != store.features.shape[-1]:
        raise UserError(
            f"{store.path}: {store.features.shape[-1]} bins, but gain and noise are known for "
            f"{len(noise)} mels; set both to 0"
        )
    by_clip = normalise in ("clip", "zscore")
    offset = length = None
    mean, std = AUDIOSET if normalise == "audioset" else (store.meta["mean"], store.meta["std"])
    if store.features.ndim == 2:
        table = store.cycles[["offset", "frames"]].to_numpy(dtype=np.int64, copy=True)
        offset, length = torch.from_numpy(table).to(device).unbind(1)
        if by_clip:
            mean, std = torch.from_numpy(_statistics(store)).to(device).unbind(1)
    with warnings.catch_warnings():  # the file is read-only, and nobody writes to it
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        features = torch.from_numpy(store.features).to(device)
    return FeatureDataset(
        features=features,
        labels=torch.from_numpy(labels).to(device),
        frames=frames,
        offset=offset,
        length=length,
        mean=mean,
        std=std,
        by_clip=by_clip,
        cyclic=pad == "cyclic",
        blank=max(0, pad_frames - frames),
        stretched=interpolated_frames,
        noise=None if noise is None else noise.to(device),
        spread=1.0 if normalise == "zscore" else 2.0,
    )


def interpolate_frames(x: Tensor, frames: int) -> Tensor:
    """Clips (B, frames, bins) stretched linearly in time, as the Lung-SRAD code does for DASS."""
    return F.interpolate(x.transpose(1, 2), frames, mode="linear").transpose(1, 2)


def _statistics(store: FeatureCache) -> np.ndarray:
    """Mean and std (N, 2) of each cycle, whole."""
    found = np.empty((len(store.cycles), 2), np.float32)
    for row in range(len(found)):
        clip = np.asarray(store.clip(row), np.float32)
        found[row] = clip.mean(), max(clip.std(), FLAT)
    return found
