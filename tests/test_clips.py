"""Batches of a store: normalised copies, never written back, the same bytes as plain NumPy."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib import clips, store
from lib.clips import Clips
from lib.errors import UserError
from lib.files import write_json

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
    return store.open_store(folder)


@pytest.mark.parametrize("normalise", clips.NORMALISE)
def test_a_batch_is_a_normalised_copy(stored, normalise):
    before = (stored.path / "features.npy").read_bytes()
    rows = torch.tensor([5, 0, 2])
    x, y = Clips(stored, torch.arange(6), 15, normalise, CPU).batch(rows)
    assert x.dtype == torch.float32 and x.shape == (3, 15, 8) and y.tolist() == [5, 0, 2]
    for row, clip in zip(rows, x, strict=True):
        raw = np.asarray(stored.features[row, :15], np.float64)
        mean, std = {
            "audioset": (-4.2677393, 4.5689974),
            "store": (-4.1, 2.9),
            "clip": (raw.mean(), raw.std()),
        }[normalise]
        np.testing.assert_allclose(clip, (raw - mean) / (2 * std), atol=1e-5)
    x[:] = 7
    assert (stored.path / "features.npy").read_bytes() == before


def test_constants_are_applied_in_32_bits_as_numpy_does(stored):
    x, _ = Clips(stored, torch.arange(6), 20, "store", CPU).batch(torch.arange(6))
    plain = stored.features.astype(np.float32) - np.float32(-4.1)
    np.testing.assert_array_equal(x, plain / (2 * np.float32(2.9)))


def test_silence_stays_finite_and_unknown_names_are_refused(tmp_path):
    silent = write(tmp_path / "silent", np.ones((1, 4, 3), np.float16))
    x, _ = Clips(silent, torch.zeros(1), 4, "clip", CPU).batch(torch.tensor([0]))
    assert (x == 0).all()
    with pytest.raises(UserError, match="did you mean 'audioset'"):
        Clips(silent, torch.zeros(1), 4, "audioste", CPU)


def test_cycles_of_different_lengths_are_refused(tmp_path):
    ragged = write(tmp_path / "r", np.ones((5, 3), np.float16), offset=[0, 2], frames=[2, 3])
    with pytest.raises(UserError, match="differ in length"):
        Clips(ragged, torch.zeros(2), 2, "clip", CPU)
