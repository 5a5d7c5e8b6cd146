"""Group scaling: what a run costs against one size at a time."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks import made
from benchmarks.measure import Case, Variant, Work
from lib import files, paths
from lib.features.frontends import FrontEnd
from lib.models import ast

FRAMES = 98  # 1 s
CLIPS, SECONDS, BATCHES, TIMES = (64, 128, 256), (1, 2, 4, 8), (4, 8, 16, 32), (1, 2, 4)


def cases(folder: Path) -> list[Case]:
    """AST on random clips, cross-entropy, one thread."""
    short = made.store(folder / "scaling", max(CLIPS), 32, FRAMES)
    given = {"store": short, "folder": folder}
    long = made.store(folder / "scaling-8", 32, 8, FrontEnd().frames)
    by_clips = [_variant(n, "clips", epoch, given | {"clips": n}) for n in CLIPS]
    by_tokens = []
    for seconds in SECONDS:
        frames = FrontEnd(clip_seconds=seconds).frames
        rows, columns = ast.grid(frames, 128, 16, 16)
        settings = {"store": long, "folder": folder, "frames": frames}
        by_tokens.append(_variant(rows * columns + 2, "tokens", step, settings))
    by_batch = [_variant(n, "clips", step, given | {"batch": n}) for n in BATCHES]
    by_epochs = [_variant(n, "epochs", whole_run, given | {"epochs": n}) for n in TIMES]
    by_runs = [_variant(n, "runs", processes, given | {"runs": n}) for n in TIMES]
    return [
        _case("training clips, an epoch of AST nano", by_clips, "s/epoch"),
        _case("tokens of a clip, a step of AST mini", by_tokens, "s/step"),
        _case("batch, a step of AST mini", by_batch, "s/step"),
        _case("epochs, a run of AST nano", by_epochs, "s"),
        Case("runs, one after another, each a process", tuple(by_runs), "s", False, 2, 0),
    ]


def _case(name: str, variants: list[Variant], unit: str) -> Case:
    return Case(name, tuple(variants), unit, compared=False)


def _variant(x: int, unit: str, make: Callable[..., Work], settings: dict) -> Variant:
    return Variant(f"{x} {unit}", make, settings, x=float(x))


def epoch(store: Path, folder: Path, clips: int) -> Work:
    """`lib.training.trainer`'s epoch over so many training clips."""
    from benchmarks import ours
    from lib.training import trainer

    run = ours.prepare(ours.experiment("ast", "nano", "ce"), store, folder)
    run.sets["train"] = run.sets["train"][:clips]

    def epochs(count: int) -> None:
        for number in range(1, count + 1):
            trainer._train_epoch(run, number)

    return Work(epochs)


def step(store: Path, folder: Path, frames: int = FRAMES, batch: int = 8) -> Work:
    """Training steps on clips of so many frames."""
    from benchmarks import ours

    asked = ours.experiment("ast", "mini", "ce", batch=batch)
    return Work(ours.stepper(ours.prepare(asked, store, folder, frames)))


def whole_run(store: Path, folder: Path, epochs: int) -> Work:
    """`lib.training.trainer.fit`: model, epochs, evaluation, checkpoints and record."""
    from benchmarks import ours
    from lib.features.cache import open_store
    from lib.training import trainer

    asked = ours.experiment("ast", "nano", "ce", epochs=epochs)

    def fit(count: int) -> None:
        for _ in range(count):
            own = Path(tempfile.mkdtemp(dir=folder))
            files.write_json(own / "experiment.json", {"experiment": asdict(asked), "seed": 1})
            trainer.fit(asked, 1, open_store(store), FRAMES, own)
            shutil.rmtree(own)

    return Work(fit)


def processes(store: Path, folder: Path, runs: int) -> Work:
    """`python -m lib.training.trainer` so many times."""
    from benchmarks import ours

    asked = ours.experiment("ast", "nano", "ce", epochs=1)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

    def sequence(count: int) -> None:
        for _ in range(count * runs):
            own = Path(tempfile.mkdtemp(dir=folder))
            files.write_json(own / "experiment.json", {"experiment": asdict(asked), "seed": 1})
            command = [
                sys.executable,
                "-m",
                "lib.training.trainer",
                str(own),
                str(store),
                str(FRAMES),
            ]
            subprocess.run(command, check=True, cwd=paths.PROJECT, env=environment,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
            shutil.rmtree(own)

    return Work(sequence)
