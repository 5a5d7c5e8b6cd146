"""Optimiser with the published moving average, sharpness-aware steps and learning-rate schedule."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from lib.config import Experiment

MOMENTUM = 0.9
SMALL = 1e-12  # added to the norm of a gradient, which may be zero
ADAM = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
Loss = Callable[[], tuple[Tensor, dict[str, Tensor]]]


def build_optimizer(model: nn.Module, experiment: Experiment) -> torch.optim.Optimizer:
    """Return SGD, or Adam (with L2) or AdamW with the moving average of the weights.

    The official code replaces the weights after each step by `m old + (1 - m) new`. Adam's state
    does not depend on that, so it is exactly Adam at `(1 - m) lr`; the running statistics of batch
    norms move at `(1 - m)` times their momentum.
    """
    e, share = experiment, 1 - experiment.moving_average
    trained = [value for value in model.parameters() if value.requires_grad]
    if e.optimizer == "sgd":
        return torch.optim.SGD(trained, e.lr, momentum=MOMENTUM, weight_decay=e.weight_decay)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is not None:
            module.momentum *= share
    adam, fused = ADAM[e.optimizer], trained[0].is_cuda
    return adam(trained, share * e.lr, weight_decay=e.weight_decay, fused=fused)


def learning_rate(optimizer: torch.optim.Optimizer, experiment: Experiment) -> float:
    """Return the optimiser's learning rate, without Adam's factor for the moving average."""
    share = 1.0 if experiment.optimizer == "sgd" else 1 - experiment.moving_average
    return optimizer.param_groups[0]["lr"] / share


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, loss: Loss,
    rho: float = 0.0, adaptive: bool = False,
) -> dict[str, Tensor]:  # fmt: skip
    """Take one step, sharpness-aware if rho > 0; return the loss, its logs and SAM's sharpness gap.

    The gradient at the weights w leads to w + e, the highest loss nearby; the gradient there moves
    w (Foret et al. 2021, Algorithm 1). `loss` is called twice with the same clips, augmentation and
    mix, but each pass has its own dropout, as published. Batch norms learn from the first only. The
    sharpness gap is the loss at w + e minus that at w.
    """

    def backward() -> tuple[Tensor, dict[str, Tensor]]:
        optimizer.zero_grad(set_to_none=True)
        value, logs = loss()
        scaler.scale(value).backward()
        return value.detach(), logs

    value, logs = backward()
    if rho:
        with _perturbed(model, optimizer, rho, adaptive):
            highest, _ = backward()
        logs = {**logs, "sharpness_gap": highest - value}
    scaler.step(optimizer)
    scaler.update()
    return {"loss": value, **logs}


@contextmanager
def _perturbed(
    model: nn.Module, optimizer: torch.optim.Optimizer, rho: float, adaptive: bool
) -> Iterator[None]:
    """Move the weights to w + e; weights and batch-norm buffers are restored on exit."""
    weights = [w for group in optimizer.param_groups for w in group["params"] if w.grad is not None]
    values = [*weights, *model.buffers()]
    before = [value.detach().clone() for value in values]
    with torch.no_grad():
        torch._foreach_add_(weights, ascent_step(weights, [w.grad for w in weights], rho, adaptive))
    try:
        yield
    finally:
        with torch.no_grad():
            for value, old in zip(values, before, strict=True):
                value.copy_(old)


def ascent_step(
    weights: list[Tensor], gradients: list[Tensor], rho: float, adaptive: bool
) -> list[Tensor]:
    """Return SAM's e = rho g / |g|, or ASAM's rho w^2 g / |w g| (Kwon et al. 2021, Eq. 3, p = 2).

    ASAM is that of the common code: without the paper's eta beside |w|, biases scaled too. Any
    factor on the gradients, such as a loss scale, cancels. If fp16 overflowed, e is 0.
    """
    direction, measured = gradients, gradients
    if adaptive:
        measured = [w.abs() * g for w, g in zip(weights, gradients, strict=True)]
        direction = [w.abs() * g for w, g in zip(weights, measured, strict=True)]
    length = rho / (nn.utils.get_total_norm(measured) + SMALL)
    return [torch.nan_to_num(length * d, 0, 0, 0) for d in direction]


def build_scheduler(
    optimizer: torch.optim.Optimizer, experiment: Experiment, steps: int
) -> LRScheduler:
    """Return the schedule "cosine", "constant" or "onecycle", stepped after each step.

    steps: of an epoch; cosine changes between epochs only. One cycle is PyTorch's: up to lr in 30%
    of the steps, then down to nearly 0; it spares the features of a pretrained encoder while its
    classifier is still random.
    """
    epochs, steps = experiment.epochs, max(steps, 1)  # without a whole batch, training says so
    if experiment.schedule == "onecycle":
        highest = optimizer.param_groups[0]["lr"]
        return OneCycleLR(optimizer, highest, epochs=epochs, steps_per_epoch=steps)
    if experiment.schedule == "constant":
        return LambdaLR(optimizer, lambda done: 1.0)
    return LambdaLR(optimizer, lambda done: cosine(done // steps + 1, epochs))


def cosine(epoch: int, epochs: int) -> float:
    """Factor on the learning rate in epoch 1..epochs: a half cosine down to a floor of 1e-3."""
    return 1e-3 + (1 - 1e-3) * (1 + math.cos(math.pi * epoch / epochs)) / 2
