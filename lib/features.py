"""Log-mel filter banks as in Kaldi, for a whole batch of clips at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from lib.settings import Experiment

if TYPE_CHECKING:  # torch is loaded where features are computed, not where their settings are read
    from torch import Tensor

PREEMPHASIS = 0.97
LOWEST_HZ = 20.0
SMALLEST = 1.1920928955078125e-07  # float32 epsilon, Kaldi's floor under the logarithm


@dataclass(frozen=True)
class FrontEnd:
    """Every choice between a recording and its features. Defaults: Bae et al. 2023, section 3."""

    rate_hz: int = 16000
    clip_seconds: float = 8.0
    mels: int = 128
    window_ms: int = 25
    hop_ms: int = 10
    pad: str = "repeat"  # repeat (with fade-out) | cyclic | zero
    fade: str = "recording"  # recording (official code) | cycle (the paper's wording)

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


def front_end(experiment: Experiment) -> FrontEnd:
    """The front end that an experiment asks for."""
    return FrontEnd(clip_seconds=experiment.clip_seconds, pad=experiment.pad, fade=experiment.fade)


def fbank(waves: Tensor, front: FrontEnd) -> Tensor:
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
    x *= torch.hann_window(front.window, periodic=False, device=waves.device)
    spectrum = torch.fft.rfft(padded)  # (B, frames, size / 2 + 1)
    power = spectrum.real.square() + spectrum.imag.square()
    mels = power @ _filters(front, size).to(waves.device)  # (B, frames, mels)
    return mels.clamp_(min=SMALLEST).log_()


@cache
def _filters(front: FrontEnd, size: int) -> Tensor:
    """Triangular mel filters (size / 2 + 1, mels), from 20 Hz to half the rate."""
    import torch

    def mel(hz: Tensor) -> Tensor:
        return 1127.0 * torch.log1p(hz / 700.0)

    low, high = mel(torch.tensor([LOWEST_HZ, front.rate_hz / 2], dtype=torch.float64))
    edges = torch.linspace(low, high, front.mels + 2, dtype=torch.float64)
    bins = mel(torch.arange(size // 2 + 1, dtype=torch.float64) * front.rate_hz / size)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rise, fall).clamp(min=0).float()  # (bins, mels)
