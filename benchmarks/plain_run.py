"""The plain way to train and score: clips one by one from a loader, as the published code does."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import plain
from lib import models
from lib.config import Experiment
from lib.data import CLASSES
from lib.features.cache import Store, open_store
from lib.models import ast
from lib.training import augment, losses
from lib.training.augment import Mix


class Clips(torch.utils.data.Dataset):
    """Training clips of a store, each read, normalised and masked alone when it is asked for."""

    def __init__(self, store: Store, experiment: Experiment) -> None:
        self.store, self.experiment = store, experiment
        self.rows = np.flatnonzero(store.cycles.split == "train")
        self.labels = store.cycles.label.map(CLASSES.index).to_numpy()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        e, row = self.experiment, self.rows[at]
        x = read(self.store, row)
        rng = np.random.default_rng(int(torch.randint(2**31, ()).item()))
        masks = e.spec_augment, e.frequency_mask, e.time_mask
        spans = augment.draw_spans(rng, 1, tuple(x.shape), *masks)
        return plain.spec_augment(x, *(part[0] for part in spans)), int(self.labels[row])


def read(store: Store, row: int) -> Tensor:
    """One clip (frames, mels), normalised by the store's mean and std."""
    x = torch.from_numpy(np.array(store.features[row], np.float32))
    return (x - store.meta["mean"]) / (2 * store.meta["std"])


def build(experiment: Experiment, frames: int, mels: int) -> nn.Module:
    """The plain model of an experiment at the start of seed 1, with its projector if it has one."""
    torch.manual_seed(1)
    model = models.build(experiment, frames, mels)
    if experiment.method == "patchmix_cl":
        model.projector = losses.Projector(model.width, experiment.projector)
    return plain.model_of(model, experiment)


def stepper(experiment: Experiment, store: Path, device: torch.device) -> Callable[[int], None]:
    """A function that takes `count` plain training steps.

    precision fp16 is autocast with a gradient scaler, as published. On a GPU 8 processes read
    ahead, as published; on a CPU none does.
    """
    opened = open_store(store)
    clips, scaled = Clips(opened, experiment), experiment.precision == "fp16"
    model = build(experiment, *opened.features.shape[1:]).to(device).train()
    optimizer, weight = plain.adam(model, experiment), None
    if experiment.class_weights:
        labels = torch.from_numpy(clips.labels[clips.rows])
        weight = losses.class_weights(labels, len(CLASSES)).to(device)
    scaler = torch.amp.GradScaler(device.type, enabled=scaled)
    batches, rng = _batches(clips, experiment, device), np.random.default_rng(1)
    grid = _grid(experiment, opened.features.shape[1:])

    def take(count: int) -> None:
        for _ in range(count):
            x, y = (part.to(device, non_blocking=True) for part in next(batches))
            mix = None
            if experiment.method != "ce":
                mix = augment.draw_mix(rng, len(x), grid, experiment.mix, experiment.beta)
                mix = Mix(*(part.to(device) for part in mix))
            compute = partial(_loss, model, x, y, mix, experiment, weight)
            found = plain.update(model, optimizer, experiment.moving_average, compute, scaler)
            found.item()  # for its running mean, as published

    return take


def _loss(model: nn.Module, x: Tensor, *rest: object) -> Tensor:
    """The loss in fp16 where the experiment says so, else in fp32."""
    experiment = rest[2]
    with torch.autocast(x.device.type, torch.float16, enabled=experiment.precision == "fp16"):
        return plain.loss(model, x, *rest)


def _grid(experiment: Experiment, shape: tuple[int, int]) -> tuple[int, int]:
    if experiment.mix_at == "input":
        return augment.input_grid(*shape)
    return ast.grid(*shape, experiment.patch, experiment.stride)


def _batches(
    clips: Clips, experiment: Experiment, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    cuda = device.type == "cuda"
    loader = torch.utils.data.DataLoader(
        clips,
        experiment.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=8 if cuda else 0,
        pin_memory=cuda,
        persistent_workers=cuda,
    )
    return itertools.chain.from_iterable(itertools.repeat(loader))


def scorer(
    experiment: Experiment, store: Path, device: torch.device, batch: int, clips: int
) -> Callable[[int], None]:
    """A function that scores the first `clips` test clips `count` times."""
    opened = open_store(store)
    model = build(experiment, *opened.features.shape[1:]).to(device).eval()
    rows = np.resize(np.flatnonzero(opened.cycles.split == "test"), clips)

    @torch.no_grad()
    def score(count: int) -> None:
        for _ in range(count):
            for first in range(0, clips, batch):
                x = torch.stack([read(opened, row) for row in rows[first : first + batch]])
                model(x.to(device)).cpu()

    return score
