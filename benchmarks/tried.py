"""Group tried: what was tried for training on a CPU, each against ours as it stands."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch

from benchmarks import made
from benchmarks.measure import Case, Unavailable, Variant, Work
from benchmarks.step import FRAMES
from lib.config import override
from lib.training import trainer

MODELS = (("ast", "mini"), ("resnet18", ""), ("mn04", ""))
OURS = "ours"
TWICE = "two runs, a thread each"


def cases(folder: Path) -> list[Case]:
    """Patch-Mix CL, batch 8, 3 s clips, float32 and one thread but where it is said."""
    store = made.store(folder / "tried", 64, 8, FRAMES)
    found = []
    for model, size in MODELS:
        given = {"asked": (model, size, "patchmix_cl"), "store": store, "folder": folder}
        of_ast = model == "ast"
        names = [OURS, *CHANGES, *(AST_CHANGES if of_ast else CNN_CHANGES)]
        variants = [Variant(name, steps, {**given, "name": name}) for name in names]
        variants.insert(1, Variant(TWICE, steps, {**given, "name": OURS}, copies=2))
        found.append(Case(f"{model} {size}".strip(), tuple(variants), rounds=4))
    return found


def steps(asked: tuple[str, str, str], store: Path, folder: Path, name: str) -> Work:
    """Training steps with one thing changed."""
    from benchmarks import ours

    run = ours.prepare(ours.experiment(*asked), store, folder)
    change = {**CHANGES, **AST_CHANGES, **CNN_CHANGES}.get(name)
    return change and change(run) or Work(ours.stepper(run))


def two_threads(run: trainer.Run) -> None:
    """One run on two cores."""
    if len(os.sched_getaffinity(0)) < 2:
        raise Unavailable("there is one core")
    torch.set_num_threads(2)


def not_deterministic(run: trainer.Run) -> None:
    """Algorithms that may give other bytes from run to run."""
    torch.use_deterministic_algorithms(False)


def no_onednn(run: trainer.Run) -> None:
    """Without oneDNN's convolutions and matrix products."""
    torch.backends.mkldnn.set_flags(False)


def bf16(run: trainer.Run) -> None:
    """Autocast to bfloat16."""
    run.experiment = override(run.experiment, precision="bf16")


def fused_adam(run: trainer.Run) -> None:
    """Adam's update as one kernel."""
    settings = {**run.optimizer.defaults, "fused": True}
    run.optimizer = torch.optim.Adam(run.model.parameters(), **settings)


def flush_denormal(run: trainer.Run) -> None:
    """Numbers too small for full precision become zero."""
    if not torch.set_flush_denormal(True):
        raise Unavailable("this CPU cannot")


def compile_loss(run: trainer.Run) -> Work:
    """torch.compile (inductor) of the loss, its cache empty; compiling is a cost of its own."""
    from benchmarks import ours

    if run.experiment.model == "mn04":
        raise Unavailable("left out: on two busy cores compiling took over 5 minutes")
    if not (os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")):
        raise Unavailable("there is no C++ compiler")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(dir=run.folder)
    take = ours.stepper(ours.compiled(run))
    start = time.perf_counter()
    take(2)
    return Work(take, once={"compiling": time.perf_counter() - start})


def read_ahead(run: trainer.Run) -> Work:
    """The next batch is read and normalised by a thread while a step is taken."""
    from benchmarks import ours

    clips, drawn = run.clips, ours.drawn_steps(run)
    pool = ThreadPoolExecutor(1, initializer=lambda: torch.set_num_threads(1))

    def begin() -> tuple:
        following = next(drawn)
        return following, pool.submit(clips.batch, following["rows"])

    following = begin()

    def take(count: int) -> None:
        nonlocal following
        for _ in range(count):
            now, ready = following
            following = begin()
            batch = partial(_result, ready)
            run.clips = SimpleNamespace(batch=batch, shape=clips.shape)
            trainer._step(run, now)

    return Work(take)


def _result(ready: Future, _: torch.Tensor) -> tuple:
    """What was read ahead, in the place of `Clips.batch`."""
    return ready.result()


def eager_attention(run: trainer.Run) -> None:
    """softmax(Q K^T) V written out, where ours is scaled_dot_product_attention."""
    for block in run.model.vit.blocks:
        block.attn.fused_attn = False


def two_passes(run: trainer.Run) -> None:
    """Clean and mixed clips one after the other, where ours is one batch of both."""
    loss = run.method.loss
    loss = partial(loss.func, **{**loss.keywords, "together": False})
    run.method = replace(run.method, loss=loss)


def contiguous(run: trainer.Run) -> None:
    """Channels first in memory, as PyTorch has them by default."""
    run.model.to(memory_format=torch.contiguous_format)


Change = Callable[[trainer.Run], Work | None]
CHANGES: dict[str, Change] = {
    "one run, two threads": two_threads,
    "not deterministic": not_deterministic,
    "oneDNN off": no_onednn,
    "bf16 autocast": bf16,
    "torch.compile": compile_loss,
    "fused Adam": fused_adam,
    "read ahead in a thread": read_ahead,
    "flush denormals": flush_denormal,
}
AST_CHANGES: dict[str, Change] = {"eager attention": eager_attention, "two passes": two_passes}
CNN_CHANGES: dict[str, Change] = {"channels_last off": contiguous}
