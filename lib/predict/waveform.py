"""A model with its front end inside: waveforms in, calibrated probabilities out.

The Kaldi filter bank is one convolution, so that it can be exported and needs no other library.
"""

import math

import torch
from torch import Tensor, nn
from torchaudio.compliance.kaldi import get_mel_banks

from lib.config import Experiment
from lib.errors import UserError
from lib.features.cache import AUDIOSET
from lib.features.frontends import Fbank, frontend_for
from lib.training.dataset import FLAT

PREEMPHASIS = 0.97
LOWEST_HZ = 20.0
EPSILON = torch.finfo(torch.float32).eps  # Kaldi's floor under the logarithm
NORMALISED = ("clip", "zscore", "audioset")  # these need no statistics of a dataset


class FilterBank(nn.Module):
    """Log-mel energies as `lib.features.frontends.fbank` computes them.

    All that Kaldi does to a frame before the power is linear: subtracting its mean, pre-emphasis,
    the window and the Fourier transform. Their product is the kernel of one convolution.
    """

    def __init__(self, front: Fbank) -> None:
        super().__init__()
        self.hop = front.hop
        size = 2 ** math.ceil(math.log2(front.window))
        self.register_buffer("kernel", _kernel(front.window, size)[:, None], persistent=False)
        mels, _ = get_mel_banks(front.mels, size, front.rate_hz, LOWEST_HZ, 0.0, 100.0, -500.0, 1.0)
        banks = nn.functional.pad(mels, (0, 1))  # Nyquist's frequency is in no filter
        self.register_buffer("banks", banks.T.contiguous(), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        """(B, samples) in [-1, 1] -> (B, frames, mels), natural logarithm."""
        spectrum = nn.functional.conv1d(waves[:, None], self.kernel, stride=self.hop)
        real, imaginary = spectrum.square().chunk(2, dim=1)  # (B, bins, frames) each
        power = (real + imaginary).transpose(1, 2)
        return (power @ self.banks).clamp(min=EPSILON).log()


def _kernel(window: int, size: int) -> Tensor:
    """The real parts, then the imaginary parts, of what Kaldi makes of each sample of a frame.

    window: samples of a frame; size: of the Fourier transform. Returns (size + 2, window).
    """
    frames = torch.eye(window, dtype=torch.float64)  # each row is a frame with one click
    frames = frames - frames.mean(dim=1, keepdim=True)
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)  # the first sample precedes itself
    frames = (frames - PREEMPHASIS * before) * torch.hann_window(
        window, periodic=False, dtype=torch.float64
    )
    spectrum = torch.fft.rfft(frames, size)
    return torch.cat([spectrum.real, spectrum.imag], dim=1).T.float()


class WaveformModel(nn.Module):
    """A trained network between waveforms of one clip's length and calibrated probabilities."""

    def __init__(self, experiment: Experiment, network: nn.Module, temperature: float) -> None:
        super().__init__()
        require_waveforms(experiment)
        self.front = frontend_for(experiment)
        self.filter_bank = FilterBank(self.front)
        self.network = network
        self.temperature = temperature
        self.per_clip = experiment.normalise != "audioset"
        self.std_scale = 1.0 if experiment.normalise == "zscore" else 2.0
        self.eval()

    @property
    def samples(self) -> int:
        """Samples of a clip."""
        return int(self.front.clip_seconds * self.front.rate_hz)

    def normalise(self, fbanks: Tensor) -> Tensor:
        """What the network sees of filter banks (B, frames, mels), as in training."""
        if not self.per_clip:
            mean, std = AUDIOSET
        else:
            mean = _clip_mean(fbanks)
            std = _clip_mean((fbanks - mean).square()).sqrt().clamp(min=FLAT)
        return (fbanks - mean) / (self.std_scale * std)

    def logits(self, waves: Tensor) -> Tensor:
        """Logits (B, classes), not calibrated, of clips (B, samples)."""
        return self.network(self.normalise(self.filter_bank(waves)))

    def forward(self, waves: Tensor) -> Tensor:
        """Calibrated probabilities (B, classes) of clips (B, samples)."""
        return torch.softmax(self.logits(waves) / self.temperature, dim=1)


def _clip_mean(x: Tensor) -> Tensor:
    """Means of clips (B, frames, mels) -> (B, 1, 1).

    Axis by axis: ONNX Runtime adds up one number after the other, and after 38,144 of them float32
    has lost what shows in the fourth digit of a probability.
    """
    return x.mean(dim=2, keepdim=True).mean(dim=1, keepdim=True)


def require_waveforms(e: Experiment) -> None:
    """Raise `UserError` if an experiment's model needs more than a clip's waveform."""
    problem = ""
    if e.frontend != "fbank" or e.pad_frames or e.interpolated_frames:
        problem = "its front end is not the plain filter bank"
    elif e.normalise not in NORMALISED:
        problem = f"its clips are normalised by the {e.normalise}"
    elif e.dataset == "icbhi_mel":
        problem = "it was trained on mel pictures, not on recordings"
    elif e.method in ("supcon", "probe"):
        problem = f"the method {e.method} leaves no classifier in its weights"
    if problem:
        raise UserError(
            f"{e.name}: cannot hear waveforms: {problem}; choose a run with fbank features "
            f"normalised by {' or '.join(NORMALISED)}"
        )
