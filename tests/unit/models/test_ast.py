"""AST against transformers' ASTModel, and the positional embedding against a plain loop."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import ASTConfig, ASTForAudioClassification

from lib.config import Experiment
from lib.errors import UserError
from lib.models import ast, build, pretrained, weights

NANO = Experiment("nano", size="nano", init="imagenet+audioset", pos_embed="aligned")


def test_facts_of_the_paper():
    assert ast.grid(798, 128, 16, 10) == (12, 79) and 12 * 79 == 948
    model = build.build_model(Experiment("base"), 798, 128)
    assert model.vit.pos_embed.shape == (1, 950, 768)
    assert 85e6 < sum(p.numel() for p in model.parameters()) < 87e6  # "about 86 M"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A small random AST, saved by transformers in the place of the real file."""
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128,
        num_mel_bins=128, max_length=158, layer_norm_eps=1e-6, num_labels=527,
    )  # fmt: skip
    oracle = ASTForAudioClassification(config).eval()
    for parameter in oracle.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    oracle.save_pretrained(tmp_path)
    source = weights.SOURCES["ast-base", "imagenet+audioset"]
    (tmp_path / "model.safetensors").rename(tmp_path / source.file)
    monkeypatch.setitem(weights.SOURCES, ("ast-nano", "imagenet+audioset"), source)
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    return oracle, tmp_path / source.file


def test_equals_transformers(published):
    oracle, path = published
    with safe_open(path, "pt") as file:  # the layout of the file on the hub
        prefix = "audio_spectrogram_transformer."
        assert f"{prefix}encoder.layer.1.attention.attention.query.weight" in set(file.keys())
    model = build.build_model(NANO, 158, 128).eval()
    report = pretrained.load_pretrained(model, NANO, 158, 128)
    x = torch.randn(3, 158, 128)
    with torch.no_grad():
        expected = oracle.audio_spectrogram_transformer(x).pooler_output
        z = model.features(x)
    assert expected.std() > 0.1  # zeros would be equal too
    assert (z - expected).abs().max() < 1e-5
    loaded = report[report.key.str.startswith("vit.")]
    assert set(loaded.action) == {"loaded"} and len(loaded) == len(model.vit.state_dict())
    kinds = [f"{layer}.{kind}" for layer in ("dense", "layernorm") for kind in ("weight", "bias")]
    left_out = report[report.action == "left out"].key
    assert set(left_out) == {f"classifier.{kind}" for kind in kinds}


def test_audioset_file_fits_a_shorter_clip(published):
    model = build.build_model(NANO, 98, 128)
    row = pretrained.load_pretrained(model, NANO, 98, 128).set_index("key").loc["vit.pos_embed"]
    assert (row.action, row.how) == ("resized", "12 x 15 to 12 x 9")
    assert (row.shape_from, row.shape_to) == ("1 x 182 x 32", "1 x 110 x 32")
    file = published[0].audio_spectrogram_transformer.embeddings.position_embeddings
    middle = file[0, 2:].reshape(12, 15, 32)[:, 3:12].reshape(-1, 32)
    assert torch.equal(model.vit.pos_embed[0, 2:], middle)


def test_embed_is_a_grid_of_overlapping_patches():
    torch.manual_seed(0)
    model = build.build_model(Experiment("x", size="nano"), 98, 128)
    x = torch.randn(2, 98, 128)
    patches = model.embed(x)
    assert patches.shape == (2, 32, 12, 9)
    f, t = 7, 4  # frequency row, time column
    patch = x[1, t * 10 : t * 10 + 16, f * 10 : f * 10 + 16].T  # (16 mels, 16 frames)
    kernel, bias = model.vit.patch_embed.proj.weight, model.vit.patch_embed.proj.bias
    expected = (kernel[:, 0] * patch).sum((1, 2)) + bias
    torch.testing.assert_close(patches[1, :, f, t], expected, atol=1e-5, rtol=1e-4)


def test_encode_adds_positions_with_time_running_fastest():
    """Moving an offset from one patch to its position changes nothing."""
    torch.manual_seed(0)
    model = build.build_model(Experiment("x", size="nano"), 98, 128).eval()
    x = torch.randn(2, 98, 128)
    patches = model.embed(x)
    assert torch.equal(model(x), model.classifier(model.encode(patches)))
    offset, f, t = torch.randn(32), 5, 3
    with torch.no_grad():
        before = model.encode(patches)
        model.vit.pos_embed[0, 2 + f * 9 + t] += offset
        patches[:, :, f, t] -= offset
        torch.testing.assert_close(model.encode(patches), before, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("frames", "settings", "message"),
    [
        (15, {}, "15 frames x 128 mels .* raise clip_seconds"),
        (798, {"size": "bas"}, "did you mean 'base'"),
        (798, {"model": "astt"}, "unknown model 'astt'"),
    ],
)
def test_too_short_clips_and_unknown_names_are_errors(frames, settings, message):
    with pytest.raises(UserError, match=message):
        build.build_model(Experiment("x", **settings), frames, 128)


def middle_or_linear(line: np.ndarray, length: int) -> np.ndarray:
    """Plain float64 reference for one axis: (rows, D) -> (length, D)."""
    rows = len(line)
    if length <= rows:
        start = rows // 2 - length // 2
        return line[start : start + length]
    out = np.empty((length, line.shape[1]))
    for i in range(length):
        at = min(max((i + 0.5) * rows / length - 0.5, 0), rows - 1)  # half-pixel centres
        low = int(at)
        high = min(low + 1, rows - 1)
        out[i] = line[low] * (1 - (at - low)) + line[high] * (at - low)
    return out


@pytest.mark.parametrize("rows, columns", [(12, 101), (24, 24)])  # AudioSet, DeiT at 384
@pytest.mark.parametrize("order", ["official", "aligned"])
def test_positions_equal_a_plain_loop(rows, columns, order):
    source = np.random.default_rng(0).normal(size=(rows, columns, 3))
    size = (79, 12) if order == "official" else (12, 79)
    step = np.stack([middle_or_linear(source[r], size[1]) for r in range(rows)])
    step = np.stack([middle_or_linear(step[:, c], size[0]) for c in range(size[1])], axis=1)
    positions = np.concatenate([np.full((2, 3), 7.0), source.reshape(-1, 3)])[None]
    given_rows = 12 if rows == 12 else None
    resized, action, _ = ast.resize_positions(torch.tensor(positions), given_rows, (12, 79), order)
    assert resized.shape == (1, 950, 3) and action == "resized"
    np.testing.assert_allclose(resized[0, 2:], step.reshape(-1, 3), atol=1e-12)
    assert (resized[0, :2] == 7).all()


@pytest.mark.parametrize("order", ["official", "aligned"])
def test_official_order_keeps_frequency_and_destroys_time(order):
    rows, columns = np.mgrid[:12, :101]
    source = torch.tensor(np.stack([rows, columns], -1), dtype=torch.float64).reshape(1, -1, 2)
    positions = torch.cat([torch.zeros(1, 2, 2, dtype=torch.float64), source], 1)
    resized = ast.resize_positions(positions, 12, (12, 79), order)[0][0, 2:]  # (948, 2)
    frequency, time = np.mgrid[:12, :79].reshape(2, -1)  # of the token that gets the position
    correlations = [
        np.corrcoef(resized[:, i], true)[0, 1] for i, true in ((0, frequency), (1, time))
    ]
    expected = (0.997, 0.000) if order == "official" else (1, 1)
    np.testing.assert_allclose(correlations, expected, atol=1e-3)


@pytest.mark.parametrize("pool", ["special", "all"])
def test_z_is_the_mean_of_two_tokens_or_of_all(pool):
    torch.manual_seed(0)
    model, tokens = ast.AST("nano", 40, 32, 16, 16, 4, pool=pool), []
    model.vit.norm.register_forward_hook(lambda *args: tokens.append(args[2]))
    z = model.features(torch.randn(3, 40, 32))
    assert tokens[0].shape == (3, 2 + 2 * 2, 32)
    torch.testing.assert_close(z, (tokens[0][:, :2] if pool == "special" else tokens[0]).mean(1))


def test_the_geometry_aware_head_is_one_linear_layer():
    experiment = Experiment("geo", size="nano", pool="all", head="linear", dropout=0.3)
    dropout, linear = build.build_model(experiment, 98, 128).classifier
    assert isinstance(dropout, torch.nn.Dropout) and dropout.p == 0.3
    assert isinstance(linear, torch.nn.Linear) and linear.weight.shape == (4, 32)
    norm, _ = build.build_model(Experiment("plain", size="nano"), 98, 128).classifier
    assert isinstance(norm, torch.nn.LayerNorm)
