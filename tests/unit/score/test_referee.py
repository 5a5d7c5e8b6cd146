"""The referee's numbers against scikit-learn, plain loops and stored runs."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, recall_score, roc_auc_score
from submissions import clips_of, submission

from lib.data.annotations import AGES
from lib.evaluation import bootstrap
from lib.evaluation.tasks import get_task
from lib.paths import PROJECT
from lib.runs import folder
from lib.score import referee, stored, text
from lib.score.referee import definitions
from lib.score.submission import read_submission


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A submission to ICBHI and its report."""
    path = tmp_path_factory.mktemp("score") / "mine.csv"
    submission().to_csv(path, index=False)
    submitted = read_submission(path, "icbhi")
    return submitted, referee.score(submitted, "last", compare=False)


def value(report, definition, metric="score", clips=""):
    lines = {(line["definition"], line["clips"]): line for line in report["scores"]}
    return lines[definition, clips][metric]["value"]


def test_each_definition_of_the_score(scored):
    s, report = scored
    normal, y = s.label == 0, s.label
    sp = 100 * np.mean(s.predicted[normal] == 0)
    own = 100 * np.mean(s.predicted[~normal] == y[~normal])
    collapsed = 100 * np.mean(s.predicted[~normal] > 0)
    macro = 100 * recall_score(y, s.predicted, average="macro")
    others = [100 * np.mean(s.predicted[y != c] != c) for c in range(4)]
    assert value(report, "four classes", "sp") == pytest.approx(sp, rel=1e-12)
    assert value(report, "four classes") == pytest.approx((sp + own) / 2, rel=1e-12)
    assert value(report, "two collapsed classes") == pytest.approx((sp + collapsed) / 2, rel=1e-12)
    assert value(report, "macro", "se") == pytest.approx(macro, rel=1e-12)
    assert value(report, "macro", "sp") == pytest.approx(np.mean(others), rel=1e-12)
    assert report["confusion"]["matrix"] == confusion_matrix(y, s.predicted).tolist()
    assert report["always_normal"] == 50


def test_intervals_are_over_patients_and_without_the_two_of_both_splits(scored):
    s, report = scored
    patient = s.clips.patient.to_numpy()
    interval = bootstrap.patient_bootstrap(s.label, s.predicted, patient)["score"]
    line = report["scores"][0]["score"]
    assert (line["low"], line["high"]) == interval and interval[0] < line["value"] < interval[1]
    left = ~np.isin(patient, ["156", "218"])
    assert (~left).sum() == 120
    normal = left & (s.label == 0)
    sp = 100 * np.mean(s.predicted[normal] == 0)
    clips = "without patients 156 and 218"
    assert value(report, "four classes", "sp", clips) == pytest.approx(sp, rel=1e-12)


def test_auroc_is_that_of_scikit_learn(scored):
    s, report = scored
    expected = roc_auc_score(s.label > 0, 1 - s.probabilities[:, 0])
    assert report["auroc"]["value"] == pytest.approx(expected, abs=1e-9)
    assert report["auroc"]["low"] < expected < report["auroc"]["high"]


def test_groups_are_those_of_the_annotations(scored):
    s, report = scored
    for name in ("device", "site", "sex"):
        counts = s.clips[name].replace("", "unknown").value_counts()
        assert {g["group"]: g["clips"] for g in report["groups"][name]} == counts.to_dict()
    ages = {g["group"]: g["clips"] for g in report["groups"]["age"]}
    assert list(ages) == [name for name in [*AGES, "unknown"] if name in ages]
    assert ages["0 to 2"] == (s.clips.age < 3).sum()
    assert ages["65 and older"] == (s.clips.age >= 65).sum()
    assert ages["unknown"] == s.clips.age.isna().sum()
    one = s.clips.device.to_numpy() == "Litt3200"
    litt = next(g for g in report["groups"]["device"] if g["group"] == "Litt3200")
    own = s.task.scores(s.task.matrices(s.label[one], s.predicted[one]))
    assert litt["score"] == pytest.approx(float(own["score"]), rel=1e-12)


@pytest.mark.parametrize("task", ["1-1", "1-2", "2-1", "2-2"])
def test_sprsound_is_scored_as_in_the_challenge(tmp_path, task):
    path = tmp_path / "mine.csv"
    submission("sprsound", task, ("inter", "intra", "test2023")).to_csv(path, index=False)
    s = read_submission(path, "sprsound", task)
    report = referee.score(s, compare=False)
    poor = s.task.classes.index("Poor Quality") if s.task.ignored else -1
    by_subset = []
    for subset in ("inter", "intra"):
        mask = s.subset == subset
        y, p = s.label[mask], s.predicted[mask]
        abnormal = (y > 0) & (y != poor)
        sp, se = np.mean(p[y == 0] == 0), np.mean(p[abnormal] == y[abnormal])
        by_subset.append(((sp + se) / 2 + 2 * sp * se / (sp + se)) / 2)
    own = report["scores"][0]
    assert own["score"]["value"] == pytest.approx(100 * np.mean(by_subset), rel=1e-12)
    assert [g["group"] for g in report["subsets"]] == ["inter", "intra", "test2023"]
    assert report["subsets"][0]["score"] == pytest.approx(100 * by_subset[0], rel=1e-12)
    assert np.sum(report["confusion"]["matrix"]) == np.isin(s.subset, ["inter", "intra"]).sum()
    names = [each.name for each in definitions(s.task)]
    assert ("two collapsed classes" in names) == (task in ("1-2", "2-2"))
    assert "from 0 to 1" in text.as_text(report)


def test_the_collapsed_score_of_the_challenge_ignores_poor_quality():
    own, collapsed, _ = (each.task for each in definitions(get_task("2-2")))
    # Normal, Poor Quality, CAS, DAS: a CAS called DAS counts for Se only when collapsed
    label, predicted = np.array([0, 1, 2, 3]), np.array([0, 0, 3, 1])
    subset = np.full(4, "")
    assert own.mean_scores(label, predicted, subset)["se"] == 0
    assert collapsed.mean_scores(label, predicted, subset)["se"] == 50


def test_predicted_classes_alone_have_no_auroc(tmp_path):
    path = tmp_path / "mine.csv"
    clips = clips_of("icbhi", "icbhi4")
    clips[["recording", "cycle"]].assign(**{"class": "normal"}).to_csv(path, index=False)
    report = referee.score(read_submission(path, "icbhi"), compare=False)
    assert report["auroc"] is None and report["calibration"] is None
    assert value(report, "four classes") == 50 and report["selected_on"] == "not stated"
    assert "Probabilities" not in text.tables(report)


def test_json_holds_no_nan():
    report = {"a": [float("nan"), 1.5], "b": {"c": None}}
    assert json.loads(text.as_json(report)) == {"a": [None, 1.5], "b": {"c": None}}


def test_the_test_set_as_chooser_is_named(scored):
    s, _ = scored
    lines = text.headline(referee.score(s, "test", compare=False))
    assert "Epoch and threshold chosen on: test (the test set chose" in lines[1]


# Stored runs of this repository


@pytest.fixture
def published(monkeypatch):
    """The published records."""
    monkeypatch.setenv("REPORTS_ROOT", str(PROJECT / "reports"))
    return folder.published_root()


def whole_runs():
    """One published run of each task whose whole test set was predicted, with its selections."""
    sizes = {("icbhi", "icbhi4"): 2756, ("sprsound", "1-1"): 2433, ("sprsound", "2-1"): 734}
    runs = {}
    for path in sorted((PROJECT / "reports/runs").glob("*/result.json")):
        experiment = json.loads((path.parent / "experiment.json").read_text())["experiment"]
        key = (experiment["dataset"].removesuffix("_mel"), experiment["task"])
        selections = json.loads(path.read_text())["selections"]
        done = [name for name, each in selections.items() if each]
        sizes_here = {int(np.sum(selections[name]["test"]["confusion"])) for name in done}
        if sizes_here == {sizes.get(key)}:
            runs.setdefault(key, (path.parent.name, done, selections))
    return runs


def test_stored_runs_keep_their_score(published, tmp_path):
    runs = whole_runs()
    assert ("icbhi", "icbhi4") in runs and len(runs) >= 2
    for (dataset, task), (name, done, selections) in runs.items():
        for selection in done:
            path = tmp_path / "run.csv"
            path.write_text(stored.export_run(name, selection))
            report = referee.score(read_submission(path, dataset, task), compare=False)
            arrays = folder.read_predictions(published / name)
            predicted = arrays[f"{selection}/test/logits"].argmax(axis=1)
            expected = definitions(get_task(task))[0].task.mean_scores(
                arrays["test/label"], predicted, arrays.get("test/subset", arrays["test/label"] * 0)
            )
            for metric in ("sp", "se", "score"):
                number = report["scores"][0][metric]["value"]
                assert number == pytest.approx(float(expected[metric]), abs=1e-9)
                assert round(number, 4) == selections[selection]["test"][metric]


def test_the_difference_to_stored_runs(published, tmp_path, monkeypatch):
    name, done, _ = whole_runs()["icbhi", "icbhi4"]
    path = tmp_path / "run.csv"
    path.write_text(stored.export_run(name, "validation"))
    s = read_submission(path, "icbhi")
    lines = stored.differences(s, "validation")
    assert len(lines) >= 2
    spec = folder.read_spec(published / name)
    own = next(line for line in lines if line["experiment"] == spec.experiment.name)
    assert own["low"] <= own["difference"] <= own["high"]
    score = s.task.mean_scores(s.label, s.predicted, s.subset)["score"]
    for line in lines:
        assert line["difference"] == pytest.approx(float(score) - line["score"], abs=1e-9)
        chance = "no better than always “normal”"
        assert (chance in line["mark"]) == (line["score"] <= 50)
    assert {line["mark"] for line in lines} != {""}
    shuffled = pd.read_csv(path, dtype=str).sample(frac=1, random_state=0)
    shuffled.to_csv(path, index=False)
    assert stored.differences(read_submission(path, "icbhi"), "validation") == lines
    load = stored.StoredExperiment.predictions  # nor does the order in the record matter
    monkeypatch.setattr(
        stored.StoredExperiment, "predictions", lambda *given: backwards(load(*given))
    )
    assert stored.differences(s, "validation") == lines


def backwards(predictions):
    return predictions and predictions.of_clips(np.arange(len(predictions.cycle))[::-1])


def test_runs_on_other_clips_are_not_compared(published, tmp_path):
    path = tmp_path / "mine.csv"
    submission("sprsound", "1-1", ("test2023",)).to_csv(path, index=False)
    assert stored.differences(read_submission(path, "sprsound", "1-1"), "validation") == []
