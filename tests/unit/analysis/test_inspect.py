"""What a run keeps of its landscape and attention: checked by hand, and no number changes."""

import numpy as np
import pandas as pd
import pytest
import torch
from small_runs import BASE
from torch.nn.functional import cross_entropy

from lib import files, models
from lib.analysis import inspect
from lib.config import override
from lib.runs import folder as runs_folder
from lib.training import dataset, trainer

SMALL = override(BASE, epochs=1)


def make(folder, store, experiment):
    files.write_json(folder / "experiment.json", {"seed": 1})
    trainer.fit(experiment, 1, store, 40, folder)
    return folder


@pytest.fixture
def few(monkeypatch):
    for name, value in (("CLIPS", 6), ("LINE_STEPS", 3), ("PLANE_STEPS", 3)):
        monkeypatch.setattr(inspect, name, value)


def test_a_run_keeps_it_and_its_numbers_stay_the_same(small_store, tmp_path, few):
    plain = make(tmp_path / "plain", small_store, SMALL)
    kept = make(tmp_path / "kept", small_store, override(SMALL, save_landscape=True))
    assert inspect.read_analysis(plain) is None
    for name in ("history.csv", "result.json"):
        assert (plain / name).read_bytes() == (kept / name).read_bytes()
    found = inspect.read_analysis(kept)
    assert found["clips"] == 6 and found["line/loss"].shape == (3,)
    assert found["plane/loss"].shape == (3, 3) and found["plane/position"].tolist() == [-1, 0, 1]
    assert found["loss"] == found["line/loss"][1]
    assert np.isfinite([found["eigenvalue"], found["sharpness"]]).all()
    assert found["attention/last"].shape == found["attention/rollout"].shape == (4, 4, 5)
    np.testing.assert_allclose(found["attention/last"].sum(axis=(1, 2)), 1, atol=1e-5)


def test_the_loss_is_that_of_the_same_training_clips_in_evaluation_mode(small_store, few):
    torch.manual_seed(0)
    model = models.build(SMALL, 40, 32)
    codes = np.tile(np.arange(4), 12)
    loaded = dataset.load(small_store, codes, 40, "dataset", torch.device("cpu"))
    sets = {"train": np.arange(32), "test": np.arange(32, 48)}
    found = inspect.look(model, loaded, small_store.cycles, sets, "label")
    rows = np.sort(np.random.default_rng(0).permutation(32)[:6])
    x = torch.from_numpy(small_store.features[rows].astype(np.float32)) / 2  # mean 0, std 1
    model.eval()
    with torch.no_grad():
        expected = cross_entropy(model(x), torch.from_numpy(codes[rows]))
    assert found["loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_responses_are_those_of_the_same_test_clips(small_store, tmp_path):
    """Park and Kim's curve of each block by NumPy, on test clips drawn alike for every run."""
    kept = make(tmp_path / "kept", small_store, override(SMALL, save_frequency_response=True))
    plain = make(tmp_path / "plain", small_store, SMALL)
    for name in ("history.csv", "result.json"):
        assert (plain / name).read_bytes() == (kept / name).read_bytes()
    layers = ["patches", "block 0", "block 1"]
    keys = [
        f"spectrum/{name}/{kind}" for name in layers for kind in ("frequency", "diagonal", "map")
    ]
    assert list(inspect.read_analysis(kept)) == keys
    torch.manual_seed(0)
    model = models.build(SMALL, 40, 32).train()  # it is put into evaluation mode
    loaded = dataset.load(small_store, np.zeros(48, int), 40, "dataset", torch.device("cpu"))
    found = inspect.responses(model, loaded, {"test": np.arange(10, 48)})
    assert not model.training
    rows = 10 + np.sort(np.random.default_rng(0).permutation(38)[:16])
    x = torch.from_numpy(small_store.features[rows].astype(np.float32)) / 2  # mean 0, std 1
    tokens = model.embed(x).flatten(2).transpose(1, 2)
    special = torch.cat([model.vit.cls_token, model.vit.dist_token], 1).expand(16, -1, -1)
    with torch.no_grad():
        tokens = model.vit.blocks[0](torch.cat([special, tokens], 1) + model.vit.pos_embed)
    maps = tokens[:, 2:].reshape(16, 4, 5, -1).numpy()  # 4 x 5 patches
    amplitude = np.log(np.abs(np.fft.fft2(maps, axes=(1, 2))) + 1e-6).mean((0, 3))
    expected = [amplitude[0, 0], amplitude[1, 1], amplitude[2, 2]]  # 0, 1/2 and 1 of 2 and 2.5
    np.testing.assert_allclose(
        found["spectrum/block 0/diagonal"], np.array(expected) - expected[0], atol=1e-3
    )
    assert found["spectrum/block 0/frequency"].tolist() == [0, 0.5, 1]
    assert found["spectrum/block 0/map"].tolist() == [4, 5]


def test_shown_are_the_longest_cycles_of_different_patients():
    test = pd.DataFrame(
        [
            ("a", "crackle", 3.0), ("a", "crackle", 2.9), ("b", "crackle", 2.0),
            ("c", "crackle", 1.0), ("c", "wheeze", 1.5), ("c", "normal", 9.0),
        ],
        columns=["patient", "label", "end"], index=[10, 11, 12, 13, 14, 15],
    ).assign(start=0.0)  # fmt: skip
    assert inspect._shown(test, "label").tolist() == [10, 12, 14]


def test_it_is_published_with_the_record(small_store, tmp_path, few):
    kept = make(tmp_path / "kept", small_store, override(SMALL, save_landscape=True))
    (copy,) = runs_folder.publish([kept])
    found, published = inspect.read_analysis(kept), inspect.read_analysis(copy)
    assert found.keys() == published.keys()
    assert all(np.array_equal(found[key], published[key]) for key in found)
