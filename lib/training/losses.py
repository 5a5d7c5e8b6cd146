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
    logits: Tensor,
    y: Tensor,
    index: Tensor,
    lam: Tensor | float,
    cross_entropy: CrossEntropy = F.cross_entropy,
) -> Tensor:
    """lam CE(y) + (1 - lam) CE(y[index]) for logits (B, C) of mixed clips (Mixup's loss)."""
    return lam * cross_entropy(logits, y) + (1 - lam) * cross_entropy(logits, y[index])


def patch_mix_contrastive(
    h_mix: Tensor,
    z: Tensor,
    index: Tensor,
    lam: Tensor | float,
    tau: float,
    labels: Tensor | None = None,
) -> Tensor:
    """How much of each clip a mixed representation holds (Bae et al. 2023, Eq. 2).

    h_mix (B, D) projected mixed clips, z (B, D) clean targets. Targets are lam for the clip itself
    and 1 - lam for its partner, added where they are the same clip. With `labels` (B,) the
    denominator keeps only clips of another label and the two positives (Table 2, "Diff. y").
    """
    logits = _cosine(h_mix, z) / tau  # (B, B)
    own = torch.eye(len(z), device=z.device, dtype=logits.dtype)
    target = lam * own + (1 - lam) * own[index]
    if labels is not None:
        kept = (labels[:, None] != labels[None]) | (positives(index))
        logits = logits.masked_fill(~kept, -torch.inf)
        return -(target * F.log_softmax(logits, dim=1).masked_fill(~kept, 0)).sum(1).mean()
    return -(target * F.log_softmax(logits, dim=1)).sum(1).mean()


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarities (B, B), in 32 bits even where the network runs in 16."""
    with torch.autocast(a.device.type, enabled=False):
        if a.dtype in (torch.bfloat16, torch.float16):
            a, b = a.float(), b.float()
        return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


def supervised_contrastive(z: Tensor, labels: Tensor, tau: float, base_tau: float) -> Tensor:
    """SupCon (Khosla et al. 2020, Eq. 2): clips of one label attract, all others repel.

    z (N, D), labels (N,); the two views of a clip are two rows. A clip without a partner counts
    nothing. The common code multiplies by tau / base_tau: a larger step, the same minimum.
    """
    logits = _cosine(z, z) / tau  # (N, N)
    own = torch.eye(len(z), device=z.device, dtype=torch.bool)
    same = (labels[:, None] == labels[None]) & ~own
    log_share = F.log_softmax(logits.masked_fill(own, -torch.inf), dim=1).masked_fill(own, 0)
    partners = same.sum(1)
    loss = -(log_share * same).sum(1) / partners.clamp(min=1)
    return tau / base_tau * loss.sum() / (partners > 0).sum().clamp(min=1)


def positives(index: Tensor) -> Tensor:
    """(B, B) bool: True on the diagonal and at each clip's partner."""
    mask = torch.eye(len(index), device=index.device, dtype=torch.bool)
    return mask.scatter(1, index[:, None], True)
