"""What a run saves of its trained model: checked by hand, and no other number changes."""

import numpy as np
import pandas as pd
import pytest
import torch
from small_runs import BASE
from torch.nn.functional import cross_entropy

from lib import files
from lib.analysis import curves as analysis_curves
from lib.analysis import inspect
from lib.config import override
from lib.models import build
from lib.runs import folder
from lib.training import dataset, trainer

SMALL = override(BASE, epochs=1)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    for name, value in (("CLIPS", 6), ("LINE_STEPS", 3), ("PLANE_STEPS", 3)):
        monkeypatch.setattr(inspect, name, value)


def test_a_run_saves_its_analyses_and_its_numbers_stay_the_same(small_cache, tmp_path):
    runs = {}
    saving = {"save_landscape": True, "save_frequency_response": True}
    for name, settings in {"plain": {}, "saved": saving}.items():
        runs[name] = tmp_path / name
        files.write_json(runs[name] / "experiment.json", {"seed": 1})
        experiment = override(SMALL, **settings)
        hook = {"on_train_end": inspect.inspect_model}
        trainer.fit(experiment, 1, small_cache, 40, runs[name], **hook)
    assert analysis_curves.read_analysis(runs["plain"]) == {}
    for name in ("history.csv", "result.json"):
        assert (runs["plain"] / name).read_bytes() == (runs["saved"] / name).read_bytes()
    saved = analysis_curves.read_analysis(runs["saved"])
    assert saved["line/loss"].shape == (3,)
    assert saved["plane/loss"].shape == (3, 3) and saved["plane/position"].tolist() == [-1, 0, 1]
    assert saved["loss"] == saved["line/loss"][1]
    assert np.isfinite([saved["eigenvalue"], saved["sharpness"]]).all()
    assert saved["attention/last"].shape == saved["attention/rollout"].shape == (4, 4, 5)
    np.testing.assert_allclose(saved["attention/last"].sum(axis=(1, 2)), 1, atol=1e-5)
    layers, kinds = ("patches", "block 0", "block 1"), ("frequency", "diagonal", "map")
    keys = [f"spectrum/{layer}/{kind}" for layer in layers for kind in kinds]
    assert [key for key in saved if key.startswith("spectrum")] == keys
    paths = {"experiment": "a", "seed": [2, 1], "path": [str(runs[name]) for name in runs]}
    assert list(analysis_curves.load_analyses(pd.DataFrame(paths), "a")) == [1]
    assert folder.ANALYSIS in folder.RECORD  # it is published with the record


@pytest.fixture
def trained(small_cache):
    """A model in training mode, the small cache as a dataset, and its labels."""
    torch.manual_seed(0)
    labels = np.tile(np.arange(4), 12)
    clips = dataset.load_dataset(small_cache, labels, 40, "dataset", torch.device("cpu"))
    return build.build_model(SMALL, 40, 32).train(), clips, labels


def inputs(small_cache, rows):
    return torch.from_numpy(small_cache.features[rows].astype(np.float32)) / 2  # mean 0, std 1


def test_the_loss_is_that_of_the_same_training_clips_in_eval_mode(small_cache, trained):
    model, clips, labels = trained
    splits = {"train": np.arange(32), "test": np.arange(32, 48)}
    experiment = override(SMALL, save_landscape=True)
    saved = inspect.inspect_model(model, clips, small_cache.cycles, splits, experiment)
    rows = np.sort(np.random.default_rng(0).permutation(32)[:6])
    with torch.no_grad():
        logits = model.eval()(inputs(small_cache, rows))
    expected = cross_entropy(logits, torch.from_numpy(labels[rows]))
    assert saved["loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_responses_are_those_of_the_same_test_clips(small_cache, trained):
    """Park and Kim's curve of a block by NumPy, on test clips sampled alike for every run."""
    model, clips, _ = trained
    experiment = override(SMALL, save_frequency_response=True)
    splits = {"test": np.arange(10, 48)}
    saved = inspect.inspect_model(model, clips, small_cache.cycles, splits, experiment)
    assert not model.training
    rows = 10 + np.sort(np.random.default_rng(0).permutation(38)[:16])
    with torch.no_grad():
        tokens = model.embed(inputs(small_cache, rows)).flatten(2).transpose(1, 2)
        special = torch.cat([model.vit.cls_token, model.vit.dist_token], 1).expand(16, -1, -1)
        tokens = model.vit.blocks[0](torch.cat([special, tokens], 1) + model.vit.pos_embed)
    maps = tokens[:, 2:].reshape(16, 4, 5, -1).numpy()  # 4 x 5 patches
    amplitude = np.log(np.abs(np.fft.fft2(maps, axes=(1, 2))) + 1e-6).mean((0, 3))
    expected = amplitude[[0, 1, 2], [0, 1, 2]] - amplitude[0, 0]  # 0, 1/2 and 1 of 2 and 2.5
    np.testing.assert_allclose(saved["spectrum/block 0/diagonal"], expected, atol=1e-3)
    assert saved["spectrum/block 0/frequency"].tolist() == [0, 0.5, 1]
    assert saved["spectrum/block 0/map"].tolist() == [4, 5]


def test_examples_are_the_longest_cycles_of_different_patients():
    rows = [("a", "crackle", 3.0), ("a", "crackle", 2.9), ("b", "crackle", 2.0)]
    rows += [("c", "crackle", 1.0), ("c", "wheeze", 1.5), ("c", "normal", 9.0)]
    test = pd.DataFrame(rows, range(10, 16), ["patient", "label", "end"]).assign(start=0.0)
    assert inspect._example_rows(test, "label").tolist() == [10, 12, 14]


def test_points_of_figures_are_those_that_runs_saved(tmp_path):
    lines = []
    for seed in (1, 2, 3):
        path, level = tmp_path / f"run-{seed}", float(seed)
        arrays = {"line/position": np.array([-1.0, 1.0]), "line/loss": np.array([level, 0.0])}
        arrays |= {"plane/position": np.array([-1.0, 1.0]), "plane/loss": np.full((2, 2), level)}
        arrays |= {"spectrum/block 0/frequency": np.array([0.0, 1.0])}
        arrays |= {"spectrum/block 0/diagonal": np.array([0.0, -level])}
        arrays |= {"spectrum/block 0/map": np.array([2, 9])}
        path.mkdir()
        if seed < 3:  # the third saved nothing
            folder.write_arrays(path / folder.ANALYSIS, arrays)
        lines += [("a", seed, selection, str(path)) for selection in ("test", "last")]
    results = pd.DataFrame(lines, columns=["experiment", "seed", "selection", "path"])
    methods = {"SAM": "a", "plain": "b"}
    curves = analysis_curves.response_curves(results, methods)
    assert curves.amplitude.tolist() == [0, -1, 0, -2] and set(curves["map"]) == {"2 x 9"}
    assert analysis_curves.loss_lines(results, methods).loss.tolist() == [1, 0, 2, 0]
    position, losses = analysis_curves.loss_planes(results, methods)
    assert position.tolist() == [-1, 1] and losses["SAM"].tolist() == [[1, 1], [1, 1]]
    assert list(losses) == ["SAM"] and analysis_curves.loss_planes(results, {})[1] == {}
    for points in (analysis_curves.response_curves, analysis_curves.loss_lines):
        assert points(results, {"plain": "b"}).empty
