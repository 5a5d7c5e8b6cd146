"""One training loop for all methods: `fit` trains a run to its end, also an interrupted one.

Everything random is keyed by seed, epoch and step, so an interrupted run ends with the same bytes
as one that was not (same machine, same versions, CPU).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torch.utils.data import default_collate
from torch.utils.tensorboard import SummaryWriter

from lib import files
from lib.config import SELECTIONS, Experiment
from lib.errors import TrainingError, UserError
from lib.evaluation import scores
from lib.evaluation.tasks import Task, get_task, label_column, scored_mask
from lib.features.cache import FeatureCache
from lib.features.frontends import frontend_for, noise_power
from lib.models import build, pretrained
from lib.runs import folder as runs_folder
from lib.training import augment, checkpoint, losses, methods, optim
from lib.training.dataset import FeatureDataset, load_dataset
from lib.training.device import can_compile, make_deterministic, pick_device
from lib.training.splits import in_subset, sample_balanced, split_cycles

EVALUATION_BATCH = {"cpu": 8, "cuda": 128}  # cpu: the fastest measured; cuda: not measured
SPLITS = ("train", "validation", "test")  # of the experiment's own dataset
RESTORED = ("model", "optimizer", "scheduler", "scaler")
Outputs = dict[str, Tensor]  # logits (N, C) and embedding (N, D) of a set
OnTrainEnd = Callable[..., dict[str, np.ndarray]]  # model, dataset, cycles, splits, experiment


@dataclass(frozen=True)
class ClipSet:
    """Clips that a run trains on or is scored on."""

    dataset: FeatureDataset
    cycles: pd.DataFrame  # rows of these clips only
    indices: np.ndarray  # (N,) of these clips in the dataset

    @property
    def labels(self) -> np.ndarray:
        """Class indices (N,)."""
        return self.dataset.labels.cpu().numpy()[self.indices]

    @property
    def scored(self) -> np.ndarray:
        """Which clips (N,) count for the Score that selects epochs: not those of test2023."""
        return scored_mask(scores.subset_names(self.cycles))

    def where(self, mask: np.ndarray) -> "ClipSet":
        """The clips in a mask (N,)."""
        return replace(self, cycles=self.cycles[mask], indices=self.indices[mask])


@dataclass
class Run:
    """Everything that a training run consists of while it is trained."""

    experiment: Experiment
    seed: int
    folder: Path
    device: torch.device
    task: Task
    sets: dict[str, ClipSet]  # SPLITS, and further test sets by name
    model: nn.Module
    method: methods.Method
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.amp.GradScaler

    @property
    def dataset(self) -> FeatureDataset:
        """The dataset of train, validation and test."""
        return self.sets["train"].dataset


def fit(
    experiment: Experiment, seed: int, cache: FeatureCache, frames: int, folder: Path,
    test_caches: dict[str, FeatureCache] | None = None, on_train_end: OnTrainEnd | None = None,
) -> None:  # fmt: skip
    """Train, score every epoch, select epochs, and write the run's record into `folder`.

    frames: how many of the cache's frames make a clip. test_caches: further test sets by name,
    scored at the selected epochs; no epoch is selected on them. on_train_end: analyses of the
    trained model. Writes history.csv, predictions.npz, TensorBoard events and, last, result.json.
    Raises `TrainingError` if the loss is not finite.
    """
    run = prepare_run(experiment, seed, cache, frames, folder, test_caches)
    state = checkpoint.load(folder, run.device) or {"history": [], "selected": {}}
    for name in RESTORED:
        if name in state:
            getattr(run, name).load_state_dict(state[name])
    history, selected = state["history"], state["selected"]
    writer = SummaryWriter(str(folder / "events"), purge_step=len(history) + 1)
    while len(history) < experiment.epochs:
        epoch = len(history) + 1
        start = time.monotonic()
        logs = _train_epoch(run, epoch)
        trained = time.monotonic() - start
        scored = {name: run.sets[name] for name in ("validation", "test")}
        scored = {name: clips.where(clips.scored) for name, clips in scored.items()}
        outputs = {name: predict(run, clips, name) for name, clips in scored.items()}
        history.append({"epoch": epoch, **logs, **epoch_scores(run, outputs)})
        _keep_selected(run, history, outputs, selected)
        state = {name: getattr(run, name).state_dict() for name in RESTORED}
        checkpoint.save(folder, epoch, state | {"history": history, "selected": selected})
        for key, value in history[-1].items():
            writer.add_scalar(key, value, epoch)
        seconds = time.monotonic() - start
        print(f"epoch {epoch} took {seconds:.1f} s, {trained:.1f} s of it training", flush=True)
    writer.close()
    if on_train_end:
        splits = {name: run.sets[name].indices for name in SPLITS}
        run.model.eval()  # also after a run that was stopped here: no epoch has set it
        arrays = on_train_end(run.model, run.dataset, cache.cycles, splits, experiment)
        if arrays:
            runs_folder.write_arrays(folder / runs_folder.ANALYSIS, arrays)
    write_record(run, history, selected)
    checkpoint.clear(folder)


def prepare_run(
    experiment: Experiment, seed: int, cache: FeatureCache, frames: int, folder: Path,
    test_caches: dict[str, FeatureCache] | None = None,
) -> Run:  # fmt: skip
    """Return a run before its first step, with initial weights; writes weights.csv."""
    device, task = pick_device(), get_task(experiment.task)
    make_deterministic(device)
    sets = _load_sets(experiment, seed, cache, frames, device, test_caches or {})
    train, n_classes = sets["train"], len(task.classes)
    shape = train.dataset.shape
    model = _initial_model(experiment, seed, shape, n_classes, folder).to(device)
    weight = losses.class_weights(torch.from_numpy(train.labels), n_classes).to(device)
    method = methods.build_method(experiment, model, shape, weight)
    if can_compile(device):
        method = replace(method, loss=torch.compile(method.loss))
    optimizer = optim.build_optimizer(model, experiment)
    steps = len(train.indices) // experiment.batch_size
    scheduler = optim.build_scheduler(optimizer, experiment, steps)
    scaler = torch.amp.GradScaler(enabled=experiment.precision == "fp16")
    parts = model, method, optimizer, scheduler, scaler
    return Run(experiment, seed, folder, device, task, sets, *parts)


def _load_sets(
    e: Experiment, seed: int, cache: FeatureCache, frames: int, device: torch.device,
    test_caches: dict[str, FeatureCache],
) -> dict[str, ClipSet]:  # fmt: skip
    """Train, validation and test of the cache, and the test split of each further one."""
    noise = noise_power(frontend_for(e), e.noise) if e.gain or e.noise else None
    settings = frames, e.normalise, device, e.pad, e.pad_frames, noise, e.interpolated_frames
    splits = [(cache, split_cycles(cache.cycles, e, seed))]
    for name, each in test_caches.items():
        cycles = in_subset(each.cycles, e)
        splits.append((each, {name: cycles.index[cycles.split == "test"].to_numpy(copy=True)}))
    sets = {}
    for each, indices in splits:
        labels = get_task(e.task).encode(each.cycles[label_column(e.task)])
        dataset = load_dataset(each, labels, *settings)
        sets |= {name: ClipSet(dataset, each.cycles.loc[i], i) for name, i in indices.items()}
    return sets


def _initial_model(
    experiment: Experiment, seed: int, shape: tuple[int, int], n_classes: int, folder: Path
) -> nn.Module:
    torch.manual_seed(seed)
    model = build.build_model(experiment, *shape, n_classes)
    if experiment.init_from:
        report = pretrained.load_encoder(model, runs_folder.initial_weights(folder))
    else:
        report = pretrained.load_pretrained(model, experiment, *shape)
    build.add_projector(model, experiment)
    files.write_text(folder / "weights.csv", report.to_csv(index=False))
    return model


def _train_epoch(run: Run, epoch: int) -> dict[str, float]:
    """One pass over the training clips; returns the learning rate and the mean of each log."""
    run.model.train()
    if run.experiment.freeze:  # the encoder keeps its batch-norm statistics
        for name, module in run.model.named_children():
            module.train(name == "classifier")
    key = np.random.SeedSequence((run.seed, epoch, 0)).generate_state(1)[0]
    torch.manual_seed(int(key))  # dropout and drop path
    learning_rate = optim.learning_rate(run.optimizer, run.experiment)
    sampled = sample_epoch(run, epoch)
    steps = len(sampled["indices"])
    sums: dict[str, Tensor] = {}
    progress = runs_folder.Progress(run.folder, epoch, steps)
    for step in range(steps):
        logs = training_step(run, tree_map(lambda values, i=step: values[i], sampled))
        for key, value in logs.items():
            sums[key] = sums.get(key, 0) + value
        run.scheduler.step()
        progress.step(step + 1)
    means = {key: (value / steps).item() for key, value in sums.items()}
    if not np.isfinite(means["loss"]):
        raise TrainingError(f"{run.folder.name}: the loss is {means['loss']} in epoch {epoch}")
    return {"lr": learning_rate, **means}


def sample_epoch(run: Run, epoch: int) -> dict:
    """Return all that is random in an epoch by step, a function of (seed, epoch, step) alone."""
    e, train = run.experiment, run.sets["train"]
    rng = np.random.default_rng([run.seed, epoch, 0])
    if e.sampler == "shuffle":
        order = rng.permutation(train.indices)
    else:
        power = 1.0 if e.sampler == "balanced" else 0.5
        order = train.indices[sample_balanced(train.labels, len(train.indices), rng, power)]
    steps = len(order) // e.batch_size  # the incomplete batch is dropped, as published
    if not steps:
        raise TrainingError(
            f"{run.folder.name}: {len(order)} training clips do not fill one batch of "
            f"{e.batch_size}; choose a smaller batch"
        )
    masks = run.dataset.clip_shape, e.spec_augment, e.frequency_mask, e.time_mask
    batches = []
    for step in range(steps):
        rng = np.random.default_rng([run.seed, epoch, step + 1])
        clips = order[step * e.batch_size : (step + 1) * e.batch_size]
        indices = np.tile(clips, run.method.views)
        sampled = {"indices": torch.from_numpy(indices)}
        if run.dataset.offset is not None:
            sampled["crop_flip"] = augment.sample_crop_flip(rng, len(indices), e.flip)
        if e.roll:
            frames = rng.integers(0, run.dataset.clip_shape[0], len(indices))
            sampled["roll"] = torch.from_numpy(frames)
        if e.gain or e.noise:
            sampled["gain_noise"] = augment.sample_gain_noise(rng, len(indices), e.gain)
        if e.spec_augment:
            sampled["masks"] = augment.sample_spec_augment(rng, len(indices), *masks)
        batches.append({**sampled, **run.method.sample(rng, len(indices))})
    return tree_map(lambda values: values.to(run.device), default_collate(batches))


def training_step(run: Run, sampled: dict) -> dict[str, Tensor]:
    """Take one step of the optimiser and return its logs; nothing in it waits for the device."""
    batch = augmented_batch(run, sampled)

    def loss() -> tuple[Tensor, methods.Logs]:
        with autocast(run):
            return run.method.loss(run.model, batch, sampled)

    e = run.experiment
    return optim.step(run.model, run.optimizer, run.scaler, loss, e.rho, e.adaptive)


def augmented_batch(run: Run, sampled: dict) -> tuple[Tensor, Tensor]:
    """Return the augmented clips of a step (B, frames, bins) and their labels (B,)."""
    crop = sampled.get("crop_flip")
    change = sampled.get("gain_noise")
    x, y = run.dataset.clips(sampled["indices"], crop and crop.position, change)
    x = augment.flip_time(x, crop.flip) if crop else x
    x = augment.roll_time(x, sampled["roll"]) if "roll" in sampled else x
    x = augment.spec_augment(x, sampled["masks"]) if "masks" in sampled else x
    return run.dataset.stretch(x), y


def autocast(run: Run) -> torch.autocast:
    """Return the autocast context of the experiment's precision."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(run.experiment.precision)
    return torch.autocast(run.device.type, dtype=dtype, enabled=dtype is not None)


@torch.no_grad()
def predict(run: Run, clips: ClipSet, name: str) -> Outputs:
    """Return logits (N, C), except for SupCon, and embedding (N, D) of clips; {} if there are none.

    Raises `TrainingError` with the `name` of the set if a logit is not finite.
    """
    run.model.eval()
    logits, embedding, size = [], [], EVALUATION_BATCH[run.device.type]
    indices = torch.from_numpy(clips.indices).to(run.device)
    for start in range(0, len(indices), size):
        x, _ = clips.dataset.batch(indices[start : start + size])
        with autocast(run):
            z = run.model.features(x)
            logits.append(run.model.classifier(z).float())
        embedding.append(z.half())
    logits = [] if run.experiment.method == "supcon" else logits  # its classifier is not trained
    outputs = {"logits": logits, "embedding": embedding}
    outputs = {key: torch.cat(values).cpu() for key, values in outputs.items() if values}
    if "logits" in outputs:
        try:
            scores.predicted_classes(outputs["logits"].numpy(), f"the {name} set")
        except UserError as error:
            raise TrainingError(f"{run.folder.name}: {error}") from error
    return outputs


def epoch_scores(run: Run, outputs: dict[str, Outputs]) -> dict[str, float]:
    """Return Sp, Se and Score, in percent, of each set's scored clips: validation_sp, ..."""
    result = {}
    for name, output in outputs.items():
        if "logits" in output:
            clips = run.sets[name].where(run.sets[name].scored)
            predicted = output["logits"].argmax(1).numpy()
            subset = scores.subset_names(clips.cycles)
            numbers = run.task.mean_scores(clips.labels, predicted, subset)
            result |= {f"{name}_{key}": float(numbers[key]) for key in ("sp", "se", "score")}
    return result


def _keep_selected(
    run: Run, history: list[dict], outputs: dict[str, Outputs], selected: dict[str, Outputs]
) -> None:
    """Keep this epoch's predictions and weights if a selection rule selects it so far.

    The rule "last" keeps the final epoch only. Weights are those of the epoch that is selected on
    validation, or of the last one if none is.
    """
    e, epoch = run.experiment, history[-1]["epoch"]
    chosen = {rule: checkpoint.selected_epoch(history, rule) for rule in SELECTIONS}
    if epoch < e.epochs:
        chosen.pop("last")
    rules = [rule for rule in chosen if chosen[rule] == epoch]
    if rules:
        further = [name for name in run.sets if name not in SPLITS]
        further += ["train"] * e.save_train_predictions
        outputs = outputs | {name: predict(run, run.sets[name], name) for name in further}
        outputs["test"] = _with_unscored(run, outputs["test"])
    embedded = ("validation",) if run.task.challenge else ("validation", "test")  # pages draw them
    for rule in rules:
        selected[rule] = {
            f"{name}/{key}": value
            for name, output in outputs.items()
            for key, value in output.items()
            if key == "logits" or (e.save_embeddings and name in embedded)
        }
    if e.save_weights and (chosen["validation"] or chosen.get("last")) == epoch:
        with files.atomic_write(run.folder / runs_folder.WEIGHTS) as path:
            state = {key: value.contiguous() for key, value in run.model.state_dict().items()}
            save_file(state, path)


def _with_unscored(run: Run, outputs: Outputs) -> Outputs:
    """The outputs of all test clips, from those of the scored ones."""
    clips = run.sets["test"]
    scored = torch.from_numpy(clips.scored)
    if scored.all():
        return outputs
    rest, joined = predict(run, clips.where(~clips.scored), "test"), {}
    for key, values in outputs.items():
        joined[key] = values.new_empty(len(scored), *values.shape[1:])
        joined[key][scored], joined[key][~scored] = values, rest[key]
    return joined


def write_record(run: Run, history: list[dict], selected: dict[str, Outputs]) -> None:
    """Write the record of a finished run; selected: the arrays that each rule selects."""
    arrays = {}
    for name, clips in run.sets.items():
        if any(key.startswith(f"{name}/") for outputs in selected.values() for key in outputs):
            arrays |= scores.describe_set(name, clips.cycles, clips.dataset.labels.cpu().numpy())
    drawn = "test" if "test" in selected else "last"  # pages draw one selection's embeddings
    for rule, outputs in selected.items():
        for key, value in outputs.items():
            if key.endswith("logits") or rule == drawn:
                arrays[f"{rule}/{key}"] = value.cpu().numpy()
    epochs = {rule: checkpoint.selected_epoch(history, rule) for rule in SELECTIONS}
    facts = {"parameters": sum(p.numel() for p in run.model.parameters())}
    facts["clips"] = {name: len(clips.indices) for name, clips in run.sets.items()}
    runs_folder.write_record(run.folder, history, arrays, epochs, facts, run.task)
