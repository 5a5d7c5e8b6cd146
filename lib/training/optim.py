"""Optimiser, sharpness-aware steps, learning-rate schedule, and the "momentum update" as it is."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lib.config import Experiment

MOMENTUM = 0.9
SMALL = 1e-12  # beside the norm of a gradient that is zero
ADAM = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def build_optimizer(model: nn.Module, experiment: Experiment) -> torch.optim.Optimizer:
    """The optimiser of an experiment, over the parameters that are to be trained."""
    e = experiment
    if e.optimizer == "sgd":
        trained = [value for value in model.parameters() if value.requires_grad]
        return torch.optim.SGD(trained, e.lr, momentum=MOMENTUM, weight_decay=e.weight_decay)
    return adam(model, e.lr, e.weight_decay, e.moving_average, e.optimizer)


def adam(
    model: nn.Module, lr: float, weight_decay: float, moving_average: float, name: str = "adam"
) -> torch.optim.Adam:
    """Adam with L2, or AdamW, at the step size that the moving average of the weights amounts to.

    The official code replaces the weights after each step by `m old + (1 - m) new`. Adam's state
    never sees that, so it is exactly Adam at `(1 - m) lr`; BatchNorm's running statistics move at
    `(1 - m)` times their momentum (see `slow_batchnorm`).
    """
    slow_batchnorm(model, moving_average)
    trained = [value for value in model.parameters() if value.requires_grad]
    return ADAM[name](
        trained, (1 - moving_average) * lr, weight_decay=weight_decay, fused=trained[0].is_cuda
    )


def slow_batchnorm(model: nn.Module, moving_average: float) -> None:
    """Scale the momentum of every BatchNorm's running statistics by `1 - moving_average`."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is not None:
            module.momentum *= 1 - moving_average


def step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    loss: Callable[[], tuple[Tensor, dict[str, Tensor]]],
    rho: float = 0.0,
    adaptive: bool = False,
) -> dict[str, Tensor]:
    """One step, sharpness-aware if rho > 0; the loss, what it logs, and how far SAM made it rise.

    The gradient at the weights w leads to w + e, the worst point nearby; the gradient there moves w
    (Foret et al. 2021, Algorithm 1). `loss` is called twice with the same clips, augmentation and
    mix, but each pass has its own dropout, as published. Batch norms learn from the first alone.
    """
    found, logs = _backward(optimizer, scaler, loss)
    if rho:
        with _perturbed(model, optimizer, rho, adaptive):
            above, _ = _backward(optimizer, scaler, loss)
        logs = {**logs, "rise": above - found}
    scaler.step(optimizer)
    scaler.update()
    return {"loss": found, **logs}


def _backward(
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    loss: Callable[[], tuple[Tensor, dict[str, Tensor]]],
) -> tuple[Tensor, dict[str, Tensor]]:
    optimizer.zero_grad(set_to_none=True)
    found, logs = loss()
    scaler.scale(found).backward()
    return found.detach(), logs


@contextmanager
def _perturbed(
    model: nn.Module, optimizer: torch.optim.Optimizer, rho: float, adaptive: bool
) -> Iterator[None]:
    """The model at w + e while the context lasts; then weights and buffers are what they were."""
    weights = [w for group in optimizer.param_groups for w in group["params"] if w.grad is not None]
    buffers = list(model.buffers())
    before = [[value.detach().clone() for value in values] for values in (weights, buffers)]
    with torch.no_grad():
        torch._foreach_add_(weights, ascent_step(weights, [w.grad for w in weights], rho, adaptive))
    try:
        yield
    finally:
        with torch.no_grad():
            for values, kept in zip((weights, buffers), before, strict=True):
                for value, old in zip(values, kept, strict=True):
                    value.copy_(old)


def ascent_step(
    weights: list[Tensor], gradients: list[Tensor], rho: float, adaptive: bool
) -> list[Tensor]:
    """SAM's e = rho g / |g|, or ASAM's rho w^2 g / |w g| (Kwon et al. 2021, Eq. 3 with p = 2).

    ASAM is that of the common code: without the paper's eta beside |w|, biases scaled too.
    Any factor on the gradients, such as a loss scale, drops out. Where fp16 overflowed, e is 0.
    """
    towards, measured = gradients, gradients
    if adaptive:
        measured = [w.abs() * g for w, g in zip(weights, gradients, strict=True)]
        towards = [w.abs() * g for w, g in zip(weights, measured, strict=True)]
    length = rho / (nn.utils.get_total_norm(measured) + SMALL)
    return [torch.nan_to_num(length * d, 0, 0, 0) for d in towards]


def build_scheduler(
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
