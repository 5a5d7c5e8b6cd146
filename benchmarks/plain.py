"""The plain reference: a training step as the published code takes it, written for comparison.

Attention is written out, clean and mixed clips are two passes from the picture on, clips are read
and masked one by one on the host, weights are copied before each step and averaged after it. It
computes what `lib` computes: tests/integration/test_benchmarks.py shows that both agree in float64.

Source: the behaviour of raymin0223/patch-mix_contrastive_learning @836b09f; no line of it is here.
"""

import copy
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.config import Experiment
from lib.data.icbhi import CLASSES
from lib.features.cache import open_cache
from lib.models import ast, build
from lib.training import augment, losses
from lib.training.augment import INPUT_PATCH, PatchMix

Batch = tuple[Tensor, Tensor]  # clips (B, frames, mels) and labels (B,)


def plain_model(model: nn.Module) -> nn.Module:
    """Return a copy of a model: attention written out, contiguous memory."""
    model = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False  # timm then keeps softmax(Q K^T / sqrt(d)) in memory
    return model


def features(model: nn.Module, x: Tensor, mix: PatchMix | None = None) -> Tensor:
    """z (B, width) of clips (B, frames, mels), from the picture on; AST's patches may be mixed."""
    if mix is None:
        return model.features(x)
    vit = model.vit
    patches = vit.patch_embed.proj(x.transpose(1, 2).unsqueeze(1)).flatten(2)  # (B, D, F * T)
    foreign, patches = mix.mask.flatten(), patches.clone()
    patches[:, :, foreign] = patches[mix.index][:, :, foreign]
    special = torch.cat([vit.cls_token, vit.dist_token], 1).expand(len(x), -1, -1)
    tokens = torch.cat([special, patches.transpose(1, 2)], 1) + vit.pos_embed
    tokens = vit.norm(vit.blocks(tokens))  # (B, 2 + F * T, D)
    return (tokens[:, 0] + tokens[:, 1]) / 2


def loss(
    model: nn.Module, batch: Batch, mix: PatchMix | None, e: Experiment, weight: Tensor | None
) -> Tensor:
    """The loss of a step: cross-entropy, and with Patch-Mix CL L_CE + alpha L_CL."""
    x, y = batch
    if e.method == "ce":
        return F.cross_entropy(model.classifier(features(model, x)), y, weight)
    z = features(model, x)
    h_mix = model.projector(_mixed(model, x, mix, e.mix_at))
    loss_ce = F.cross_entropy(model.classifier(z), y, weight)
    return loss_ce + e.alpha * contrastive(h_mix, z.detach(), mix, e.tau)


def _mixed(model: nn.Module, x: Tensor, mix: PatchMix, mix_at: str) -> Tensor:
    """z (B, D) of mixed clips, in a pass of its own."""
    if mix_at == "tokens":
        return features(model, x, mix)
    frames, mels = x.shape[1:]
    foreign = np.kron(mix.mask.cpu().numpy(), np.ones((INPUT_PATCH, INPUT_PATCH), bool))
    foreign = torch.from_numpy(foreign[:mels, :frames].T.copy()).to(x.device)
    mixed = x.clone()
    mixed[:, foreign] = x[mix.index][:, foreign]
    return features(model, mixed)


def contrastive(h_mix: Tensor, z: Tensor, mix: PatchMix, tau: float) -> Tensor:
    """Eq. 2 of Bae et al. 2023, all negatives: mean of lse_i - lam s_ii - (1 - lam) s_im."""
    h_mix, z = (
        F.normalize(v if v.dtype == torch.float64 else v.float(), dim=1) for v in (h_mix, z)
    )
    s = h_mix @ z.T / tau  # (B, B)
    i = torch.arange(len(z), device=z.device)
    lse = s.exp().sum(1).log()  # each term is at most e^(1 / tau) = 2e7
    return (lse - mix.lam * s[i, i] - (1 - mix.lam) * s[i, mix.index]).mean()


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    share: float,
    compute: Callable[[], Tensor],
    scaler: torch.amp.GradScaler,
) -> Tensor:
    """One step on the loss that `compute` gives, weights copied before and averaged after it."""
    before = copy.deepcopy(model.state_dict())
    loss_value = compute()
    optimizer.zero_grad()
    scaler.scale(loss_value).backward()
    scaler.step(optimizer)
    scaler.update()
    state = model.state_dict()
    for key, old in before.items():
        if state[key].is_floating_point():
            state[key] = share * old + (1 - share) * state[key]
    model.load_state_dict(state)
    return loss_value.detach()


class Clips(torch.utils.data.Dataset):
    """Training clips of a feature cache, each read, normalised and masked alone."""

    def __init__(self, cache: Path, experiment: Experiment) -> None:
        self.cache, self.experiment = open_cache(cache), experiment
        self.shape = self.cache.features.shape[1:]
        self.indices = np.flatnonzero(self.cache.cycles.split == "train")
        self.labels = self.cache.cycles.label.map(CLASSES.index).to_numpy()[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        e, meta = self.experiment, self.cache.meta
        x = torch.from_numpy(np.array(self.cache.features[self.indices[i]], np.float32))
        x = (x - meta["mean"]) / (2 * meta["std"])
        rng = np.random.default_rng(int(torch.randint(2**31, ()).item()))
        widths = e.spec_augment, e.frequency_mask, e.time_mask
        masks = augment.sample_spec_augment(rng, 1, self.shape, *widths)
        return augment.spec_augment(x[None], masks)[0], int(self.labels[i])


def training_steps(experiment: Experiment, cache: Path, device: str = "cpu") -> Callable[[], None]:
    """Return a function that takes one plain training step.

    Precision fp16 is autocast with a gradient scaler, as published. On a GPU 8 processes read
    ahead, as published; on a CPU none does.
    """
    clips, cuda = Clips(cache, experiment), device == "cuda"
    torch.manual_seed(1)
    model = build.build_model(experiment, *clips.shape)
    build.add_projector(model, experiment)
    model = plain_model(model).to(device).train()
    half = experiment.precision == "fp16"
    scaler = torch.amp.GradScaler(device, enabled=half)
    rates = {"lr": experiment.lr, "weight_decay": experiment.weight_decay}
    optimizer = torch.optim.Adam(model.parameters(), **rates)
    weight = losses.class_weights(torch.from_numpy(clips.labels), len(CLASSES)).to(device)
    weight = weight if experiment.class_weights else None
    grid = ast.grid(*clips.shape, experiment.patch, experiment.stride)
    if experiment.mix_at == "input":
        grid = augment.input_grid(*clips.shape)
    loader = torch.utils.data.DataLoader(
        clips, experiment.batch_size, shuffle=True, drop_last=True, num_workers=8 if cuda else 0,
        pin_memory=cuda, persistent_workers=cuda,
    )  # fmt: skip
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    rng = np.random.default_rng(1)

    def step() -> None:
        batch = tuple(value.to(device, non_blocking=True) for value in next(batches))
        mix = None
        if experiment.method != "ce":
            mix = augment.sample_patch_mix(
                rng, len(batch[0]), grid, experiment.mix, experiment.beta
            )
            mix = PatchMix(*(value.to(device) for value in mix))

        def compute() -> Tensor:
            with torch.autocast(device, torch.float16, enabled=half):
                return loss(model, batch, mix, experiment, weight)

        update(model, optimizer, experiment.moving_average, compute, scaler).item()

    return step
