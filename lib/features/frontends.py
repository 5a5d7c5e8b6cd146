"""Front ends: settings between a recording and its features, log-mel filter banks, MFCC."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING

from lib.config import Experiment
from lib.errors import unknown

if TYPE_CHECKING:  # torch is loaded where features are computed, not where their settings are read
    from torch import Tensor
    from torchaudio.transforms import MFCC

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
    unit: str = "event"  # event | record: what is a clip

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
        """Names and sizes of the last axes of cached features."""
        return {"frames": self.frames, "mels": self.mels}

    @property
    def description(self) -> dict[str, float]:
        """What a cache's meta.json says of its features besides the settings."""
        return self.shape | {"hop_ms": self.hop_ms, "clip_seconds": self.clip_seconds}


@dataclass(frozen=True)
class Mfcc:
    """Settings of MFCC, for clips of any length. Defaults: Hu et al. 2023 and their code."""

    rate_hz: int = 8000
    n_mfcc: int = 64
    n_fft: int = 512  # also the window's length
    hop: int = 128
    mels: int = 128  # librosa's default, which the published code leaves as it is
    scale: str = "zero_mean"  # zero_mean (the paper's wording) | minmax (the published code)
    unit: str = "event"  # event | record | window: what is a clip, and is scaled as a whole

    @property
    def shape(self) -> dict[str, int]:
        """Name and size of the last axis of cached features."""
        return {"n_mfcc": self.n_mfcc}

    @property
    def description(self) -> dict[str, float]:
        """What a cache's meta.json says of its features besides the settings."""
        return self.shape | {"hop_ms": 1000 * self.hop / self.rate_hz}

    def frames(self, seconds: float) -> int:
        """Frames of a window, by the paper's equation 3 (187 for 3 s)."""
        return int(seconds * self.rate_hz / self.hop)

    def cached_frames(self, samples: int) -> int:
        """Frames of a clip: windows are centred, so the last may stick out."""
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
    return Fbank(
        clip_seconds=experiment.clip_seconds,
        pad=experiment.pad,
        fade=experiment.fade,
        unit=UNITS.get(experiment.task, "event"),
    )


def frontend_settings(frontend: Frontend) -> dict:
    """The settings as a fingerprint covers them: an Fbank of events has no `unit`."""
    settings = asdict(frontend)
    if isinstance(frontend, Fbank) and frontend.unit == "event":
        del settings["unit"]
    return settings


def clip_frames(experiment: Experiment) -> int:
    """Frames of a clip as the model sees it."""
    front = frontend_for(experiment)
    return front.frames(experiment.clip_seconds) if isinstance(front, Mfcc) else front.frames


def fbank(waves: Tensor, frontend: Fbank) -> Tensor:
    """Log-mel energies as in Kaldi, (B, samples) in [-1, 1] -> (B, frames, mels), natural log.

    Bae et al. 2023, section 3.2, and the official code: HTK-compatible, Hanning, no dither.
    """
    import torch
    from torchaudio.compliance import kaldi

    settings = {
        "htk_compat": True,
        "use_energy": False,
        "window_type": "hanning",
        "dither": 0.0,
        "sample_frequency": float(frontend.rate_hz),
        "num_mel_bins": frontend.mels,
        "frame_length": float(frontend.window_ms),
        "frame_shift": float(frontend.hop_ms),
    }
    return torch.stack([kaldi.fbank(wave[None], **settings) for wave in waves])


def noise_power(front: Fbank, std: float) -> Tensor:
    """What white noise of this standard deviation adds to each mel's power on average, (mels,).

    Samples of noise are independent, so their powers add up: those of a click at every position of
    a window. The clicks are loud here, far above Kaldi's floor under the logarithm.
    """
    import torch

    loud = 1e3
    clicks = loud * torch.eye(front.window)
    return (std / loud) ** 2 * fbank(clicks, front).exp().sum(dim=(0, 1))


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
