"""Train a run in two parts, as after a crash: what a rehearsal starts instead of `trainer.fit`."""

import resource
from contextlib import suppress

from lib import files
from lib.runs.folder import COSTS
from lib.training import trainer


class Stopped(Exception):
    """Ends the first part of a run, after its checkpoint and before its record."""


def fit(experiment, seed, cache, frames, folder, test_caches, on_train_end) -> None:
    """Train like `trainer.fit`, stop before the record, go on from the checkpoint; write the cost.

    costs.json holds the peak memory (GB) of the process.
    """
    with suppress(Stopped):
        trainer.fit(experiment, seed, cache, frames, folder, test_caches, _stop)
    trainer.fit(experiment, seed, cache, frames, folder, test_caches, on_train_end)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    files.write_json(folder / COSTS, {"memory_gb": round(peak, 2)})


def _stop(*_: object) -> dict:
    raise Stopped
