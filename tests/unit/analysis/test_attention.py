"""Attention maps against transformers' AST, rollout against a plain loop in float64."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import ASTConfig, ASTForAudioClassification

from lib.analysis import attention
from lib.models import ast

FRAMES, MELS, GRID = 58, 36, (3, 5)  # the last 2 frames are under no patch
POOLS = ("special", "all")


@pytest.fixture(params=POOLS)
def case(request, tmp_path):
    """A small AST of transformers' and ours with the same weights, clips, and the pool."""
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128,
        num_mel_bins=MELS, max_length=FRAMES, layer_norm_eps=1e-6, attn_implementation="eager",
    )  # fmt: skip
    oracle = ASTForAudioClassification(config).eval()
    for parameter in oracle.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    oracle.save_pretrained(tmp_path)  # under the names that files on the hub have
    model = ast.AST("nano", FRAMES, MELS, 16, 10, 4, request.param)
    state = ast.rename(load_file(tmp_path / "model.safetensors"))
    kept = model.load_state_dict(state, strict=False)
    assert all(key.startswith("classifier.") for key in kept.missing_keys)
    return oracle, model, torch.randn(3, FRAMES, MELS), request.param


def heads_mean(oracle, x):
    """Each block's attention (blocks, B, N, N) in float64."""
    with torch.no_grad():
        found = oracle(x, output_attentions=True).attentions
    return torch.stack(found).double().mean(2).numpy()


def on_grid(matrix, pool):
    """What z's tokens read of each patch (F, T), of a matrix (N, N)."""
    found = np.zeros(GRID)
    readers = range(2) if pool == "special" else range(len(matrix))
    for f in range(GRID[0]):
        for t in range(GRID[1]):
            found[f, t] = np.mean([matrix[reader, 2 + f * GRID[1] + t] for reader in readers])
    return found / found.sum()


def test_last_is_what_transformers_gives(case):
    oracle, model, x, pool = case
    assert model.grid == GRID
    expected = np.stack([on_grid(one, pool) for one in heads_mean(oracle, x)[-1]])
    assert expected.std(axis=(1, 2)).min() > 0.01  # the comparison is not one of flat maps
    found = attention.attention_maps(model, x)["last"]
    assert found.shape == (3, *GRID)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rollout_against_a_plain_loop(case):
    oracle, model, x, pool = case
    blocks = heads_mean(oracle, x)
    expected = []
    for clip in range(3):
        rollout = np.eye(17)
        for matrix in blocks[:, clip]:  # Abnar & Zuidema 2020, Eq. 1: the newest on the left
            mixed = 0.5 * matrix + 0.5 * np.eye(17)
            rollout = (mixed / mixed.sum(1, keepdims=True)) @ rollout
        expected.append(on_grid(rollout, pool))
    found = attention.attention_maps(model, x)["rollout"]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)
    last = attention.attention_maps(model, x)["last"]
    assert (found - last).abs().max() > 0.01


def test_maps_are_those_of_the_model_as_it_answers(case):
    _, model, x, _ = case
    model.train().classifier.insert(0, torch.nn.Dropout(0.5))
    logits = []
    model.register_forward_hook(lambda _, __, found: logits.append(found))
    maps = attention.attention_maps(model, x)
    for found in maps.values():
        torch.testing.assert_close(found.sum((1, 2)), torch.ones(3))
        assert not found.requires_grad
    torch.testing.assert_close(logits[0], model.eval()(x), atol=1e-5, rtol=1e-4)


def test_the_model_stays_as_it_was(case):
    _, model, x, _ = case
    model.train()
    model.vit.blocks[1].eval()  # parts may differ
    model.vit.blocks[1].attn.fused_attn = False
    state, modes = copy.deepcopy(model.state_dict()), [p.training for p in model.modules()]
    fused = [block.attn.fused_attn for block in model.vit.blocks]
    assert fused == [True, False]
    attention.attention_maps(model, x)
    with pytest.raises(RuntimeError):
        attention.attention_maps(model, x[:, :40])  # fewer patches than positions
    with pytest.raises(ZeroDivisionError), attention._recorded(model):
        raise ZeroDivisionError
    assert [block.attn.fused_attn for block in model.vit.blocks] == fused
    assert not any(block.attn.attn_drop._forward_hooks for block in model.vit.blocks)
    assert [p.training for p in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@pytest.mark.parametrize("stride", [10, 16, 20])
def test_a_pixel_is_the_mean_of_its_patches(stride):
    frames, mels = 75, 50
    rows, columns = ast.grid(frames, mels, 16, stride)
    found = torch.rand(rows, columns)
    drawn = attention.to_spectrogram(found, frames, mels, 16, stride)
    assert drawn.shape == (frames, mels)
    for frame in range(frames):
        for mel in range(mels):
            over = [
                found[f, t].item()
                for f in range(rows)
                for t in range(columns)
                if f * stride <= mel < f * stride + 16 and t * stride <= frame < t * stride + 16
            ]
            expected = np.mean(over) if over else np.nan
            assert drawn[frame, mel].item() == pytest.approx(expected, rel=1e-5, nan_ok=True)
    assert drawn.isnan().any()
