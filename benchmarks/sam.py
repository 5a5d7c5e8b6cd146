"""Group sam: what SAM's second pass costs, and what an answer costs by model size and batch."""

from pathlib import Path

from benchmarks import made
from benchmarks.evaluation import scoring
from benchmarks.measure import Case, Variant, Work
from benchmarks.step import FRAMES, our_steps

MODELS = (("ast", "mini"), ("resnet18", ""), ("mn04", ""))
METHODS = ("ce", "patchmix_cl")
SIZES = ("mini", "tiny", "small", "base")
BATCHES = (1, 4, 16)
FILLED = 1024  # frames: 8 s and the published block of zeros, 1,214 tokens


def cases(folder: Path) -> list[Case]:
    """Steps with and without SAM (batch 8, 3 s clips); answers to filled clips; one thread."""
    store = made.store(folder / "sam", 64, 8, FRAMES)
    found = []
    for model, size in MODELS:
        for method in METHODS:
            given = {"asked": (model, size, method), "store": store, "folder": folder}
            variants = tuple(
                Variant(name, our_steps, given | {"rho": rho})
                for name, rho in (("plain", 0.0), ("SAM", 0.05))
            )
            found.append(Case(f"{model} {size}".strip() + f", {method}", variants))
    long = made.store(folder / "sam-long", 16, 16, FILLED)
    for size in SIZES:
        for batch in BATCHES[: 2 if size == "base" else None]:  # base: a minute a round
            given = {"size": size, "batch": batch, "store": long, "folder": folder}
            one = (Variant("ours", answers, given),)
            name = f"ast {size}, 1,214 tokens, batch {batch}"
            found.append(Case(name, one, "s/clip", compared=False, rounds=3))
    return found


def answers(size: str, batch: int, store: Path, folder: Path) -> Work:
    """`lib.training.trainer` scoring clips with the geometry-aware AST as published: 12 x 101 patches."""
    from benchmarks import ours

    asked_for = ours.experiment("ast", size, "ce", stride=10, pool="all", head="linear")
    return scoring(ours.prepare(asked_for, store, folder), batch, batch)
