"""What a run keeps while it is made and leaves behind: chosen answers, weights, its record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from safetensors.torch import save_file
from torch import Tensor

from lib import files
from lib.analysis import inspect
from lib.config import SELECTIONS
from lib.evaluation import scores, tasks
from lib.evaluation.metrics import select_epoch
from lib.runs import folder
from lib.training import checkpoint

if TYPE_CHECKING:
    from lib.training.trainer import Run

Evaluated = dict[str, dict[str, Tensor]]  # set -> logits, embedding


def keep_chosen(
    run: Run,
    kept: dict[str, dict],
    history: list[dict],
    evaluated: Evaluated,
    evaluate: Callable[[Run, str], dict[str, Tensor]],
) -> None:
    """Keep this epoch's predictions for each selection that would choose it so far."""
    epoch = history[-1]["epoch"]
    chosen = [name for name in SELECTIONS if chosen_epoch(history, name) == epoch]
    if chosen and run.experiment.save_train_predictions:
        evaluated = evaluated | {"train": evaluate(run, "train")}
    for selection in chosen:
        kept[selection] = {
            f"{name}/{key}": value
            for name, found in evaluated.items()
            for key, value in found.items()
            if key == "logits" or (run.experiment.save_embeddings and name in _drawn(run))
        }


def _drawn(run: Run) -> tuple[str, ...]:
    """The sets whose embeddings are drawn: of SPRSound's tasks the held-out one alone."""
    challenge = tasks.get_task(run.experiment.task).challenge
    return ("validation",) if challenge else ("validation", "test")


def save_weights(run: Run, history: list[dict]) -> None:
    """Write the weights of this epoch if it is the one that whoever starts from them wants."""
    wanted = chosen_epoch(history, "validation") or chosen_epoch(history, "last")  # none qualifies
    if run.experiment.save_weights and wanted == history[-1]["epoch"]:
        with files.atomic_write(run.folder / folder.WEIGHTS) as part:
            state = {key: value.contiguous() for key, value in run.model.state_dict().items()}
            save_file(state, part)


def chosen_epoch(history: list[dict], selection: str) -> int | None:
    """The epoch a selection rule takes: the last one, or the best on validation or test."""
    if selection == "last":
        return history[-1]["epoch"]
    if f"{selection}_score" not in history[-1]:
        return None
    best = select_epoch(
        [{"se": row[f"{selection}_se"], "score": row[f"{selection}_score"]} for row in history]
    )
    return None if best is None else history[best]["epoch"]


def finish(run: Run, history: list[dict], kept: dict) -> None:
    """Write the record of a run whose epochs are all done, and drop its checkpoints."""
    arrays = {}
    for name in ("train", "validation", "test"):
        if any(f"{name}/" in key for found in kept.values() for key in found):
            arrays |= scores.describe_set(name, run.cycles.loc[run.sets[name]], run.labels)
    shown = "test" if "test" in kept else "last"  # one selection's embeddings are enough to draw
    for selection, found in kept.items():
        for key, value in found.items():
            if key.endswith("logits") or selection == shown:
                arrays[f"{selection}/{key}"] = value.cpu().numpy()
    epochs = {selection: chosen_epoch(history, selection) for selection in SELECTIONS}
    size = sum(p.numel() for p in run.model.parameters())
    facts = {"parameters": size, "clips": {name: len(rows) for name, rows in run.sets.items()}}
    if seen := _seen_inside(run):
        folder.write_arrays(run.folder / folder.ANALYSIS, seen)
    folder.write_record(
        run.folder, history, arrays, epochs, facts, tasks.get_task(run.experiment.task)
    )
    checkpoint.clear(run.folder)


def _seen_inside(run: Run) -> dict[str, np.ndarray]:
    """What an experiment wants kept of the model itself, which is not published."""
    e, seen = run.experiment, {}
    if e.save_landscape:
        seen |= inspect.inspect_model(run.model, run.clips, run.cycles, run.sets, e.task)
    if e.save_frequency_response:
        seen |= inspect.inspect_response(run.model, run.clips, run.sets)
    return seen
