"""One training loop for all systems: `fit` makes a run folder complete, from wherever it stands.

Everything random is keyed by seed, epoch and step, so that a run that was interrupted anywhere ends
with the very same bytes as one that was not (same machine, same versions, CPU).
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torch.utils.data import default_collate
from torch.utils.tensorboard import SummaryWriter

from lib import files, models
from lib.config import Experiment
from lib.errors import TrainingError
from lib.evaluation import scores, tasks
from lib.features.cache import FeatureCache
from lib.features.frontends import frontend_for, noise_power
from lib.models import pretrained
from lib.runs import folder as runs_folder
from lib.training import augment, best_checkpoint, checkpoint, dataset, losses, methods, optim
from lib.training import device as training_device
from lib.training.splits import sample_balanced, split_cycles

EVALUATION_BATCH = {"cpu": 8, "cuda": 128}  # cpu: measured the fastest; cuda: not yet
RESTORED = ("model", "optimizer", "scheduler", "scaler")


@dataclass
class Run:
    """All that one training run consists of while it is being made."""

    experiment: Experiment
    seed: int
    folder: Path
    device: torch.device
    cycles: pd.DataFrame
    sets: dict[str, np.ndarray]
    labels: np.ndarray
    clips: dataset.FeatureDataset
    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    method: methods.Method
    scaler: torch.amp.GradScaler


def fit(experiment: Experiment, seed: int, store: FeatureCache, frames: int, folder: Path) -> None:
    """Train, score every epoch, choose epochs, and write the run's record into `folder`.

    frames: how many of the store's frames make a clip. Writes history.csv, predictions.npz,
    TensorBoard events and, last, result.json. Raises UserError when the loss is not finite.
    """
    run = prepare_run(experiment, seed, store, frames, folder)
    history, chosen = _resume(run)
    writer = SummaryWriter(str(folder / "events"), purge_step=len(history) + 1)
    while len(history) < experiment.epochs:
        epoch = len(history) + 1
        start = time.monotonic()
        logs = _train_epoch(run, epoch)
        evaluated = {name: predict(run, name) for name in ("validation", "test")}
        history.append({"epoch": epoch, **logs, **_epoch_scores(run, evaluated)})
        best_checkpoint.keep_chosen(run, chosen, history, evaluated, predict)
        best_checkpoint.save_weights(run, history)
        run.scheduler.step()
        _save(run, history, chosen)
        for key, value in history[-1].items():
            writer.add_scalar(key, value, epoch)
        print(f"epoch {epoch} took {time.monotonic() - start:.1f} s", flush=True)
    writer.close()
    best_checkpoint.finish(run, history, chosen)


def prepare_run(
    experiment: Experiment, seed: int, store: FeatureCache, frames: int, folder: Path
) -> Run:
    device = training_device.pick_device()
    training_device.make_deterministic(device)
    labelling = tasks.get_task(experiment.task)
    sets = split_cycles(store.cycles, experiment, seed)
    coded = labelling.codes(store.cycles[tasks.label_column(experiment.task)])
    loaded = _load(experiment, store, coded, frames, device)
    torch.manual_seed(seed)
    model = models.build_model(experiment, *loaded.shape, len(labelling.classes))
    parent = runs_folder.initial_weights(folder) if experiment.init_from else None
    report = (
        pretrained.load_encoder(model, parent)
        if parent
        else pretrained.load_pretrained(model, experiment, *loaded.shape)
    )
    models.add_projector(model, experiment)
    model.to(device)
    optimizer = optim.build_optimizer(model, experiment)
    weight = losses.class_weights(torch.from_numpy(coded[sets["train"]]), len(labelling.classes))
    files.write_text(folder / "weights.csv", report.to_csv(index=False))
    return Run(
        experiment=experiment,
        seed=seed,
        folder=folder,
        device=device,
        cycles=store.cycles,
        sets=sets,
        labels=coded,
        clips=loaded,
        model=model,
        optimizer=optimizer,
        scheduler=optim.build_scheduler(optimizer, experiment.epochs, experiment.schedule),
        method=_compiled(
            methods.build_method(experiment, model, loaded.shape, weight.to(device)), device
        ),
        scaler=torch.amp.GradScaler(enabled=experiment.precision == "fp16"),
    )


def _load(
    e: Experiment, store: FeatureCache, coded: np.ndarray, frames: int, device: torch.device
) -> dataset.FeatureDataset:
    noise = noise_power(frontend_for(e), e.noise) if e.gain or e.noise else None
    sizes = {"pad_frames": e.pad_frames, "interpolated_frames": e.interpolated_frames}
    return dataset.load_dataset(
        store, coded, frames, e.normalise, device, e.pad, noise=noise, **sizes
    )


def _compiled(method: methods.Method, device: torch.device) -> methods.Method:
    """The same method, compiled on a GPU; on a CPU compiling costs more than a small run gives."""
    return (
        replace(method, loss=torch.compile(method.loss))
        if training_device.can_compile(device)
        else method
    )


def _train_epoch(run: Run, epoch: int) -> dict[str, float]:
    """One pass over the training clips in an order drawn from (seed, epoch)."""
    _set_training(run)
    torch.manual_seed(_key(run.seed, epoch, 0))  # dropout and drop path
    drawn = sample_epoch(run, epoch)
    steps = len(drawn["rows"])
    sums: dict[str, Tensor] = {}
    bar = runs_folder.Progress(run.folder, epoch, steps)
    for step in range(steps):
        for key, value in training_step(
            run, tree_map(lambda values, at=step: values[at], drawn)
        ).items():
            sums[key] = sums.get(key, 0) + value
        bar.step(step + 1)
    logs = {key: (value / steps).item() for key, value in sums.items()}
    if not np.isfinite(logs["loss"]):
        raise TrainingError(f"{run.folder.name}: the loss is {logs['loss']} in epoch {epoch}")
    e = run.experiment
    return {"lr": e.lr * optim.factor(epoch, e.epochs, e.schedule), **logs}


def _set_training(run: Run) -> None:
    """Training mode; a frozen encoder stays as it is, the statistics of its batch norms too."""
    run.model.train()
    if run.experiment.freeze:
        for name, part in run.model.named_children():
            part.train(name == "classifier")


def sample_epoch(run: Run, epoch: int) -> dict:
    """All that is random in an epoch (rows, masks, mix), by steps, sent to the device at once.

    A function of (seed, epoch, step) alone, and the same on every device.
    """
    e = run.experiment
    order = _order(run, np.random.default_rng([run.seed, epoch, 0]))
    steps = len(order) // e.batch_size  # drop_last, as published
    if not steps:
        raise TrainingError(
            f"{run.folder.name}: {len(order)} training clips do not fill one batch of "
            f"{e.batch_size}; take a smaller batch"
        )
    masks = run.clips.shape, e.spec_augment, e.frequency_mask, e.time_mask
    drawn = []
    for step in range(steps):
        rng = np.random.default_rng([run.seed, epoch, step + 1])
        rows = np.tile(order[step * e.batch_size : (step + 1) * e.batch_size], run.method.views)
        one = {"rows": torch.from_numpy(rows)}
        if run.clips.offset is not None:
            one["view"] = augment.sample_crop_flip(rng, len(rows), e.flip)
        if e.gain or e.noise:
            one["wave"] = augment.sample_gain_noise(rng, len(rows), e.gain)
        if e.spec_augment:
            one["spans"] = augment.sample_spec_augment(rng, len(rows), *masks)
        drawn.append({**one, **run.method.draw(rng, len(rows))})
    return tree_map(lambda values: values.to(run.device), default_collate(drawn))


def _order(run: Run, rng: np.random.Generator) -> np.ndarray:
    """The training rows in the order of an epoch, each once or drawn with equal classes."""
    rows = run.sets["train"]
    if run.experiment.sampler == "shuffle":
        return rng.permutation(rows)
    return rows[sample_balanced(run.labels[rows], len(rows), rng)]


def training_step(run: Run, drawn: dict) -> dict[str, Tensor]:
    """One step of the optimiser; nothing in it waits for the device."""
    batch = augmented_batch(run, drawn)

    def loss() -> tuple[Tensor, methods.Logs]:
        with _autocast(run):
            return run.method.loss(run.model, batch, drawn)

    e = run.experiment
    return optim.step(run.model, run.optimizer, run.scaler, loss, e.rho, e.adaptive)


def augmented_batch(run: Run, drawn: dict) -> tuple[Tensor, Tensor]:
    """The clips of a step as the model sees them, (B, frames, bins), and their labels."""
    view = drawn.get("view")
    x, y = run.clips.batch(drawn["rows"], view and view.at, drawn.get("wave"))
    x = augment.flip_time(x, view.flip) if view else x
    return (augment.spec_augment(x, drawn["spans"]) if "spans" in drawn else x), y


def _autocast(run: Run) -> torch.autocast:
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(run.experiment.precision)
    return torch.autocast(run.device.type, dtype=dtype, enabled=dtype is not None)


@torch.no_grad()
def predict(run: Run, name: str) -> dict[str, Tensor]:
    """Logits (N, C) and features z (N, D) of one set, in the store's order.

    SupCon trains no classifier, so it has no logits.
    """
    run.model.eval()
    logits, embedding = [], []
    rows = torch.from_numpy(run.sets[name]).to(run.device)
    for part in rows.split(EVALUATION_BATCH[run.device.type]) if len(rows) else ():
        x, _ = run.clips.batch(part)
        with _autocast(run):
            z = run.model.features(x)
            logits.append(run.model.classifier(z).float())
        embedding.append(z.half())
    if not logits:
        return {}
    found = {"logits": torch.cat(logits).cpu(), "embedding": torch.cat(embedding).cpu()}
    return {"embedding": found["embedding"]} if run.experiment.method == "supcon" else found


def _epoch_scores(run: Run, evaluated: dict[str, dict[str, Tensor]]) -> dict[str, float]:
    result = {}
    labelling = tasks.get_task(run.experiment.task)
    for name, found in evaluated.items():
        if "logits" in found:
            rows, predicted = run.sets[name], found["logits"].argmax(1).numpy()
            parts = scores.subset_names(run.cycles.loc[rows])
            numbers = labelling.mean_scores(run.labels[rows], predicted, parts)
            result |= {f"{name}_{key}": float(numbers[key]) for key in ("sp", "se", "score")}
    return result


def _save(run: Run, history: list[dict], chosen: dict) -> None:
    parts = {name: getattr(run, name).state_dict() for name in RESTORED}
    checkpoint.save(run.folder, len(history), {"history": history, "kept": chosen, **parts})


def _resume(run: Run) -> tuple[list[dict], dict]:
    """History and kept predictions so far, with the run's parts as they were then."""
    state = checkpoint.load(run.folder, run.device)
    if state is None:
        return [], {}
    for name in RESTORED:
        getattr(run, name).load_state_dict(state[name])
    return state["history"], state["kept"]


def _key(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
