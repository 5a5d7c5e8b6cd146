"""Training methods, one function each: `(model, batch, sampled) -> loss, logs`.

`batch` is (x, y): normalised, augmented clips (B, frames, mels) and labels (B,). `sampled` holds
everything random in a method, sampled before the step (`Method.sample`), so that a step never waits
for the host and can be taken twice with the same mix.
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

    sample: Callable[[np.random.Generator, int], Sampled]  # generator, clips in the batch
    loss: Callable[[nn.Module, Batch, Sampled], tuple[Tensor, Logs]]
    views: int = 1  # augmented copies of each clip in a batch, one block after another


def ce(
    model: nn.Module, batch: Batch, sampled: Sampled, *, cross_entropy: CrossEntropy
) -> tuple[Tensor, Logs]:
    """Fine-tuning: cross-entropy on clean clips, weighted by 1/n as published."""
    x, y = batch
    loss = cross_entropy(model(x), y)
    return loss, {"ce": loss.detach()}


def mixup(
    model: nn.Module, batch: Batch, sampled: Sampled, *, cross_entropy: CrossEntropy
) -> tuple[Tensor, Logs]:
    """MixUp: clips and targets are added with one lam a batch (Zhang et al. 2018, Eq. 1 and 2)."""
    (x, y), mix = batch, sampled["mixup"]
    lam = mix.lam.to(x.dtype)
    logits = model(lam * x + (1 - lam) * x[mix.index])
    loss = losses.mixed_cross_entropy(logits, y, mix.index, mix.lam, cross_entropy)
    return loss, {"ce": loss.detach()}


def supcon(
    model: nn.Module, batch: Batch, sampled: Sampled, *, tau: float, base_tau: float
) -> tuple[Tensor, Logs]:
    """Supervised contrastive pretraining on two views of each clip (Khosla et al. 2020, Eq. 2)."""
    x, y = batch  # (2 B, frames, bins), (2 B,)
    h = model.projector(model.features(x))  # (2 B, projector)
    loss = losses.supervised_contrastive(h, y, tau, base_tau)
    return loss, {"supcon": loss.detach()}


def patchmix_ce(
    model: nn.Module, batch: Batch, sampled: Sampled, *, mix_at: str, cross_entropy: CrossEntropy
) -> tuple[Tensor, Logs]:
    """Patch-Mix with Mixup's loss: one pass on the mix (Bae et al. 2023, section 4.2)."""
    (x, y), mix = batch, sampled["mix"]
    (_, mixed), encode = clean_and_mixed(model, x, [mix], mix_at)
    logits = model.classifier(encode(mixed))
    loss = losses.mixed_cross_entropy(logits, y, mix.index, mix.lam, cross_entropy)
    return loss, {"ce": loss.detach()}


def patchmix_cl(
    model: nn.Module, batch: Batch, sampled: Sampled, *, mix_at: str, negatives: str, target: str,
    tau: float, alpha: float, single_pass: bool, axes: tuple[str, ...], cross_entropy: CrossEntropy,
) -> tuple[Tensor, Logs]:  # fmt: skip
    """Patch-Mix contrastive learning: L_CE + alpha L_CL (Bae et al. 2023, section 4.3, Eq. 2).

    Clean clips give z and the cross-entropy; mixed ones give z~, whose projection h(z~) must tell
    how much of each clip it holds. The target is z or h(z), with or without stop-gradient.

    axes: the mixes in `sampled`; L_CL is their sum: Dual-Axis Patch-Mix CL (Lung-SRAD) has two.
    single_pass: clean and mixed clips pass the encoder together. The published code has a pass for
    each, which only a batch norm needs: elsewhere clips do not influence each other.
    """
    (x, y), mixes = batch, [sampled[axis] for axis in axes]
    clips, encode = clean_and_mixed(model, x, mixes, mix_at)
    if single_pass:
        z, *z_mixed = encode(torch.cat(clips)).chunk(len(clips))  # (B, D) each
    else:
        z, *z_mixed = map(encode, clips)
    h_mixed = [model.projector(z_mix) for z_mix in z_mixed]  # (B, D) each
    z_target = model.projector(z) if "h(z)" in target else z
    z_target = z_target.detach() if target.startswith("stop") else z_target
    loss_ce = cross_entropy(model.classifier(z), y)
    labels = y if negatives == "diff_y" else None
    loss_cl = sum(
        losses.patch_mix_contrastive(h_mix, z_target, mix.index, mix.lam, tau, labels)
        for h_mix, mix in zip(h_mixed, mixes, strict=True)
    )
    return loss_ce + alpha * loss_cl, {"ce": loss_ce.detach(), "cl": loss_cl.detach()}


def clean_and_mixed(
    model: nn.Module, x: Tensor, mixes: list[PatchMix], mix_at: str
) -> tuple[list[Tensor], Callable[[Tensor], Tensor]]:
    """Return the clean input, then each mixed one, and the function from such an input to z (B, D).

    The input is patch embeddings (B, D, F, T), or the clips themselves (B, frames, mels).
    """
    if mix_at == "tokens":
        clean = model.embed(x)
        return [clean, *(augment.mix_grid(clean, mix) for mix in mixes)], model.encode
    return [x, *(augment.mix_input(x, mix) for mix in mixes)], model.features


def build_method(
    experiment: Experiment, model: nn.Module, shape: tuple[int, int], weight: Tensor | None
) -> Method:
    """Return the method of an experiment, for clips of `shape` (frames, mels).

    weight: (classes,) of the cross-entropy. Raises `UserError` if tokens are to be mixed and the
    model has none.
    """
    e = experiment
    weight = weight if e.class_weights else None
    entropy = partial(F.cross_entropy, weight=weight, label_smoothing=e.label_smoothing)
    if e.method in ("ce", "probe"):  # the probe takes no step
        return Method(lambda rng, batch: {}, partial(ce, cross_entropy=entropy))
    if e.method == "supcon":
        loss = partial(supcon, tau=e.tau, base_tau=e.base_tau)
        return Method(lambda rng, batch: {}, loss, views=2)
    if e.method == "mixup":
        loss = partial(mixup, cross_entropy=entropy)
        return Method(lambda rng, n: {"mixup": augment.sample_mixup(rng, n, e.beta)}, loss)
    grid, kinds = _mix_grid(e, model, shape), AXES if e.method == "dual_axis_cl" else {"mix": e.mix}

    def sample(rng: np.random.Generator, batch: int) -> Sampled:
        return {
            axis: augment.sample_patch_mix(rng, batch, grid, kind, e.beta, e.contiguous)
            for axis, kind in kinds.items()
        }

    if e.method == "patchmix_ce":
        return Method(sample, partial(patchmix_ce, mix_at=e.mix_at, cross_entropy=entropy))
    settings = {key: getattr(e, key) for key in ("mix_at", "negatives", "target", "tau", "alpha")}
    settings |= {"single_pass": not _has_batch_norm(model), "axes": tuple(kinds)}
    return Method(sample, partial(patchmix_cl, **settings, cross_entropy=entropy))


def _mix_grid(experiment: Experiment, model: nn.Module, shape: tuple[int, int]) -> tuple[int, int]:
    if experiment.mix_at == "input":
        return augment.input_grid(*shape)
    if not hasattr(model, "embed"):
        raise UserError(
            f"mix_at = tokens: {type(model).__name__} has no patch embeddings; use mix_at = input"
        )
    return model.grid


def _has_batch_norm(model: nn.Module) -> bool:
    """Whether clips of a batch influence each other in the encoder (the projector is after it)."""
    encoder = [module for name, module in model.named_children() if name != "projector"]
    kind = nn.modules.batchnorm._BatchNorm
    return any(isinstance(layer, kind) for module in encoder for layer in module.modules())
