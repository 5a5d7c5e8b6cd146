"""Optimiser, learning-rate schedule, and the paper's "momentum update" as what it is."""

import math

import torch
from torch import nn


def adam(
    model: nn.Module, lr: float, weight_decay: float, moving_average: float
) -> torch.optim.Adam:
    """Adam with L2, at the step size that the moving average of the weights amounts to.

    The official code replaces the weights after each step by `m old + (1 - m) new`. Adam's state
    never sees that, so it is exactly Adam at `(1 - m) lr`; BatchNorm's running statistics move at
    `(1 - m)` times their momentum (see `slow_batchnorm`).
    """
    slow_batchnorm(model, moving_average)
    fused = next(model.parameters()).is_cuda
    return torch.optim.Adam(
        model.parameters(), lr=(1 - moving_average) * lr, weight_decay=weight_decay, fused=fused
    )


def slow_batchnorm(model: nn.Module, moving_average: float) -> None:
    """Scale the momentum of every BatchNorm's running statistics by `1 - moving_average`."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is not None:
            module.momentum *= 1 - moving_average


def schedule(optimizer: torch.optim.Optimizer, epochs: int) -> torch.optim.lr_scheduler.LambdaLR:
    """The cosine schedule, stepped once after each epoch."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: cosine(done + 1, epochs))


def cosine(epoch: int, epochs: int) -> float:
    """Factor on the learning rate in epoch 1..epochs: a half cosine down to a floor of 1e-3."""
    return 1e-3 + (1 - 1e-3) * (1 + math.cos(math.pi * epoch / epochs)) / 2
