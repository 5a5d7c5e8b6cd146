"""Each method's loss and gradients against the paper written out with a toy model."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.config import Experiment, override
from lib.errors import UserError
from lib.models.projector import Projector
from lib.training import augment, losses, methods

CL = Experiment("cl", method="patchmix_cl", class_weights=False)
SHAPE = (40, 32)  # frames, mels


class Toy(nn.Module):
    """Patches of 4 x 4, embedded and averaged after a non-linearity; double precision."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(1, 6, 4, 4)
        self.grid = 8, 10
        self.classifier = nn.Linear(6, 4)
        self.projector = Projector(6, 5)
        self.double()

    def embed(self, x):
        return self.patches(x.transpose(1, 2)[:, None])  # (B, 6, F, T)

    def encode(self, grid):
        return torch.tanh(grid).mean(dim=(2, 3))

    def features(self, x):
        return self.encode(self.embed(x))

    def forward(self, x):
        return self.classifier(self.features(x))


class Tied(Toy):
    """The same with a batch norm, which ties the clips of a batch.

    It comes after the mean: before it, mixed clips would have the statistics of clean ones.
    """

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(6).double()

    def encode(self, grid):
        return self.norm(super().encode(grid))


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(6, *SHAPE, generator=generator, dtype=torch.float64)
    return x, torch.tensor([0, 1, 2, 3, 0, 1])


def step(experiment, model, batch, seed=5, weight=None):
    """The loss of a method on one batch, its logs, and what was sampled for it."""
    method = methods.build_method(experiment, model, SHAPE, weight)
    sampled = method.sample(np.random.default_rng(seed), len(batch[0]))
    return *method.loss(model, batch, sampled), sampled


def assert_same(loss, model, expected, reference):
    """Loss and gradients of a step are those of a plain computation."""
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    gradients = {name: p.grad for name, p in model.named_parameters()}
    for name, p in reference.named_parameters():
        torch.testing.assert_close(gradients[name], p.grad, rtol=1e-8, atol=1e-12, msg=name)


def plain_contrastive(model, grid, z_target, mix, tau, y=None):
    """Eq. 2 row by row; y: labels, for negatives of another label only."""
    mixed, total = grid.clone(), 0.0
    for f, t in np.ndindex(8, 10):
        if mix.mask[f, t]:
            mixed[:, :, f, t] = grid[mix.index][:, :, f, t]
    h_mix = model.projector(model.encode(mixed))
    for i in range(len(grid)):
        s = torch.stack([F.cosine_similarity(h_mix[i], z, dim=0) for z in z_target]) / tau
        in_denominator = torch.ones(len(grid), dtype=torch.bool) if y is None else y != y[i]
        in_denominator[i] = in_denominator[mix.index[i]] = True
        positive = mix.lam * s[i] + (1 - mix.lam) * s[mix.index[i]]
        total = total - (positive - torch.logsumexp(s[in_denominator], 0)) / len(grid)
    return total


VARIANTS = [
    {}, {"mix": "t_patch"}, {"mix": "f_patch"}, {"negatives": "diff_y"}, {"target": "z"},
    {"target": "stop(h(z))"}, {"target": "h(z)"}, {"tau": 0.2, "alpha": 0.5, "beta": 0.2},
]  # fmt: skip


@pytest.mark.parametrize("changes", VARIANTS)
def test_patchmix_cl_loss_and_gradients(changes, batch):
    e, (x, y) = override(CL, **changes), batch
    ours, plain = Toy(), Toy()
    loss, logs, sampled = step(e, ours, batch)
    grid = plain.embed(x)
    z = plain.encode(grid)
    targets = {"z": z, "stop(z)": z.detach()}
    if "h(z)" in e.target:
        targets = {"h(z)": plain.projector(z), "stop(h(z))": plain.projector(z).detach()}
    labels = y if e.negatives == "diff_y" else None
    cl = plain_contrastive(plain, grid, targets[e.target], sampled["mix"], e.tau, labels)
    assert_same(loss, ours, F.cross_entropy(plain.classifier(z), y) + e.alpha * cl, plain)
    assert loss.item() == pytest.approx((logs["ce"] + e.alpha * logs["cl"]).item())


@pytest.mark.parametrize("tied", [False, True])
def test_dual_axis_is_ce_and_one_term_for_each_axis(tied, batch):
    """In a single pass, and in three if a batch norm ties clips."""
    ours, plain = Toy(), Toy()
    if tied:
        ours.unused = nn.BatchNorm1d(2)
    loss, logs, sampled = step(override(CL, method="dual_axis_cl", tau=0.2), ours, batch)
    time, frequency = sampled["time"], sampled["frequency"]
    assert set(time.mask.sum(0).tolist()) == {0, 8}
    assert set(frequency.mask.sum(1).tolist()) == {0, 10}
    assert time.lam != frequency.lam and not torch.equal(time.index, frequency.index)
    grid = plain.embed(batch[0])
    z = plain.encode(grid)
    cl = [plain_contrastive(plain, grid, z.detach(), mix, 0.2) for mix in (time, frequency)]
    assert_same(loss, ours, F.cross_entropy(plain.classifier(z), batch[1]) + sum(cl), plain)
    assert loss.item() == pytest.approx((logs["ce"] + logs["cl"]).item())


def test_axes_are_mixed_in_contiguous_stretches_if_asked_for():
    rng, contiguous = np.random.default_rng(0), {}
    for setting in (False, True):
        experiment = override(CL, method="dual_axis_cl", contiguous=setting)
        method = methods.build_method(experiment, Toy(), SHAPE, None)
        samples = [method.sample(rng, 4) for _ in range(30)]
        lines = [s["time"].mask.all(0).int() for s in samples]
        lines += [s["frequency"].mask.all(1).int() for s in samples]
        edges = [line.diff(prepend=torch.zeros(1), append=torch.zeros(1)) for line in lines]
        contiguous[setting] = all(edge.abs().sum() <= 2 for edge in edges)  # one stretch, or none
    assert contiguous == {False: False, True: True}


@pytest.mark.parametrize("model", [Toy, Tied])
@pytest.mark.parametrize("method", ["patchmix_ce", "patchmix_cl"])
@pytest.mark.parametrize("mix_at", ["tokens", "input"])
def test_mixes_of_tokens_and_of_the_input(model, method, mix_at, batch):
    """With a batch norm clean and mixed clips take two passes: one would mix their statistics."""
    (x, y), model = batch, model()
    loss, _, sampled = step(override(CL, method=method, mix_at=mix_at), model, batch)
    mix = sampled["mix"]
    assert mix.mask.shape == ((8, 10) if mix_at == "tokens" else (2, 3))
    if mix_at == "tokens":
        z, z_mix = (
            model.encode(g) for g in (model.embed(x), augment.mix_grid(model.embed(x), mix))
        )
    else:
        z, z_mix = model.features(x), model.features(augment.mix_input(x, mix))
    if method == "patchmix_ce":
        logits = model.classifier(z_mix)
        own, foreign = F.cross_entropy(logits, y), F.cross_entropy(logits, y[mix.index])
        expected = mix.lam * own + (1 - mix.lam) * foreign
    else:
        h_mix, target = model.projector(z_mix), z.detach()
        cl = losses.patch_mix_contrastive(h_mix, target, mix.index, mix.lam, 0.06)
        expected = F.cross_entropy(model.classifier(z), y) + cl
    torch.testing.assert_close(loss, expected)


def test_mixing_tokens_needs_a_model_that_has_them():
    with pytest.raises(UserError, match="Linear has no patch embeddings; use mix_at = input"):
        methods.build_method(CL, nn.Linear(2, 2), SHAPE, None)


@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_are_used_only_if_asked_for(weighted, batch):
    model, weight = Toy(), torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    loss, *_ = step(Experiment("ce", class_weights=weighted), model, batch, weight=weight)
    weight = weight[batch[1]] if weighted else torch.ones(6)
    log_share = F.log_softmax(model(batch[0]), 1)[range(6), batch[1]]
    torch.testing.assert_close(loss, -(weight * log_share).sum() / weight.sum())


def test_a_step_can_be_taken_twice_with_the_same_mix(batch):
    first, again, other = (step(CL, Toy(), batch, seed)[0] for seed in (9, 9, 10))
    assert first == again != other


@pytest.mark.parametrize(
    ("method", "mix_at"),
    [
        ("ce", "tokens"),
        ("patchmix_ce", "input"),
        ("dual_axis_cl", "tokens"),
        ("dual_axis_cl", "input"),
    ],
)
def test_a_step_is_one_graph_without_waiting_for_the_host(method, mix_at, batch):
    """torch.compile refuses a graph that reads a number from the device; results stay equal."""
    e = override(CL, method=method, mix_at=mix_at, negatives="diff_y", target="h(z)")
    model = Toy()
    built = methods.build_method(e, model, SHAPE, None)
    sampled = built.sample(np.random.default_rng(5), 6)
    compiled = torch.compile(built.loss, backend="aot_eager", fullgraph=True)
    results = [loss(model, batch, sampled)[0] for loss in (compiled, built.loss)]
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("method", ["ce", "mixup"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixup_and_label_smoothing_by_hand(method, smoothing, batch):
    """Smoothed targets are 0.9 of the label and 0.1 spread evenly over the four classes."""
    e = Experiment("s", method=method, class_weights=False, label_smoothing=smoothing)
    model, (x, y) = Toy(), batch
    loss, _, sampled = step(e, model, batch)
    target = F.one_hot(y, 4) * (1 - smoothing) + smoothing / 4
    if method == "mixup":
        index, lam = sampled["mixup"]
        x = torch.stack([lam * x[i] + (1 - lam) * x[index[i]] for i in range(6)])
        target = lam * target + (1 - lam) * target[index]
    torch.testing.assert_close(loss, -(target * model(x).log_softmax(1)).sum(1).mean())


def test_supcon_has_two_views_of_every_clip(batch):
    model, e = Toy(), Experiment("s", method="supcon", tau=0.1)
    loss, logs, _ = step(e, model, batch)
    h = model.projector(model.features(batch[0]))
    torch.testing.assert_close(loss, losses.supervised_contrastive(h, batch[1], 0.1, 0.07))
    assert logs["supcon"] == loss
    assert [methods.build_method(each, model, SHAPE, None).views for each in (e, CL)] == [2, 1]
