"""The moving average as half the step, and the schedule, against the official way of doing them."""

import copy
import math

import pytest
import torch
from torch import nn

from lib import optim
from lib.settings import Experiment


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
    schedule = optim.schedule(optimizer, 4, "cosine")
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
    optimizer = optim.build(model, experiment)
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
    optimizer = optim.build(network(), Experiment("x", lr=0.2, moving_average=0.0))
    schedule = optim.schedule(optimizer, 3, "constant")
    for _ in range(3):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.2
