"""Whether a recording is a lung sound at all, and whether it is like those of the training.

Both read one descriptor of a recording: the mean, over windows side by side, of what the network
pools of its maps, and of the shape of the spectrum and of the envelope.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lib.predict.waveform import WaveformModel

SHAPES = 12  # numbers at the end of a descriptor that do not come from the network
NEIGHBOURS = 5
FLOOR = 1e-4
ENVELOPE_HZ = ((0.3, 1.0), (1.0, 3.0), (3.0, 8.0), (8.0, 50.0))  # breath, heart, syllables, rattle
BREATH_BINS = slice(2, 76)  # mel bins between about 60 Hz and 2 kHz
FRAMES_PER_SECOND = 100


@dataclass(frozen=True)
class Detectors:
    """The detector of lung sounds, and the distance from the recordings of the training.

    settings: threshold and how it was chosen, for "lung_sound" and "distance". arrays: mean (D,),
    components (k, D) that whiten, and neighbours (N, k), of pooled features; lung_weight and
    lung_bias of descriptors.
    """

    settings: dict[str, dict]
    arrays: dict[str, np.ndarray]

    def distance(self, descriptor: np.ndarray) -> float:
        """Mean distance of a recording (D,) to the training recordings that are nearest to it."""
        point = (descriptor[:-SHAPES] - self.arrays["mean"]) @ self.arrays["components"].T
        distances = np.linalg.norm(self.arrays["neighbours"] - point, axis=1)
        return float(np.sort(distances)[:NEIGHBOURS].mean())

    def lung_sound(self, descriptor: np.ndarray) -> float:
        """Probability that a recording (D,) is a lung sound rather than a made-up sound."""
        score = descriptor @ self.arrays["lung_weight"] + self.arrays["lung_bias"]
        return float(1 / (1 + np.exp(-np.clip(score, -50, 50))[0]))

    def is_far(self, descriptor: np.ndarray) -> bool:
        """Whether a recording is unlike all that the model was trained on."""
        return self.distance(descriptor) > self.settings["distance"]["threshold"]

    def is_refused(self, descriptor: np.ndarray) -> bool:
        """Whether a recording is no lung sound."""
        return self.lung_sound(descriptor) < self.settings["lung_sound"]["threshold"]


@torch.no_grad()
def describe(network: WaveformModel, batches: Iterable[np.ndarray]) -> np.ndarray:
    """Return the descriptor (D,), float64, of a recording's clips (B, samples) in batches."""
    rows = [clip_descriptors(network, torch.from_numpy(batch)) for batch in batches]
    return torch.cat(rows).double().mean(dim=0).numpy()


def clip_descriptors(network: WaveformModel, waves: Tensor) -> Tensor:
    """Return the descriptors (B, D), float32, of clips (B, samples)."""
    fbanks = network.filter_bank(waves)
    pooled = network.network.probe_features(network.normalise(fbanks))
    return torch.cat([pooled, shape_numbers(fbanks)], dim=1)


def shape_numbers(fbanks: Tensor) -> Tensor:
    """Return numbers (B, `SHAPES`) about log-mels (B, frames, mels) that no gain changes.

    Spectral flatness (mean, std over frames), the loudest bin's share, flux, the envelope's std and
    the shares of its power in `ENVELOPE_HZ`, the bins below which half and 85% of the power lie,
    and the envelope's range.
    """
    levels = fbanks[..., BREATH_BINS]
    power = levels.exp()
    flatness = levels.mean(2) - power.mean(2).log()
    spectrum = power.mean(1) / power.mean(1).sum(1, keepdim=True)
    below = spectrum.cumsum(1)
    envelope = power.sum(2).log()
    low, high = _quantile(envelope, 0.05), _quantile(envelope, 0.95)
    numbers = [flatness.mean(1), flatness.std(1), spectrum.amax(1).log(),
               levels.diff(dim=1).abs().mean(dim=(1, 2)), envelope.std(1),
               *_envelope_shares(envelope), (below < 0.5).float().sum(1),
               (below < 0.85).float().sum(1), high - low]  # fmt: skip
    return torch.stack(numbers, dim=1)


def _quantile(x: Tensor, q: float) -> Tensor:
    """Quantiles (B,) of (B, N), linear between two; torch's own cannot be exported."""
    place = q * (x.shape[1] - 1)
    below, above = x.sort(dim=1).values[:, math.floor(place) : math.floor(place) + 2].unbind(1)
    return below.lerp(above, place % 1)


def _envelope_shares(envelope: Tensor) -> list[Tensor]:
    """Logarithms of the shares (B,) of the power of envelopes (B, frames) in `ENVELOPE_HZ`."""
    frames = envelope.shape[1]
    centred = envelope - envelope.mean(1, keepdim=True)
    power = torch.fft.rfft(centred * torch.hann_window(frames)).abs().square()
    hz = torch.arange(power.shape[1]) * FRAMES_PER_SECOND / frames
    total = power[:, 1:].sum(1) + 1e-9
    return [
        (power[:, (hz >= low) & (hz < high)].sum(1) / total + FLOOR).log()
        for low, high in ENVELOPE_HZ
    ]
