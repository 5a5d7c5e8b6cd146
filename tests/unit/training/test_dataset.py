"""Batches of a feature cache: normalised copies, never written back, equal to plain NumPy."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib.errors import UserError
from lib.features import cache
from lib.files import write_json
from lib.training.augment import GainNoise
from lib.training.dataset import load_dataset

CPU = torch.device("cpu")
AUDIOSET = (-4.2677393, 4.5689974)


def write(folder, features, **columns):
    folder.mkdir()
    rows = range(2 if columns else len(features))
    cycles = pd.DataFrame({"recording": [f"r{i}" for i in rows], "cycle": 0, "start": 0, "end": 1})
    cycles = cycles.assign(split="train", label="normal", **columns)
    cycles.to_csv(folder / "cycles.csv", index=False)
    np.save(folder / "features.npy", features)
    write_json(folder / "meta.json", {"mean": -4.1, "std": 2.9})
    return cache.open_cache(folder)


@pytest.fixture
def fixed(tmp_path):
    """Six clips of 20 frames and 8 bins."""
    features = np.random.default_rng(0).normal(-4, 3, (6, 20, 8)).astype(np.float16)
    return write(tmp_path / "fixed", features)


@pytest.fixture
def variable(tmp_path):
    """Two clips of 2 and 6 frames, one bin: 0 1 | 2 ... 7."""
    flat = np.arange(8, dtype=np.float16)[:, None]
    return write(tmp_path / "variable", flat, offset=[0, 2], frames=[2, 6])


def load(opened, frames, normalise="dataset", **settings):
    labels = np.arange(len(opened.cycles))
    return load_dataset(opened, labels, frames, normalise, CPU, **settings)


@pytest.mark.parametrize("normalise", ["audioset", "dataset", "clip", "zscore"])
def test_a_batch_is_a_normalised_copy(fixed, normalise):
    before = (fixed.path / "features.npy").read_bytes()
    indices = torch.tensor([5, 0, 2])
    x, y = load(fixed, 15, normalise).batch(indices)
    assert x.dtype == torch.float32 and x.shape == (3, 15, 8) and y.tolist() == [5, 0, 2]
    for index, clip in zip(indices, x, strict=True):
        raw = np.asarray(fixed.features[index, :15], np.float64)
        statistics = {"audioset": AUDIOSET, "dataset": (-4.1, 2.9), "clip": (raw.mean(), raw.std())}
        mean, std = statistics.get(normalise, (raw.mean(), raw.std() / 2))
        np.testing.assert_allclose(clip, (raw - mean) / (2 * std), atol=1e-5)
    x[:] = 7
    assert (fixed.path / "features.npy").read_bytes() == before


def test_constants_are_applied_in_32_bits_as_numpy_does(fixed):
    x, _ = load(fixed, 20).batch(torch.arange(6))
    plain = fixed.features.astype(np.float32) - np.float32(-4.1)
    np.testing.assert_array_equal(x, plain / (2 * np.float32(2.9)))


def test_silence_stays_finite_and_unknown_names_are_errors(tmp_path):
    silent = write(tmp_path / "silent", np.ones((1, 4, 3), np.float16))
    assert (load(silent, 4, "clip").batch(torch.tensor([0]))[0] == 0).all()
    with pytest.raises(UserError, match="did you mean 'audioset'"):
        load(silent, 4, "audioste")


def window(dataset, index, position=None):
    position = None if position is None else torch.tensor([position])
    return dataset.clips(torch.tensor([index]), position)[0][0, :, 0].numpy()


def normalised(*values):
    return pytest.approx((np.array(values) + 4.1) / 5.8)


def test_windows_of_clips_of_variable_length(variable):
    dataset = load(variable, 4)
    for position, frames in {0.0: [2, 3, 4, 5], 0.5: [3, 4, 5, 6], 0.99: [4, 5, 6, 7]}.items():
        assert window(dataset, 1, position) == normalised(*frames)
    assert window(dataset, 1) == normalised(3, 4, 5, 6)  # in the middle
    assert window(dataset, 0) == normalised(-4.1, 0, 1, -4.1)  # filled up with the mean
    assert dataset.batch(torch.tensor([0, 1]))[1].tolist() == [0, 1]
    for position, frames in {0.0: [0, 1], 0.4: [1, 2], 0.99: [2, 3]}.items():
        assert np.flatnonzero(window(dataset, 0, position)).tolist() == frames


def test_a_shorter_clip_is_repeated_if_cyclic(variable):
    dataset = load(variable, 5, pad="cyclic")
    assert window(dataset, 0, 0.0) == normalised(0, 1, 0, 1, 0)
    assert window(dataset, 1, 0.0) == normalised(2, 3, 4, 5, 6)


@pytest.mark.parametrize(("normalise", "scale"), [("clip", 2), ("zscore", 1)])
def test_each_clip_of_variable_length_is_normalised_as_a_whole(variable, normalise, scale):
    whole = np.arange(2, 8)
    expected = (whole[1:5] - whole.mean()) / (scale * whole.std())
    assert window(load(variable, 4, normalise), 1) == pytest.approx(expected)


def test_zeros_are_added_before_normalising_and_noise_before_the_zeros(fixed):
    """As the published geometry-aware code: 798 frames, zeros up to 1,024, then AudioSet's mean."""
    dataset = load(fixed, 15, "audioset", pad_frames=20, noise=torch.full((8,), 0.5))
    assert dataset.shape == (20, 8)
    change = GainNoise(torch.tensor([0.3, 0.0]), torch.tensor([False, True]))
    raw = np.asarray(fixed.features[[4, 1], :15], np.float64)
    changed = np.stack([raw[0] + 0.3, np.log(np.exp(raw[1]) + 0.5)])
    for clips, given in ((raw, None), (changed, change)):
        x, _ = dataset.clips(torch.tensor([4, 1]), change=given)
        padded = np.concatenate([clips, np.zeros((2, 5, 8))], axis=1)
        np.testing.assert_allclose(x, (padded - AUDIOSET[0]) / (2 * AUDIOSET[1]), atol=1e-5)


def test_clips_are_stretched_after_they_are_normalised(fixed):
    """Twice as long: a frame's halves lie a quarter towards its neighbours; ends stay (by hand)."""
    dataset = load(fixed, 15, "clip", interpolated_frames=30)
    assert (dataset.clip_shape, dataset.shape) == ((15, 8), (30, 8))
    raw = np.asarray(fixed.features[4, :15], np.float64)
    raw = (raw - raw.mean()) / (2 * raw.std())
    before = np.concatenate([raw[:1], raw[:-1]])
    after = np.concatenate([raw[1:], raw[-1:]])
    halves = (0.75 * raw + 0.25 * before, 0.75 * raw + 0.25 * after)
    expected = np.stack(halves, 1).reshape(30, 8)
    np.testing.assert_allclose(dataset.batch(torch.tensor([4]))[0][0], expected, atol=1e-4)


def test_settings_that_do_not_fit_are_errors(fixed, variable):
    with pytest.raises(UserError, match="8 bins, but gain and noise are for 128"):
        load(fixed, 15, noise=torch.ones(128))
    for wrong in ({"pad_frames": 9}, {"noise": torch.ones(8)}, {"interpolated_frames": 9}):
        with pytest.raises(UserError, match="clips of one length"):
            load(variable, 4, **wrong)
