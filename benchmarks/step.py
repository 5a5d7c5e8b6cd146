"""A training step: ours against the plain way, and with and without SAM."""

from functools import partial
from pathlib import Path

from benchmarks import common, plain
from benchmarks.common import Variant, compare, experiment, random_cache

MODELS = (("ast", "nano"), ("ast", "mini"), ("ast", "tiny"), ("resnet18", ""), ("mn04", ""))
METHODS = ("ce", "patchmix_cl")


def step(folder: Path, rounds: int) -> list[dict]:
    """Rows of group step: batch 8, 3 s clips, float32, one thread; both read the same cache."""
    cache, rows = random_cache(folder / "step", 64, 8), []
    for model, size in MODELS:
        for method in METHODS:
            e = experiment(model, size, method)
            way = partial(plain.training_steps, e, cache)
            variants = [Variant("plain", way, deterministic=False)]
            variants.append(Variant("ours", partial(common.training_steps, e, cache)))
            rows += compare(f"{e.name}, {method}", variants, rounds=rounds)
    return rows


def sam(folder: Path, rounds: int) -> list[dict]:
    """Rows of group sam: steps with SAM's second pass and without."""
    cache, rows = random_cache(folder / "step", 64, 8), []
    for model, size in common.SMALL_MODELS:
        for method in METHODS:
            both = {"plain": 0.0, "SAM": 0.05}
            runs = {name: experiment(model, size, method, rho=rho) for name, rho in both.items()}
            variants = [
                Variant(name, partial(common.training_steps, e, cache)) for name, e in runs.items()
            ]
            rows += compare(f"{model} {size}".strip() + f", {method}", variants, rounds=rounds)
    return rows
