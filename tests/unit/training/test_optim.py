"""SAM by hand, the moving average as half the step, and the schedule."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lib.config import Experiment
from lib.models import build
from lib.training import methods, optim

ADAM = Experiment("x", lr=0.05, weight_decay=1e-2)  # moving average 0.5
SGD = Experiment("x", optimizer="sgd", lr=0.1, weight_decay=0.0)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()


@pytest.fixture
def batches():
    """Six batches of 16 samples with labels."""
    torch.manual_seed(1)
    return list(zip(torch.randn(6, 16, 6).double(), torch.randint(0, 3, (6, 16)), strict=True))


def take(model, optimizer, loss, **sam):
    scaler = sam.pop("scaler", torch.amp.GradScaler(enabled=False))
    return optim.step(model, optimizer, scaler, loss, **sam)


def train(model, optimizer, batches, **sam):
    for x, y in batches:
        logs = take(model, optimizer, lambda x=x, y=y: (cross_entropy(model(x), y), {}), **sam)
    return logs


def assert_same_state(model, reference, **tolerance):
    for key, value in reference.state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], value, msg=key, **tolerance)


@pytest.mark.parametrize("rho", [0.0, 0.1])
def test_moving_average_is_half_the_step(batches, rho):
    """The official code averages all weights with a copy from before each step, SAM's as well."""
    official, ours, epochs = network(), network(), 4
    whole = torch.optim.Adam(official.parameters(), lr=0.05, weight_decay=1e-2)
    half = optim.build_optimizer(ours, ADAM)
    scheduler = optim.build_scheduler(half, replace(ADAM, epochs=epochs), 1)
    for epoch in range(1, epochs + 1):
        floor = 0.05 * 1e-3
        rate = floor + (0.05 - floor) * (1 + math.cos(math.pi * epoch / epochs)) / 2
        whole.param_groups[0]["lr"] = rate
        assert optim.learning_rate(half, ADAM) == pytest.approx(rate, rel=1e-12)
        for batch in batches:
            before = copy.deepcopy(official.state_dict())
            train(official, whole, [batch], rho=rho)
            for key, value in official.state_dict().items():
                if value.is_floating_point():
                    value.copy_(0.5 * before[key] + 0.5 * value)
        train(ours, half, batches, rho=rho)
        scheduler.step()
    assert_same_state(ours, official, rtol=0, atol=1e-12)


def test_schedules():
    """floor + (1 - floor) (1 + cos(pi t / T)) / 2 from t = 1 to T = 50, floor 1e-3; or constant."""
    assert optim.cosine(1, 50) == pytest.approx(0.99901435, abs=1e-8)
    assert optim.cosine(25, 50) == pytest.approx(0.5005)
    assert optim.cosine(50, 50) == pytest.approx(1e-3)
    optimizer = optim.build_optimizer(network(), SGD)
    scheduler = optim.build_scheduler(optimizer, replace(SGD, schedule="constant"), 1)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    assert optim.learning_rate(optimizer, SGD) == 0.1


def test_one_cycle_rises_to_lr_and_falls_to_nothing():
    """Smith and Topin 2019 as PyTorch has it: lr/25, cosine to lr at 30%, cosine to lr/25e4."""
    experiment = replace(ADAM, schedule="onecycle", epochs=5)
    optimizer = optim.build_optimizer(network(), experiment)
    scheduler, rates = optim.build_scheduler(optimizer, experiment, 4), []
    for _ in range(20):
        rates.append(optim.learning_rate(optimizer, experiment) / experiment.lr)
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(1 / 25) and rates[-1] == pytest.approx(1 / 25e4)
    assert rates[5] == pytest.approx(1) == max(rates)  # the peak: step 0.3 x 20 - 1
    assert rates[12] == pytest.approx((1 + math.cos(math.pi / 2)) / 2, abs=1e-4)  # halfway down


def test_sgd_has_momentum(batches):
    model = network()
    optimizer, start, gradients = optim.build_optimizer(model, SGD), model[3].bias.clone(), []
    for batch in batches[:2]:  # momentum 0.9: the second step adds 0.9 of the first
        train(model, optimizer, [batch])
        gradients.append(model[3].bias.grad.clone())
    moved = 0.1 * gradients[0] + 0.1 * (0.9 * gradients[0] + gradients[1])
    torch.testing.assert_close(model[3].bias, start - moved)


class Bowl(nn.Module):
    """The loss a w0^2 / 2 + b w1^2 / 2."""

    def __init__(self, w, curvature):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))
        self.curvature = torch.tensor(curvature, dtype=torch.float64)

    def forward(self):
        return (self.curvature * self.w**2).sum() / 2


def step_in_bowl(w, factors=(1, 1), **sam):
    """One step of SGD in a bowl; factors: of the loss in the first and second pass."""
    bowl, factors = Bowl(w, [1.0, 2.0]), iter(factors)
    optimizer = torch.optim.SGD(bowl.parameters(), lr=0.1)
    logs = take(bowl, optimizer, lambda: (bowl() * next(factors), {}), rho=0.5, **sam)
    return bowl.w.tolist(), logs


def test_one_step_of_sam_on_a_quadratic_by_hand():
    # g = (1 * 3, 2 * 2) = (3, 4), |g| = 5, e = 0.5 g / 5 = (0.3, 0.4); there g = (3.3, 4.8)
    w, logs = step_in_bowl([3.0, 2.0])
    assert w == pytest.approx([3.0 - 0.33, 2.0 - 0.48], abs=1e-12)
    assert logs["loss"] == pytest.approx(4.5 + 4.0)  # 3^2 / 2 + 2^2
    assert logs["sharpness_gap"] == pytest.approx(3.3**2 / 2 + 2.4**2 - 8.5)


def test_one_step_of_adaptive_sam_by_hand():
    # |w| g = (9, 8), its norm sqrt(145); e = 0.5 w^2 g / sqrt(145) = 0.5 (27, 16) / sqrt(145)
    w, _ = step_in_bowl([3.0, -2.0], adaptive=True)
    up = [0.5 * 27 / math.sqrt(145), -0.5 * 16 / math.sqrt(145)]
    assert w == pytest.approx([3 - 0.1 * (3 + up[0]), -2 - 0.1 * 2 * (-2 + up[1])], abs=1e-12)


@pytest.mark.parametrize(
    ("factors", "expected"),  # the same step; no step; a plain step
    [((1, 1), [2.67, 1.52]), ((1, math.inf), [3.0, 2.0]), ((math.inf, 1), [2.7, 1.6])],
)
def test_a_loss_scale_cancels_and_an_overflow_skips_the_step(factors, expected):
    """fp16's loss scale, on a CPU."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    assert step_in_bowl([3.0, 2.0], factors, scaler=scaler)[0] == pytest.approx(expected, abs=1e-9)


def test_a_radius_of_zero_is_torchs_adamw_bit_for_bit(batches):
    plain, ours = network(), network()
    alone = torch.optim.AdamW(plain.parameters(), lr=0.1, weight_decay=0.3)
    e = Experiment("x", optimizer="adamw", lr=0.1, weight_decay=0.3, moving_average=0.0)
    for x, y in batches:
        alone.zero_grad()
        cross_entropy(plain(x), y).backward()
        alone.step()
    assert set(train(ours, optim.build_optimizer(ours, e), batches, rho=0.0)) == {"loss"}
    assert_same_state(ours, plain, rtol=0, atol=0)


def test_a_tiny_radius_leaves_only_the_second_gradient(batches):
    """Two passes at almost the same place: the same steps, so weights and buffers came back."""
    plain, sam = network(), network()
    for model, rho in ((plain, 0.0), (sam, 1e-14)):
        train(model, torch.optim.SGD(model.parameters(), lr=0.1), batches, rho=rho)
    assert_same_state(sam, plain, rtol=1e-10, atol=1e-12)


def test_batch_norm_statistics_move_once_a_step(batches):
    model = network()
    train(model, torch.optim.SGD(model.parameters(), lr=0.0), batches[:1], rho=0.5)
    hidden = model[0](batches[0][0])
    torch.testing.assert_close(model[1].running_mean, 0.1 * hidden.mean(0))
    torch.testing.assert_close(model[1].running_var, 0.9 + 0.1 * hidden.var(0))
    assert model[1].num_batches_tracked == 1


def test_frozen_and_unused_weights_stay_where_they_are(batches):
    model = network()
    model[0].requires_grad_(False)
    model.unused = nn.Linear(2, 2)
    model.forward = lambda x: model[3](model[2](model[1](model[0](x))))
    before = copy.deepcopy(model.state_dict())
    train(model, optim.build_optimizer(model, SGD), batches[:1], rho=0.1)
    for key in ("0.weight", "unused.weight", "3.weight"):
        assert torch.equal(model.state_dict()[key], before[key]) == (key != "3.weight")


def test_the_ascent_step_of_scaled_infinite_and_zero_gradients():
    weights = [torch.tensor([1.0, -2.0]), torch.tensor([[3.0]])]
    gradients = [torch.tensor([0.5, 1.0]), torch.tensor([[2.0]])]
    for adaptive in (False, True):
        once = optim.ascent_step(weights, gradients, 0.05, adaptive)
        scaled = optim.ascent_step(weights, [65536 * g for g in gradients], 0.05, adaptive)
        torch.testing.assert_close(once, scaled)
        for bad, other in ((math.inf, 1.0), (math.nan, 1.0), (0.0, 0.0)):
            broken = [torch.tensor([bad, other]), torch.tensor([[other]])]
            assert not any(e.any() for e in optim.ascent_step(weights, broken, 0.05, adaptive))


def test_a_pass_that_fails_leaves_the_weights_where_they_were():
    bowl = Bowl([3.0, 2.0], [1.0, 2.0])
    optimizer, passes = torch.optim.SGD(bowl.parameters(), lr=0.1), iter([lambda: (bowl(), {})])
    with pytest.raises(StopIteration):
        take(bowl, optimizer, lambda: next(passes)(), rho=0.5)
    assert bowl.w.tolist() == [3.0, 2.0]


def built(shape, **settings):
    """A model with its projector, its method, and one random batch with a mix."""
    e = Experiment("x", size="nano", **settings)
    torch.manual_seed(0)
    model = build.build_model(e, *shape)
    build.add_projector(model, e)
    method = methods.build_method(e, model, shape, None)
    batch = torch.randn(4, *shape, dtype=torch.float64), torch.arange(4)
    return e, model.double().eval(), method, batch, method.sample(np.random.default_rng(1), 4)


@pytest.mark.parametrize("method", ["ce", "patchmix_cl", "dual_axis_cl"])
def test_sam_on_a_state_space_model_by_hand(method):
    """Up the gradient of all weights together, then the gradient there; the same mixes in both."""
    settings = {"model": "dass", "method": method, "projector": 8}
    _, model, method, batch, sampled = built((24, 32), **settings)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}

    def gradients():
        loss, _ = method.loss(model, batch, sampled)
        return torch.autograd.grad(loss, list(model.parameters()))

    first = gradients()
    length = torch.cat([g.flatten() for g in first]).norm()
    with torch.no_grad():
        for p, g in zip(model.parameters(), first, strict=True):
            p += 0.05 * g / length
    second = gradients()
    model.load_state_dict(before, strict=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    take(model, optimizer, lambda: method.loss(model, batch, sampled), rho=0.05)
    for (name, p), g in zip(model.named_parameters(), second, strict=True):
        torch.testing.assert_close(p, before[name] - 0.1 * g, rtol=1e-8, atol=1e-10, msg=name)


def test_a_projector_that_is_not_trained_stays_and_passes_gradients_on():
    """As the published code, whose optimiser never gets it: alpha alone moves the encoder."""
    settings = {"patch": 8, "stride": 8, "method": "dual_axis_cl", "train_projector": False}
    e, model, method, (x, y), sampled = built((40, 32), **settings)
    optimizer = optim.build_optimizer(model, e)
    optimised = {id(w) for group in optimizer.param_groups for w in group["params"]}
    before = {name: value.clone() for name, value in model.named_parameters()}
    loss, _ = method.loss(model, (x, y), sampled)
    (loss - cross_entropy(model(x), y)).backward()  # the contrastive terms
    assert model.vit.patch_embed.proj.weight.grad.abs().sum() > 0.01
    optimizer.step()
    for name, value in model.named_parameters():
        is_projector = name.startswith("projector.")
        assert (id(value) in optimised) != is_projector, name
        assert not is_projector or torch.equal(value, before[name]), name
    _, trained, *_ = built((40, 32), **settings | {"train_projector": True})
    assert all(value.requires_grad for value in trained.parameters())


@pytest.mark.parametrize("schedule", ["cosine", "constant", "onecycle"])
def test_a_schedule_leaves_too_few_clips_for_a_batch_to_training(schedule):
    """`sample_epoch` names the run and the remedy; building a schedule must not fail before it."""
    experiment = replace(ADAM, schedule=schedule, epochs=2)
    optimizer = optim.build_optimizer(network(), experiment)
    assert optim.build_scheduler(optimizer, experiment, 0).get_last_lr()[0] > 0
