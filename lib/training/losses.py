"""Losses: tensors in, a scalar out."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

CrossEntropy = Callable[[Tensor, Tensor], Tensor]  # logits (B, C), labels (B,)


def class_weights(labels: Tensor, n_classes: int) -> Tensor:
    """Weights 1/n normalised to sum 1: .080 .136 .329 .455 for ICBHI's official train split.

    A class without clips gets weight 0. labels (N,) -> (n_classes,).
    """
    count = torch.bincount(labels, minlength=n_classes).double()
    weight = torch.where(count > 0, 1 / count, 0)
    return (weight / weight.sum()).float()


def mixed_cross_entropy(
    logits: Tensor, y: Tensor, index: Tensor, lam: Tensor | float,
    cross_entropy: CrossEntropy = F.cross_entropy,
) -> Tensor:  # fmt: skip
    """lam CE(y) + (1 - lam) CE(y[index]) for logits (B, C) of mixed clips (Mixup's loss)."""
    return lam * cross_entropy(logits, y) + (1 - lam) * cross_entropy(logits, y[index])


def patch_mix_contrastive(
    h_mix: Tensor, z: Tensor, index: Tensor, lam: Tensor | float, tau: float,
    labels: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Contrastive loss that asks how much of each clip a mix holds (Bae et al. 2023, Eq. 2).

    h_mix (B, D) projected mixed clips, z (B, D) clean ones. Targets are lam for the clip itself and
    1 - lam for its partner, added if they are the same clip. With `labels` (B,) the denominator has
    only clips of another label and the two positives (Table 2, "Diff. y").
    """
    logits = _cosine(h_mix, z) / tau  # (B, B)
    identity = torch.eye(len(z), device=z.device, dtype=logits.dtype)
    target = lam * identity + (1 - lam) * identity[index]
    if labels is None:
        return -(target * F.log_softmax(logits, dim=1)).sum(1).mean()
    is_positive = identity.bool() | identity[index].bool()
    in_denominator = (labels[:, None] != labels[None]) | is_positive
    logits = logits.masked_fill(~in_denominator, -torch.inf)
    return -(target * F.log_softmax(logits, dim=1).masked_fill(~in_denominator, 0)).sum(1).mean()


def supervised_contrastive(z: Tensor, labels: Tensor, tau: float, base_tau: float) -> Tensor:
    """SupCon (Khosla et al. 2020, Eq. 2): clips of one label attract, all others repel.

    z (N, D), labels (N,); the two views of a clip are two rows. A clip without a partner adds
    nothing. The common code multiplies by tau / base_tau: a larger step, the same minimum.
    """
    logits = _cosine(z, z) / tau  # (N, N)
    identity = torch.eye(len(z), device=z.device, dtype=torch.bool)
    is_partner = (labels[:, None] == labels[None]) & ~identity
    log_share = F.log_softmax(logits.masked_fill(identity, -torch.inf), dim=1)
    partners = is_partner.sum(1)
    loss = -(log_share.masked_fill(identity, 0) * is_partner).sum(1) / partners.clamp(min=1)
    return tau / base_tau * loss.sum() / (partners > 0).sum().clamp(min=1)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarities (B, B), in 32 bits even if the network runs in 16."""
    a, b = (v if v.dtype == torch.float64 else v.float() for v in (a, b))
    with torch.autocast(a.device.type, enabled=False):
        return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
