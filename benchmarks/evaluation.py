"""Group evaluation: scoring clips by model and batch, ours against the plain way."""

from pathlib import Path

import numpy as np

from benchmarks import made
from benchmarks.measure import Case, Variant, Work
from benchmarks.step import FRAMES
from lib.training import trainer

MODELS = (("ast", "mini"), ("resnet18", ""), ("mn04", ""))
BATCHES = (8, 64, 256)


def cases(folder: Path) -> list[Case]:
    """3 s clips, float32, one thread; a round scores at least 64 clips."""
    store = made.store(folder / "evaluation", 16, max(BATCHES), FRAMES)
    found = []
    for model, size in MODELS:
        for batch in BATCHES:
            given = {"asked": (model, size, "ce"), "batch": batch, "store": store, "folder": folder}
            variants = (Variant("plain", plain_scores, given), Variant("ours", our_scores, given))
            name = f"{model} {size}".strip() + f", batch {batch}"
            found.append(Case(name, variants, "s/clip", rounds=3))
    return found


def our_scores(asked: tuple, batch: int, store: Path, folder: Path) -> Work:
    """`lib.training.trainer` scoring its test set."""
    from benchmarks import ours

    run = ours.prepare(ours.experiment(*asked), store, folder)
    return scoring(run, batch, max(batch, 64))


def scoring(run: trainer.Run, batch: int, clips: int) -> Work:
    """`lib.training.trainer`'s evaluation of so many clips at a batch."""
    trainer.EVALUATION_BATCH = dict.fromkeys(trainer.EVALUATION_BATCH, batch)
    run.sets["test"] = np.resize(run.sets["test"], clips)

    def score(count: int) -> None:
        for _ in range(count):
            trainer._evaluate(run, "test")

    return Work(score, units=clips)


def plain_scores(asked: tuple, batch: int, store: Path, folder: Path) -> Work:
    """Clips read one by one, attention written out, contiguous memory."""
    import torch

    from benchmarks import ours, plain_run

    torch.set_num_threads(1)
    clips = max(batch, 64)
    score = plain_run.scorer(ours.experiment(*asked), store, torch.device("cpu"), batch, clips)
    return Work(score, units=clips)
