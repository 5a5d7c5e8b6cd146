"""Optimiser, learning-rate schedule, and the paper's "momentum update" as what it is."""

import math

import torch
from torch import nn

from lib.settings import Experiment

MOMENTUM = 0.9


def build(model: nn.Module, experiment: Experiment) -> torch.optim.Optimizer:
    """The optimiser of an experiment, over the parameters that are to be trained."""
    e = experiment
    if e.optimizer == "sgd":
        trained = [value for value in model.parameters() if value.requires_grad]
        return torch.optim.SGD(trained, e.lr, momentum=MOMENTUM, weight_decay=e.weight_decay)
    return adam(model, e.lr, e.weight_decay, e.moving_average)


def adam(
    model: nn.Module, lr: float, weight_decay: float, moving_average: float
) -> torch.optim.Adam:
    """Adam with L2, at the step size that the moving average of the weights amounts to.

    The official code replaces the weights after each step by `m old + (1 - m) new`. Adam's state
    never sees that, so it is exactly Adam at `(1 - m) lr`; BatchNorm's running statistics move at
    `(1 - m)` times their momentum (see `slow_batchnorm`).
    """
    slow_batchnorm(model, moving_average)
    trained = [value for value in model.parameters() if value.requires_grad]
    return torch.optim.Adam(
        trained, (1 - moving_average) * lr, weight_decay=weight_decay, fused=trained[0].is_cuda
    )


def slow_batchnorm(model: nn.Module, moving_average: float) -> None:
    """Scale the momentum of every BatchNorm's running statistics by `1 - moving_average`."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is not None:
            module.momentum *= 1 - moving_average


def schedule(
    optimizer: torch.optim.Optimizer, epochs: int, name: str
) -> torch.optim.lr_scheduler.LambdaLR:
    """The schedule "cosine" or "constant", stepped once after each epoch."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: factor(done + 1, epochs, name))


def factor(epoch: int, epochs: int, name: str) -> float:
    """Factor on the learning rate in epoch 1..epochs."""
    return cosine(epoch, epochs) if name == "cosine" else 1.0


def cosine(epoch: int, epochs: int) -> float:
    """Factor on the learning rate in epoch 1..epochs: a half cosine down to a floor of 1e-3."""
    return 1e-3 + (1 - 1e-3) * (1 + math.cos(math.pi * epoch / epochs)) / 2
