"""Attention maps against transformers' AST, rollout against a plain loop in float64."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import ASTConfig, ASTForAudioClassification

from lib import files
from lib.analysis import attention
from lib.config import Experiment
from lib.data import ICBHI, synthetic
from lib.evaluation.scores import cycle_ids
from lib.models import ast
from lib.runs import folder
from lib.runs.folder import RunSpec

FRAMES, MELS, GRID = 58, 36, (3, 5)  # no patch covers the last 2 frames


@pytest.fixture(params=["special", "all"])
def case(request, tmp_path):
    """A small AST of transformers' and ours with the same weights, clips, and the pooling."""
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128,
        num_mel_bins=MELS, max_length=FRAMES, layer_norm_eps=1e-6, attn_implementation="eager",
    )  # fmt: skip
    reference = ASTForAudioClassification(config).eval()
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    reference.save_pretrained(tmp_path)  # under the names that files on the hub have
    model = ast.AST("nano", FRAMES, MELS, 16, 10, 4, request.param)
    state = ast.rename(load_file(tmp_path / "model.safetensors"))
    missing = model.load_state_dict(state, strict=False).missing_keys
    assert all(key.startswith("classifier.") for key in missing)
    return reference, model, torch.randn(3, FRAMES, MELS), request.param


def heads_mean(reference, x):
    """Return each block's attention (blocks, B, N, N) in float64."""
    with torch.no_grad():
        attentions = reference(x, output_attentions=True).attentions
    return torch.stack(attentions).double().mean(2).numpy()


def on_grid(matrix, pool):
    """Return the attention of z's tokens to each patch (F, T) from a matrix (N, N)."""
    readers = range(2) if pool == "special" else range(len(matrix))
    grid = np.array(
        [
            [np.mean([matrix[reader, 2 + f * GRID[1] + t] for reader in readers]) for t in range(5)]
            for f in range(3)
        ]
    )
    return grid / grid.sum()


def test_last_is_what_transformers_gives(case):
    reference, model, x, pool = case
    assert model.grid == GRID
    expected = np.stack([on_grid(matrix, pool) for matrix in heads_mean(reference, x)[-1]])
    assert expected.std(axis=(1, 2)).min() > 0.01  # the maps are not flat
    maps = attention.attention_maps(model, x)["last"]
    np.testing.assert_allclose(maps, expected, atol=1e-5)  # float32 against float64


def test_rollout_against_a_plain_loop(case):
    reference, model, x, pool = case
    blocks = heads_mean(reference, x)
    expected = []
    for clip in range(3):
        rollout = np.eye(17)
        for matrix in blocks[:, clip]:  # Abnar & Zuidema 2020, Eq. 1: the newest on the left
            mixed = 0.5 * matrix + 0.5 * np.eye(17)
            rollout = (mixed / mixed.sum(1, keepdims=True)) @ rollout
        expected.append(on_grid(rollout, pool))
    maps = attention.attention_maps(model, x)
    np.testing.assert_allclose(maps["rollout"], np.stack(expected), atol=1e-5)
    assert (maps["rollout"] - maps["last"]).abs().max() > 0.01


def test_maps_come_from_the_model_in_eval_mode_and_it_stays_as_it_was(case):
    _, model, x, _ = case
    model.train().classifier.insert(0, torch.nn.Dropout(0.5))
    model.vit.blocks[1].eval()  # modules may differ
    model.vit.blocks[1].attn.fused_attn = False
    expected = copy.deepcopy(model).eval()(x)
    state, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    logits = []
    handle = model.register_forward_hook(lambda _, __, output: logits.append(output))
    for maps in attention.attention_maps(model, x).values():
        torch.testing.assert_close(maps.sum((1, 2)), torch.ones(3))
        assert not maps.requires_grad
    handle.remove()
    torch.testing.assert_close(logits[0], expected.detach(), atol=1e-5, rtol=1e-4)
    with pytest.raises(RuntimeError):
        attention.attention_maps(model, x[:, :40])  # fewer patches than positions
    assert [block.attn.fused_attn for block in model.vit.blocks] == [True, False]
    assert not any(block.attn.attn_drop._forward_hooks for block in model.vit.blocks)
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@pytest.mark.parametrize("stride", [10, 16, 20])
def test_a_pixel_is_the_mean_of_its_patches(stride):
    frames, mels = 75, 50
    rows, columns = ast.grid(frames, mels, 16, stride)
    patches = torch.rand(rows, columns)
    spectrogram = attention.to_spectrogram(patches, frames, mels, 16, stride)
    assert spectrogram.shape == (frames, mels) and spectrogram.isnan().any()
    for frame in range(frames):
        for mel in range(mels):
            over = [
                patches[f, t].item()
                for f in range(rows)
                for t in range(columns)
                if f * stride <= mel < f * stride + 16 and t * stride <= frame < t * stride + 16
            ]
            expected = np.mean(over) if over else np.nan
            assert spectrogram[frame, mel].item() == pytest.approx(expected, rel=1e-5, nan_ok=True)


SETTINGS = {"pad_frames": 64, "patch": 16, "stride": 16}
METHODS = {"plain": "ast_geo/wrs", "SAM": "ast_geo/wrs_sam"}


@pytest.fixture
def results(small_cache, monkeypatch):
    """Two runs that saved attention to a cycle of 40 frames, padded to 64: 2 x 4 patches."""
    monkeypatch.setattr(attention, "clip_frames", lambda experiment: 40)
    rows = []
    for name in METHODS.values():
        spec = RunSpec(Experiment(name, **SETTINGS), 1, "f", "")
        run = folder.start_run(spec, {"name": "x"}, "")
        rollout = np.zeros((1, 2, 4))
        rollout[0, 1, 3] = 1  # high mels, at the end: nothing but zeros
        arrays = {
            "attention/cycle": cycle_ids(small_cache.cycles)[-2:-1],
            "attention/last": np.full((1, 2, 4), 1 / 8),
            "attention/rollout": rollout,
        }
        folder.write_arrays(run / folder.ANALYSIS, arrays)
        files.write_json(run / "result.json", {})
        rows.append({"experiment": name, "seed": 1, "path": str(run)})
    return pd.DataFrame(rows)


def test_maps_lie_over_the_spectrogram_and_its_padding(results, small_cache):
    (example,) = attention.load_examples(results, METHODS, lambda experiment: small_cache)
    assert example.label == "wheeze" and example.cycle.endswith(":2")
    assert example.spectrogram.shape == (64, 32) and example.frames == 40
    np.testing.assert_array_equal(example.spectrogram[:40], small_cache.features[-2])
    assert not example.spectrogram[40:].any()
    assert list(example.maps) == ["plain: last", "plain: rollout", "SAM: last", "SAM: rollout"]
    rollout = example.maps["SAM: rollout"]
    assert (rollout[48:, 16:] == 1).all() and rollout.sum() == 16 * 16


def test_shares_of_attention_on_padding(results):
    table = attention.attention_on_padding(results, METHODS)
    assert table.iloc[0].tolist() == ["plain", "25.0", "25.0", "100.0"]  # of 0 16 32 48: 48 >= 40


def test_without_saved_attention_or_features_there_is_no_example(results):
    assert attention.load_examples(results, METHODS, lambda experiment: None) == []
    nothing = results.assign(path=None)
    assert attention.load_examples(nothing, METHODS, None) == []
    assert attention.attention_on_padding(nothing, METHODS).empty


def test_sounds_are_the_annotated_seconds(tmp_path):
    synthetic.write_icbhi(tmp_path, patients=6, cycles=3)
    dataset = ICBHI.open(tmp_path)
    cycle = dataset.load().iloc[1]
    name, image = f"{cycle.recording}:{cycle.cycle}", np.zeros((1, 1))
    for frames, samples in ((20, 20 * 160), (9999, 16000 * (cycle.end - cycle.start))):
        (sound,) = attention.AttentionExample(name, "", image, {}, frames).sounds(dataset)
        assert len(sound) == pytest.approx(samples, abs=1)
    features_only = ICBHI(tmp_path, "none")
    assert attention.AttentionExample(name, "", image, {}, 20).sounds(features_only) == []
