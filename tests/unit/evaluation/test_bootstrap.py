"""Intervals against plain loops that draw patients, one clip at a time."""

import math
import statistics

import numpy as np
import pytest
from sklearn.metrics import recall_score

from lib.evaluation.bootstrap import mean_std, paired_bootstrap, patient_bootstrap
from lib.evaluation.metrics import confusion, scores
from lib.evaluation.tasks import get


def _study(n: int = 240, patients: int = 9) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    label, patient = rng.integers(0, 4, n), rng.integers(0, patients, n).astype(str)
    answers = [np.where(rng.random(n) < p, label, rng.integers(0, 4, n)) for p in (0.6, 0.4)]
    return label, *answers, patient


def _loop(label, predicted, patient, draws, seed):
    """Sp, Se of each draw: clips of drawn patients laid end to end, scored by scikit-learn."""
    names = np.unique(patient)
    chosen = np.random.default_rng(seed).integers(0, len(names), size=(draws, len(names)))
    found = []
    for draw in chosen:
        at = np.concatenate([np.flatnonzero(patient == names[i]) for i in draw])
        sp = recall_score(label[at] == 0, predicted[at] == 0)
        se = recall_score(label[at], predicted[at], labels=[1, 2, 3], average="micro")
        found.append((100 * sp, 100 * se, 50 * (sp + se)))
    return np.array(found)


def test_patient_bootstrap_equals_a_plain_loop():
    label, predicted, _, patient = _study()
    got = patient_bootstrap(label, predicted, patient, draws=60, seed=5)
    low, high = np.percentile(_loop(label, predicted, patient, 60, 5), [2.5, 97.5], axis=0)
    for i, metric in enumerate(("sp", "se", "score")):
        assert got[metric] == pytest.approx((low[i], high[i]))


def test_interval_of_the_mean_over_seeds():
    label, a, b, patient = _study()
    got = patient_bootstrap(label, np.stack([a, b]), patient, draws=60, seed=5)["score"]
    loop = (_loop(label, a, patient, 60, 5) + _loop(label, b, patient, 60, 5))[:, 2] / 2
    assert got == pytest.approx(tuple(np.percentile(loop, [2.5, 97.5])))


def test_paired_bootstrap_equals_a_plain_loop():
    label, a, b, patient = _study()
    difference, low, high = paired_bootstrap(label, a, b, patient, draws=60, seed=5)
    loop = (_loop(label, a, patient, 60, 5) - _loop(label, b, patient, 60, 5))[:, 2]
    whole = [scores(confusion(label, p))["score"] for p in (a, b)]
    assert difference == pytest.approx(whole[0] - whole[1])
    assert (low, high) == pytest.approx(tuple(np.percentile(loop, [2.5, 97.5])))


def test_pairing_takes_out_what_both_share():
    label, a, _, patient = _study()
    assert paired_bootstrap(label, a, a, patient, draws=50) == (0, 0, 0)


def test_same_seed_same_interval():
    label, a, _, patient = _study()
    first = patient_bootstrap(label, a, patient, draws=50, seed=1)
    assert first == patient_bootstrap(label, a, patient, draws=50, seed=1)
    assert first != patient_bootstrap(label, a, patient, draws=50, seed=2)


def test_patients_make_wider_intervals_than_cycles():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(12), 40)
    label = rng.integers(0, 4, len(patient))
    skill = rng.random(12)[patient]  # some patients are easy, some are not
    predicted = np.where(rng.random(len(label)) < skill, label, (label + 1) % 4)
    by_patient = patient_bootstrap(label, predicted, patient, draws=300)["score"]
    by_cycle = patient_bootstrap(label, predicted, np.arange(len(label)), draws=300)["score"]
    assert by_patient[1] - by_patient[0] > 2 * (by_cycle[1] - by_cycle[0])


def test_a_set_without_normal_clips_has_no_interval():
    label = np.array([1, 2, 3, 1])
    got = patient_bootstrap(label, label, np.array(["a", "a", "b", "b"]), draws=20)
    assert all(math.isnan(bound) for bound in got["score"])
    assert got["se"] == (100, 100)


def test_mean_std():
    values = [59.1, 60.3, 58.8]
    expected = (statistics.mean(values), statistics.stdev(values), 3)
    assert mean_std(values) == pytest.approx(expected)
    mean, std, n = mean_std([50.0])
    assert (mean, n) == (50.0, 1) and math.isnan(std)
    assert mean_std([])[2] == 0 and math.isnan(mean_std([])[0])


def test_parts_are_scored_separately_and_averaged():
    label, predicted, _, patient = _study()
    part = np.where(np.char.mod("%s", patient) < "4", "inter", "intra")  # whole patients
    got = patient_bootstrap(label, predicted, patient, draws=40, seed=5, part=part)["score"]
    names = np.unique(patient)
    chosen = np.random.default_rng(5).integers(0, len(names), size=(40, len(names)))
    found = []
    for draw in chosen:
        at = np.concatenate([np.flatnonzero(patient == names[i]) for i in draw])
        both = [at[part[at] == one] for one in ("inter", "intra")]
        found.append(np.mean([scores(confusion(label[a], predicted[a]))["score"] for a in both]))
    assert got == pytest.approx(tuple(np.nanpercentile(found, [2.5, 97.5])))


def test_the_final_test_moves_no_interval():
    """With clips of other children in part 2023, everything stays as without them."""
    label, a, b, patient = _study()
    how = {"draws": 60, "seed": 5, "labelling": get("1-2")}
    part = np.where(np.arange(len(label)) % 3, "inter", "intra")
    extra = label[:30], 1 - np.minimum(a[:30], 1), np.zeros(30, int), np.repeat("new", 30)
    more = [np.concatenate(pair) for pair in zip((label, a, b, patient), extra, strict=True)]
    parts = np.concatenate([part, np.repeat("2023", 30)])
    one = patient_bootstrap(label, np.stack([a, b]), patient, part=part, **how)
    assert patient_bootstrap(more[0], np.stack(more[1:3]), more[3], part=parts, **how) == one
    assert paired_bootstrap(*more, part=parts, **how) == paired_bootstrap(
        label, a, b, patient, part=part, **how
    )
