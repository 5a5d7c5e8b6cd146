"""The selective scan against step loops through autograd, and DASS beside AST."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import common
from benchmarks.common import Variant, Work, compare, experiment, random_cache
from lib.models.scan import selective_scan

CHANNELS, PATHS = 384, 4  # DASS's first stage: four paths of 96
LENGTHS = {400: 5, 1600: 3, 6400: 1}  # rounds; 8 s have 6,400 positions, and a loop takes minutes
SMALL = (("ast", "mini"), ("dass", "nano"), ("dass", "mini"))
LARGE = (("ast", "base"), ("dass", "small"), ("dass", "medium"))


def scan(folder: Path, rounds: int) -> list[dict]:
    """Rows of group scan: forward and backward of one clip in float32."""
    scans = {"loop over steps": step_loop, "ours": selective_scan}
    rows = []
    for length, at_most in LENGTHS.items():
        variants = [Variant(name, partial(work, way, length)) for name, way in scans.items()]
        case = f"L {length:,} x {CHANNELS} channels"
        rows += compare(case, variants, "s/scan", min(rounds, at_most), 0.0)
    return rows


def work(way: Callable[..., Tensor], length: int) -> Work:
    """Return a function that computes y and all gradients."""
    given = [value.requires_grad_() for value in arguments(length)]
    return lambda: torch.autograd.grad(way(*given).sum(), given)


def arguments(length: int) -> list[Tensor]:
    """Return random x, dt, A, B, C and D of one clip, decays as at the start of training."""
    random = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    x, B, C = random(1, CHANNELS, length), *random(2, 1, PATHS, 1, length)
    dt = 10 ** (-3 + 2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(1)))
    return [x, dt, -torch.ones(CHANNELS, 1), B, C, torch.ones(CHANNELS)]


def step_loop(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """The usual fall-back: decays and inputs at once, then a loop over the steps."""
    B, C = (value.repeat_interleave(x.shape[1] // value.shape[1], 1) for value in (B, C))
    decay = torch.exp(torch.einsum("bdl,dn->bdln", dt, A))
    drive = torch.einsum("bdl,bdnl,bdl->bdln", dt, B, x)
    h, ys = torch.zeros_like(drive[:, :, 0]), []
    for t in range(x.shape[2]):
        h = decay[:, :, t] * h + drive[:, :, t]
        ys.append((h * C[..., t]).sum(2))
    return torch.stack(ys, 2) + D[:, None] * x


def dass(folder: Path, rounds: int) -> list[dict]:
    """Rows of group dass: steps and answers (3 s; 8 s with AST's stride of 10)."""
    short = random_cache(folder / "step", 64, 8)
    long, rows = random_cache(folder / "long", 16, 8, common.LONG_FRAMES), []
    for method in ("ce", "patchmix_cl", "dual_axis_cl"):
        variants = [_step(model, size, method, short) for model, size in SMALL]
        variants.append(_step("dass", "nano", method, short, blur=1.0))
        rows += compare(f"step, {method}", variants, rounds=rounds)
    for seconds, models, cache, stride in ((3, SMALL, short, 16), (8, LARGE, long, 10)):
        variants = []
        for model, size in models:
            e = experiment(model, size, "ce", stride=stride)
            variants.append(Variant(e.name, partial(common.scoring, e, cache, 1, 1)))
        rows += compare(f"answer, {seconds} s, batch 1", variants, "s/clip", min(rounds, 3))
    variants = [_step(*each, "ce", long, batch_size=2, stride=10) for each in LARGE]
    return rows + compare("step, ce, 8 s, batch 2", variants, rounds=1, round_seconds=0.0)


def _step(model: str, size: str, method: str, cache: Path, **changes: object) -> Variant:
    e = experiment(model, size, method, **changes)
    name = e.name + ", blur" * ("blur" in changes)
    return Variant(name, partial(common.training_steps, e, cache))
