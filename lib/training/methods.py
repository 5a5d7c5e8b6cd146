"""Training methods, one function each: `(model, batch, drawn) -> loss, logs`.

`batch` is (x, y): normalised, augmented clips (B, frames, mels) and labels (B,). `drawn` holds all
that is random in a method, drawn before the step (`Method.draw`), so that a step never waits for
the host and can be taken twice with the same draws.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.config import Experiment
from lib.errors import UserError
from lib.training import augment, losses
from lib.training.augment import MixUp, PatchMix
from lib.training.losses import CrossEntropy

Batch = tuple[Tensor, Tensor]
Sampled = dict[str, PatchMix | MixUp]
Logs = dict[str, Tensor]
AXES = {"time": "t_patch", "frequency": "f_patch"}  # each with its own lam and partners


@dataclass(frozen=True)
class Method:
    """A training method with its settings filled in."""

    draw: Callable[[np.random.Generator, int], Drawn]  # generator, clips in the batch
    loss: Callable[[nn.Module, Batch, Drawn], tuple[Tensor, Logs]]
    views: int = 1  # how many times each clip of a batch is seen, one block after another


def ce(
    model: nn.Module, batch: Batch, drawn: Sampled, *, cross_entropy: CrossEntropy = F.cross_entropy
) -> tuple[Tensor, Logs]:
    """Fine-tuning: cross-entropy on clean clips, weighted by 1/n as published."""
    x, y = batch
    loss = cross_entropy(model(x), y)
    return loss, {"ce": loss.detach()}


def patchmix_ce(
    model: nn.Module,
    batch: Batch,
    drawn: Sampled,
    *,
    mix_at: str,
    cross_entropy: CrossEntropy = F.cross_entropy,
) -> tuple[Tensor, Logs]:
    """Patch-Mix with Mixup's loss: one pass on the mix (Bae et al. 2023, section 4.2)."""
    (x, y), mix = batch, drawn["mix"]
    (_, mixed), encode = clean_and_mixed(model, x, [mix], mix_at)
    z_mix = encode(mixed)
    logits = model.classifier(z_mix)
    loss = losses.mixed_cross_entropy(logits, y, mix.index, mix.lam, cross_entropy)
    return loss, {"ce": loss.detach()}


def patchmix_cl(
    model: nn.Module,
    batch: Batch,
    drawn: Sampled,
    *,
    mix_at: str,
    negatives: str,
    target: str,
    tau: float,
    alpha: float,
    together: bool,
    mixes: tuple[str, ...] = ("mix",),
    cross_entropy: CrossEntropy = F.cross_entropy,
) -> tuple[Tensor, Logs]:
    """Patch-Mix contrastive learning: L_CE + alpha L_CL (Bae et al. 2023, section 4.3, Eq. 2).

    Clean clips give z and the cross-entropy; mixed ones give z~, whose projection h(z~) must tell
    how much of each clip it holds. The target is z or h(z), with or without stop-gradient.

    mixes: which draws; of two, AXES, L_CL is the sum of both (Dual-Axis Patch-Mix CL, Lung-SRAD).
    together: in one pass of 2 B clips, or 3 B, which is the same where clips do not see one
    another; batch norm ties them, so there it takes a pass for each, as published.
    """
    (x, y), found = batch, [drawn[name] for name in mixes]
    clips, encode = clean_and_mixed(model, x, found, mix_at)
    if together:
        z, *z_mixed = encode(torch.cat(clips)).chunk(len(clips))  # (B, D) each
    else:
        z, *z_mixed = map(encode, clips)
    h_mixed = [model.projector(z_mix) for z_mix in z_mixed]  # (B, D) each
    aim = model.projector(z) if "h(z)" in target else z
    aim = aim.detach() if target.startswith("stop") else aim
    loss_ce = cross_entropy(model.classifier(z), y)
    of_labels = y if negatives == "diff_y" else None
    loss_cl = sum(
        losses.patch_mix_contrastive(h_mix, aim, mix.index, mix.lam, tau, of_labels)
        for h_mix, mix in zip(h_mixed, found, strict=True)
    )
    return loss_ce + alpha * loss_cl, {"ce": loss_ce.detach(), "cl": loss_cl.detach()}


def mixup(
    model: nn.Module, batch: Batch, drawn: Sampled, *, cross_entropy: CrossEntropy = F.cross_entropy
) -> tuple[Tensor, Logs]:
    """MixUp: clips and targets are added with one lam a batch (Zhang et al. 2018, Eq. 1 and 2)."""
    (x, y), pairs = batch, drawn["pairs"]
    lam = pairs.lam.to(x.dtype)
    logits = model(lam * x + (1 - lam) * x[pairs.index])
    loss = losses.mixed_cross_entropy(logits, y, pairs.index, pairs.lam, cross_entropy)
    return loss, {"ce": loss.detach()}


def supcon(
    model: nn.Module, batch: Batch, drawn: Sampled, *, tau: float, base_tau: float
) -> tuple[Tensor, Logs]:
    """Supervised contrastive pretraining on two views of each clip (Khosla et al. 2020, Eq. 2)."""
    x, y = batch  # (2 B, frames, bins), (2 B,)
    h = model.projector(model.features(x))  # (2 B, projector)
    loss = losses.supervised_contrastive(h, y, tau, base_tau)
    return loss, {"supcon": loss.detach()}


def clean_and_mixed(
    model: nn.Module, x: Tensor, mixes: list[PatchMix], mix_at: str
) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """What is mixed, before and after each mix, and what turns any of it into features (B, D).

    That is patch embeddings (B, D, F, T), or the clips themselves (B, frames, mels).
    """
    if mix_at == "tokens":
        clean = model.embed(x)
        return [clean, *(augment.mix_grid(clean, mix) for mix in mixes)], model.encode
    return [x, *(augment.mix_input(x, mix) for mix in mixes)], model.features


def build_method(
    experiment: Experiment, model: nn.Module, shape: tuple[int, int], weight: Tensor | None
) -> Method:
    """The method an experiment names, for clips of `shape` (frames, mels).

    Raises `UserError` where tokens are to be mixed and the model has none.
    """
    e = experiment
    weight = weight if e.class_weights else None
    entropy = partial(F.cross_entropy, weight=weight, label_smoothing=e.label_smoothing)
    if e.method == "ce":
        return Method(_nothing, partial(ce, cross_entropy=entropy))
    if e.method == "supcon":
        return Method(_nothing, partial(supcon, tau=e.tau, base_tau=e.base_tau), views=2)
    if e.method == "mixup":
        return Method(_pairs(e), partial(mixup, cross_entropy=entropy))
    return _patch_mix(e, model, shape, entropy)


def _nothing(rng: np.random.Generator, batch: int) -> Sampled:
    return {}


def _pairs(e: Experiment) -> Callable[[np.random.Generator, int], Sampled]:
    return lambda rng, batch: {"pairs": augment.sample_mixup(rng, batch, e.beta)}


def _patch_mix(
    e: Experiment, model: nn.Module, shape: tuple[int, int], entropy: CrossEntropy
) -> Method:
    grid = _mix_grid(e, model, shape)
    kinds = AXES if e.method == "dual_axis_cl" else {"mix": e.mix}

    def draw(rng: np.random.Generator, batch: int) -> Sampled:
        draws = {}
        for name, kind in kinds.items():
            draws[name] = augment.sample_patch_mix(rng, batch, grid, kind, e.beta, e.contiguous)
        return draws

    if e.method == "patchmix_ce":
        return Method(draw, partial(patchmix_ce, mix_at=e.mix_at, cross_entropy=entropy))
    settings = {key: getattr(e, key) for key in ("mix_at", "negatives", "target", "tau", "alpha")}
    settings |= {"together": not _has_batch_norm(model), "mixes": tuple(kinds)}
    return Method(draw, partial(patchmix_cl, **settings, cross_entropy=entropy))


def _mix_grid(experiment: Experiment, model: nn.Module, shape: tuple[int, int]) -> tuple[int, int]:
    if experiment.mix_at == "input":
        return augment.input_grid(*shape)
    if not hasattr(model, "embed"):
        raise UserError(
            f"mix_at = tokens: {type(model).__name__} has no patch embeddings; use mix_at = input"
        )
    return model.grid


def _has_batch_norm(model: nn.Module) -> bool:
    """Whether clips of a batch see one another in the encoder; the projector comes after it."""
    parts = [part for name, part in model.named_children() if name != "projector"]
    kind = nn.modules.batchnorm._BatchNorm
    return any(isinstance(layer, kind) for part in parts for layer in part.modules())
