"""Batches of a store: normalised copies, never written back, the same bytes as plain NumPy."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib.errors import UserError
from lib.features import cache
from lib.files import write_json
from lib.training import dataset
from lib.training.augment import GainNoise

CPU = torch.device("cpu")


@pytest.fixture
def stored(tmp_path):
    features = np.random.default_rng(0).normal(-4, 3, (6, 20, 8)).astype(np.float16)
    return write(tmp_path / "store", features)


def write(folder, features, **columns):
    folder.mkdir()
    rows = range(len(features) if not columns else 2)
    cycles = pd.DataFrame({"recording": [f"r{i}" for i in rows], "cycle": 0, "start": 0, "end": 1})
    cycles.assign(split="train", label="normal", **columns).to_csv(
        folder / "cycles.csv", index=False
    )
    np.save(folder / "features.npy", features)
    write_json(folder / "meta.json", {"mean": -4.1, "std": 2.9})
    return cache.open_cache(folder)


@pytest.mark.parametrize("normalise", dataset.NORMALISE)
def test_a_batch_is_a_normalised_copy(stored, normalise):
    before = (stored.path / "features.npy").read_bytes()
    rows = torch.tensor([5, 0, 2])
    x, y = dataset.load_dataset(stored, np.arange(6), 15, normalise, CPU).batch(rows)
    assert x.dtype == torch.float32 and x.shape == (3, 15, 8) and y.tolist() == [5, 0, 2]
    for row, clip in zip(rows, x, strict=True):
        raw = np.asarray(stored.features[row, :15], np.float64)
        mean, std = {
            "audioset": (-4.2677393, 4.5689974),
            "dataset": (-4.1, 2.9),
            "clip": (raw.mean(), raw.std()),
            "zscore": (raw.mean(), raw.std() / 2),
        }[normalise]
        np.testing.assert_allclose(clip, (raw - mean) / (2 * std), atol=1e-5)
    x[:] = 7
    assert (stored.path / "features.npy").read_bytes() == before


def test_constants_are_applied_in_32_bits_as_numpy_does(stored):
    x, _ = dataset.load_dataset(stored, np.arange(6), 20, "dataset", CPU).batch(torch.arange(6))
    plain = stored.features.astype(np.float32) - np.float32(-4.1)
    np.testing.assert_array_equal(x, plain / (2 * np.float32(2.9)))


def test_silence_stays_finite_and_unknown_names_are_refused(tmp_path):
    silent = write(tmp_path / "silent", np.ones((1, 4, 3), np.float16))
    x, _ = dataset.load_dataset(silent, np.zeros(1), 4, "clip", CPU).batch(torch.tensor([0]))
    assert (x == 0).all()
    with pytest.raises(UserError, match="did you mean 'audioset'"):
        dataset.load_dataset(silent, np.zeros(1), 4, "audioste", CPU)


@pytest.fixture
def ragged(tmp_path):
    """Two cycles of 2 and 6 frames, one bin: 0 1 | 2 ... 7."""
    flat = np.arange(8, dtype=np.float16)[:, None]
    return write(tmp_path / "ragged", flat, offset=[0, 2], frames=[2, 6])


def test_windows_of_cycles_that_differ_in_length(ragged):
    found = dataset.load_dataset(ragged, np.arange(2), 4, "dataset", CPU)
    raw = {0.0: [2, 3, 4, 5], 0.5: [3, 4, 5, 6], 0.99: [4, 5, 6, 7]}
    for at, frames in raw.items():
        x, _ = found.batch(torch.tensor([1]), torch.tensor([at]))
        assert x[0, :, 0].numpy() == pytest.approx((np.array(frames) + 4.1) / 5.8)
    x, y = found.batch(torch.tensor([0, 1]))  # in the middle; the shorter one is filled with mean
    assert x[0, :, 0].numpy() == pytest.approx([0, 4.1 / 5.8, 5.1 / 5.8, 0])
    assert x[1, :, 0].numpy() == pytest.approx((np.array([3, 4, 5, 6]) + 4.1) / 5.8)
    assert y.tolist() == [0, 1]


def test_a_shorter_cycle_lies_anywhere_in_its_window(ragged):
    found = dataset.load_dataset(ragged, np.arange(2), 4, "dataset", CPU)
    places = [found.batch(torch.tensor([0]), torch.tensor([at]))[0] for at in (0.0, 0.4, 0.99)]
    assert [np.flatnonzero(x[0, :, 0]).tolist() for x in places] == [[0, 1], [1, 2], [2, 3]]


def test_a_shorter_cycle_repeated(ragged):
    found = dataset.load_dataset(ragged, np.arange(2), 5, "dataset", CPU, pad="cyclic")
    x, _ = found.batch(torch.tensor([0, 1]), torch.tensor([0.0, 0.0]))
    assert x[0, :, 0].numpy() == pytest.approx((np.array([0, 1, 0, 1, 0]) + 4.1) / 5.8)
    assert x[1, :, 0].numpy() == pytest.approx((np.arange(2, 7) + 4.1) / 5.8)


def test_each_ragged_cycle_is_normalised_by_its_whole(ragged):
    x, _ = dataset.load_dataset(ragged, np.arange(2), 4, "clip", CPU).batch(torch.tensor([1]))
    whole = np.arange(2, 8)
    want = (whole[1:5] - whole.mean()) / whole.std()
    assert x[0, :, 0].numpy() == pytest.approx(want / 2)
    x, _ = dataset.load_dataset(ragged, np.arange(2), 4, "zscore", CPU).batch(torch.tensor([1]))
    assert x[0, :, 0].numpy() == pytest.approx(want)


def test_zeros_are_added_before_normalising_and_noise_before_the_zeros(stored):
    """As the published geometry-aware code: 798 frames, zeros up to 1,024, then AudioSet's mean."""
    noise = torch.full((8,), 0.5)
    found = dataset.load_dataset(
        stored, np.arange(6), 15, "audioset", CPU, pad_frames=20, noise=noise
    )
    assert found.shape == (20, 8)
    wave = GainNoise(torch.tensor([0.3, 0.0]), torch.tensor([False, True]))
    x, _ = found.batch(torch.tensor([4, 1]), wave=wave)
    raw = np.asarray(stored.features[[4, 1], :15], np.float64)
    raw = np.stack([raw[0] + 0.3, np.log(np.exp(raw[1]) + 0.5)])
    expected = np.concatenate([raw, np.zeros((2, 5, 8))], axis=1)
    np.testing.assert_allclose(x, (expected + 4.2677393) / (2 * 4.5689974), atol=1e-5)
    plain, _ = found.batch(torch.tensor([4, 1]))
    raw = np.asarray(stored.features[4, :15], np.float64)
    np.testing.assert_allclose(plain[0, :15], (raw + 4.2677393) / (2 * 4.5689974), atol=1e-5)


def test_clips_are_stretched_before_they_are_normalised(stored):
    """Twice as long: a frame's halves lie a quarter towards its neighbours; ends stay (by hand)."""
    found = dataset.load_dataset(stored, np.arange(6), 15, "clip", CPU, interpolated_frames=30)
    assert found.shape == (30, 8)
    x, _ = found.batch(torch.tensor([4]))
    raw = np.asarray(stored.features[4, :15], np.float64)
    before = np.concatenate([raw[:1], raw[:-1]])
    after = np.concatenate([raw[1:], raw[-1:]])
    halves = (0.75 * raw + 0.25 * before, 0.75 * raw + 0.25 * after)
    expected = np.stack(halves, 1).reshape(30, 8)
    expected = (expected - expected.mean()) / (2 * expected.std())
    np.testing.assert_allclose(x[0], expected, atol=1e-4)


def test_noise_of_other_filters_is_refused(stored):
    with pytest.raises(UserError, match="8 bins, but gain and noise are known for 128 mels"):
        dataset.load_dataset(stored, np.arange(6), 15, "dataset", CPU, noise=torch.ones(128))


def test_ragged_clips_take_no_zeros_and_no_noise(ragged):
    for wrong in ({"pad_frames": 9}, {"noise": torch.ones(8)}, {"interpolated_frames": 9}):
        with pytest.raises(UserError, match="clips of one length"):
            dataset.load_dataset(ragged, np.arange(2), 4, "dataset", CPU, **wrong)
