"""What is measured on a GPU, each in a process of its own. On a CPU it runs too, for dry runs."""

import copy
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from benchmarks import flops, ours, plain_run
from benchmarks.evaluation import scoring
from benchmarks.measure import Work
from lib.config import Experiment
from lib.features.cache import open_store
from lib.training import methods, trainer

# Relative error of loss and gradients that is allowed. The contrastive loss divides by tau = 0.06,
# and so makes much of the rounding of bf16; a CPU showed 5 to 8%.
LIMITS = {"cuda": {"fp32": 1e-3, "bf16": 5e-2}, "cpu": {"fp32": 1e-3, "bf16": 1e-1}}


def _asked(size: str, batch: int, precision: str) -> Experiment:
    """Patch-Mix CL as published: stride 10."""
    settings = {"stride": 10, "batch": batch, "precision": precision, "time_mask": 160}
    return ours.experiment("ast", size, "patchmix_cl", **settings)


def step(
    store: Path,
    folder: Path,
    device: str,
    size: str,
    batch: int,
    way: str,
    precision: str,
    options: dict | None,
) -> Work:
    """Training steps of AST, the plain way or ours, eager or compiled with these options."""
    asked, once = _asked(size, batch, precision), {}
    torch.set_num_threads(1)  # the host's; on a CPU it is one for all, as in a run
    if way == "plain":
        take = plain_run.stepper(asked, store, torch.device(device))
    else:
        run = ours.prepare(asked, store, folder)
        take = ours.stepper(run if options is None else ours.compiled(run, **options))
        take = _marked(take) if options else take
    start = time.perf_counter()
    take(3)
    if options is not None:
        once["compiling"] = time.perf_counter() - start
    return Work(take, note=json.dumps({"flops": _flops(asked, store)}), once=once)


def _marked(take: Callable[[int], None]) -> Callable[[int], None]:
    """Steps whose beginning is told to CUDA graphs, which reuse the memory of the step before."""

    def marked(count: int) -> None:
        for _ in range(count):
            torch.compiler.cudagraph_mark_step_begin()
            take(1)

    return marked


def _flops(asked: Experiment, store: Path) -> int:
    model = plain_run.build(asked, *open_store(store).features.shape[1:])
    return flops.step(model, asked.batch, asked.patch)


def check(store: Path, folder: Path, device: str, precision: str, compiled: bool) -> Work:
    """Loss and gradients of a step on the device against those in float64 on the CPU."""
    small = "mini" if device == "cuda" else "nano"
    run = ours.prepare(_asked(small, 8, precision), store, folder)
    drawn = next(ours.drawn_steps(run))
    x, y = ours.batch(run, drawn)
    exact = copy.deepcopy(run.model).cpu().double()
    method = methods.build(run.experiment, exact, run.clips.shape, None)
    reference = _gradients(method.loss, exact, *tree_map(_exact, ((x, y), drawn)))
    run = ours.compiled(run) if compiled else run
    with trainer._autocast(run):
        loss, _ = run.method.loss(run.model, (x, y), drawn)
    loss.backward()
    found = torch.cat([loss.detach().reshape(1), *(_flat(run.model))]).cpu().double()
    errors = [((found - reference)[part].norm() / reference[part].norm()).item()
              for part in (slice(0, 1), slice(1, None))]  # fmt: skip
    what = f"AST {small}; loss {errors[0]:.1e}, gradients {errors[1]:.1e}"
    said = {"error": max(errors), "limit": LIMITS[device][precision], "what": what}
    return Work(lambda count: None, note=json.dumps(said))


def _exact(value: Tensor) -> Tensor:
    value = value.cpu()
    return value.double() if value.is_floating_point() else value


def _gradients(loss: Callable, model: nn.Module, batch: tuple, drawn: dict) -> Tensor:
    found, _ = loss(model, batch, drawn)
    found.backward()
    return torch.cat([found.detach().reshape(1), *_flat(model)])


def _flat(model: nn.Module) -> list[Tensor]:
    return [p.grad.flatten() for p in model.parameters() if p.grad is not None]


def no_waiting(store: Path, folder: Path, device: str) -> Work:
    """Steps under a watch that raises where one waits for the device."""
    small = "mini" if device == "cuda" else "nano"
    run = ours.prepare(_asked(small, 8, "bf16"), store, folder)
    drawn = ours.drawn_steps(run)
    steps = [next(drawn) for _ in range(4)]
    trainer._step(run, steps[0])  # lazy parts are made

    def take(count: int) -> None:
        for now in steps[1:]:
            trainer._step(run, now)

    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    take(1)
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("default")
    return Work(take, len(steps) - 1, "no step waited" if device == "cuda" else "dry: not watched")


def matrix(side: int, device: str) -> Work:
    """A product of two random bf16 matrices."""
    generator = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(side, side, generator=generator, device=device).bfloat16()
            for _ in range(2))  # fmt: skip

    def multiply(count: int) -> None:
        for _ in range(count):
            a @ b

    return Work(multiply, note=json.dumps({"flops": 2 * side**3}))


def copy_bytes(size: int, device: str) -> Work:
    """A copy of random bytes from one place of the device's memory to another."""
    generator = torch.Generator(device).manual_seed(0)
    source = torch.randint(256, (size,), generator=generator, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)

    def run(count: int) -> None:
        for _ in range(count):
            target.copy_(source)

    return Work(run, note=json.dumps({"bytes": 2 * size}))


def scores(store: Path, folder: Path, device: str, size: str, batch: int) -> Work:
    """`lib.training.trainer` scoring clips, bf16."""
    run = ours.prepare(_asked(size, 8, "bf16"), store, folder)
    return scoring(run, batch, len(run.sets["test"]))


def checkpoint(store: Path, folder: Path, device: str, size: str, batch: int) -> Work:
    """`lib.training.trainer` saving its state after an epoch."""
    run = ours.prepare(_asked(size, batch, "bf16"), store, folder)
    ours.stepper(run)(2)  # Adam's state is made

    def save(count: int) -> None:
        for epoch in range(1, count + 1):
            trainer._save(run, [{"epoch": epoch}], {})

    return Work(save)


def small_step(store: Path, folder: Path, device: str, asked: tuple[str, str]) -> Work:
    """Steps of a small run, batch 32, fp32, uncompiled, which may share the device with others."""
    experiment = replace(ours.experiment(*asked, "patchmix_cl"), batch=32)
    take = ours.stepper(ours.prepare(experiment, store, folder))
    take(2)
    return Work(take)
