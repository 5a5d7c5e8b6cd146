"""A trained model on the recordings of another data set: it learns nothing, it only answers."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from lib import files, models
from lib.config import SELECTIONS, Experiment
from lib.errors import UserError
from lib.evaluation import scores, tasks
from lib.features.cache import FeatureCache
from lib.runs import folder as runs_folder
from lib.training import dataset
from lib.training import device as training_device
from lib.training.splits import split_cycles

BATCH = 64


def fit(experiment: Experiment, seed: int, store: FeatureCache, frames: int, folder: Path) -> None:
    """Answer the test clips of `store` with the parent's weights; write the run's record.

    It takes the place of `lib.training.trainer.fit` where the method is "none". Nothing here chooses an epoch:
    the weights are those of the epoch that the parent's own held-out patients chose, else of its
    last one, so the answers stand under "validation" or "last" alone, as epoch 0.
    """
    labelling = tasks.get_task(experiment.task)
    coded = labelling.codes(store.cycles[tasks.label_column(experiment.task)])
    rows = split_cycles(store.cycles, experiment, seed)["test"]
    weights = runs_folder.initial_weights(folder)
    logits = answer(experiment, weights, store, frames, rows)
    arrays = scores.describe_set("test", store.cycles.loc[rows], coded)
    chosen = files.read_json(weights.parent / "result.json")["selections"]["validation"]
    arrays[f"{'validation' if chosen else 'last'}/test/logits"] = logits
    epochs = dict.fromkeys(SELECTIONS, 0)
    runs_folder.write_record(folder, [{"epoch": 0}], arrays, epochs, {"clips": {"test": len(rows)}},
                      labelling)  # fmt: skip


@torch.no_grad()
def answer(
    experiment: Experiment, weights: Path, store: FeatureCache, frames: int, rows: np.ndarray
) -> np.ndarray:
    """Logits (len(rows), classes) of a run's kept weights for some rows of a store.

    experiment: what the weights were trained with, as far as it makes the model and its input.
    Raises `UserError` if the weights do not fit that model.
    """
    device = training_device.pick_device()
    training_device.make_deterministic(device)
    coded = np.zeros(len(store.cycles), dtype=np.int64)
    loaded = dataset.load_dataset(
        store,
        coded,
        frames,
        experiment.normalise,
        device,
        pad_frames=experiment.pad_frames,
        interpolated_frames=experiment.interpolated_frames,
    )
    model = models.build_model(
        experiment, *loaded.shape, len(tasks.get_task(experiment.task).classes)
    )
    _load(model, weights)
    model.to(device).eval()
    parts = torch.tensor(rows).to(device).split(BATCH)
    return np.concatenate([model(loaded.batch(part)[0]).float().cpu().numpy() for part in parts])


def _load(model: torch.nn.Module, path: Path) -> None:
    """A run's weights; the projector that it was trained with answers nothing."""
    state = {k: v for k, v in load_file(path).items() if not k.startswith("projector.")}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path}: does not fit the model; is it the run of another?") from error
