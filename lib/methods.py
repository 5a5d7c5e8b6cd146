"""Training methods, one function each: `(model, batch, rng) -> loss, logs`.

`batch` is (x, y): normalised, augmented clips (B, frames, mels) and labels (B,). A method draws all
its randomness from `rng`, so that it can be called twice in a step with the same draws.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from lib import augment, losses
from lib.errors import UserError
from lib.settings import Experiment

Batch = tuple[Tensor, Tensor]
Method = Callable[[nn.Module, Batch, np.random.Generator], tuple[Tensor, dict[str, Tensor]]]


def ce(
    model: nn.Module, batch: Batch, rng: np.random.Generator, *, weight: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Fine-tuning: cross-entropy on clean clips, weighted by 1/n as published."""
    x, y = batch
    loss = F.cross_entropy(model(x), y, weight)
    return loss, {"ce": loss.detach()}


def patchmix_ce(
    model: nn.Module,
    batch: Batch,
    rng: np.random.Generator,
    *,
    mix: str,
    mix_at: str,
    beta: float,
    weight: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Patch-Mix with Mixup's loss: one pass on the mix (Bae et al. 2023, section 4.2)."""
    x, y = batch
    z_mix, mixed = mixed_features(model, x, rng, mix, mix_at, beta)
    index = mixed.index.to(y.device)
    loss = losses.mixed_cross_entropy(model.classifier(z_mix), y, index, mixed.lam, weight)
    return loss, {"ce": loss.detach()}


def patchmix_cl(
    model: nn.Module,
    batch: Batch,
    rng: np.random.Generator,
    *,
    mix: str,
    mix_at: str,
    beta: float,
    negatives: str,
    target: str,
    tau: float,
    alpha: float,
    weight: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Patch-Mix contrastive learning: L_CE + alpha L_CL (Bae et al. 2023, section 4.3, Eq. 2).

    A clean pass gives z and the cross-entropy; a second pass on the mix gives z~, whose projection
    h(z~) must tell how much of each clip it holds. The target is z or h(z), with or without
    stop-gradient.
    """
    x, y = batch
    z = model.features(x)  # (B, D)
    z_mix, mixed = mixed_features(model, x, rng, mix, mix_at, beta)  # (B, D)
    h_mix = model.projector(z_mix)  # (B, D)
    aim = model.projector(z) if "h(z)" in target else z
    aim = aim.detach() if target.startswith("stop") else aim
    loss_ce = F.cross_entropy(model.classifier(z), y, weight)
    loss_cl = losses.patch_mix_contrastive(
        h_mix, aim, mixed.index.to(y.device), mixed.lam, tau, y if negatives == "diff_y" else None
    )
    return loss_ce + alpha * loss_cl, {"ce": loss_ce.detach(), "cl": loss_cl.detach()}


def mixed_features(
    model: nn.Module, x: Tensor, rng: np.random.Generator, mix: str, mix_at: str, beta: float
) -> tuple[Tensor, augment.Mix]:
    """Features of mixed clips, z~ (B, D), mixed among the patch embeddings or on the input."""
    if mix_at == "input":
        grid = augment.input_grid(x.shape[1], x.shape[2])
        mixed = augment.draw_mix(len(x), grid, mix, beta, rng)
        return model.features(augment.mix_input(x, mixed)), mixed
    if not hasattr(model, "embed"):
        raise UserError(
            f"mix_at = tokens: {type(model).__name__} has no patch embeddings; use mix_at = input"
        )
    patches = model.embed(x)  # (B, D, F, T)
    mixed = augment.draw_mix(len(x), tuple(patches.shape[2:]), mix, beta, rng)
    return model.encode(augment.mix_grid(patches, mixed)), mixed


def build(experiment: Experiment, weight: Tensor | None) -> Method:
    """The method an experiment names, with its settings filled in."""
    function = {"ce": ce, "patchmix_ce": patchmix_ce, "patchmix_cl": patchmix_cl}[experiment.method]
    wanted = function.__kwdefaults__.keys() | function.__annotations__.keys()
    names = ("mix", "mix_at", "beta", "negatives", "target", "tau", "alpha")
    settings = {name: getattr(experiment, name) for name in names if name in wanted}
    return partial(function, weight=weight if experiment.class_weights else None, **settings)
