"""A feature cache as normalised batches on one device."""

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

FLAT = 1e-5  # smallest std of a clip: digital silence stays finite


@dataclass(frozen=True)
class FeatureDataset:
    """All clips of a feature cache with their labels; `batch` reads some of them.

    On a GPU all features are resident (1.4 GB for ICBHI at 8 s), so a step needs nothing from the
    host; on a CPU they stay a memory-mapped file.
    """

    features: Tensor  # (N, >= frames, bins), or of clips of variable length (total_frames, bins)
    labels: Tensor  # (N,)
    frames: int  # of a clip in a batch
    offset: Tensor | None  # (N,) first frame of each clip; None: all have the same length
    length: Tensor | None  # (N,) frames of each clip
    mean: Tensor | float  # of AudioSet or the cache; (N,) of each clip if lengths vary
    std: Tensor | float
    per_clip: bool  # normalised by its own mean and std
    cyclic: bool = False  # a shorter clip is repeated; else filled up with its mean
    pad_frames: int = 0  # frames up to which zeros are added before normalising
    interpolated_frames: int = 0  # frames to which clips are stretched, last of all
    noise: Tensor | None = None  # (mels,) power that `augment.apply_gain_noise` adds
    std_scale: float = (
        2.0  # x = (x - mean) / (std_scale * std); AST divides by 2 std, a z-score by 1
    )

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and bins of a clip as a model gets it."""
        return self.interpolated_frames or self.clip_shape[0], self.clip_shape[1]

    @property
    def clip_shape(self) -> tuple[int, int]:
        """Frames and bins of a clip before it is stretched."""
        return max(self.frames, self.pad_frames), self.features.shape[-1]

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return x (B, frames, bins) as a model gets it, float32, and labels (B,) of some clips."""
        x, labels = self.clips(indices)
        return self.stretch(x), labels

    def stretch(self, x: Tensor) -> Tensor:
        """Return clips (B, frames, bins) interpolated to the model's frames, if it has its own.

        As the Lung-SRAD code does for DASS: after normalising and masking.
        """
        if not self.interpolated_frames:
            return x
        return F.interpolate(x.mT, self.interpolated_frames, mode="linear").mT

    def clips(
        self, indices: Tensor, position: Tensor | None = None, change: GainNoise | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return x (B, frames, bins), normalised but not stretched, and labels (B,) of some clips.

        change: gain and noise, for clips of one length. position: (B,) in [0, 1), for variable
        length: where the window lies in a longer clip, or a shorter clip in the window, which is
        filled up with the mean or with repeats; None: in the middle. Clips of one length are cut at
        the end.
        """
        labels = self.labels[indices]
        if self.offset is not None:
            middle = torch.full((len(indices),), 0.5, device=indices.device)
            return self._windows(indices, middle if position is None else position), labels
        x = self.features[indices, : self.frames].float()
        x = x if change is None else augment.apply_gain_noise(x, change, self.noise)
        x = F.pad(x, (0, 0, 0, max(0, self.pad_frames - self.frames)))
        if not self.per_clip:
            return x.sub_(self.mean).div_(self.std_scale * self.std), labels
        std, mean = torch.std_mean(x, dim=(1, 2), correction=0, keepdim=True)
        return x.sub_(mean).div_(self.std_scale * std.clamp(min=FLAT)), labels

    def _windows(self, indices: Tensor, position: Tensor) -> Tensor:
        spare = self.length[indices] - self.frames  # below 0: the clip is shorter
        start = (position * (spare.abs() + 1)).long() * spare.sign()
        frames = start[:, None] + torch.arange(self.frames, device=indices.device)  # (B, frames)
        inside = (frames >= 0) & (frames < self.length[indices, None])
        if self.cyclic:
            frames, inside = frames % self.length[indices, None], torch.ones_like(inside)
        frames = torch.where(inside, frames, 0) + self.offset[indices, None]
        x = self.features[frames].float()  # (B, frames, bins)
        mean, std = self.mean, self.std
        if self.per_clip:
            mean, std = mean[indices, None, None], std[indices, None, None]
        x = (x - mean) / (self.std_scale * std)
        return torch.where(inside[..., None], x, 0)


def load_dataset(
    cache: FeatureCache, labels: np.ndarray, frames: int, normalise: str, device: torch.device,
    pad: str = "zero", pad_frames: int = 0, noise: Tensor | None = None,
    interpolated_frames: int = 0,
) -> FeatureDataset:  # fmt: skip
    """Return the clips of a feature cache with labels (N,) on a device.

    pad "cyclic" repeats shorter clips of variable length. The other settings are those of
    `FeatureDataset`. Raises `UserError` for an unknown normalisation, for padding, noise or
    interpolation of clips of variable length, and for noise of another front end.
    """
    variable, bins = cache.features.ndim == 2, cache.features.shape[-1]
    if variable and (pad_frames or interpolated_frames or noise is not None):
        raise UserError(
            f"{cache.path}: pad_frames, interpolated_frames, gain and noise are for clips of one "
            "length; set them to 0"
        )
    if noise is not None and len(noise) != bins:
        raise UserError(
            f"{cache.path}: {bins} bins, but gain and noise are for {len(noise)}; set both to 0"
        )
    if normalise not in CHOICES["normalise"]:
        raise unknown("normalise", normalise, CHOICES["normalise"])
    per_clip = normalise in ("clip", "zscore")
    offset = length = None
    mean, std = AUDIOSET if normalise == "audioset" else (cache.meta["mean"], cache.meta["std"])
    if variable:
        table = cache.cycles[["offset", "frames"]].to_numpy(dtype=np.int64, copy=True)
        offset, length = torch.from_numpy(table).to(device).unbind(1)
        if per_clip:
            mean, std = torch.from_numpy(_clip_statistics(cache)).to(device).unbind(1)
    with warnings.catch_warnings():  # the file is read-only, and nothing writes to it
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        features = torch.from_numpy(cache.features).to(device)
    return FeatureDataset(
        features, torch.from_numpy(labels).to(device), frames, offset, length, mean, std, per_clip,
        pad == "cyclic", pad_frames, interpolated_frames,
        noise=None if noise is None else noise.to(device),
        std_scale=1.0 if normalise == "zscore" else 2.0,
    )  # fmt: skip


def _clip_statistics(cache: FeatureCache) -> np.ndarray:
    """Mean and std (N, 2) of each whole clip."""
    clips = (np.asarray(cache.clip(row), np.float32) for row in range(len(cache.cycles)))
    return np.array([(clip.mean(), max(clip.std(), FLAT)) for clip in clips], np.float32)
