"""SS2D's paths, blur and scan against plain loops and torchvision."""

import math

import numpy as np
import pytest
import torch
from torchvision.transforms.functional import gaussian_blur

from lib.models.ss2d import SS2D, Blur, GaussianBlur, cross_merge, cross_scan

H, W = 3, 5
ROWS = [(h, w) for h in range(H) for w in range(W)]
COLUMNS = [(h, w) for w in range(W) for h in range(H)]
PATHS = [ROWS, COLUMNS, ROWS[::-1], COLUMNS[::-1]]  # in the order in which they are read


def test_four_paths_are_read_and_put_back():
    x = torch.randn(2, 4, H, W)
    y = torch.randn(2, 4, 6, H * W, dtype=torch.float64)
    scanned, expected = cross_scan(x), torch.zeros(2, 6, H, W, dtype=torch.float64)
    assert scanned.shape == (2, 4, 4, H * W)
    for path, places in enumerate(PATHS):
        for i, (h, w) in enumerate(places):
            assert torch.equal(scanned[:, path, :, i], x[:, :, h, w])
            expected[:, :, h, w] += y[:, path, :, i]
    torch.testing.assert_close(cross_merge(y, (H, W)), expected)


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
    for k, places in enumerate(PATHS):
        A = -np.exp(p["A_logs"][k * dim : (k + 1) * dim])  # (D, d_state)
        state = np.zeros_like(A)
        for h, w in places:
            u = b[:, h, w]
            dt, B, C = np.split(p["x_proj_weight"][k] @ u, [rank, rank + A.shape[1]])
            dt = p["dt_projs_weight"][k] @ dt + p["dt_projs_bias"][k]
            dt = np.log1p(np.exp(dt))[:, None]  # softplus
            state = np.exp(dt * A) * state + dt * B * u[:, None]
            y[:, h, w] += state @ C + p["Ds"][k * dim : (k + 1) * dim] * u
    y = (y - y.mean(0)) / np.sqrt(y.var(0) + 1e-5)
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
    y = layer(x).detach()
    assert y.std() > 0.1
    expected = np.stack([plain_ss2d(each.numpy(), parameters, 2) for each in x])
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9)


def test_step_sizes_start_between_one_thousandth_and_one_tenth():
    torch.manual_seed(0)
    layer = SS2D(64)
    dt = torch.nn.functional.softplus(layer.dt_projs_bias.detach())
    assert 0.001 <= dt.min() < 0.0015 and 0.07 < dt.max() <= 0.1
    assert dt.log10().mean() == pytest.approx(-2, abs=0.1)
    assert (-layer.A_logs.exp() == -1).all() and (layer.Ds == 1).all()


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_blur_has_zeros_beyond_the_edge(strength):
    """By hand, and as torchvision's in the interior, which reflects at the edge."""
    x = np.random.default_rng(0).normal(size=(2, 6, 7))
    weight = [math.exp(-(i**2) / 18) for i in range(-2, 3)]
    weight = np.outer(weight, weight) / sum(weight) ** 2
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    blurred = np.empty_like(x)
    for d, h, w in np.ndindex(x.shape):
        blurred[d, h, w] = (weight * padded[d, h : h + 5, w : w + 5]).sum()
    y = GaussianBlur(Blur(strength)).double()(torch.from_numpy(x)[None])
    # the weights are float32 numbers
    np.testing.assert_allclose(y[0], (1 - strength) * x + strength * blurred, atol=1e-7)
    oracle = gaussian_blur(torch.from_numpy(x), [5, 5], [3.0, 3.0])
    np.testing.assert_allclose(blurred[:, 2:-2, 2:-2], oracle[:, 2:-2, 2:-2], atol=1e-7)
    assert not np.allclose(blurred[:, 0], oracle[:, 0])


def test_blur_has_no_parameters_and_is_not_saved():
    plain, blurred = SS2D(16), SS2D(16, Blur())
    assert plain.state_dict().keys() == blurred.state_dict().keys()
    assert len(list(plain.parameters())) == len(list(blurred.parameters()))


@pytest.mark.parametrize("training", [True, False])
def test_blur_comes_between_activation_and_cross_scan_or_before_the_norm(training, monkeypatch):
    x, blur, inputs = torch.randn(1, 16, 6, 6), GaussianBlur(Blur()), []
    after = SS2D(16, Blur(at="after")).train(training)
    scanned = after.scan(torch.nn.functional.silu(after.conv2d(after.in_proj(x))))
    torch.testing.assert_close(after(x), after.out_proj(after.out_norm(blur(scanned))))
    before = SS2D(16, Blur()).train(training)
    monkeypatch.setattr(before, "scan", lambda x: inputs.append(x) or x)
    before(x)
    expected = blur(torch.nn.functional.silu(before.conv2d(before.in_proj(x))))
    torch.testing.assert_close(inputs[0], expected)


def test_blur_in_training_only():
    blur, always = GaussianBlur(Blur(when="training")), GaussianBlur(Blur())
    x = torch.randn(1, 16, 6, 6)
    torch.testing.assert_close(blur.train()(x), always(x))
    assert torch.equal(blur.eval()(x), x)
    assert not torch.equal(always.eval()(x), x)


def test_compiles_as_a_whole():
    torch.manual_seed(0)
    layer = SS2D(32, Blur()).to(memory_format=torch.channels_last)  # dt has rank 2
    x = torch.randn(2, 32, H, W).to(memory_format=torch.channels_last)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    gradients = [
        torch.autograd.grad(run(x).square().sum(), layer.parameters()) for run in (compiled, layer)
    ]
    for value, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(value, expected)
