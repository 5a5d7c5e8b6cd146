"""CNNs against torchvision's networks and a plain-loop CNN6."""

import numpy as np
import pytest
import torch
import torchvision
from timm.layers import DropPath
from torchvision.ops import StochasticDepth

from lib.config import Experiment
from lib.errors import UserError
from lib.models import build as models_build

# Trainable parameters as published, of the 3-channel networks with 1,000 classes.
SIZES = {
    "resnet18": 11_689_512, "efficientnet_b0": 5_288_548, "efficientnet_lite0": 4_652_008,
}  # fmt: skip


def build(name: str, frames: int = 98, mels: int = 64) -> torch.nn.Module:
    torch.manual_seed(0)
    return models_build.build_model(Experiment(name, model=name), frames, mels)


@pytest.mark.parametrize("name", [*SIZES, "cnn6"])
def test_logits_are_the_classifier_of_features(name):
    model = build(name).eval()
    x = torch.randn(2, 98, 64)
    with torch.no_grad():
        z = model.features(x)
        assert z.shape == (2, model.width) and model(x).shape == (2, 4)
        assert torch.equal(model(x), model.classifier(z))
    assert isinstance(model.classifier, torch.nn.Linear)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_the_published_ones(name):
    model = build(name)
    stem = next(model.trunk.parameters())
    assert stem.shape[1] == 1
    change = -2 * stem.numel() - 996 * (model.width + 1)  # two channels and 996 classes fewer
    assert sum(p.numel() for p in model.parameters()) == SIZES[name] + change


def test_resnet18_equals_torchvision_on_untransposed_input():
    model = build("resnet18").eval()
    oracle = torchvision.models.resnet18()
    oracle.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    oracle.fc = torch.nn.Identity()
    oracle.load_state_dict(model.trunk.state_dict())
    x = torch.randn(2, 98, 64)
    with torch.no_grad():
        expected = oracle.eval()(x[:, None])  # (B, 1, frames, mels)
        torch.testing.assert_close(model.features(x), expected, atol=1e-5, rtol=1e-4)
        assert not torch.allclose(oracle(x.transpose(1, 2)[:, None]), expected, atol=1e-3)


def test_stochastic_depth_is_torchvisions():
    layers = build("efficientnet_b0").modules()
    oracle = torchvision.models.efficientnet_b0().modules()
    rates = [layer.drop_prob for layer in layers if isinstance(layer, DropPath)]
    expected = [layer.p for layer in oracle if isinstance(layer, StochasticDepth) and layer.p > 0]
    np.testing.assert_allclose(rates, expected, atol=1e-9)


def plain_convolution(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(B, C, H, W) with a (D, C, 5, 5) kernel and zeros outside, as a loop over the kernel."""
    height, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    out = 0
    for i, j in np.ndindex(5, 5):
        window = padded[:, :, i : i + height, j : j + width]
        out = out + np.einsum("bchw,dc->bdhw", window, kernel[:, :, i, j])
    return out


def plain_norm(x: np.ndarray, state: dict, name: str, axis: int) -> np.ndarray:
    shape = [1] * x.ndim
    shape[axis] = -1
    keys = ("running_mean", "running_var", "weight", "bias")
    mean, variance, weight, bias = (state[f"{name}.{key}"].reshape(shape) for key in keys)
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def plain_cnn6(x: np.ndarray, state: dict) -> np.ndarray:
    """z (B, 512) of (B, frames, mels) after Kong et al. 2020, in float64."""
    x = plain_norm(x, state, "bn0", axis=2)[:, None]  # (B, 1, frames, mels)
    for block in ("conv_block1", "conv_block2", "conv_block3", "conv_block4"):
        x = plain_convolution(x, state[f"{block}.conv1.weight"])
        x = np.maximum(plain_norm(x, state, f"{block}.bn1", axis=1), 0)
        even = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
        x = (even[:, :, ::2] + even[:, :, 1::2]) / 2
        x = (x[..., ::2] + x[..., 1::2]) / 2
    x = x.mean(3)
    x = x.max(2) + x.mean(2)
    return np.maximum(x @ state["fc1.weight"].T + state["fc1.bias"], 0)


def test_cnn6_equals_a_plain_loop():
    model = build("cnn6", frames=37, mels=32).eval()
    for key, value in model.state_dict().items():
        if "bn" in key and value.ndim:
            value.uniform_(0.5, 1.5)  # other statistics than those of a new network
    x = torch.randn(2, 37, 32)
    state = {key: value.numpy().astype(np.float64) for key, value in model.state_dict().items()}
    expected = plain_cnn6(x.numpy().astype(np.float64), state)
    assert expected.std() > 0.01
    with torch.no_grad():
        np.testing.assert_allclose(model.features(x), expected, atol=1e-4 * expected.max())


def test_cnn6_has_dropout_in_training_only():
    model, x = build("cnn6", frames=32, mels=32), torch.randn(2, 32, 32)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_cnn2_is_the_published_small_network():
    """Hu et al. 2023, Table III: convolutions of 2 and 64 filters, layers of 256 and 32."""
    model = models_build.build_model(Experiment("x", model="cnn2", size="2-64-256-32"), 187, 64)
    features = 64 * (187 // 4) * (64 // 4)  # after two poolings of 2 x 2
    layers = ((9, 2), (9 * 2, 64), (features, 256), (256, 32), (32, 4))
    assert sum(p.numel() for p in model.parameters()) == sum((n + 1) * m for n, m in layers)
    x = torch.randn(3, 187, 64)
    z = model.features(x)
    assert z.shape == (3, model.width) == (3, 32) and (z >= 0).all()
    assert torch.equal(model(x), model.classifier(z))
    with pytest.raises(UserError, match="'2-64': cnn2 needs filters and hidden widths"):
        models_build.build_model(Experiment("x", model="cnn2", size="2-64"), 187, 64)
