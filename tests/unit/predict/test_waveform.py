"""The front end inside the model, against Kaldi's as torchaudio has it, and against training."""

import numpy as np
import pytest
import torch

from lib.config import Experiment, override
from lib.errors import UserError
from lib.features.cache import FeatureCache
from lib.features.frontends import Fbank, fbank
from lib.predict.waveform import FilterBank, WaveformModel
from lib.training.dataset import load_dataset

SECOND = Experiment("second", clip_seconds=1.0, normalise="clip", model="mn04")


def waves():
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal((3, 16000))
    noise[1] = np.cumsum(noise[1]) / 50 + 0.2  # low frequencies and an offset
    noise[2, 5000:] = 0  # digital silence
    return torch.from_numpy(noise.astype(np.float32))


def test_one_convolution_is_kaldis_filter_bank():
    front = Fbank(clip_seconds=1.0)
    ours, theirs = FilterBank(front)(waves()), fbank(waves(), front)
    assert ours.shape == theirs.shape == (3, front.frames, 128)
    # Relative errors of float32 sums of 400 products, under a logarithm; measured 2e-4.
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)


@pytest.mark.parametrize("normalise", ["clip", "zscore", "audioset"])
def test_clips_are_normalised_as_in_training(normalise, tmp_path):
    model = WaveformModel(override(SECOND, normalise=normalise), torch.nn.Identity(), 1.0)
    features = fbank(waves(), model.front).half()
    meta = {"mean": 0.0, "std": 1.0}
    cache = FeatureCache(tmp_path, None, features.numpy(), meta)
    labels = np.zeros(3, int)
    dataset = load_dataset(cache, labels, features.shape[1], normalise, torch.device("cpu"))
    expected, _ = dataset.batch(torch.arange(3))
    torch.testing.assert_close(model.normalise(features.float()), expected, atol=1e-5, rtol=1e-5)


def test_probabilities_are_those_of_logits_divided_by_the_temperature():
    class Mean(torch.nn.Module):
        def forward(self, x):
            return x[:, ::40, :4].mean(1)

    model = WaveformModel(SECOND, Mean(), 2.0)
    logits = model.logits(waves())
    expected = torch.from_numpy(np.exp(logits.numpy() / 2))
    torch.testing.assert_close(model(waves()), expected / expected.sum(1, keepdim=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"normalise": "dataset"},
        {"frontend": "mfcc"},
        {"pad_frames": 1024},
        {"dataset": "icbhi_mel"},
        {"method": "probe"},
    ],
)
def test_a_model_that_needs_more_than_a_waveform_is_named(changes):
    with pytest.raises(UserError, match="second: cannot hear waveforms"):
        WaveformModel(override(SECOND, **changes), torch.nn.Identity(), 1.0)
