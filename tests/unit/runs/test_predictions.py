"""Intervals, differences and matrices of saved predictions, on small run folders."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from lib import files
from lib.config import Experiment
from lib.errors import UserError
from lib.evaluation import bootstrap
from lib.papers.published import Published
from lib.papers.table_row import TableRow
from lib.runs import predictions

LABEL = np.array([0, 1, 2, 3, 0, 1] * 8)
PATIENT = np.repeat(list("abcdefgh"), 6)
CYCLE = np.arange(48).astype(str)


def write_run(folder, predicted, cycle=CYCLE):
    """A run that was tested on one set and on a second one, where it is always right."""
    logits = np.eye(4, dtype=np.float32)
    saved = {
        "test/test/logits": logits[predicted],
        "last/test/logits": logits[LABEL],
        "test/sprsound/logits": logits[LABEL],
        "test/validation/logits": logits[predicted[:6]],
    }
    for name, n in (("test", 48), ("sprsound", 48), ("validation", 6)):
        clips = {"label": LABEL, "patient": PATIENT, "device": np.full(48, "Meditron")}
        clips |= {"cycle": cycle} | ({"subset": np.full(48, "inter")} if name == "sprsound" else {})
        saved |= {f"{name}/{key}": value[:n] for key, value in clips.items()}
    folder.mkdir()
    np.savez(folder / "predictions.npz", **saved)
    started = {"data": {"fingerprint": ""}, "weights": {"fingerprint": ""}, "seed": 1}
    files.write_json(folder / "experiment.json", {"experiment": asdict(Experiment("a")), **started})
    return str(folder)


@pytest.fixture
def example(tmp_path):
    """Results of two experiments, "a" with two seeds and "b" with one, and their predictions."""
    rng = np.random.default_rng(0)
    predicted = [
        np.where(rng.random(48) < p, LABEL, rng.integers(0, 4, 48)) for p in (0.8, 0.5, 0.2)
    ]
    paths = [write_run(tmp_path / f"{i}", each) for i, each in enumerate(predicted)]
    rows = [("a", 2, paths[1]), ("a", 1, paths[0]), ("b", 1, paths[2])]
    results = pd.DataFrame(rows, columns=["experiment", "seed", "path"])
    return results.assign(selection="test", status="done", score=50.0), predicted


def test_predictions_of_seeds_selections_and_sets(example):
    results, predicted = example
    loaded = predictions.load_predictions(results, "a")
    assert loaded.seeds == (1, 2) and (loaded.predicted == np.stack(predicted[:2])).all()
    assert (loaded.label == LABEL).all() and (loaded.patient == PATIENT).all()
    last = predictions.load_predictions(results.assign(selection="last"), "a", "last")
    other = predictions.load_predictions(results, "a", test_set="sprsound")
    assert (last.predicted == LABEL).all() and (other.predicted == LABEL).all()
    assert set(last.subset) == {""} and set(other.subset) == {"inter"}
    validation = predictions.load_predictions(results, "a", test_set="validation")
    assert validation.predicted.tolist() == [[*predicted[0][:6], *predicted[1][:6]]]
    assert validation.seeds == (0,) and validation.cycle.tolist() == 2 * CYCLE[:6].tolist()


@pytest.mark.parametrize(
    ("changes", "name", "test_set"),
    [({"status": "not run"}, "a", "test"), ({}, "c", "test"), ({}, None, "test"), ({}, "a", "x")],
)
def test_no_finished_run_gives_no_predictions(example, changes, name, test_set):
    results = example[0].assign(**changes)
    assert predictions.load_predictions(results, name, test_set=test_set) is None


def test_logits_that_are_not_finite_are_refused(example):
    results, _ = example
    path = Path(results.path[0])
    arrays = dict(np.load(path / "predictions.npz"))
    arrays["test/test/logits"][7, 1] = np.nan
    np.savez(path / "predictions.npz", **arrays)
    with pytest.raises(UserError, match=f"{path}: test/test/logits: 1 of 48 clips"):
        predictions.load_predictions(results, "a")


def test_runs_on_other_clips_are_named(example, tmp_path):
    results, predicted = example
    path = write_run(tmp_path / "other", predicted[0], CYCLE[::-1])
    results.loc[0, "path"] = path
    with pytest.raises(UserError, match="other: predicted other clips than .*0; delete one"):
        predictions.load_predictions(results, "a")
    a, b = (predictions.load_predictions(results.iloc[[0, 2]], name) for name in "ab")
    with pytest.raises(UserError, match="same test clips"):
        predictions.paired_difference(a, b)


def test_intervals_and_differences_are_over_patients(example):
    results, predicted = example
    a, b = (predictions.load_predictions(results, name) for name in "ab")
    expected = bootstrap.patient_bootstrap(LABEL, np.stack(predicted[:2]), PATIENT)
    assert predictions.score_interval(a, "score_binary") == expected["score_binary"]
    # Seed 1 alone: a has one more.
    pair = bootstrap.paired_bootstrap(LABEL, predicted[0], predicted[2], PATIENT)
    assert predictions.paired_difference(a, b) == pair and predictions.can_compare(a, b)
    other = replace(b, seeds=(9,))
    assert not predictions.can_compare(a, other) and not predictions.can_compare(a, None)
    with pytest.raises(UserError, match="same seeds"):
        predictions.paired_difference(a, other)


def test_confusions_and_intervals_leave_test2023_out(example):
    results, predicted = example
    loaded = predictions.load_predictions(results, "a")
    expected = sum(confusion_matrix(LABEL, each) for each in predicted[:2])
    assert (predictions.confusion_of(loaded) == expected).all()
    names = np.where(PATIENT == "h", "test2023", np.where(LABEL, "inter", "intra"))
    subsets = replace(loaded, subset=names)
    scored = subsets.of_clips(PATIENT != "h")
    assert scored.predicted.shape == (2, 42) and "h" not in scored.patient
    assert (predictions.confusion_of(subsets) == predictions.confusion_of(scored)).all()
    assert predictions.confusion_of(subsets).sum() == 2 * 42
    assert predictions.score_interval(subsets, "sp") == predictions.score_interval(scored, "sp")


def test_sweep_points_hold_the_chosen_value_once_per_seed():
    names = {"cl/tau=0.02": ("tau", "0.02"), "cl": ("tau", "0.06"), "cl ": ("alpha", "1")}
    rows = [
        TableRow(f"f2/{name}", dict(zip(("parameter", "value"), label, strict=True)),
                 Experiment(name.strip()))
        for name, label in names.items()
    ]  # fmt: skip
    runs = [("cl", 1, 60.0), ("cl", 2, 61.0), ("cl/tau=0.02", 1, 55.0)]
    results = pd.DataFrame(runs, columns=["experiment", "seed", "score"])
    points = predictions.sweep_points(rows, results.assign(selection="test", status="done"), "cl")
    assert points.values.tolist() == [
        ["tau", "0.02", False, 1, 55.0],
        ["tau", "0.06", True, 1, 60.0],
        ["tau", "0.06", True, 2, 61.0],
        ["alpha", "1", True, 1, 60.0],
        ["alpha", "1", True, 2, 61.0],
    ]


def test_points_and_matrices_for_figures(example):
    results, predicted = example
    methods = {"A": "a", "B": "b", "C": "c"}
    matrices = predictions.confusion_matrices(results, methods, ("validation", "test"))
    assert [*matrices] == ["A", "B"]  # no validation-selected run; c has none at all
    assert (matrices["B"] == confusion_matrix(LABEL, predicted[2])).all()
    inter = predictions.confusion_matrices(results, methods, subset="inter")
    assert inter["B"].sum() == 0  # these runs have no subsets
    published = Published("t/a", {}, {"score": (60.0, None)}, "")
    rows = [TableRow("t/a", {"method": "A"}, published=published), TableRow("t/c", {"method": "C"})]
    loaded = [predictions.load_predictions(results, name) for name in ("a", "c")]
    (point,) = predictions.interval_points(rows, loaded).to_dict("records")
    means = [loaded[0].task.mean_scores(LABEL, p, loaded[0].subset)["score"] for p in predicted[:2]]
    assert point["value"] == pytest.approx(np.mean(means)) and point["name"] == "A"
    assert (point["low"], point["high"]) == predictions.score_interval(loaded[0])
    assert point["paper"] == 60.0 and np.isnan(point["paper_std"])
