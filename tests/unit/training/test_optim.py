"""The moving average as half the step, and the schedule, against the official way of doing them."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from lib import models
from lib.config import Experiment
from lib.training import methods, optim


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()


def averaged_training(model, xs, ys, lr, epochs):
    """The official code: a copy of all weights before each step, averaged with those after it."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=1e-2)
    for epoch in range(1, epochs + 1):
        floor = lr * 1e-3
        for group in optimizer.param_groups:
            group["lr"] = floor + (lr - floor) * (1 + math.cos(math.pi * epoch / epochs)) / 2
        for x, y in zip(xs, ys, strict=True):
            before = copy.deepcopy(model.state_dict())
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            after = model.state_dict()
            for key, value in after.items():
                if value.is_floating_point():
                    value.copy_(0.5 * before[key] + 0.5 * value)


def test_moving_average_is_half_the_step():
    xs = torch.randn(7, 16, 6, dtype=torch.float64)
    ys = torch.randint(0, 3, (7, 16))
    official, ours = network(), network()
    averaged_training(official, xs, ys, lr=0.05, epochs=4)
    optimizer = optim.adam(ours, 0.05, 1e-2, moving_average=0.5)
    schedule = optim.build_scheduler(optimizer, 4, "cosine")
    for _ in range(4):
        for x, y in zip(xs, ys, strict=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(ours(x), y).backward()
            optimizer.step()
        schedule.step()
    for key, value in official.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=0, atol=1e-12)


def test_cosine_starts_at_index_1_and_ends_at_the_floor():
    # 50 epochs: eta = floor + (lr - floor) (1 + cos(pi t / T)) / 2, floor = 1e-3 lr
    assert optim.cosine(1, 50) == pytest.approx(0.99901435, abs=1e-8)
    assert optim.cosine(25, 50) == pytest.approx(0.5005)
    assert optim.cosine(50, 50) == pytest.approx(1e-3)


def test_sgd_and_frozen_parts():
    model = network()
    model[0].requires_grad_(False)
    experiment = Experiment("x", optimizer="sgd", lr=0.1, weight_decay=0.0)
    optimizer = optim.build_optimizer(model, experiment)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x, y = torch.randn(4, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    first = []
    for _ in range(2):  # momentum 0.9: the second step adds 0.9 of the first
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        first.append(model[3].bias.grad.clone())
        optimizer.step()
    moved = 0.1 * first[0] + 0.1 * (0.9 * first[0] + first[1])
    torch.testing.assert_close(model[3].bias, before["3.bias"] - moved)
    assert torch.equal(model[0].weight, before["0.weight"])


def test_a_constant_schedule_leaves_the_rate_alone():
    optimizer = optim.build_optimizer(network(), Experiment("x", lr=0.2, moving_average=0.0))
    schedule = optim.build_scheduler(optimizer, 3, "constant")
    for _ in range(3):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.2


def take(model, optimizer, x, y, **sam):
    scaler = torch.amp.GradScaler(enabled=False)
    return optim.step(
        model, optimizer, scaler, lambda: (nn.functional.cross_entropy(model(x), y), {}), **sam
    )


class Bowl(nn.Module):
    """The loss a w0^2 / 2 + b w1^2 / 2."""

    def __init__(self, w, curvature):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))
        self.curvature = torch.tensor(curvature, dtype=torch.float64)

    def forward(self):
        return (self.curvature * self.w**2).sum() / 2


def step_in_bowl(w, curvature, **sam):
    bowl = Bowl(w, curvature)
    optimizer = torch.optim.SGD(bowl.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler(enabled=False)
    logs = optim.step(bowl, optimizer, scaler, lambda: (bowl(), {}), **sam)
    return bowl.w.tolist(), logs


def test_one_step_of_sam_on_a_quadratic_by_hand():
    # g = (1 * 3, 2 * 2) = (3, 4), |g| = 5, e = 0.5 g / 5 = (0.3, 0.4); there g = (3.3, 4.8)
    w, logs = step_in_bowl([3.0, 2.0], [1.0, 2.0], rho=0.5)
    assert w == pytest.approx([3.0 - 0.33, 2.0 - 0.48], abs=1e-12)
    assert logs["loss"] == pytest.approx(4.5 + 4.0)  # 3^2 / 2 + 2^2
    assert logs["rise"] == pytest.approx(3.3**2 / 2 + 2.4**2 - 8.5)


def test_one_step_of_adaptive_sam_by_hand():
    # |w| g = (9, 8), its norm sqrt(145); e = 0.5 w^2 g / sqrt(145) = 0.5 (27, 16) / sqrt(145)
    w, _ = step_in_bowl([3.0, -2.0], [1.0, 2.0], rho=0.5, adaptive=True)
    up = [0.5 * 27 / math.sqrt(145), -0.5 * 16 / math.sqrt(145)]
    assert w == pytest.approx([3 - 0.1 * (3 + up[0]), -2 - 0.1 * 2 * (-2 + up[1])], abs=1e-12)


def test_a_radius_of_zero_is_the_base_optimiser_bit_for_bit():
    x, y = torch.randn(5, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    plain, sam = network(), network()
    alone = torch.optim.AdamW(plain.parameters(), lr=0.01)
    ours = torch.optim.AdamW(sam.parameters(), lr=0.01)
    for _ in range(5):
        alone.zero_grad()
        nn.functional.cross_entropy(plain(x), y).backward()
        alone.step()
        assert set(take(sam, ours, x, y, rho=0.0)) == {"loss"}
    for key, value in plain.state_dict().items():
        assert torch.equal(sam.state_dict()[key], value), key


def test_the_climb_of_a_tiny_radius_leaves_only_the_second_gradient():
    """Two passes at all but the same place: the same step, so weights and buffers came back."""
    x, y = torch.randn(5, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    plain, sam = network(), network()
    for model, rho in ((plain, 0.0), (sam, 1e-14)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            take(model, optimizer, x, y, rho=rho)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(sam.state_dict()[key], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", ["ce", "patchmix_cl", "dual_axis_cl"])
def test_sam_on_a_state_space_model_by_hand(method):
    """Up the gradient of all weights together, then the gradient there; the same mixes in both."""
    e = Experiment("d", model="dass", size="nano", method=method, projector=8)
    torch.manual_seed(0)
    model = models.build_model(e, 24, 32)
    models.add_projector(model, e)
    model.double().eval()
    x, y = torch.randn(4, 24, 32, dtype=torch.float64), torch.tensor([0, 1, 2, 3])
    built = methods.build_method(e, model, (24, 32), torch.ones(4, dtype=torch.float64))
    drawn = built.draw(np.random.default_rng(1), 4)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}

    def gradients():
        loss, _ = built.loss(model, (x, y), drawn)
        return torch.autograd.grad(loss, list(model.parameters()))

    first = gradients()
    length = torch.cat([g.flatten() for g in first]).norm()
    with torch.no_grad():
        for p, g in zip(model.parameters(), first, strict=True):
            p += 0.05 * g / length
    second = gradients()
    model.load_state_dict(before, strict=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler(enabled=False)
    optim.step(model, optimizer, scaler, lambda: built.loss(model, (x, y), drawn), rho=0.05)
    for (name, p), g in zip(model.named_parameters(), second, strict=True):
        torch.testing.assert_close(p, before[name] - 0.1 * g, rtol=1e-8, atol=1e-10, msg=name)


def test_batch_norm_statistics_move_once_a_step():
    x, y = torch.randn(16, 6, dtype=torch.float64), torch.randint(0, 3, (16,))
    model = network()
    model.train()
    take(model, torch.optim.SGD(model.parameters(), lr=0.0), x, y, rho=0.5)
    seen = model[0](x)
    torch.testing.assert_close(model[1].running_mean, 0.1 * seen.mean(0))
    torch.testing.assert_close(model[1].running_var, 0.9 + 0.1 * seen.var(0))
    assert model[1].num_batches_tracked == 1


def test_sam_with_the_moving_average_is_the_official_averaging_of_whole_sam_steps():
    xs = torch.randn(6, 16, 6, dtype=torch.float64)
    ys = torch.randint(0, 3, (6, 16))
    official, ours = network(), network()
    whole = torch.optim.Adam(official.parameters(), lr=0.05, weight_decay=1e-2)
    half = optim.adam(ours, 0.05, 1e-2, moving_average=0.5)
    for x, y in zip(xs, ys, strict=True):
        before = copy.deepcopy(official.state_dict())
        take(official, whole, x, y, rho=0.1)
        for key, value in official.state_dict().items():
            if value.is_floating_point():
                value.copy_(0.5 * before[key] + 0.5 * value)
        take(ours, half, x, y, rho=0.1)
    for key, value in official.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=0, atol=1e-12)


def test_frozen_and_unused_weights_stay_where_they_are():
    model = network()
    model[0].requires_grad_(False)
    model.unused = nn.Linear(2, 2)
    model.forward = lambda x: model[3](model[2](model[1](model[0](x))))
    before = copy.deepcopy(model.state_dict())
    optimizer = optim.build_optimizer(model, Experiment("x", optimizer="sgd", lr=0.1))
    x, y = torch.randn(4, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 0])
    take(model, optimizer, x, y, rho=0.1)
    for key in ("0.weight", "unused.weight"):
        assert torch.equal(model.state_dict()[key], before[key])
    assert not torch.equal(model[3].weight, before["3.weight"])


def test_a_loss_scale_drops_out_and_an_overflow_climbs_nowhere():
    weights = [torch.tensor([1.0, -2.0]), torch.tensor([[3.0]])]
    gradients = [torch.tensor([0.5, 1.0]), torch.tensor([[2.0]])]
    for adaptive in (False, True):
        once = optim.ascent_step(weights, gradients, 0.05, adaptive)
        scaled = optim.ascent_step(weights, [65536 * g for g in gradients], 0.05, adaptive)
        for a, b in zip(once, scaled, strict=True):
            torch.testing.assert_close(a, b)
        for bad in (math.inf, math.nan):
            broken = [torch.tensor([bad, 1.0]), gradients[1]]
            assert all((e == 0).all() for e in optim.ascent_step(weights, broken, 0.05, adaptive))
    still = optim.ascent_step(weights, [torch.zeros(2), torch.zeros(1, 1)], 0.05, False)
    assert all((e == 0).all() for e in still)


def test_adamw_is_torchs():
    ours, theirs = network(), network()
    x, y = torch.randn(5, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    built = optim.build_optimizer(
        ours, Experiment("x", optimizer="adamw", lr=0.1, weight_decay=0.3, moving_average=0.0)
    )
    for model, optimizer in (
        (ours, built),
        (theirs, torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.3)),
    ):
        take(model, optimizer, x, y)
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value)


def test_a_projector_that_is_not_trained_stays_and_hands_gradients_on():
    """As the published code, whose optimiser never gets it: alpha alone moves the encoder."""
    asked = Experiment(
        "x", size="nano", patch=8, stride=8, method="dual_axis_cl", train_projector=False
    )
    torch.manual_seed(0)
    model = models.build_model(asked, 40, 32)
    models.add_projector(model, asked)
    optimizer = optim.build_optimizer(model, asked)
    held = {id(w) for group in optimizer.param_groups for w in group["params"]}
    before = {name: value.clone() for name, value in model.named_parameters()}
    method = methods.build_method(asked, model, (40, 32), None)
    drawn = method.draw(np.random.default_rng(0), 4)
    x, y = torch.randn(4, 40, 32), torch.arange(4)
    loss, logs = method.loss(model, (x, y), drawn)
    (loss - torch.nn.functional.cross_entropy(model(x), y)).backward()  # the contrastive terms
    assert model.vit.patch_embed.proj.weight.grad.abs().sum() > 0.01
    optimizer.step()
    for name, value in model.named_parameters():
        moved = not torch.equal(value, before[name])
        assert (id(value) in held) != name.startswith("projector."), name
        assert not moved or not name.startswith("projector."), name
    trained = models.build_model(asked, 40, 32)
    models.add_projector(trained, Experiment("x", size="nano", method="dual_axis_cl"))
    assert all(value.requires_grad for value in trained.parameters())


def test_a_scaled_loss_climbs_as_far_and_an_overflow_skips_the_step():
    """fp16's loss scale, on a CPU: the step by hand, and none where either pass overflows."""

    def scaled(factors):
        bowl = Bowl([3.0, 2.0], [1.0, 2.0])
        optimizer = torch.optim.SGD(bowl.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
        passes = iter(factors)
        optim.step(bowl, optimizer, scaler, lambda: (bowl() * next(passes), {}), rho=0.5)
        return bowl.w.tolist()

    assert scaled([1, 1]) == pytest.approx([2.67, 1.52], abs=1e-9)
    assert scaled([1, math.inf]) == [3.0, 2.0]  # the scaler skips it
    assert scaled([math.inf, 1]) == pytest.approx([2.7, 1.6], abs=1e-9)  # a plain step


def test_a_pass_that_fails_leaves_the_weights_where_they_were():
    bowl = Bowl([3.0, 2.0], [1.0, 2.0])
    optimizer = torch.optim.SGD(bowl.parameters(), lr=0.1)
    passes = iter([lambda: (bowl(), {}), lambda: 1 / 0])
    with pytest.raises(ZeroDivisionError):
        optim.step(
            bowl, optimizer, torch.amp.GradScaler(enabled=False), lambda: next(passes)(), rho=0.5
        )
    assert bowl.w.tolist() == [3.0, 2.0]
