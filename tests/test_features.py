"""The batched fbank against torchaudio's Kaldi port, and against the definition in float64."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchaudio

from lib.features import FrontEnd, fbank, front_end
from lib.settings import Experiment


def waves(seconds: float, rate: int = 16000) -> torch.Tensor:
    t = torch.arange(int(seconds * rate)) / rate
    torch.manual_seed(0)
    return torch.stack([
        0.3 * torch.randn(len(t)),
        0.5 * torch.sin(2 * math.pi * 440 * t),
        1e-4 * torch.randn(len(t)) + 0.2,
        torch.zeros(len(t)),
    ])  # fmt: skip


@pytest.mark.parametrize("front", [FrontEnd(), FrontEnd(clip_seconds=1.23), FrontEnd(mels=64)])
def test_equals_kaldi(front):
    batch = waves(front.clip_seconds)
    got = fbank(batch, front)
    assert got.shape == (4, front.frames, front.mels) and got.dtype == torch.float32
    for wave, mels in zip(batch, got, strict=True):
        want = torchaudio.compliance.kaldi.fbank(
            wave[None], htk_compat=True, sample_frequency=16000, use_energy=False,
            window_type="hanning", num_mel_bins=front.mels, dither=0.0, frame_shift=10,
        )  # fmt: skip
        assert (mels - want).abs().max() <= 1e-4


def test_one_frame_by_the_definition():
    """Loop in float64: mean, pre-emphasis, Hanning, power spectrum, triangles in mel, log."""
    front = FrontEnd(clip_seconds=0.025)
    wave = waves(0.025)[0]
    x = wave.double().numpy()
    x = x - x.mean()
    x = np.array([x[i] - 0.97 * x[max(i - 1, 0)] for i in range(400)])
    x = x * np.array([0.5 - 0.5 * math.cos(2 * math.pi * i / 399) for i in range(400)])
    power = np.abs(np.fft.rfft(np.pad(x, (0, 112)))) ** 2

    def mel(hz):
        return 1127 * math.log(1 + hz / 700)

    step = (mel(8000) - mel(20)) / 129
    for band in range(128):
        left = mel(20) + band * step
        energy = sum(
            power[k] * max(0.0, 1 - abs(mel(k * 31.25) - left - step) / step) for k in range(257)
        )
        want = math.log(max(energy, 1.1920928955078125e-07))
        assert abs(fbank(wave[None], front)[0, 0, band].item() - want) < 1e-3


def test_a_batch_is_its_clips():
    front = FrontEnd(clip_seconds=1.0)
    batch = waves(1.0)
    together = fbank(batch, front)
    for i in range(len(batch)):
        torch.testing.assert_close(fbank(batch[i : i + 1], front)[0], together[i])


def test_frames():
    assert FrontEnd().frames == 798
    assert [FrontEnd(clip_seconds=s).frames for s in (3, 4, 0.025)] == [298, 398, 1]


def test_front_end_of_an_experiment():
    experiment = Experiment("a", clip_seconds=3.0, pad="cyclic", fade="cycle")
    assert front_end(experiment) == FrontEnd(clip_seconds=3.0, pad="cyclic", fade="cycle")
    assert front_end(Experiment("a")) == FrontEnd()


def test_settings_need_no_torch():
    code = "import sys, lib.features, lib.store, lib.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
