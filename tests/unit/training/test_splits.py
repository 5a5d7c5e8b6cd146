"""Train, validation and test sets: no patient on both sides, shares kept, facts of ICBHI."""

import numpy as np
import pytest

from lib.config import Experiment, override
from lib.errors import UserError
from lib.training.splits import sample_balanced, split_cycles

BASE = Experiment("x", validation_split=0.25)


def test_sets_are_disjoint_and_complete(small_cache):
    sets = split_cycles(small_cache.cycles, BASE, seed=1)
    rows = sorted(row for part in sets.values() for row in part)
    assert rows == list(range(len(small_cache.cycles)))
    patients = {k: set(small_cache.cycles.patient[v]) for k, v in sets.items()}
    assert not patients["train"] & patients["validation"]
    assert len(patients["validation"]) == 2  # a quarter of 8


def test_held_out_patients_depend_on_the_seed_alone(small_cache):
    def held(seed, **changes):
        sets = split_cycles(small_cache.cycles, override(BASE, **changes), seed)
        return set(small_cache.cycles.patient[sets["validation"]])

    assert held(1) == held(1, method="patchmix_cl", lr=1.0)
    assert len({frozenset(held(seed)) for seed in range(8)}) > 1


def test_train_clips_keep_the_classes_shares(small_cache):
    experiment = override(BASE, validation_split=0.0, train_clips=16)
    train = split_cycles(small_cache.cycles, experiment, 1)["train"]
    assert small_cache.cycles.label[train].value_counts().tolist() == [4, 4, 4, 4]


def test_subset_and_patient_clean(small_cache):
    cycles = small_cache.cycles.copy()
    cycles.loc[cycles.patient == "101", "recording"] = "101_1b1_Al_mc_Meditron"
    cycles.loc[cycles.patient == "102", "patient"] = "156"
    experiment = override(BASE, validation_split=0.0, subset="sc", split="patient_clean")
    train = split_cycles(cycles, experiment, 1)["train"]
    assert set(cycles.patient[train]) == {str(p) for p in range(103, 109)}


def test_too_few_patients_and_empty_sets_are_told(small_cache):
    few = small_cache.cycles[small_cache.cycles.patient.isin(["101", "102", "110"])]
    with pytest.raises(UserError, match="2 training patients are too few"):
        split_cycles(few.reset_index(drop=True), BASE, 1)
    train_only = small_cache.cycles[small_cache.cycles.split == "train"]
    with pytest.raises(UserError, match="test set is empty"):
        split_cycles(train_only, BASE, 1)


def test_held_out_clips_of_known_patients_are_the_published_leak(small_cache):
    sets = split_cycles(small_cache.cycles, override(BASE, split_by="clip"), seed=1)
    patients = {k: set(small_cache.cycles.patient[v]) for k, v in sets.items()}
    assert patients["validation"] & patients["train"]
    assert not set(sets["validation"]) & set(sets["train"])


def test_a_resampled_validation_set_has_equal_classes(small_cache):
    cycles = small_cache.cycles.assign(label="normal")
    cycles.loc[::5, "label"] = "wheeze"
    changes = override(BASE, validation_split=0.5, validation_resampled=True)
    sets = split_cycles(cycles, changes, seed=1)
    once = split_cycles(cycles, override(changes, validation_resampled=False), seed=1)
    assert len(sets["validation"]) == len(once["validation"])
    assert set(sets["validation"]) <= set(once["validation"])
    assert len(set(sets["validation"])) < len(sets["validation"])  # some come twice
    np.testing.assert_array_equal(sets["train"], once["train"])


def test_balanced_draws_every_class_as_often():
    label = np.repeat([0, 1, 2], [900, 90, 10])
    drawn = label[sample_balanced(label, 30000, np.random.default_rng(0))]
    assert np.bincount(drawn) / 30000 == pytest.approx([1 / 3] * 3, abs=0.02)
