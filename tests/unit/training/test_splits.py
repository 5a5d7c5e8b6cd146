"""Train, validation and test sets: no patient on both sides, shares kept."""

import numpy as np
import pytest

from lib.config import Experiment, override
from lib.errors import UserError
from lib.training.splits import in_subset, sample_balanced, split_cycles

BASE = Experiment("x", validation_split=0.25)


def split(cycles, seed=1, **changes):
    return split_cycles(cycles, override(BASE, **changes), seed)


def patients(cycles, indices):
    return set(cycles.patient[indices])


def test_sets_are_disjoint_and_complete(small_cache):
    cycles = small_cache.cycles
    sets = split(cycles)
    assert sorted(np.concatenate([*sets.values()])) == list(range(len(cycles)))
    held_out = patients(cycles, sets["validation"])
    assert len(held_out) == 2 and not held_out & patients(cycles, sets["train"])  # 1/4 of 8
    assert patients(cycles, sets["test"]) == set(cycles.patient[cycles.split == "test"])


def test_held_out_patients_depend_on_the_seed_alone(small_cache):
    cycles = small_cache.cycles

    def held_out(seed, **changes):
        return patients(cycles, split(cycles, seed, **changes)["validation"])

    assert held_out(1) == held_out(1, method="patchmix_cl", lr=1.0)
    assert len({frozenset(held_out(seed)) for seed in range(8)}) > 1


def test_train_clips_fewer_than_classes_are_named(small_cache):
    with pytest.raises(UserError, match="train_clips = 3 can't hold one clip of each of 4 classes"):
        split(small_cache.cycles, validation_split=0.0, train_clips=3)


def test_train_clips_keep_the_classes_shares(small_cache):
    train = split(small_cache.cycles, validation_split=0.0, train_clips=16)["train"]
    assert small_cache.cycles.label[train].value_counts().tolist() == [4, 4, 4, 4]


def test_single_channel_recordings_and_patient_clean_split(small_cache):
    cycles = small_cache.cycles.copy()
    cycles.loc[cycles.patient == "101", "recording"] = "101_1b1_Al_mc_Meditron"
    cycles["patient"] = cycles.patient.replace({"102": "156", "103": "218"})
    train = split(cycles, validation_split=0.0, subset="sc", split="patient_clean")["train"]
    assert patients(cycles, train) == {str(p) for p in range(104, 109)}
    cycles["recording"] = "65097_9.6_1_p2_1"  # SPRSound has one channel in all
    assert len(in_subset(cycles, override(BASE, subset="sc"))) == len(cycles)


def test_too_few_patients_and_empty_sets_are_errors(small_cache):
    cycles = small_cache.cycles
    few = cycles[cycles.patient.isin(["101", "102", "110"])].reset_index(drop=True)
    with pytest.raises(UserError, match="2 training patients are too few"):
        split(few)
    with pytest.raises(UserError, match="test set is empty"):
        split(cycles[cycles.split == "train"])


def test_held_out_clips_of_training_patients_are_the_published_leak(small_cache):
    cycles = small_cache.cycles
    sets = split(cycles, split_by="clip")
    assert patients(cycles, sets["validation"]) & patients(cycles, sets["train"])
    assert not set(sets["validation"]) & set(sets["train"])


def test_a_resampled_validation_set_has_equal_classes(small_cache):
    cycles = small_cache.cycles.assign(label="normal")
    cycles.loc[::5, "label"] = "wheeze"
    once, resampled = (
        split(cycles, validation_split=0.5, validation_resampled=each) for each in (False, True)
    )
    assert len(resampled["validation"]) == len(once["validation"])
    assert set(resampled["validation"]) < set(once["validation"])  # some twice, some never
    np.testing.assert_array_equal(resampled["train"], once["train"])


def test_sample_balanced_gives_every_class_the_same_share():
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    sampled = labels[sample_balanced(labels, 30000, np.random.default_rng(0))]
    assert np.bincount(sampled) / 30000 == pytest.approx([1 / 3] * 3, abs=0.02)


def test_the_root_of_the_class_count_is_half_way_to_equal_shares():
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    sampled = labels[sample_balanced(labels, 30000, np.random.default_rng(0), power=0.5)]
    shares = np.sqrt([900, 90, 10])
    assert np.bincount(sampled) / 30000 == pytest.approx(shares / shares.sum(), abs=0.02)
