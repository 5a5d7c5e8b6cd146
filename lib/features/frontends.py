"""Log-mel filter banks as in Kaldi, for a whole batch of clips at once; MFCC, clip by clip."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from lib.config import Experiment
from lib.errors import unknown

if TYPE_CHECKING:  # torch is loaded where features are computed, not where their settings are read
    from torch import Tensor
    from torchaudio.transforms import MFCC

PREEMPHASIS = 0.97
LOWEST_HZ = 20.0
BLOCK = 32  # mels whose filters are multiplied at once: most of the whole matrix is zeros
SMALLEST = 1.1920928955078125e-07  # float32 epsilon, Kaldi's floor under the logarithm
SCALES = ("zero_mean", "minmax")
UNITS = {
    "2-1": "record",
    "2-2": "record",
    "1-1-windows": "window",
    "1-2-windows": "window",
}  # else event


@dataclass(frozen=True)
class Fbank:
    """Every choice between a recording and its features. Defaults: Bae et al. 2023, section 3."""

    rate_hz: int = 16000
    clip_seconds: float = 8.0
    mels: int = 128
    window_ms: int = 25
    hop_ms: int = 10
    pad: str = "repeat"  # repeat (with fade-out) | cyclic | zero
    fade: str = "recording"  # recording (official code) | cycle (the paper's wording) | none

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return self.rate_hz * self.window_ms // 1000

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return self.rate_hz * self.hop_ms // 1000

    @property
    def frames(self) -> int:
        """Frames of a clip; only whole windows count (798 for 8 s)."""
        return 1 + (int(self.clip_seconds * self.rate_hz) - self.window) // self.hop

    @property
    def shape(self) -> dict[str, int]:
        """What the last axes of a store's features count, and how many there are."""
        return {"frames": self.frames, "mels": self.mels}


@dataclass(frozen=True)
class Mfcc:
    """As `FrontEnd`, for clips of any length. Defaults: Hu et al. 2023 and their training code."""

    rate_hz: int = 8000
    n_mfcc: int = 64
    n_fft: int = 512  # also the window's length
    hop: int = 128
    mels: int = 128  # librosa's default, which the published code leaves as it is
    scale: str = "zero_mean"  # zero_mean (the paper's wording) | minmax (the published code)
    unit: str = "event"  # event | record | window: what is a clip, and is scaled as a whole

    @property
    def shape(self) -> dict[str, int]:
        """What the last axis of a store's features counts, and how many there are."""
        return {"n_mfcc": self.n_mfcc}

    def frames(self, seconds: float) -> int:
        """Frames of a window, by the paper's equation 3 (187 for 3 s)."""
        return int(seconds * self.rate_hz / self.hop)

    def stored(self, samples: int) -> int:
        """Frames of a clip: centred windows, so that the last may stick out."""
        return 1 + samples // self.hop


Frontend = Fbank | Mfcc


def frontend_for(experiment: Experiment) -> Frontend:
    """The front end that an experiment asks for."""
    if experiment.frontend == "mfcc":
        return Mfcc(
            n_mfcc=experiment.n_mfcc,
            n_fft=experiment.n_fft,
            hop=experiment.hop,
            scale=experiment.scale,
            unit=UNITS.get(experiment.task, "event"),
        )
    return Fbank(clip_seconds=experiment.clip_seconds, pad=experiment.pad, fade=experiment.fade)


def clip_frames(experiment: Experiment) -> int:
    """Frames of a clip as the model sees it."""
    front = frontend_for(experiment)
    return front.frames(experiment.clip_seconds) if isinstance(front, Mfcc) else front.frames


def fbank(waves: Tensor, front: Fbank) -> Tensor:
    """Log-mel energies, (B, samples) in [-1, 1] -> (B, frames, mels), natural logarithm.

    Equals `torchaudio.compliance.kaldi.fbank(htk_compat=True, window_type="hanning",
    use_energy=False, dither=0)` of each wave within 1e-4.
    """
    import torch

    raw = waves.unfold(1, front.window, front.hop)  # (B, frames, window)
    size = 1 << (front.window - 1).bit_length()  # 512 for 25 ms at 16 kHz
    padded = raw.new_zeros(*raw.shape[:2], size)  # as the transform would do, only slower
    x = padded[..., : front.window]
    torch.sub(raw, raw.mean(dim=2, keepdim=True), out=x)
    before = PREEMPHASIS * x[..., :-1]
    x[..., 0] *= 1 - PREEMPHASIS
    x[..., 1:] -= before
    x *= _hann(front.window).to(waves.device)
    squares = torch.view_as_real(torch.fft.rfft(padded)).square_()
    power = squares[..., 0] + squares[..., 1]  # (B, frames, size / 2 + 1)
    parts = [power[..., bins] @ part.to(waves.device) for bins, part in _filters(front, size)]
    return torch.cat(parts, dim=2).clamp_(min=SMALLEST).log_()  # (B, frames, mels)


def noise_power(front: Fbank, std: float) -> Tensor:
    """What white noise of this standard deviation adds to each mel's power on average, (mels,).

    The samples of noise are independent, so the power of their sum is the sum of their powers: that
    of a click at every place of a window. Clicks are loud here, far above Kaldi's floor.
    """
    import torch

    loud = 1e3
    clicks = loud * torch.eye(front.window)
    return (std / loud) ** 2 * fbank(clicks, front).exp().sum(dim=(0, 1))


@cache
def _hann(samples: int) -> Tensor:
    import torch

    return torch.hann_window(samples, periodic=False)


@cache
def _filters(front: Fbank, size: int) -> list[tuple[slice, Tensor]]:
    """The mel filters in blocks (bins, mels), each with the bins that it does not leave out."""
    import torch

    blocks = _triangles(front, size).split(BLOCK, dim=1)
    ends = [torch.nonzero(block.any(dim=1)).squeeze(1)[[0, -1]].tolist() for block in blocks]
    bins = [slice(first, last + 1) for first, last in ends]
    return [(one, block[one].contiguous()) for one, block in zip(bins, blocks, strict=True)]


def _triangles(front: Fbank, size: int) -> Tensor:
    """Triangular mel filters (size / 2 + 1, mels), from 20 Hz to half the rate."""
    import torch

    def mel(hz: Tensor) -> Tensor:
        return 1127.0 * torch.log1p(hz / 700.0)

    low, high = mel(torch.tensor([LOWEST_HZ, front.rate_hz / 2], dtype=torch.float64))
    edges = torch.linspace(low, high, front.mels + 2, dtype=torch.float64)
    bins = mel(torch.arange(size // 2 + 1, dtype=torch.float64) * front.rate_hz / size)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rise, fall).clamp(min=0).float()


def mfcc(wave: Tensor, front: Mfcc) -> Tensor:
    """Mel-frequency cepstral coefficients, (samples,) -> (1 + samples // hop, coefficients).

    The wave is scaled first. What follows is torchaudio's MFCC with the conventions of librosa's
    defaults, which the published code uses: periodic Hann window, centred frames with zeros beyond
    both ends, power, Slaney's mel scale and area-normalised filters from 0 Hz to half the rate,
    decibels cut 80 below the clip's loudest, orthonormal DCT-II. No z-score: it belongs to a batch.
    """
    return _transform(front)(scale_waveform(wave, front.scale)).T


def scale_waveform(wave: Tensor, scale: str) -> Tensor:
    """A wave within +-0.5; silence becomes zeros.

    zero_mean: mean 0, the largest magnitude 0.5 (the paper). minmax: smallest -0.5, largest 0.5,
    the mean where it falls (the published code).
    """
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    low, high = wave.min(), wave.max()
    if low == high:
        return wave * 0
    if scale == "minmax":
        return (wave - low) / (high - low) - 0.5
    wave = wave - wave.mean()
    return wave / (2 * wave.abs().max())


@cache
def _transform(front: Mfcc) -> MFCC:
    from torchaudio.transforms import MFCC

    mel = {
        "n_fft": front.n_fft,
        "hop_length": front.hop,
        "n_mels": front.mels,
        "pad_mode": "constant",
        "mel_scale": "slaney",
        "norm": "slaney",
    }
    return MFCC(front.rate_hz, n_mfcc=front.n_mfcc, norm="ortho", melkwargs=mel)
