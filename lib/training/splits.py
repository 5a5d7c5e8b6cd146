"""Which clips are learnt from, which choose the epoch, and which are scored."""

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from lib.config import Experiment
from lib.data import icbhi
from lib.errors import UserError
from lib.evaluation import tasks


def split_cycles(cycles: pd.DataFrame, experiment: Experiment, seed: int) -> dict[str, np.ndarray]:
    """Row numbers of the store for train, validation (may be empty) and test.

    Validation holds out whole patients, stratified by label as well as patients allow; which ones
    depends on the seed alone, so that two methods with one seed see the same patients. Two faults
    of published code can be had by name: held-out clips of patients who are learnt from too
    (`split_by = clip`), and a validation set resampled to equal classes (`validation_resampled`).
    """
    kept = cycles
    if experiment.subset == "sc":
        kept = kept[icbhi.single_channel(kept.recording)]
    train, test = kept[kept.split == "train"], kept[kept.split == "test"]
    if experiment.split == "patient_clean":
        train = train[~train.patient.isin(icbhi.OVERLAPPING_PATIENTS)]
    validation = train.iloc[:0]
    if experiment.validation_split:
        train, validation = _hold_out(train, experiment, seed)
        if experiment.validation_resampled:
            codes = (
                validation[tasks.label_column(experiment.task)]
                .astype("category")
                .cat.codes.to_numpy()
            )
            drawn = sample_balanced(codes, len(codes), np.random.default_rng([seed, 0, 1]))
            validation = validation.iloc[drawn]
    if 0 < experiment.train_clips < len(train):
        train = _sample(train, experiment, seed)
    for name, part in (("train", train), ("test", test)):
        if part.empty:
            raise UserError(f"{experiment.name}: the {name} set is empty; check the store's splits")
    return {
        "train": train.index.to_numpy(copy=True),
        "validation": validation.index.to_numpy(copy=True),
        "test": test.index.to_numpy(copy=True),
    }


def _hold_out(
    train: pd.DataFrame, experiment: Experiment, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    folds = round(1 / experiment.validation_split)
    if experiment.split_by == "clip":
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        inner, held = next(splitter.split(train, train[tasks.label_column(experiment.task)]))
        return train.iloc[inner], train.iloc[held]
    if train.patient.nunique() < folds:
        raise UserError(
            f"{experiment.name}: {train.patient.nunique()} training patients are too few to hold "
            f"out one in {folds}; set validation_split to 0"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    inner, held = next(
        splitter.split(train, train[tasks.label_column(experiment.task)], train.patient)
    )
    return train.iloc[inner], train.iloc[held]


def sample_balanced(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Positions drawn with replacement so that every class is as likely: labels (N,) -> (size,)."""
    share = 1 / np.bincount(labels)[labels]
    return rng.choice(len(labels), size, p=share / share.sum())


def _sample(train: pd.DataFrame, experiment: Experiment, seed: int) -> pd.DataFrame:
    """`train_clips` clips with the classes' shares kept, in the table's order."""
    chosen, _ = train_test_split(
        train.index,
        train_size=experiment.train_clips,
        stratify=train[tasks.label_column(experiment.task)],
        random_state=seed,
    )
    return train.loc[np.sort(chosen)]
