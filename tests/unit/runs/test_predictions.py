"""What kept predictions say, on small run folders written by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import files
from lib.errors import UserError
from lib.evaluation import bootstrap
from lib.row import Row
from lib.runs import predictions

LABEL = np.array([0, 1, 2, 3, 0, 1] * 8)
PATIENT = np.repeat(list("abcdefgh"), 6)


def _run(folder, predicted, cycle=None):
    folder.mkdir()
    arrays = {
        "test/label": LABEL,
        "test/patient": PATIENT,
        "test/device": np.full(len(LABEL), "Meditron"),
        "test/cycle": np.arange(len(LABEL)).astype(str) if cycle is None else cycle,
        "test/test/logits": np.eye(4, dtype=np.float32)[predicted],
        "last/test/logits": np.eye(4, dtype=np.float32)[LABEL],
    }
    np.savez(folder / "predictions.npz", **arrays)
    files.write_json(folder / "experiment.json", {"experiment": {"task": "icbhi4"}})
    return str(folder)


@pytest.fixture
def study(tmp_path):
    """Results of two experiments: "a" with two seeds, "b" with one; and what they answered."""
    rng = np.random.default_rng(0)
    given = [np.where(rng.random(48) < p, LABEL, rng.integers(0, 4, 48)) for p in (0.8, 0.5, 0.2)]
    paths = [_run(tmp_path / f"{i}", predicted) for i, predicted in enumerate(given)]
    rows = [("a", 2, paths[1]), ("a", 1, paths[0]), ("b", 1, paths[2])]
    results = pd.DataFrame(rows, columns=["experiment", "seed", "path"])
    return results.assign(selection="test", status="done", score=50.0), given


def test_seeds_stand_in_order(study):
    results, given = study
    found = predictions.of(results, "a")
    assert (found.predicted == np.stack(given[:2])).all()
    assert (found.label == LABEL).all() and (found.patient == PATIENT).all()


def test_selections_have_their_own_answers(study):
    results, _ = study
    last = predictions.of(results.assign(selection="last"), "a", "last")
    assert (last.predicted == LABEL).all()


def test_no_finished_run_no_answers(study):
    results, _ = study
    assert predictions.of(results.assign(status="not run"), "a") is None
    assert predictions.of(results, "c") is None


def test_runs_on_other_clips_are_named(study, tmp_path):
    results, given = study
    path = _run(tmp_path / "other", given[0], np.arange(48)[::-1].astype(str))
    results.loc[0, "path"] = path
    with pytest.raises(UserError, match="other clips"):
        predictions.of(results, "a")
    with pytest.raises(UserError, match="same test clips"):
        predictions.difference(predictions.of(results.iloc[:1], "a"), predictions.of(results, "b"))


def test_interval_and_difference_draw_patients(study):
    results, given = study
    a, b = predictions.of(results, "a"), predictions.of(results, "b")
    expected = bootstrap.patient_bootstrap(LABEL, np.stack(given[:2]), PATIENT)
    assert predictions.interval(a, "score_binary") == expected["score_binary"]
    (both,) = set(a.seeds) & set(b.seeds)  # seed by seed: a has one more
    pair = bootstrap.paired_bootstrap(LABEL, a.predicted[a.seeds.index(both)], given[2], PATIENT)
    assert predictions.difference(a, b) == pair and predictions.comparable(a, b)
    other = replace(b, seeds=(9,))
    assert not predictions.comparable(a, other) and not predictions.comparable(a, None)
    with pytest.raises(UserError, match="same seeds"):
        predictions.difference(a, other)


def test_confusions_sum_over_seeds(study):
    results, given = study
    expected = np.zeros((4, 4), dtype=int)
    for predicted in given[:2]:
        for truth, answer in zip(LABEL, predicted, strict=True):
            expected[truth, answer] += 1
    assert (predictions.confusions(predictions.of(results, "a")) == expected).all()


def test_confusions_and_intervals_leave_the_final_test_out(study):
    results, _ = study
    found = predictions.of(results, "a")
    named = replace(found, part=np.where(PATIENT == "h", "2023", np.where(LABEL, "inter", "intra")))
    kept = PATIENT != "h"
    names = ("label", "patient", "device", "cycle", "part")
    fewer = {name: getattr(named, name)[kept] for name in names}
    fewer = replace(named, predicted=named.predicted[:, kept], **fewer)
    assert (predictions.confusions(named) == predictions.confusions(fewer)).all()
    assert predictions.confusions(named).sum() == 2 * kept.sum()
    assert predictions.interval(named, "sp") == predictions.interval(fewer, "sp")


def test_sweep_points_hold_the_chosen_value_once_per_seed():
    rows = [
        Row("f2/tau=0.02", {"parameter": "tau", "value": "0.02"}, "cl/tau=0.02"),
        Row("f2/tau=0.06", {"parameter": "tau", "value": "0.06"}, "cl"),
        Row("f2/alpha=1", {"parameter": "alpha", "value": "1"}, "cl"),
    ]
    runs = [("cl", 1, 60.0), ("cl", 2, 61.0), ("cl/tau=0.02", 1, 55.0)]
    results = pd.DataFrame(runs, columns=["experiment", "seed", "score"])
    points = predictions.sweep(rows, results.assign(selection="test", status="done"), "cl")
    assert points.values.tolist() == [
        ["tau", "0.02", False, 1, 55.0],
        ["tau", "0.06", True, 1, 60.0],
        ["tau", "0.06", True, 2, 61.0],
        ["alpha", "1", True, 1, 60.0],
        ["alpha", "1", True, 2, 61.0],
    ]
