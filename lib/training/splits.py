"""Train, validation and test split of a feature cache."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from lib.config import Experiment
from lib.data import icbhi
from lib.errors import UserError
from lib.evaluation import tasks


def split_cycles(cycles: pd.DataFrame, experiment: Experiment, seed: int) -> dict[str, np.ndarray]:
    """Return the clips (row numbers) for train, validation (may be empty) and test.

    Validation holds out whole patients, stratified by label, that the seed alone decides. Two
    mistakes of published code are settings: held-out clips of training patients (`split_by` clip),
    and a validation set that is resampled to equal classes (`validation_resampled`).
    """
    cycles = in_subset(cycles, experiment)
    train, test = cycles[cycles.split == "train"], cycles[cycles.split == "test"]
    if experiment.split == "patient_clean":
        train = train[~train.patient.isin(icbhi.OVERLAPPING_PATIENTS)]
    column, validation = tasks.label_column(experiment.task), train.iloc[:0]
    if experiment.validation_split:
        train, validation = _hold_out(train, train[column], experiment, seed)
        if experiment.validation_resampled:
            labels = validation[column].astype("category").cat.codes.to_numpy()
            rng = np.random.default_rng([seed, 0, 1])
            validation = validation.iloc[sample_balanced(labels, len(labels), rng)]
    if 0 < experiment.train_clips < len(train):
        if experiment.train_clips < (classes := train[column].nunique()):
            raise UserError(
                f"{experiment.name}: train_clips = {experiment.train_clips} can't hold one clip of "
                f"each of {classes} classes; set it to {classes} or more"
            )
        settings = {"train_size": experiment.train_clips, "random_state": seed}
        sampled, _ = train_test_split(train.index, stratify=train[column], **settings)
        train = train.loc[np.sort(sampled)]
    for name, clips in (("train", train), ("test", test)):
        if clips.empty:
            raise UserError(f"{experiment.name}: the {name} set is empty; check the cache's splits")
    sets = {"train": train, "validation": validation, "test": test}
    return {name: clips.index.to_numpy(copy=True) for name, clips in sets.items()}


def in_subset(cycles: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Return the cycles of the experiment's subset; of SPRSound they are all."""
    return cycles[icbhi.single_channel(cycles.recording)] if experiment.subset == "sc" else cycles


def _hold_out(
    train: pd.DataFrame, labels: pd.Series, experiment: Experiment, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    folds, patients = round(1 / experiment.validation_split), train.patient.nunique()
    settings = {"n_splits": folds, "shuffle": True, "random_state": seed}
    if experiment.split_by == "clip":
        split = StratifiedKFold(**settings).split(train, labels)
    elif patients < folds:
        raise UserError(
            f"{experiment.name}: {patients} training patients are too few to hold out one in "
            f"{folds}; set validation_split to 0"
        )
    else:
        split = StratifiedGroupKFold(**settings).split(train, labels, train.patient)
    training, held_out = next(split)
    return train.iloc[training], train.iloc[held_out]


def sample_balanced(
    labels: np.ndarray, size: int, rng: np.random.Generator, power: float = 1.0
) -> np.ndarray:
    """Sample positions (size,) in labels (N,), with replacement.

    A clip is as likely as 1 / its class's count ** power: with 1, every class is as likely.
    """
    weight = 1.0 / np.bincount(labels)[labels] ** power
    return rng.choice(len(labels), size, p=weight / weight.sum())
