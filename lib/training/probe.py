"""Linear probe: logistic regression on what a frozen encoder makes of each clip."""

from pathlib import Path

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.config import SELECTIONS, Experiment
from lib.errors import TrainingError
from lib.evaluation.tasks import Task
from lib.features.cache import FeatureCache
from lib.training import trainer

FOLDS = 5  # of the training patients
REGULARISATION = (0.001, 0.003, 0.01, 0.03)  # C of the logistic regression
NEVER = -100.0  # log-probability of a class without a training clip


def fit(
    experiment: Experiment, seed: int, cache: FeatureCache, frames: int, folder: Path,
    test_caches: dict[str, FeatureCache] | None = None, on_train_end: object = None,
) -> None:  # fmt: skip
    """Fit a linear probe on all training clips and write the run's record into `folder`.

    The arguments are those of `lib.training.trainer.fit`; there is nothing to analyse at the end.
    The record has one epoch, so every selection rule selects the same predictions. history.csv
    holds C, the class weights and, as the validation Score, the mean Score in cross-validation.
    """
    run = trainer.prepare_run(experiment, seed, cache, frames, folder, test_caches)
    x = {name: pool(run, name) for name, clips in run.sets.items() if len(clips.indices)}
    train = run.sets["train"]
    patients = train.cycles.patient.to_numpy()
    search = search_probe(x.pop("train"), train.labels, patients, run.task, seed)
    n_classes = len(run.task.classes)
    outputs = {
        name: {"logits": torch.from_numpy(log_probabilities(search, values, n_classes))}
        for name, values in x.items()
    }
    scored = {"logits": outputs["test"]["logits"][run.sets["test"].scored]}
    history = [{"epoch": 1} | chosen_settings(search)]
    history[0] |= trainer.epoch_scores(run, {"test": scored})
    saved = {f"{name}/logits": output["logits"] for name, output in outputs.items()}
    trainer.write_record(run, history, dict.fromkeys(SELECTIONS, saved))


@torch.no_grad()
def pool(run: trainer.Run, name: str) -> np.ndarray:
    """Return what the frozen model pools of each clip of a set: (N, D) float32."""
    run.model.eval()
    dataset, indices = run.sets[name].dataset, torch.from_numpy(run.sets[name].indices)
    batches = indices.to(run.device).split(trainer.EVALUATION_BATCH[run.device.type])
    return torch.cat(
        [run.model.probe_features(dataset.batch(each)[0]).cpu() for each in batches]
    ).numpy()


def search_probe(
    x: np.ndarray, label: np.ndarray, patient: np.ndarray, task: Task, seed: int
) -> GridSearchCV:
    """Return a fitted search over C and class weights, by the mean Score over held-out patients.

    x: (N, D), standardised inside; label: class indices (N,); patient: (N,). The probe with the
    best setting is fitted on all clips. Raises `TrainingError` if there are fewer patients than
    folds.
    """
    if len(np.unique(patient)) < FOLDS:
        raise TrainingError(
            f"a linear probe needs {FOLDS} training patients or more for its cross-validation, "
            f"not {len(np.unique(patient))}; use more recordings"
        )
    grid = {
        "logisticregression__C": REGULARISATION,
        "logisticregression__class_weight": [None, "balanced", root_weights(label)],
    }

    def scores(probe: ClassifierMixin, x: np.ndarray, label: np.ndarray) -> dict[str, float]:
        values = task.scores(task.matrices(label, probe.predict(x)))
        return {key: float(values[key]) for key in ("sp", "se", "score")}

    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    search = GridSearchCV(
        build_probe(1.0, "none", label), grid, scoring=scores, refit="score", cv=folds
    )
    return search.fit(x, label, groups=patient)


def build_probe(c: float, class_weight: str, label: np.ndarray) -> Pipeline:
    """A probe that is not fitted yet; class_weight: none, balanced or root; label: to be learnt."""
    weights = {"none": None, "balanced": "balanced", "root": root_weights(label)}
    model = LogisticRegression(C=c, class_weight=weights[class_weight], max_iter=2000)
    return make_pipeline(StandardScaler(), model)


def root_weights(label: np.ndarray) -> dict[int, float]:
    """Class -> square root of the weight that "balanced" gives it."""
    classes, counts = np.unique(label, return_counts=True)
    return dict(zip(classes.tolist(), np.sqrt(len(label) / len(classes) / counts), strict=True))


def chosen_settings(search: GridSearchCV) -> dict[str, float | str]:
    """Return C, class_weight (none, balanced or root) and the mean scores in cross-validation."""
    weight = search.best_params_["logisticregression__class_weight"]
    chosen = {
        "C": search.best_params_["logisticregression__C"],
        "class_weight": "root" if isinstance(weight, dict) else weight or "none",
    }
    results, best = search.cv_results_, search.best_index_
    return chosen | {
        f"validation_{key}": float(results[f"mean_test_{key}"][best])
        for key in ("sp", "se", "score")
    }


def log_probabilities(search: GridSearchCV, x: np.ndarray, n_classes: int) -> np.ndarray:
    """Return log-probabilities (N, n_classes), float32, of features (N, D)."""
    logits = np.full((len(x), n_classes), NEVER, np.float32)
    logits[:, search.classes_] = search.predict_log_proba(x)
    return np.maximum(logits, NEVER)
