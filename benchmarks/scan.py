"""Group scan: the selective scan, forward and backward, against autograd through a step loop."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from benchmarks.measure import Case, Variant, Work

CHANNELS, PATHS = 384, 4  # DASS's first stage: four paths of 96
LENGTHS = {400: 5, 1600: 3, 6400: 1}  # rounds; 8 s have 6,400 positions, and a loop minutes


def cases(folder: Path) -> list[Case]:
    """One clip in float32, at several lengths: the time of the sliced loop grows with L squared."""
    scans = {
        "loop over slices": sliced_loop,
        "loop over unbound steps": unbound_loop,
        "loop, its backward by hand": reversed_loop,
        "associative, by doubling": doubling,
        "ours": our_scan,
    }
    found = []
    for length, rounds in LENGTHS.items():
        variants = [
            Variant(name, work, {"scan": scan, "length": length}, x=length)
            for name, scan in scans.items()
        ]
        name = f"L {length:,} x {CHANNELS} channels"
        found.append(Case(name, tuple(variants), unit="s/scan", rounds=rounds, round_seconds=0))
    return found


def work(scan: Callable[..., Tensor], length: int) -> Work:
    """Forward and backward, all gradients, on one thread where it is a CPU."""
    from lib.training import device as training_device

    device = training_device.device()
    training_device.settle(device)
    made = [part.to(device).requires_grad_() for part in arguments(length)]

    def take(count: int) -> None:
        for _ in range(count):
            torch.autograd.grad(scan(*made).sum(), made)

    take(0 if scan is sliced_loop else 1)  # what is paid once; that loop would pay a minute
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


def _steps(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, ...]:
    """Decays, inputs and C, steps first: (L, batch, G * dim, d_state) each."""
    B, C = (part.repeat_interleave(x.shape[1] // part.shape[1], 1) for part in (B, C))
    decay = torch.exp(torch.einsum("bdl,dn->lbdn", dt, A))
    drive = torch.einsum("bdl,bdnl,bdl->lbdn", dt, B, x)
    return decay, drive, C.movedim(3, 0)


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
    decay, drive, C = _steps(x, dt, A, B, C)
    h, ys = torch.zeros_like(drive[0]), []
    for a, b, c in zip(decay.unbind(), drive.unbind(), C.unbind(), strict=True):
        h = a * h + b
        ys.append((h * c).sum(2))
    return torch.stack(ys, 2) + D[:, None] * x


def doubling(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """An associative scan: log2(L) passes over all steps, autograd backwards."""
    a, h, C = _steps(x, dt, A, B, C)
    step = 1
    while step < len(h):
        h = torch.cat([h[:step], torch.addcmul(h[step:], a[step:], h[:-step])])
        a = torch.cat([a[:step], a[step:] * a[:-step]])
        step *= 2
    return (h * C).sum(3).movedim(0, 2) + D[:, None] * x


def reversed_loop(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """A loop over the steps whose backward, written by hand, is the loop backwards."""
    decay, drive, C = _steps(x, dt, A, B, C)
    return (_Loop.apply(decay, drive) * C).sum(3).movedim(0, 2) + D[:, None] * x


class _Loop(torch.autograd.Function):
    """h_t = a_t h_(t-1) + b_t."""

    @staticmethod
    def forward(ctx: FunctionCtx, a: Tensor, b: Tensor) -> Tensor:
        h = b.clone()
        for t in range(1, len(h)):
            h[t].addcmul_(a[t], h[t - 1])
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        a, h = ctx.saved_tensors
        back = gradient.clone()
        for t in range(len(h) - 1, 0, -1):
            back[t - 1].addcmul_(a[t], back[t])
        of_a = torch.cat([torch.zeros_like(back[:1]), back[1:] * h[:-1]])
        return of_a, back
