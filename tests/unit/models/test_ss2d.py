"""SS2D's paths, blur and scan against plain loops and torchvision."""

import math

import numpy as np
import pytest
import torch
from torchvision.transforms.functional import gaussian_blur

from lib.models.ss2d import SS2D, Blur, GaussianBlur, cross_merge, cross_scan

H, W = 3, 5


def paths():
    """Positions (row, column) of the four paths in the order in which they are read."""
    rows = [(h, w) for h in range(H) for w in range(W)]
    columns = [(h, w) for w in range(W) for h in range(H)]
    return [rows, columns, rows[::-1], columns[::-1]]


def test_cross_scan_reads_four_paths():
    x = torch.randn(2, 4, H, W)
    read = cross_scan(x)
    assert read.shape == (2, 4, 4, H * W)
    for path, places in enumerate(paths()):
        for at, (h, w) in enumerate(places):
            assert torch.equal(read[:, path, :, at], x[:, :, h, w])


def test_cross_merge_lays_four_paths_back_and_adds_them():
    y = torch.randn(2, 4, 6, H * W, dtype=torch.float64)
    expected = torch.zeros(2, 6, H, W, dtype=torch.float64)
    for path, places in enumerate(paths()):
        for at, (h, w) in enumerate(places):
            expected[:, :, h, w] += y[:, path, :, at]
    torch.testing.assert_close(cross_merge(y, (H, W)), expected)


def softplus(x):
    return np.log1p(np.exp(x))


def plain_ss2d(x, p, rank):
    """SS2D on one map (D, H, W) in float64, position by position; p: parameters by name."""
    dim = len(x)
    a = np.einsum("ed,dhw->ehw", p["in_proj.weight"][:, :, 0, 0], x)
    b = np.zeros_like(a)
    for h, w, i, j in np.ndindex(H, W, 3, 3):
        if 0 <= h + i - 1 < H and 0 <= w + j - 1 < W:
            b[:, h, w] += p["conv2d.weight"][:, 0, i, j] * a[:, h + i - 1, w + j - 1]
    b = b / (1 + np.exp(-b))  # SiLU
    y = np.zeros_like(b)
    for k, places in enumerate(paths()):
        A = -np.exp(p["A_logs"][k * dim : (k + 1) * dim])  # (D, d_state)
        state = np.zeros_like(A)
        for h, w in places:
            u = b[:, h, w]
            mixed = p["x_proj_weight"][k] @ u
            dt, B, C = np.split(mixed, [rank, rank + A.shape[1]])
            dt = softplus(p["dt_projs_weight"][k] @ dt + p["dt_projs_bias"][k])[:, None]
            state = np.exp(dt * A) * state + dt * B * u[:, None]
            y[:, h, w] += state @ C + p["Ds"][k * dim : (k + 1) * dim] * u
    mean, variance = y.mean(0), y.var(0)
    y = (y - mean) / np.sqrt(variance + 1e-5)
    y = p["out_norm.weight"][:, None, None] * y + p["out_norm.bias"][:, None, None]
    return np.einsum("ed,dhw->ehw", p["out_proj.weight"][:, :, 0, 0], y)


@pytest.mark.parametrize("states", [1, 3])
def test_ss2d_equals_a_plain_loop(states):
    torch.manual_seed(0)
    layer = SS2D(20, states=states).double()  # dt has rank 2
    for parameter in layer.parameters():  # also those that start at 0 and 1
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 20, H, W, dtype=torch.float64)
    parameters = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    found = layer(x).detach()
    assert found.std() > 0.1
    for one, y in zip(x, found, strict=True):
        np.testing.assert_allclose(y, plain_ss2d(one.numpy(), parameters, 2), rtol=1e-9, atol=1e-9)


def test_step_sizes_start_between_one_thousandth_and_one_tenth():
    torch.manual_seed(0)
    layer = SS2D(64)
    dt = torch.nn.functional.softplus(layer.dt_projs_bias.detach())
    assert 0.001 <= dt.min() < 0.0015 and 0.07 < dt.max() <= 0.1
    assert dt.log10().mean() == pytest.approx(-2, abs=0.1)
    assert (-layer.A_logs.exp() == -1).all() and (layer.Ds == 1).all()


def test_blur_is_torchvisions_in_the_interior():
    x = torch.randn(2, 3, 12, 15, dtype=torch.float64)
    found = GaussianBlur(Blur()).double()(x)
    expected = gaussian_blur(x, [5, 5], [3.0, 3.0])
    torch.testing.assert_close(found[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2])
    assert not torch.allclose(found[..., 0, :], expected[..., 0, :])  # it reflects at the edge


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_blur_has_zeros_beyond_the_edge(strength):
    x = np.random.default_rng(0).normal(size=(2, 4, 7))
    weight = [math.exp(-(i**2) / 18) for i in range(-2, 3)]
    weight = np.outer(weight, weight) / sum(weight) ** 2
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    expected = np.empty_like(x)
    for d, h, w in np.ndindex(x.shape):
        blurred = (weight * padded[d, h : h + 5, w : w + 5]).sum()
        expected[d, h, w] = (1 - strength) * x[d, h, w] + strength * blurred
    found = GaussianBlur(Blur(strength)).double()(torch.from_numpy(x)[None])
    np.testing.assert_allclose(found[0], expected, atol=1e-7)  # weights are float32 numbers


def test_blur_learns_nothing_and_is_not_saved():
    plain, blurred = SS2D(16), SS2D(16, Blur())
    assert plain.state_dict().keys() == blurred.state_dict().keys()
    assert len(list(plain.parameters())) == len(list(blurred.parameters()))


@pytest.mark.parametrize("training", [True, False])
def test_blur_comes_between_activation_and_cross_scan(training, monkeypatch):
    layer = SS2D(16, Blur()).train(training)
    seen = []
    monkeypatch.setattr(layer, "scan", lambda x: seen.append(x) or x)
    x = torch.randn(1, 16, 6, 6)
    layer(x)
    before = torch.nn.functional.silu(layer.conv2d(layer.in_proj(x)))
    torch.testing.assert_close(seen[0], GaussianBlur(Blur())(before))


def test_blur_after_the_scan_comes_before_the_norm(monkeypatch):
    layer = SS2D(16, Blur(at="after"))
    x = torch.randn(1, 16, 6, 6)
    scanned = layer.scan(torch.nn.functional.silu(layer.conv2d(layer.in_proj(x))))
    expected = layer.out_proj(layer.out_norm(GaussianBlur(Blur())(scanned)))
    torch.testing.assert_close(layer(x), expected)


def test_blur_in_training_alone():
    blur, x = GaussianBlur(Blur(when="training")), torch.randn(1, 16, 6, 6)
    torch.testing.assert_close(blur.train()(x), GaussianBlur(Blur())(x))
    assert torch.equal(blur.eval()(x), x)
    assert not torch.equal(GaussianBlur(Blur()).eval()(x), x)


def test_compiles_as_a_whole():
    torch.manual_seed(0)
    layer = SS2D(32, Blur()).to(memory_format=torch.channels_last)  # dt has rank 2
    x = torch.randn(2, 32, H, W).to(memory_format=torch.channels_last)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    gradients = [
        torch.autograd.grad(run(x).square().sum(), layer.parameters()) for run in (compiled, layer)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
