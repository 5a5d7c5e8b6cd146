"""What every benchmark shares: random inputs, a training run of the library, and fair timing."""

import itertools
import resource
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils._pytree import tree_map
from torch.utils.benchmark import Compare, Measurement, Timer

from lib import files
from lib.config import Experiment
from lib.data.icbhi import CLASSES
from lib.features.cache import open_cache
from lib.training import trainer

FRAMES, LONG_FRAMES, MELS = 298, 798, 128  # clips of 3 s and of 8 s
MEAN, STD = -9.09, 3.52  # about those of ICBHI's features
SMALL_MODELS = (("ast", "mini"), ("resnet18", ""), ("mn04", ""))
Work = Callable[[], object]


def random_cache(
    folder: Path, train: int, test: int, frames: int = FRAMES, mels: int = MELS
) -> Path:
    """Write a feature cache of random clips (seed 0) with all classes; return its folder."""
    if folder.exists():
        return folder
    index = np.arange(train + test)
    patient = (101 + index // 8).astype(str)
    cycles = pd.DataFrame({
        "dataset": "icbhi", "recording": [f"{name}_1b1_Al_sc_Meditron" for name in patient],
        "patient": patient, "device": "Meditron", "location": "Al", "cycle": index % 8,
        "start": 0.0, "end": 1.0, "label": np.array(CLASSES)[index % len(CLASSES)],
        "split": np.where(index < train, "train", "test"),
    })  # fmt: skip
    rng = np.random.default_rng(0)
    colour = rng.normal(0, STD, (len(index), 1, mels))  # or all embeddings would be one vector
    features = rng.normal(MEAN, STD / 2, (len(index), frames, mels)) + colour
    folder.mkdir(parents=True)
    np.save(folder / "features.npy", features.astype(np.float16))
    files.write_text(folder / "cycles.csv", cycles.to_csv(index=False))
    meta = {"name": "random", "note": "random numbers", "mean": MEAN, "std": STD}
    files.write_json(folder / "meta.json", meta | {"fingerprint": "0" * 64})
    return folder


def experiment(model: str, size: str, method: str, **changes: object) -> Experiment:
    """Return settings of a small run: patches side by side, batch 8, Patch-Mix where it fits."""
    settings = {"model": model, "size": size, "stride": 16, "method": method, "time_mask": 60}
    settings |= {"class_weights": method == "ce", "normalise": "dataset"}
    settings["mix_at"] = "input" if model in ("resnet18", "mn04") else "tokens"
    return Experiment(f"{model} {size}".strip(), **settings | changes)


def prepare(e: Experiment, cache: Path) -> trainer.Run:
    """Return a training run of the library on a feature cache, before its first step."""
    opened = open_cache(cache)
    folder = Path(tempfile.mkdtemp(dir=cache.parent))
    run = trainer.prepare_run(e, 1, opened, opened.features.shape[1], folder)
    run.model.train()
    return run


def sampled_steps(run: trainer.Run) -> Iterator[dict]:
    """Yield what is random in each step, sampled an epoch ahead as in training, without end."""
    for epoch in itertools.count(1):
        sampled = trainer.sample_epoch(run, epoch)
        for step in range(len(sampled["indices"])):
            yield tree_map(lambda values, step=step: values[step], sampled)


def training_steps(e: Experiment, cache: Path) -> Work:
    """Return a function that takes one training step of the library."""
    run = prepare(e, cache)
    steps = sampled_steps(run)
    return lambda: trainer.training_step(run, next(steps))


def scoring(e: Experiment, cache: Path, batch: int, clips: int) -> Work:
    """Return a function that scores some test clips as the library does, at a batch size."""
    run = prepare(e, cache)
    test = run.sets["test"]
    run.sets["test"] = replace(test, indices=np.resize(test.indices, clips))

    def score() -> None:
        trainer.EVALUATION_BATCH = dict.fromkeys(trainer.EVALUATION_BATCH, batch)
        trainer.predict(run, run.sets["test"], "test")

    return score


@dataclass(frozen=True)
class Variant:
    """One way to do the work of a case: `make()` prepares it and returns what is timed.

    make is a partial of a module's function, so that another process can measure its memory.
    """

    name: str
    make: partial
    units: int = 1  # clips, windows or recordings of one call
    note: str = ""
    deterministic: bool = True  # as the library trains on a CPU; the published way does not

    def timer(self, work: Work, case: str, threads: int) -> Timer:
        setup = f"torch.use_deterministic_algorithms({self.deterministic})"
        names = {"sub_label": case, "description": self.name, "num_threads": threads}
        return Timer("work()", setup, globals={"work": work, "torch": torch}, **names)


def compare(
    case: str,
    variants: list[Variant],
    unit: str = "s/step",
    rounds: int = 5,
    round_seconds: float = 0.4,
    threads: int = 1,
    ratios: bool = True,
) -> list[dict]:
    """Time the variants of a case by turns; return a row each, with ratios to the first variant.

    Each round times every variant, every second one backwards, so that a drift of the machine
    meets all of them. Ratios are taken within a round. Memory is the peak of a process of its own.
    """
    timers = [variant.timer(variant.make(), case, threads) for variant in variants]
    measured: list[list[Measurement]] = [[] for _ in variants]
    for number in range(rounds):
        order = range(len(timers)) if number % 2 == 0 else reversed(range(len(timers)))
        for i in order:
            measured[i].append(timers[i].blocked_autorange(min_run_time=round_seconds))
    torch.use_deterministic_algorithms(False)
    Compare([measurement for each in measured for measurement in each]).print()
    seconds = np.array([[m.median / v.units for m in each]
                        for v, each in zip(variants, measured, strict=True)])  # fmt: skip
    rows = []
    for variant, taken in zip(variants, seconds, strict=True):
        row = {"case": case, "variant": variant.name, "unit": unit, "note": variant.note}
        row |= dict(zip(("q1", "median", "q3"), np.quantile(taken, (0.25, 0.5, 0.75)), strict=True))
        row |= {"rounds": rounds, "peak_mb": peak_memory(variant.make), "base": ""}
        if ratios:
            row["base"] = variants[0].name
            names = ("faster_q1", "faster", "faster_q3")
            faster = np.quantile(seconds[0] / taken, (0.25, 0.5, 0.75))
            row |= dict(zip(names, faster, strict=True))
        rows.append(row)
    return rows


def peak_memory(make: partial) -> float:
    """Return the peak memory in MB of doing the work once: the GPU's, or that of a new process."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        make()()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    context = get_context("forkserver")
    context.set_forkserver_preload(["lib.training.trainer"])
    with context.Pool(1) as pool:
        return pool.apply(_work_once, (make,))


def _work_once(make: partial) -> float:
    torch.set_num_threads(1)
    make()()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
