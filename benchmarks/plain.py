"""The plain reference: a training step as the published code takes it, written for comparison.

Attention is written out, clean and mixed clips are two passes from the picture on, clips are read
and masked one by one on the host, weights are copied before each step and averaged after it. It
computes what `lib` computes: tests/test_benchmarks.py shows that both agree in float64.

Source: the behaviour of raymin0223/patch-mix_contrastive_learning @836b09f; no line of it is here.
"""

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.config import Experiment
from lib.training.augment import INPUT_PATCH, Mix


class Attention(nn.Module):
    """softmax(Q K^T / sqrt(d)) V, with all its weights in memory."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, T, d) each
        weights = (q @ k.transpose(2, 3) / math.sqrt(width // self.heads)).softmax(3)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """A transformer block that normalises first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class AST(nn.Module):
    """AST with the parameters of a `lib.models.ast.AST`, by the same names."""

    def __init__(self, model: nn.Module, patch: int, stride: int) -> None:
        super().__init__()
        width, heads = model.width, model.vit.blocks[0].attn.num_heads
        self.vit = nn.Module()
        self.vit.patch_embed = nn.Module()
        self.vit.patch_embed.proj = nn.Conv2d(1, width, patch, stride)
        self.vit.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.vit.dist_token = nn.Parameter(torch.zeros(1, 1, width))
        self.vit.pos_embed = nn.Parameter(torch.zeros_like(model.vit.pos_embed))
        self.vit.blocks = nn.Sequential(*(Block(width, heads) for _ in model.vit.blocks))
        self.vit.norm = nn.LayerNorm(width, eps=1e-6)
        self.classifier = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4))
        if hasattr(model, "projector"):
            self.projector = copy.deepcopy(model.projector)
        self.to(next(model.parameters()))
        self.load_state_dict(model.state_dict())

    def features(self, x: Tensor, mix: Mix | None = None) -> Tensor:
        """z (B, width) of clips (B, frames, mels), their patches mixed on the way."""
        patches = self.vit.patch_embed.proj(x.transpose(1, 2).unsqueeze(1)).flatten(2)
        if mix is not None:
            foreign, patches = mix.mask.flatten(), patches.clone()  # (B, D, F * T)
            patches[:, :, foreign] = patches[mix.index][:, :, foreign]
        special = torch.cat([self.vit.cls_token, self.vit.dist_token], 1).expand(len(x), -1, -1)
        tokens = torch.cat([special, patches.transpose(1, 2)], 1) + self.vit.pos_embed
        tokens = self.vit.norm(self.vit.blocks(tokens))  # (B, 2 + F * T, D)
        return (tokens[:, 0] + tokens[:, 1]) / 2

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def model_of(model: nn.Module, experiment: Experiment) -> nn.Module:
    """A plain model with the weights of ours: contiguous memory, attention written out."""
    if experiment.model == "ast":
        return AST(model, experiment.patch, experiment.stride)
    return copy.deepcopy(model).to(memory_format=torch.contiguous_format)


def spec_augment(clip: Tensor, chosen: Tensor, start: Tensor, width: Tensor) -> Tensor:
    """One clip (frames, mels), masked in a copy: two bands, then two spans."""
    if not chosen:
        return clip
    clip = clip.clone()
    for kind in range(2):
        mean = clip.mean()
        for first, length in zip(start[kind].tolist(), width[kind].tolist(), strict=True):
            part = slice(first, first + length)
            clip[(slice(None), part) if kind == 0 else part] = mean
    return clip


def loss(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    mix: Mix | None,
    experiment: Experiment,
    weight: Tensor | None,
) -> Tensor:
    """The loss of a step: cross-entropy, Mixup's on mixed clips, or L_CE + alpha L_CL."""
    if experiment.method == "ce":
        return F.cross_entropy(model.classifier(model.features(x)), y, weight)
    if experiment.method == "patchmix_ce":
        logits = model.classifier(_mixed(model, x, mix, experiment))
        own, foreign = (F.cross_entropy(logits, truth, weight) for truth in (y, y[mix.index]))
        return mix.lam * own + (1 - mix.lam) * foreign
    z = model.features(x)
    h_mix = model.projector(_mixed(model, x, mix, experiment))
    loss_ce = F.cross_entropy(model.classifier(z), y, weight)
    return loss_ce + experiment.alpha * contrastive(h_mix, z.detach(), mix, experiment.tau)


def _mixed(model: nn.Module, x: Tensor, mix: Mix, experiment: Experiment) -> Tensor:
    """z (B, D) of mixed clips, in a pass of its own."""
    if experiment.mix_at == "tokens":
        return model.features(x, mix)
    frames, mels = x.shape[1:]
    foreign = np.kron(mix.mask.cpu().numpy(), np.ones((INPUT_PATCH, INPUT_PATCH), bool))
    foreign = torch.from_numpy(foreign[:mels, :frames].T.copy()).to(x.device)
    mixed = x.clone()
    mixed[:, foreign] = x[mix.index][:, foreign]
    return model.features(mixed)


def contrastive(h_mix: Tensor, z: Tensor, mix: Mix, tau: float) -> Tensor:
    """Eq. 2 of Bae et al. 2023, all negatives: mean of lse - lam own - (1 - lam) foreign."""
    h_mix, z = (F.normalize(part.float() if part.dtype != torch.float64 else part, dim=1)
                for part in (h_mix, z))  # fmt: skip
    similar = h_mix @ z.T / tau  # (B, B)
    at = torch.arange(len(z), device=z.device)
    own, foreign = similar[at, at], similar[at, mix.index]
    total = similar.exp().sum(1).log()  # at most e^(1 / tau) = 2e7 each
    return (total - mix.lam * own - (1 - mix.lam) * foreign).mean()


def average(model: nn.Module, before: dict[str, Tensor], share: float) -> None:
    """Weights and running statistics become `share` of the old and the rest of the new."""
    state = model.state_dict()
    for key, old in before.items():
        if state[key].is_floating_point():
            state[key] = share * old + (1 - share) * state[key]
    model.load_state_dict(state)


def adam(model: nn.Module, experiment: Experiment) -> torch.optim.Adam:
    """Adam at the published learning rate."""
    settings = {"lr": experiment.lr, "weight_decay": experiment.weight_decay}
    return torch.optim.Adam(model.parameters(), **settings)


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    share: float,
    compute: Callable[[], Tensor],
    scaler: torch.amp.GradScaler,
) -> Tensor:
    """One step on the loss that `compute` gives, weights copied before and averaged after it."""
    before = copy.deepcopy(model.state_dict())
    found = compute()
    optimizer.zero_grad()
    scaler.scale(found).backward()
    scaler.step(optimizer)
    scaler.update()
    average(model, before, share)
    return found.detach()
