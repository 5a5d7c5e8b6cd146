"""The library's own training run, taken apart at one place: what is measured is what is run."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from lib.config import Experiment
from lib.data import CLASSES
from lib.features.cache import open_store
from lib.training import losses, methods, trainer


def experiment(model: str, size: str, method: str, **changes: object) -> Experiment:
    """Settings of a small run: 16 x 16 patches side by side, batch 8; mixed where it can be."""
    settings = {
        "model": model,
        "size": size,
        "stride": 16,
        "method": method,
        "mix_at": "tokens" if model == "ast" else "input",
        "class_weights": method == "ce",
        "normalise": "dataset",
        "time_mask": 60,
    }
    return Experiment(f"{model} {size}".strip(), **settings | changes)


def prepare(asked: Experiment, store: Path, folder: Path, frames: int | None = None) -> trainer.Run:
    """A run of `lib.training.trainer` on a store, before its first step, with the loss uncompiled."""
    opened = open_store(store)
    own = Path(tempfile.mkdtemp(dir=folder))
    run = trainer._prepare(asked, 1, opened, frames or opened.features.shape[1], own)
    run.model.train()
    return eager(run)


def eager(run: trainer.Run) -> trainer.Run:
    """The same run with its loss as Python has it."""
    weight = losses.class_weights(torch.from_numpy(run.labels[run.sets["train"]]), len(CLASSES))
    weight = weight.to(run.device)
    run.method = methods.build(run.experiment, run.model, run.clips.shape, weight)
    return run


def compiled(run: trainer.Run, **options: object) -> trainer.Run:
    """The same run with its loss compiled."""
    run.method = replace(run.method, loss=torch.compile(run.method.loss, **options))
    return run


def drawn_steps(run: trainer.Run) -> Iterator[dict]:
    """What is random in each step, drawn an epoch ahead as `lib.training.trainer` does, without end."""
    for epoch in itertools.count(1):
        drawn = trainer._draw(run, epoch)
        for at in range(len(drawn["rows"])):
            yield tree_map(lambda values, at=at: values[at], drawn)


def stepper(run: trainer.Run) -> Callable[[int], None]:
    """A function that takes `count` training steps of this run."""
    drawn = drawn_steps(run)

    def take(count: int) -> None:
        for _ in range(count):
            trainer._step(run, next(drawn))

    return take


def batch(run: trainer.Run, drawn: dict) -> tuple[Tensor, Tensor]:
    """Augmented clips (B, frames, mels) and labels (B,) of a step."""
    x, y = run.clips.batch(drawn["rows"])
    return trainer.augment.spec_augment(x, drawn["spans"]), y
