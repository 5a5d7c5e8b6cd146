"""Group scan: the selective scan, forward and backward, against autograd through a step loop."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.measure import Case, Variant, Work

CHANNELS, PATHS = 384, 4  # DASS's first stage: four paths of 96
LENGTHS = {400: None, 1600: 3, 6400: 1}  # rounds; 8 s have 6,400 positions, and a loop minutes


def cases(folder: Path) -> list[Case]:
    """One clip in float32, at several lengths: the time of the sliced loop grows with L squared."""
    scans = {
        "loop over slices": sliced_loop,
        "loop over unbound steps": unbound_loop,
        "ours": our_scan,
    }
    found = []
    for length, rounds in LENGTHS.items():
        variants = [
            Variant(name, work, {"scan": scan, "length": length}, x=length)
            for name, scan in scans.items()
        ]
        seconds = {} if rounds is None else {"round_seconds": 0}
        name = f"L {length:,} x {CHANNELS} channels"
        found.append(Case(name, tuple(variants), unit="s/scan", rounds=rounds, **seconds))
    return found


def work(scan: Callable[..., Tensor], length: int) -> Work:
    """Forward and backward, all gradients, on one thread where it is a CPU."""
    from lib import hardware

    device = hardware.device()
    hardware.settle(device)
    made = [part.to(device).requires_grad_() for part in arguments(length)]

    def take(count: int) -> None:
        for _ in range(count):
            torch.autograd.grad(scan(*made).sum(), made)

    take(1 if scan is our_scan else 0)  # what ours pays once; a loop would pay minutes
    return Work(take)


def arguments(length: int) -> list[Tensor]:
    """Random x, dt, A, B, C and D of one clip, decays as at the start of training."""
    rng = torch.Generator().manual_seed(0)
    random = partial(torch.randn, generator=rng)
    x, B, C = random(1, CHANNELS, length), *random(2, 1, PATHS, 1, length)
    dt = 10 ** (-3 + 2 * torch.rand(x.shape, generator=rng))
    return [x, dt, -torch.ones(CHANNELS, 1), B, C, torch.ones(CHANNELS)]


def our_scan(*arguments: Tensor) -> Tensor:
    """`lib.models.scan.selective_scan`."""
    from lib.models.scan import selective_scan

    return selective_scan(*arguments)


def sliced_loop(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """The usual fall-back: decays and inputs at once, then a step at a time by its index."""
    B, C = (part.repeat_interleave(x.shape[1] // part.shape[1], 1) for part in (B, C))
    decay = torch.exp(torch.einsum("bdl,dn->bdln", dt, A))
    drive = torch.einsum("bdl,bdnl,bdl->bdln", dt, B, x)
    h, ys = torch.zeros_like(drive[:, :, 0]), []
    for t in range(x.shape[2]):
        h = decay[:, :, t] * h + drive[:, :, t]
        ys.append((h * C[..., t]).sum(2))
    return torch.stack(ys, 2) + D[:, None] * x


def unbound_loop(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """The same loop over steps taken apart beforehand: autograd's time grows with L alone."""
    B, C = (part.repeat_interleave(x.shape[1] // part.shape[1], 1) for part in (B, C))
    decay = torch.exp(torch.einsum("bdl,dn->lbdn", dt, A))
    drive = torch.einsum("bdl,bdnl,bdl->lbdn", dt, B, x)
    h, ys = torch.zeros_like(drive[0]), []
    for a, b, c in zip(decay.unbind(), drive.unbind(), C.unbind(3), strict=True):
        h = a * h + b
        ys.append((h * c).sum(2))
    return torch.stack(ys, 2) + D[:, None] * x
