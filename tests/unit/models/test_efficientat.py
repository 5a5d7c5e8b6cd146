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


class Reference:
    """The published network at 0.4 of its width, on the names of a released state dict."""

    def __init__(self, state: dict) -> None:
        self.state = state

    def conv(self, name, x, outputs, kernel=1, stride=1, act=None):
        weight = self.state[f"{name}.0.weight"]
        assert (len(weight), *weight.shape[2:]) == (eighths(0.4 * outputs), kernel, kernel), name
        groups = x.shape[1] if weight.shape[1] == 1 else 1
        x = conv2d(x, weight, stride=stride, padding=kernel // 2, groups=groups)
        keys = ("running_mean", "running_var", "weight", "bias")
        x = batch_norm(x, *(self.state[f"{name}.1.{key}"] for key in keys), eps=1e-3)
        return act(x) if act else x

    def dense(self, name, x):
        return linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def block(self, name, x, kernel, wide, out, gated, act, stride):
        start, layer, inputs = x, 0, x.shape[1]
        if eighths(0.4 * wide) != inputs:
            x, layer = self.conv(f"{name}.0", x, wide, act=act), 1
        x = self.conv(f"{name}.{layer}", x, wide, kernel, stride, act)
        if gated:
            gate = f"{name}.{layer + 1}.conc_se_layers.0"
            squeezed = relu(self.dense(f"{gate}.fc1", x.mean((2, 3))))
            assert squeezed.shape[1] == eighths(x.shape[1] // 4)
            x = x * torch.sigmoid(self.dense(f"{gate}.fc2", squeezed))[:, :, None, None]
        x = self.conv(f"{name}.{layer + 1 + gated}", x, out)
        return x + start if x.shape == start.shape and stride == 1 else x

    def __call__(self, mel):
        """z (B, 384) of (B, 1, mels, frames)."""
        x = self.conv("features.0", mel, 16, 3, 2, hardswish)
        for i, row in enumerate(TABLE, 1):
            x = self.block(f"features.{i}.block", x, *row)
        return self.conv("features.16", x, 960, act=hardswish).mean((2, 3))


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A random state dict in the layout of EfficientAT's release, saved in its place."""
    torch.manual_seed(0)
    state = {}
    for key, value in build.build_model(MN04, 98, 128, 527).state_dict().items():
        if ".fc" in key:  # linear layers in a list, where torchvision has 1x1 convolutions
            key = key.replace(".fc", ".conc_se_layers.0.fc")
            value = value.flatten(1) if value.ndim > 1 else value
        for ours, theirs in (
            ("trunk.", "features."),
            ("fier.0.", "fier.2."),
            ("fier.3.", "fier.5."),
        ):
            key = key.replace(ours, theirs)
        state[key] = torch.rand_like(value) + 0.5 if value.ndim == 1 else value
    torch.save(state, tmp_path / FILE)
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    return state


def test_equals_the_published_network(state):
    count = sum(v.numel() for k, v in state.items() if "running" not in k and "num_" not in k)
    assert count == 983_599  # as published
    model, reference = build.build_model(MN04, 98, 128).eval(), Reference(state)
    pretrained.load_pretrained(model, MN04, 98, 128)
    x = torch.randn(2, 98, 128)
    with torch.no_grad():
        expected = reference(x.transpose(1, 2)[:, None])
        z = model.features(x)
        logits = model.classifier[3](hardswish(reference.dense("classifier.2", z)))
        torch.testing.assert_close(model(x), logits, rtol=1e-4, atol=1e-5)
    assert z.shape == (2, model.width) == (2, 384)
    torch.testing.assert_close(z, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


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
    report = pretrained.load_pretrained(build.build_model(MN04, 798, 128), MN04, 798, 128)
    assert dict(report.action.value_counts()) == {"loaded": 310, "initialised": 2, "left out": 2}


def test_a_probe_sees_mean_and_maximum_of_three_layers():
    model, maps = build.build_model(MN04, 98, 128).eval(), {}
    for layer in (6, 12, 16):
        hook = lambda _, inputs, output, layer=layer: maps.update({layer: output})  # noqa: E731
        model.trunk[layer].register_forward_hook(hook)
    x = torch.randn(2, 98, 128)
    with torch.no_grad():
        pooled = model.probe_features(x)
    assert pooled.shape == (2, 896)
    flat = [maps[layer].flatten(2) for layer in (6, 12, 16)]
    expected = torch.cat([y for z in flat for y in (z.mean(2), z.max(2).values)], 1)
    torch.testing.assert_close(pooled, expected)
    torch.testing.assert_close(pooled[:, -768:-384], model.features(x).detach())
