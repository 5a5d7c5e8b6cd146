"""mn04 against MobileNetV3's published table, written as plain functions on a release-like file."""

import pytest
import torch
from torch.nn.functional import batch_norm, conv2d, hardswish, linear, relu

from lib import paths
from lib.config import Experiment
from lib.models import build, pretrained, weights

MN04 = Experiment("mn04", model="mn04", init="audioset")
FILE = weights.SOURCES["mn04", "audioset"].file
REAL = (paths.weights_root(), paths.PROJECT.parent / "shared/weights")
# Howard et al. 2019, Table 1: kernel, expansion, output, squeeze-and-excitation, act, stride
TABLE = [
    (3, 16, 16, False, relu, 1), (3, 64, 24, False, relu, 2), (3, 72, 24, False, relu, 1),
    (5, 72, 40, True, relu, 2), (5, 120, 40, True, relu, 1), (5, 120, 40, True, relu, 1),
    (3, 240, 80, False, hardswish, 2), (3, 200, 80, False, hardswish, 1),
    (3, 184, 80, False, hardswish, 1), (3, 184, 80, False, hardswish, 1),
    (3, 480, 112, True, hardswish, 1), (3, 672, 112, True, hardswish, 1),
    (5, 672, 160, True, hardswish, 2), (5, 960, 160, True, hardswish, 1),
    (5, 960, 160, True, hardswish, 1),
]  # fmt: skip


def eighths(channels: float) -> int:
    """The nearest multiple of 8, at least 8, that loses no more than a tenth."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def convolution(state: dict, name: str, inputs: int, outputs: int, kernel: int) -> None:
    state[f"{name}.0.weight"] = torch.randn(outputs, inputs, kernel, kernel) / kernel
    state |= {f"{name}.1.{key}": torch.rand(outputs) + 0.5 for key in ("weight", "running_var")}
    state |= {f"{name}.1.{key}": torch.randn(outputs) for key in ("bias", "running_mean")}
    state[f"{name}.1.num_batches_tracked"] = torch.tensor(7)


def dense(state: dict, name: str, inputs: int, outputs: int) -> None:
    state[f"{name}.weight"] = torch.randn(outputs, inputs) / inputs**0.5
    state[f"{name}.bias"] = torch.randn(outputs)


def release(width: float = 0.4) -> dict:
    """A random state dict in the layout of EfficientAT's release."""
    torch.manual_seed(0)
    state: dict = {}
    channels = eighths(16 * width)
    convolution(state, "features.0", 1, channels, 3)
    for i, (kernel, wide, out, gated, _, _) in enumerate(TABLE, 1):
        wide, out, layer = eighths(wide * width), eighths(out * width), 0
        if wide != channels:
            convolution(state, f"features.{i}.block.0", channels, wide, 1)
            layer = 1
        convolution(state, f"features.{i}.block.{layer}", 1, wide, kernel)
        if gated:
            gate, squeezed = f"features.{i}.block.{layer + 1}.conc_se_layers.0", eighths(wide // 4)
            dense(state, f"{gate}.fc1", wide, squeezed)
            dense(state, f"{gate}.fc2", squeezed, wide)
        convolution(state, f"features.{i}.block.{layer + 1 + gated}", wide, out, 1)
        channels = out
    convolution(state, "features.16", channels, 6 * channels, 1)
    dense(state, "classifier.2", 6 * channels, eighths(1280 * width))
    dense(state, "classifier.5", eighths(1280 * width), 527)
    return state


def apply(state: dict, name: str, x: torch.Tensor, stride: int = 1, act=None) -> torch.Tensor:
    kernel = state[f"{name}.0.weight"]
    groups = x.shape[1] if kernel.shape[1] == 1 else 1
    x = conv2d(x, kernel, stride=stride, padding=kernel.shape[2] // 2, groups=groups)
    mean, variance = state[f"{name}.1.running_mean"], state[f"{name}.1.running_var"]
    x = batch_norm(x, mean, variance, state[f"{name}.1.weight"], state[f"{name}.1.bias"], eps=1e-3)
    return act(x) if act else x


def apply_dense(state: dict, name: str, x: torch.Tensor) -> torch.Tensor:
    return linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def reference(state: dict, mel: torch.Tensor) -> torch.Tensor:
    """z (B, 384) of (B, 1, mels, frames) by the published table."""
    x = apply(state, "features.0", mel, 2, hardswish)
    for i, (_, _, _, gated, act, stride) in enumerate(TABLE, 1):
        start, layer = x, 0
        if f"features.{i}.block.{2 + gated}.0.weight" in state:
            x, layer = apply(state, f"features.{i}.block.0", x, act=act), 1
        x = apply(state, f"features.{i}.block.{layer}", x, stride, act)
        if gated:
            name = f"features.{i}.block.{layer + 1}.conc_se_layers.0"
            gate = relu(apply_dense(state, f"{name}.fc1", x.mean((2, 3))))
            x = x * torch.sigmoid(apply_dense(state, f"{name}.fc2", gate))[:, :, None, None]
        x = apply(state, f"features.{i}.block.{layer + 1 + gated}", x)
        x = x + start if x.shape == start.shape and stride == 1 else x
    return apply(state, "features.16", x, act=hardswish).mean((2, 3))


@pytest.fixture
def state(tmp_path, monkeypatch):
    state = release()
    torch.save(state, tmp_path / FILE)
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    return state


def test_equals_the_published_network(state):
    count = sum(v.numel() for k, v in state.items() if "running" not in k and "num_" not in k)
    assert count == 983_599  # as published
    model = build.build_model(MN04, 98, 128).eval()
    pretrained.load_pretrained(model, MN04, 98, 128)
    x = torch.randn(2, 98, 128)
    with torch.no_grad():
        expected = reference(state, x.transpose(1, 2)[:, None])
        z = model.features(x)
        logits = model.classifier[3](hardswish(apply_dense(state, "classifier.2", z)))
    assert z.shape == (2, model.width) == (2, 384)
    torch.testing.assert_close(z, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    torch.testing.assert_close(model(x), logits, rtol=1e-4, atol=1e-5)


def test_only_the_last_layer_is_new(state):
    report = pretrained.load_pretrained(build.build_model(MN04, 98, 128), MN04, 98, 128)
    new = report[report.action != "loaded"].set_index("key").action
    actions = {"classifier.3": "initialised", "classifier.5": "left out"}
    assert dict(new) == {f"{k}.{kind}": actions[k] for k in actions for kind in ("weight", "bias")}


def gradients() -> list[bytes]:
    torch.manual_seed(3)
    model = build.build_model(MN04, 98, 128)
    model(torch.randn(4, 98, 128)).square().sum().backward()
    return [p.grad.contiguous().numpy().tobytes() for p in model.parameters()]


def test_channels_last_is_deterministic():
    model, outputs = build.build_model(MN04, 98, 128), []
    model.trunk[5].register_forward_hook(lambda _, __, output: outputs.append(output))
    model(torch.randn(2, 98, 128))
    for values in (model.trunk[2].block[0][0].weight, outputs[0]):
        assert values.is_contiguous(memory_format=torch.channels_last)
    assert gradients() == gradients()


def test_released_file(monkeypatch):
    root = next((root for root in REAL if (root / FILE).exists()), None)
    if root is None:
        pytest.skip(f"no released weights: put {FILE} into weights/")
    monkeypatch.setenv("WEIGHTS_ROOT", str(root))
    model = build.build_model(MN04, 798, 128)
    report = pretrained.load_pretrained(model, MN04, 798, 128)
    assert dict(report.action.value_counts()) == {"loaded": 310, "initialised": 2, "left out": 2}
