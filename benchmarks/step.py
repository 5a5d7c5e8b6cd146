"""Group step: a training step of ours against the plain way, by model and method."""

from pathlib import Path

from benchmarks import made
from benchmarks.measure import Case, Variant, Work

MODELS = (("ast", "nano"), ("ast", "mini"), ("ast", "tiny"), ("resnet18", ""), ("mn04", ""))
METHODS = ("ce", "patchmix_ce", "patchmix_cl")
FRAMES = 298  # 3 s


def cases(folder: Path) -> list[Case]:
    """Batch 8, 3 s clips, float32, one thread; both variants read the same store."""
    store = made.store(folder / "step", 64, 8, FRAMES)
    found = []
    for model, size in MODELS:
        for method in METHODS:
            given = {"asked": (model, size, method), "store": store, "folder": folder}
            variants = (Variant("plain", plain_steps, given), Variant("ours", our_steps, given))
            found.append(Case(f"{model} {size}".strip() + f", {method}", variants))
    return found


def our_steps(asked: tuple[str, str, str], store: Path, folder: Path, rho: float = 0.0) -> Work:
    """Steps as `lib.training.trainer` takes them, with SAM where rho is not 0."""
    from benchmarks import ours

    return Work(ours.stepper(ours.prepare(ours.experiment(*asked, rho=rho), store, folder)))


def plain_steps(asked: tuple[str, str, str], store: Path, folder: Path) -> Work:
    """Steps as the published code takes them, on one thread too."""
    import torch

    from benchmarks import ours, plain_run

    torch.set_num_threads(1)
    return Work(plain_run.stepper(ours.experiment(*asked), store, torch.device("cpu")))
