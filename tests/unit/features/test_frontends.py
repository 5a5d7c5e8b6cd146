"""The batched fbank against torchaudio's Kaldi port, and against the definition in float64."""

import math
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch
import torchaudio
from scipy.fft import dct

from lib.config import Experiment
from lib.errors import UserError
from lib.features.frontends import (
    Fbank,
    Mfcc,
    clip_frames,
    fbank,
    frontend_for,
    frontend_settings,
    mfcc,
    noise_power,
    scale_waveform,
)


def waves(seconds: float, rate: int = 16000) -> torch.Tensor:
    t = torch.arange(int(seconds * rate)) / rate
    torch.manual_seed(0)
    return torch.stack([
        0.3 * torch.randn(len(t)),
        0.5 * torch.sin(2 * math.pi * 440 * t),
        1e-4 * torch.randn(len(t)) + 0.2,
        torch.zeros(len(t)),
    ])  # fmt: skip


@pytest.mark.parametrize("front", [Fbank(), Fbank(clip_seconds=1.23), Fbank(mels=64)])
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
    front = Fbank(clip_seconds=0.025)
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
    front = Fbank(clip_seconds=1.0)
    batch = waves(1.0)
    together = fbank(batch, front)
    for i in range(len(batch)):
        torch.testing.assert_close(fbank(batch[i : i + 1], front)[0], together[i])


def test_frames():
    assert Fbank().frames == 798
    assert [Fbank(clip_seconds=s).frames for s in (3, 4, 0.025)] == [298, 398, 1]


def test_front_end_of_an_experiment():
    experiment = Experiment("a", clip_seconds=3.0, pad="cyclic", fade="cycle")
    assert frontend_for(experiment) == Fbank(clip_seconds=3.0, pad="cyclic", fade="cycle")
    assert frontend_for(Experiment("a")) == Fbank()
    assert frontend_for(Experiment("a", task="2-1")) == Fbank(unit="record")


def test_a_fingerprint_of_events_covers_what_it_did_before_there_were_records():
    events = {"rate_hz", "clip_seconds", "mels", "window_ms", "hop_ms", "pad", "fade"}
    assert set(frontend_settings(Fbank())) == events
    assert frontend_settings(Fbank(unit="record")) == asdict(Fbank(unit="record"))
    assert frontend_settings(Mfcc()) == asdict(Mfcc())


def test_settings_need_no_torch():
    modules = "lib.features.frontends, lib.features.cache, lib.data"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def mfcc_by_definition(wave: np.ndarray, front: Mfcc) -> np.ndarray:
    """Loops in float64, librosa's conventions: (samples,) -> (frames, coefficients)."""
    bins, half = front.n_fft // 2 + 1, front.n_fft // 2

    def mel(hz):  # Slaney: linear up to 1 kHz, then logarithmic
        return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)

    def hz(value):
        return 200 * value / 3 if value < 15 else 1000 * 6.4 ** ((value - 15) / 27)

    top = mel(front.rate_hz / 2)
    edges = [hz(top * i / (front.mels + 1)) for i in range(front.mels + 2)]
    filters = np.zeros((front.mels, bins))
    for band in range(front.mels):
        low, middle, high = edges[band : band + 3]
        for k in range(bins):
            f = k * front.rate_hz / front.n_fft
            rise, fall = (f - low) / (middle - low), (high - f) / (high - middle)
            filters[band, k] = max(0, min(rise, fall)) * 2 / (high - low)
    window = [0.5 - 0.5 * math.cos(2 * math.pi * i / front.n_fft) for i in range(front.n_fft)]
    padded = np.pad(wave.astype(np.float64), half)
    power = []
    for frame in range(1 + len(wave) // front.hop):
        part = padded[frame * front.hop : frame * front.hop + front.n_fft] * window
        power.append(filters @ (np.abs(np.fft.rfft(part)) ** 2))
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    decibels = np.maximum(decibels, decibels.max() - 80)
    return dct(decibels, type=2, norm="ortho", axis=1)[:, : front.n_mfcc]


@pytest.mark.parametrize(
    "front", [Mfcc(), Mfcc(n_mfcc=13, n_fft=256, hop=64, mels=40), Mfcc(scale="minmax")]
)
@pytest.mark.parametrize("samples", [8000, 1777, 100])
def test_mfcc_by_the_definition(front, samples):
    rng = np.random.default_rng(samples)
    wave = 0.01 * rng.normal(size=samples) + 0.1 * np.sin(np.arange(samples) * 0.3) + 0.05
    wave = wave.astype(np.float32)
    got = mfcc(torch.from_numpy(wave), front).numpy()
    w = wave.astype(np.float64)
    w = w - w.mean() if front.scale == "zero_mean" else (w - w.min()) / np.ptp(w) - 0.5
    if front.scale == "zero_mean":
        w = w / np.abs(w).max() / 2
    want = mfcc_by_definition(w, front)
    assert got.shape == (front.cached_frames(samples), front.n_mfcc) == want.shape
    assert np.abs(got - want).max() < 5e-3  # of some 100; float32 against float64


def test_the_two_ways_to_scale():
    wave = torch.tensor([0.0, 0.1, 0.2, 0.9])
    assert scale_waveform(wave, "minmax").tolist() == pytest.approx(
        [-0.5, -0.38889, -0.27778, 0.5], abs=1e-4
    )
    zero = scale_waveform(wave, "zero_mean")
    assert abs(zero.mean()) < 1e-7 and zero.abs().max() == 0.5 and zero.min() > -0.5
    for scale in ("minmax", "zero_mean"):
        assert scale_waveform(torch.full((9,), 0.3), scale).tolist() == 9 * [0.0]
        assert torch.isfinite(mfcc(torch.zeros(300), Mfcc(scale=scale))).all()
    with pytest.raises(UserError, match="unknown scale 'peak'"):
        scale_waveform(wave, "peak")


def test_frames_of_three_seconds_by_equation_3():
    assert Mfcc().frames(3.0) == 187 and Mfcc().cached_frames(24000) == 188
    experiment = Experiment("a", dataset="sprsound", frontend="mfcc", task="1-2", clip_seconds=3.0)
    assert clip_frames(experiment) == 187 and frontend_for(experiment) == Mfcc()
    assert clip_frames(Experiment("a")) == 798


def test_what_an_experiment_asks_of_the_mfcc():
    asked = {"n_mfcc": 32, "n_fft": 256, "hop": 64, "scale": "minmax"}
    experiment = Experiment("a", dataset="sprsound", frontend="mfcc", task="2-1", **asked)
    assert frontend_for(experiment) == Mfcc(**asked, unit="record")


def test_noise_adds_the_power_that_kaldis_features_of_noise_have_on_average():
    front = Fbank(clip_seconds=1.0)
    torch.manual_seed(0)
    std, found = 0.1, []
    for _ in range(40):
        features = torchaudio.compliance.kaldi.fbank(
            std * torch.randn(1, 16000), htk_compat=True, sample_frequency=16000, dither=0.0,
            use_energy=False, window_type="hanning", num_mel_bins=128, frame_shift=10,
        )  # fmt: skip
        found.append(features.exp().mean(0))
    measured = torch.stack(found).mean(0)
    expected = noise_power(front, std)
    assert expected.shape == (128,)
    heard = expected > 1e-9  # below 500 Hz some filters lie between two bins and hear nothing
    assert heard.sum() == 127 and (measured[~heard] < 2e-7).all()
    ratio = (measured / expected)[heard]
    assert ratio.mean().item() == pytest.approx(1, abs=0.01)
    assert ratio.min() > 0.8 and ratio.max() < 1.2
