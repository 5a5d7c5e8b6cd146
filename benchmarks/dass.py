"""Group dass: DASS beside AST on the same clips: parameters, steps, answers, memory."""

from pathlib import Path

from benchmarks import made
from benchmarks.evaluation import scoring
from benchmarks.measure import Case, Variant, Work
from benchmarks.step import FRAMES

SMALL = {"AST mini": ("ast", "mini"), "DASS nano": ("dass", "nano"), "DASS mini": ("dass", "mini")}
LARGE = {"AST base": ("ast", "base"), "DASS small": ("dass", "small"),
         "DASS medium": ("dass", "medium")}  # fmt: skip
METHODS = ("ce", "patchmix_cl", "dual_axis_cl")

EIGHT_SECONDS = 798  # frames


def cases(folder: Path) -> list[Case]:
    """Steps and answers (3 s clips, batch 8; 8 s, AST's stride 10), float32, one thread."""
    store = made.store(folder / "dass", 64, 8, FRAMES)
    long = made.store(folder / "dass-long", 16, 8, EIGHT_SECONDS)
    found = []
    for method in METHODS:
        variants = [_variant(name, steps, store, folder, method, 16) for name in SMALL]
        variants.append(_variant("DASS nano", steps, store, folder, method, 16, blur=1.0))
        found.append(Case(f"step, {method}", tuple(variants)))
    for batch in (1, 8):
        short = [_variant(name, answers, store, folder, batch, 16) for name in SMALL]
        found.append(Case(f"answer, 3 s, batch {batch}", tuple(short), "s/clip", rounds=3))
    large = [_variant(name, answers, long, folder, 1, 10) for name in LARGE]
    found.append(Case("answer, 8 s, batch 1", tuple(large), "s/clip", rounds=3))
    large = [_variant(name, steps, long, folder, "ce", 10, batch=2) for name in LARGE]
    found.append(Case("step, ce, 8 s, batch 2", tuple(large), rounds=1, round_seconds=0))
    return found


def _variant(
    name: str, make: object, store: Path, folder: Path, how: object, stride: int, **more: object
) -> Variant:
    asked = *(SMALL | LARGE)[name], {"stride": stride, **more}
    given = {"asked": asked, "how": how, "store": store, "folder": folder}
    return Variant(f"{name}, blur" if "blur" in more else name, make, given)


def steps(asked: tuple, how: str, store: Path, folder: Path) -> Work:
    """Steps as `lib.training.trainer` takes them, by this method."""
    from benchmarks import ours

    run = _prepared(asked, how, store, folder)
    return Work(ours.stepper(run), note=_size(run))


def answers(asked: tuple, how: int, store: Path, folder: Path) -> Work:
    """`lib.training.trainer` scoring clips at this batch."""
    run = _prepared(asked, "ce", store, folder)
    work = scoring(run, how, how)
    return Work(work.run, work.units, note=_size(run))


def _prepared(asked: tuple, method: str, store: Path, folder: Path) -> object:
    from benchmarks import ours

    model, size, changes = asked
    made_as = ours.experiment(model, size, method, mix_at="tokens", **changes)
    return ours.prepare(made_as, store, folder)


def _size(run: object) -> str:
    return f"{sum(one.numel() for one in run.model.parameters()):,} parameters"
