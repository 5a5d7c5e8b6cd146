"""Train a run in two parts, as after a crash: what a rehearsal starts instead of `trainer.fit`."""

import resource
import sys
import time
from contextlib import suppress

import torch

from lib import files
from lib.runs.folder import COSTS
from lib.training import trainer


class Stopped(Exception):
    """Ends the first part of a run, after its checkpoint and before its record."""


def fit(experiment, seed, cache, frames, folder, test_caches, on_train_end) -> None:
    """Train like `trainer.fit`, stop before the record, go on from the checkpoint; write the cost.

    The trained model is analysed on one training clip. costs.json holds memory_gb, the peak of the
    process or on the GPU if one is used, and share, how much of its core this one thread had.
    """

    def inspect_one(model, dataset, cycles, splits, experiment) -> dict:
        one = splits | {"train": splits["train"][:1]}
        return on_train_end(model, dataset, cycles, one, experiment)

    wall, busy = time.monotonic(), time.process_time()
    with suppress(Stopped):
        trainer.fit(experiment, seed, cache, frames, folder, test_caches, _stop)
    share = min(1.0, (time.process_time() - busy) / (time.monotonic() - wall))
    trainer.fit(experiment, seed, cache, frames, folder, test_caches, on_train_end and inspect_one)
    if torch.cuda.is_available():
        peak, share = torch.cuda.max_memory_allocated(), 1.0
    else:  # in bytes on a Mac, else in KiB
        unit = 1 if sys.platform == "darwin" else 1024
        peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cost = {"memory_gb": round(peak / 1e9, 2), "share": round(share, 3)}
    files.write_json(folder / COSTS, cost)


def _stop(*_: object) -> dict:
    raise Stopped
