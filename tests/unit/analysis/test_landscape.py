"""Curvature, sharpness and slices against exact Hessians, plain loops and a case by hand."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from lib.analysis import landscape
from lib.models import ast
from lib.models.projector import Projector

CLIPS = 37  # batches of 16, 16 and 5
MOVING = ("vit.blocks.0.attn.qkv.bias", "vit.cls_token", "classifier.1.weight")


def network():
    """A tiny network with all that eval mode changes, and clips for it."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, (2, 3)), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Dropout(0.5),
        nn.Linear(3 * 3 * 2, 3),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    for _ in range(3):  # running statistics that differ from a batch's
        model(torch.randn(8, 2, 4, 4) * 2 + 1)
    x, y = torch.randn(CLIPS, 2, 4, 4), torch.randint(0, 3, (CLIPS,))
    return model, x, y + (torch.arange(CLIPS) > 31) * (2 - y)  # the last batch has one class


def transformer():
    """A small AST of which a few hundred weights of several kinds may move."""
    torch.manual_seed(0)
    model = ast.AST("nano", 64, 32, 16, 10, 4)
    for name, w in model.named_parameters():
        nn.init.normal_(w, 1.0 if "norm" in name else 0.0, 0.2)
        w.requires_grad_(name in MOVING)
    return model, torch.randn(5, 64, 32), torch.randint(0, 4, (5,))


CASES = {"network": network, "transformer": transformer}


def exact_eigenvalues(model, x, y):
    """Return all eigenvalues of the Hessian, in float64."""
    model = copy.deepcopy(model).double().eval()
    weights = {name: w.detach() for name, w in model.named_parameters() if w.requires_grad}

    def loss(vector):
        pieces = vector.split([w.numel() for w in weights.values()])
        moved = {n: p.view_as(w) for (n, w), p in zip(weights.items(), pieces, strict=True)}
        return cross_entropy(functional_call(model, moved, (x.double(),)), y)

    vector = torch.cat([w.flatten() for w in weights.values()])
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        hessian = torch.autograd.functional.hessian(loss, vector)
    return torch.linalg.eigvalsh(hessian)


@pytest.mark.parametrize(
    "case, scale", [("network", 1), ("network", 3), ("transformer", 1)], ids=str
)
def test_eigenvalue_is_that_of_the_exact_hessian(case, scale):
    model, x, y = CASES[case]()
    with torch.no_grad():
        for w in model.parameters():
            w *= scale
    values = exact_eigenvalues(model, x, y)
    assert values[-1] > 1.05 * values[-2]  # another one would not pass
    assert scale == 1 or -values[0] > values[-1]  # largest means most positive
    assert landscape.largest_eigenvalue(model, x, y) == pytest.approx(values[-1].item(), rel=1e-2)


def test_no_convergence_is_nan(monkeypatch):
    monkeypatch.setattr(landscape, "TOLERANCE", 1e-12)
    monkeypatch.setattr(landscape, "LANCZOS", 3)
    assert math.isnan(landscape.largest_eigenvalue(*network(), iterations=1))


def mean_loss(model, x, y):
    """Return the mean loss, clip by clip."""
    losses = [cross_entropy(model(x[i : i + 1]), y[i : i + 1]) for i in range(len(x))]
    return sum(losses) / len(losses)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("rho", [0.01, 0.5])
def test_sharpness_against_a_plain_loop(case, rho):
    model, x, y = CASES[case]()
    slow = copy.deepcopy(model).double().eval()
    before = mean_loss(slow, x.double(), y)
    before.backward()
    moving = [w for w in slow.parameters() if w.requires_grad]
    length = sum(w.grad.square().sum() for w in moving).sqrt()
    with torch.no_grad():
        for w in moving:
            w += rho * w.grad / length
        expected = (mean_loss(slow, x.double(), y) - before).item()
    assert expected > 0.5 * rho * length.item()
    assert landscape.sharpness(model, x, y, rho) == pytest.approx(expected, rel=1e-3)


def weights_at(model, call):
    """Return the weights at each evaluation of the loss of one batch."""
    states = []
    hook = model.register_forward_pre_hook(
        lambda module, _: states.append({n: w.clone() for n, w in module.named_parameters()})
    )
    call()
    hook.remove()
    return states


def test_each_filter_moves_by_its_own_length():
    model, x, y = network()
    model[5].weight.data[1] = 0  # a dead filter stays
    original = {name: w.detach().clone() for name, w in model.named_parameters()}
    x, y = x[:4], y[:4]
    back, middle, forth = weights_at(model, lambda: landscape.loss_line(model, x, y, 3, 1.0, 7))
    for name in ("0.weight", "5.weight"):
        for i, weights in enumerate(original[name]):
            step = forth[name][i] - weights
            torch.testing.assert_close(step.norm(), weights.norm())
            torch.testing.assert_close(back[name][i], weights - step)
            torch.testing.assert_close(middle[name][i], weights)
    for name in ("0.bias", "1.weight", "1.bias", "5.bias"):
        assert torch.equal(forth[name], original[name])
    again = weights_at(model, lambda: landscape.loss_line(model, x, y, 3, 1.0, 7))[2]
    other = weights_at(model, lambda: landscape.loss_line(model, x, y, 3, 1.0, 8))[2]
    assert torch.equal(again["0.weight"], forth["0.weight"])
    assert not torch.isclose(other["0.weight"], forth["0.weight"]).any()


def test_line_has_the_loss_itself_in_the_middle():
    model, x, y = network()
    positions, losses = landscape.loss_line(model, x, y, 5, 0.5, 0)
    np.testing.assert_allclose(positions, [-0.5, -0.25, 0, 0.25, 0.5])
    assert positions.dtype == losses.dtype == np.float32 and losses.shape == (5,)
    slow = copy.deepcopy(model).double().eval()
    assert losses[2] == pytest.approx(mean_loss(slow, x.double(), y).item(), rel=1e-6)
    assert len(set(losses)) == 5


def test_plane_is_spanned_by_line_and_another_direction():
    model, x, y = network()
    positions, losses = landscape.loss_plane(model, x, y, 3, 1.0, 4)
    np.testing.assert_allclose(losses[1], landscape.loss_line(model, x, y, 3, 1.0, 4)[1])
    assert losses.shape == (3, 3) and losses.dtype == np.float32
    states = weights_at(model, lambda: landscape.loss_plane(model, x[:4], y[:4], 3, 1.0, 4))
    original = model[0].weight.detach()
    first, second = states[5]["0.weight"] - original, states[7]["0.weight"] - original
    for i in range(3):
        torch.testing.assert_close(second[i].norm(), original[i].norm())
    assert not torch.isclose(first, second).any()
    for row, b in enumerate(positions):
        for column, a in enumerate(positions):
            expected = original + a * first + b * second
            torch.testing.assert_close(states[3 * row + column]["0.weight"], expected)


MEASURES = {
    "eigenvalue": landscape.largest_eigenvalue,
    "sharpness": lambda *case: landscape.sharpness(*case, 0.1),
    "line": lambda *case: landscape.loss_line(*case, 3, 1.0, 0)[1],
    "plane": lambda *case: landscape.loss_plane(*case, 3, 1.0, 0)[1],
}
every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


@every_measure
def test_batches_do_not_matter(measure, monkeypatch):
    model, x, y = network()
    values = []
    for batch in (7, 16, 100):
        monkeypatch.setattr(landscape, "BATCH", batch)
        monkeypatch.setattr(landscape, "PRODUCT_BATCH", batch)
        sizes = []
        hook = model.register_forward_pre_hook(lambda _, x, sizes=sizes: sizes.append(len(x[0])))
        values.append(measure(model, x, y))
        hook.remove()
        assert max(sizes) == min(batch, CLIPS)
    for value in values[:2]:
        np.testing.assert_allclose(value, values[2], rtol=1e-4)


def test_products_of_a_large_model_take_one_clip_at_a_time(monkeypatch):
    """Four clips of AST base need 28 GB."""
    model, x, y = network()
    expected, sizes = landscape.largest_eigenvalue(model, x, y), []
    monkeypatch.setattr(landscape, "LARGE", 1)
    model.register_forward_pre_hook(lambda _, x: sizes.append(len(x[0])))
    assert landscape.largest_eigenvalue(model, x, y) == pytest.approx(expected, rel=1e-2)
    assert set(sizes) == {1}


@every_measure
@pytest.mark.parametrize("case", CASES)
def test_the_model_stays_as_it_was(measure, case):
    model, x, y = CASES[case]()
    model.train()
    next(model.children()).eval()  # modules may differ
    state, parameters = copy.deepcopy(model.state_dict()), list(model.parameters())
    modes = [module.training for module in model.modules()]
    trainable = [w.requires_grad for w in parameters]
    measure(model, x, y)
    with pytest.raises((RuntimeError, AssertionError)):
        measure(model, x[:, :, :1], y)  # fails in the middle
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert [module.training for module in model.modules()] == modes
    assert [w.requires_grad for w in parameters] == trainable
    assert all(w.grad is None for w in parameters)


@every_measure
def test_the_projector_of_a_contrastive_method_does_not_count(measure):
    model, x, y = transformer()
    expected = measure(model, x, y)
    model.projector = Projector(model.width, 16)
    np.testing.assert_array_equal(measure(model, x, y), expected)
    model.register_parameter("unused", nn.Parameter(torch.ones(3)))  # the loss does not see it
    np.testing.assert_allclose(measure(model, x, y), expected, rtol=1e-2)
