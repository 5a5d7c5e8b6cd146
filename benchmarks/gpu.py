"""Patch-Mix CL on AST on one GPU: is it right, how fast, and how much memory does it take."""

import copy
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from benchmarks import common, plain
from benchmarks.common import Variant, compare, experiment, prepare
from lib.config import Experiment
from lib.training import methods, trainer

# Relative error of loss and gradients that is allowed. The contrastive loss divides by tau = 0.06
# and so enlarges the rounding of bf16; CPUs showed 5 to 12%.
LIMITS = {"fp32": 1e-3, "bf16": 5e-2 if torch.cuda.is_available() else 2e-1}


def gpu(
    folder: Path, rounds: int, size: str = "base", frames: int = common.LONG_FRAMES
) -> list[dict]:
    """Rows of group gpu. Without a GPU and with a small size it is a dry run of the same lines."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cache = common.random_cache(folder / "gpu", 64, 64, frames)
    es = {
        p: experiment("ast", size, "patchmix_cl", precision=p, stride=10, time_mask=frames // 5)
        for p in ("fp32", "fp16", "bf16")
    }
    rows = [error_row(es[precision], cache) for precision in LIMITS]
    rows.append(waiting_row(es["bf16"], cache))
    variants = []
    for precision in ("fp16", "fp32") if device == "cuda" else ("fp32",):
        way = partial(plain.training_steps, es[precision], cache, device)
        variants.append(Variant(f"plain {precision}", way, deterministic=False))
    variants += [Variant(f"ours {p}", partial(common.training_steps, es[p], cache)) for p in LIMITS]
    rows += compare(f"step of AST {size}, Patch-Mix CL", variants, rounds=rounds)
    score = Variant("ours bf16", partial(common.scoring, es["bf16"], cache, 64, 64), 64)
    case = f"scoring, AST {size}, batch 64"
    return rows + compare(case, [score], "s/clip", rounds, ratios=False)


def error_row(e: Experiment, cache: Path) -> dict:
    """Row: relative error of a step's loss and gradients against float64 on the CPU."""
    run = prepare(e, cache)
    sampled = next(common.sampled_steps(run))
    batch = trainer.augmented_batch(run, sampled)
    exact = copy.deepcopy(run.model).cpu().double()
    method = methods.build_method(e, exact, run.dataset.shape, None)
    with trainer.autocast(run):
        loss, _ = run.method.loss(run.model, batch, sampled)
    found = _loss_and_gradients(loss, run.model)
    loss, _ = method.loss(exact, *tree_map(_exact, (batch, sampled)))
    reference = _loss_and_gradients(loss, exact)
    errors = [((a - b).norm() / b.norm()).item() for a, b in zip(found, reference, strict=True)]
    right = max(errors) < LIMITS[e.precision]
    note = f"{'right' if right else 'WRONG'}: loss {errors[0]:.1e}, gradients {errors[1]:.1e}"
    row = {"case": "error of loss and gradients against float64", "variant": e.precision}
    return row | {"unit": "of the norm", "median": max(errors), "rounds": 1, "note": note}


def _exact(value: Tensor) -> Tensor:
    return value.cpu().double() if value.is_floating_point() else value.cpu()


def _loss_and_gradients(loss: Tensor, model: nn.Module) -> tuple[Tensor, Tensor]:
    loss.backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return loss.detach().cpu().double(), torch.cat(gradients).cpu().double()


def waiting_row(e: Experiment, cache: Path) -> dict:
    """Row: three steps, under a watch that raises if one waits for the GPU."""
    run = prepare(e, cache)
    steps = common.sampled_steps(run)
    sampled = [next(steps) for _ in range(4)]
    trainer.training_step(run, sampled[0])  # compiles, and creates the optimiser's state
    if torch.cuda.is_available():
        torch.cuda.set_sync_debug_mode("error")
    for one in sampled[1:]:
        trainer.training_step(run, one)
    if torch.cuda.is_available():
        torch.cuda.set_sync_debug_mode("default")
    note = "right" if torch.cuda.is_available() else "dry run: not watched"
    return {"case": "no step waits for the host", "variant": f"ours {e.precision}", "note": note}
