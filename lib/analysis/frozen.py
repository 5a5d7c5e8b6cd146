"""Frozen features of SPRSound that come with the code: real numbers without any recording.

reports/embeddings/sprsound_mn04.npz holds what a frozen EfficientAT mn04 with AudioSet weights
makes of every annotated event and record, in 8 bits. No sound can be rebuilt from it. A linear
probe on it takes seconds; `./run_all.sh embed` makes the file from recordings.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from lib import files, paths
from lib.data.annotations import load_annotations
from lib.errors import UserError
from lib.evaluation import bootstrap
from lib.evaluation.scores import cycle_ids
from lib.evaluation.tasks import get_task
from lib.papers import get_experiment
from lib.papers.sprsound import RECORD_TASKS, TASKS

FILE = paths.PROJECT / "reports" / "embeddings" / "sprsound_mn04.npz"
STEPS = 20  # of 8-bit features in a standard deviation
EXPERIMENT = "mn04_as/probe@{}"


def unit_of(task: str) -> str:
    """The clips of a task: event or record."""
    return "record" if task in RECORD_TASKS else "event"


def quantise(x: np.ndarray, train: np.ndarray) -> dict[str, np.ndarray]:
    """8-bit features (N, D) of x (N, D), with mean and std (D,) of each over the training clips.

    train: mask (N,). 20 steps are a standard deviation; values beyond 6.35 of them are clipped.
    """
    mean, std = x[train].mean(0), np.maximum(x[train].std(0), 1e-6)
    steps = np.clip(np.round((x - mean) / std * STEPS), -127, 127)
    return {"x": steps.astype(np.int8), "mean": mean, "std": std}


def load_features(unit: str, path: Path = FILE) -> tuple[pd.DataFrame, np.ndarray]:
    """Annotations (N rows) and standardised features (N, D), float32, of all events or records.

    Raises `UserError` if the file is not here or does not fit the annotations.
    """
    annotations = load_annotations("sprsound", unit)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            x, cycles = arrays[f"{unit}/x"], arrays[f"{unit}/cycle"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: cannot be read ({error}); restore it from git") from error
    if not np.array_equal(cycles, cycle_ids(annotations)):
        raise UserError(
            f"{path}: made from other annotations; make it again with ./run_all.sh embed"
        )
    return annotations, x.astype(np.float32) / STEPS


def probe_table(path: Path = FILE) -> pd.DataFrame:
    """One row for each task: C, class_weight, cross_validation, and Scores of a linear probe.

    The settings were chosen by cross-validation over training patients when the file was made; the
    probe is fitted again. test2022 (mean of inter and intra), test2023, and the 95% patient
    interval of the latter (low, high) are in percent.
    """
    with np.load(path, allow_pickle=False) as arrays:
        chosen = json.loads(str(arrays["settings"]))
    return pd.DataFrame([{"task": task} | _scores(task, chosen[task], path) for task in TASKS])


def _scores(task: str, settings: dict, path: Path) -> dict[str, float | str]:
    from lib.training import probe  # here: it loads torch

    annotations, x = load_features(unit_of(task), path)
    about = get_task(task)
    label = about.encode(annotations[task])
    train = (annotations.split == "train").to_numpy()
    model = probe.build_probe(settings["C"], settings["class_weight"], label[train])
    model.fit(x[train], label[train])
    test = annotations[~train].assign(label=label[~train], predicted=model.predict(x[~train]))
    final = test[test.subset == "test2023"]
    of_2022 = test[test.subset != "test2023"]
    arrays = [final[key].to_numpy() for key in ("label", "predicted", "patient")]
    low, high = bootstrap.patient_bootstrap(*arrays, about)["score"]
    columns = ("label", "predicted", "subset")
    scores = [
        float(about.mean_scores(*(part[key].to_numpy() for key in columns))["score"])
        for part in (of_2022, final)
    ]
    names = ("test2022", "test2023")
    return settings | dict(zip(names, scores, strict=True)) | {"low": low, "high": high}


def make_file(path: Path = FILE) -> Path:
    """Write the file from SPRSound's recordings and the weights; minutes. Returns its path.

    Raises `UserError` if recordings or weights are missing.
    """
    from lib.training import probe

    arrays, settings = {}, {}
    for unit in ("event", "record"):
        annotations = load_annotations("sprsound", unit)
        train = (annotations.split == "train").to_numpy()
        quantised = quantise(_embed(unit, annotations), train)
        arrays |= {f"{unit}/{name}": values for name, values in quantised.items()}
        arrays[f"{unit}/cycle"] = cycle_ids(annotations)
        x = quantised["x"][train].astype(np.float32) / STEPS
        for task in (task for task in TASKS if unit_of(task) == unit):
            about = get_task(task)
            label = about.encode(annotations[task][train])
            patient = annotations.patient[train].to_numpy()
            search = probe.search_probe(x, label, patient, about, seed=1)
            found = probe.chosen_settings(search)
            settings[task] = {key: found[key] for key in ("C", "class_weight")}
            settings[task]["cross_validation"] = found["validation_score"]
            print(f"{task}: {settings[task]}", flush=True)
    arrays["settings"] = np.array(json.dumps(settings))
    with files.atomic_write(path) as temporary, open(temporary, "wb") as handle:
        np.savez_compressed(handle, **arrays)
    return path


def _embed(unit: str, annotations: pd.DataFrame) -> np.ndarray:
    """Pooled features (N, D) of every annotated clip, in the order of the annotations."""
    from lib.features.frontends import clip_frames
    from lib.runs.plan import open_context
    from lib.training import probe, trainer

    experiment = get_experiment(EXPERIMENT.format("1-1" if unit == "event" else "2-1"))
    cache = open_context("laptop").cache(experiment)
    with TemporaryDirectory() as folder:
        run = trainer.prepare_run(experiment, 1, cache, clip_frames(experiment), Path(folder))
    x = {}
    for name in ("train", "test"):
        ids = cycle_ids(run.sets[name].cycles)
        x |= dict(zip(ids, probe.pool(run, name), strict=True))
    if missing := [name for name in cycle_ids(annotations) if name not in x]:
        raise UserError(
            f"{len(missing)} of {len(annotations)} {unit}s have no recording here, the first is "
            f"{missing[0]}; fetch them all with ./run_all.sh download sprsound"
        )
    return np.stack([x[name] for name in cycle_ids(annotations)])
