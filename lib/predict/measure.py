"""What a packaged model is measured on: recordings by role, their descriptors, Scores of a run."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib import data, files
from lib.errors import UserError
from lib.evaluation import bootstrap, tasks
from lib.evaluation.auroc import auroc
from lib.evaluation.calibration import brier_score, calibration_error, softmax
from lib.evaluation.scores import predicted_classes, read_subset
from lib.evaluation.tasks import scored_mask
from lib.features.cache import data_fingerprint
from lib.paths import features_root
from lib.predict import recording as recordings
from lib.predict.detectors import SHAPES, describe
from lib.predict.model import Predictor
from lib.predict.sounds import KINDS, RATE_HZ, made_up_sound
from lib.progress import progress_bar
from lib.runs import folder as runs_folder
from lib.runs.folder import Arrays
from lib.training.splits import in_subset

TRAIN, VALIDATION, TEST = "train", "validation", "test"
HELD_OUT = 5  # one patient in so many of a dataset that the model never met
MADE_UP = {TRAIN: range(40), VALIDATION: range(40, 60)}  # seeds of each kind
ABOUT = ["dataset", "role", "subset", "device", "patient"]


def describe_recordings(model: Predictor, run: Path) -> pd.DataFrame:
    """Return every recording that a run was trained or tested on, with its descriptor.

    Columns: dataset, role (train, validation, test), subset, device, patient, descriptor (D,), NaN
    if it is refused before the model hears it. Raises `UserError` if the recordings here are not
    those of the run.
    """
    e, spec = model.experiment, runs_folder.read_spec(run)
    held_out = runs_folder.read_predictions(run)["validation/cycle"]
    tables = []
    names = (e.dataset, *e.test_sets)
    for name, expected in zip(names, spec.data.split("+"), strict=True):
        dataset = data.find_dataset(name)
        if dataset.kind == "none" or data_fingerprint(dataset, model.network.front) != expected:
            raise UserError(
                f"{dataset.root}: not the recordings of {run.name}; name their folder with --data"
            )
        clips = in_subset(dataset.clips(model.network.front.unit), e)
        table = clips.drop_duplicates("recording").set_index("recording")
        table["role"] = table.split
        own = {cycle.rsplit(":", 1)[0] for cycle in held_out} if name == e.dataset else None
        table.loc[_validation(table, own), "role"] = VALIDATION
        table["subset"] = table.subset.replace(TRAIN, "") if "subset" in table else ""
        audio = dataset.audio_files()
        paths = {each: audio[each] for each in table.index}
        table["descriptor"] = list(_descriptors(model, run, name, paths))
        tables.append(table[[*ABOUT, "descriptor"]])
    return pd.concat(tables)


def _validation(table: pd.DataFrame, held_out: set[str] | None) -> np.ndarray:
    """Which training recordings are held out: the run's, or those of one patient in five."""
    if held_out is not None:
        return table.index.isin(held_out)
    patients = sorted(table.patient[table.split == TRAIN].unique())[::HELD_OUT]
    return ((table.split == TRAIN) & table.patient.isin(patients)).to_numpy()


def _descriptors(model: Predictor, run: Path, name: str, paths: dict[str, Path]) -> np.ndarray:
    """Descriptors (N, D) of recordings, computed once for these weights and recordings."""
    weights = files.sha256_of(run / runs_folder.WEIGHTS)
    limits = recordings.MIN_SECONDS, recordings.QUIETEST_DB, recordings.CLIPPED
    key = files.digest([weights, SHAPES, limits, files.checksums(paths)])[:16]
    cached = features_root() / f"descriptors-{name}-{key}.npz"
    if not cached.exists():
        bar = progress_bar(paths.values(), desc=name, unit="recording")
        found = [_describe(model, path) for path in bar]
        width = max((len(each) for each in found if each is not None), default=0)
        x = [np.full(width, np.nan) if each is None else each for each in found]
        runs_folder.write_arrays(cached, {"x": np.stack(x)})
    return runs_folder.read_arrays(cached)["x"]


def _describe(model: Predictor, path: Path) -> np.ndarray | None:
    """The descriptor (D,) of a recording; None if it is refused before the model hears it."""
    front = model.network.front
    try:
        recording = recordings.read_recording(path, front)
    except UserError:
        return None
    parts = recordings.windows(recording.seconds, front.clip_seconds, front.clip_seconds)
    return describe(model.network, recording.batches(parts))


def describe_made_up(model: Predictor) -> pd.DataFrame:
    """Return made-up sounds of every kind: columns kind, role (train, validation), descriptor."""
    rows, length = [], model.network.front.clip_seconds
    sounds = [(k, role, seed) for k in KINDS for role, seeds in MADE_UP.items() for seed in seeds]
    for kind, role, seed in progress_bar(sounds, desc="made-up sounds", unit="sound"):
        wave = made_up_sound(kind, seed, 2 * length)
        made_up = recordings.Recording(Path(kind), wave, model.network.front, RATE_HZ, 1)
        parts = recordings.windows(made_up.seconds, length, length)
        rows.append((kind, role, describe(model.network, made_up.batches(parts))))
    return pd.DataFrame(rows, columns=["kind", "role", "descriptor"])


def score_sets(model: Predictor, arrays: Arrays) -> list[dict]:
    """Return Scores of every test set of a run, by subset and by device.

    Each line: set, group, clips, patients, sp, se, score, low, high (percent, 95% over patients),
    auroc (abnormal against normal), ece and brier of calibrated probabilities.
    """
    e, lines = model.experiment, []
    for name in ("test", *e.test_sets):
        title = data.DATASETS[e.dataset if name == "test" else name].short_title
        subset, device = read_subset(arrays, name), arrays[f"{name}/device"]
        groups = {"test": scored_mask(subset)}
        for values in (subset, device):
            if len(names := np.unique(values)) > 1:
                groups |= {str(each): values == each for each in names}
        for group, mask in groups.items():
            clips = {key: arrays[f"{name}/{key}"][mask] for key in ("label", "patient")}
            logits = arrays[f"validation/{name}/logits"][mask]
            lines.append({"set": title, "group": group}
                         | _score(model, logits, subset[mask], **clips))  # fmt: skip
    return lines


def _score(
    model: Predictor, logits: np.ndarray, subset: np.ndarray, label: np.ndarray, patient: np.ndarray
) -> dict:
    task = tasks.get_task(model.experiment.task)
    predicted = predicted_classes(logits, model.name)
    label = label.astype(int)
    low, high = bootstrap.patient_bootstrap(label, predicted, patient, task, subset)["score"]
    scores = task.mean_scores(label, predicted, subset)
    probabilities = softmax(logits / model.network.temperature)
    counted = ~np.isin(label, [task.classes.index(each) for each in task.ignored])
    abnormal = (label != 0)[counted], 1 - probabilities[counted, 0], patient[counted]
    return {
        "clips": len(label), "patients": len(np.unique(patient)),
        **{key: float(scores[key]) for key in ("sp", "se", "score")}, "low": low, "high": high,
        "auroc": auroc(*abnormal, subset[counted])[0],
        "ece": calibration_error(probabilities, label), "brier": brier_score(probabilities, label),
    }  # fmt: skip
