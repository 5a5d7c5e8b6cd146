"""The linear probe against its definition, written with loops over folds."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from small_runs import BASE

from lib.config import override
from lib.errors import TrainingError
from lib.evaluation.tasks import ICBHI4
from lib.models import build
from lib.runs import folder as runs_folder
from lib.training import probe, trainer

PROBE = override(BASE, name="small/probe", method="probe", validation_split=0.0)


def clips(rng, n=120):
    """Two informative dimensions of four, rare classes, twelve patients."""
    label = rng.choice(4, n, p=[0.6, 0.2, 0.15, 0.05])
    x = rng.normal(size=(n, 4)) * [1, 10, 0.1, 1] + np.eye(4)[label] * [2, 10, 0.2, 0]
    return x, label, rng.integers(0, 12, n).astype(str)


def standardised(train, x):
    return (x - train.mean(0)) / train.std(0)


def class_weight(name, label):
    counts = np.bincount(label)
    shares = {"none": np.ones(4), "balanced": len(label) / 4 / counts}
    return dict(enumerate(shares.get(name, np.sqrt(len(label) / 4 / counts))))


def test_settings_are_chosen_by_the_mean_score_over_held_out_patients():
    x, label, patient = clips(np.random.default_rng(0))
    search = probe.search_probe(x, label, patient, ICBHI4, seed=3)
    scores = {}
    for c in (0.001, 0.003, 0.01, 0.03):
        for name in ("none", "balanced", "root"):
            folds = []
            cut = StratifiedGroupKFold(5, shuffle=True, random_state=3)
            for train, test in cut.split(x, label, patient):
                assert not set(patient[train]) & set(patient[test])
                weight = class_weight(name, label if name == "root" else label[train])
                model = LogisticRegression(C=c, class_weight=weight, max_iter=2000)
                model.fit(standardised(x[train], x[train]), label[train])
                right = model.predict(standardised(x[train], x[test])) == label[test]
                normal = label[test] == 0
                folds.append(50 * (right[normal].mean() + right[~normal].mean()))
            scores[c, name] = np.mean(folds)
    chosen = probe.chosen_settings(search)
    assert chosen["validation_score"] == pytest.approx(max(scores.values()))
    assert scores[chosen["C"], chosen["class_weight"]] == pytest.approx(max(scores.values()))
    model = LogisticRegression(
        C=chosen["C"], class_weight=class_weight(chosen["class_weight"], label), max_iter=2000
    ).fit(standardised(x, x), label)
    expected = model.predict_log_proba(standardised(x, x))
    np.testing.assert_allclose(probe.log_probabilities(search, x, 4), expected, atol=1e-3)


def test_a_class_without_training_clips_is_never_predicted():
    x, label, patient = clips(np.random.default_rng(0))
    search = probe.search_probe(x, np.where(label == 2, 0, label), patient, ICBHI4, seed=1)
    logits = probe.log_probabilities(search, x, 4)
    assert logits.shape == (120, 4) and np.isfinite(logits).all()
    assert 2 not in logits.argmax(1)


def test_the_record_has_one_epoch_for_every_rule(small_cache):
    spec = runs_folder.RunSpec(PROBE, 1, "f" * 64, "")
    folder = runs_folder.start_run(spec, {"name": "small", "note": ""}, "none")
    probe.fit(PROBE, 1, small_cache, 40, folder)
    arrays = runs_folder.read_predictions(folder)
    record = runs_folder.read_record(folder)["selections"]
    assert record["test"] == record["last"] == record["validation"]
    assert np.array_equal(arrays["test/test/logits"], arrays["validation/test/logits"])
    history = pd.read_csv(folder / "history.csv")
    assert len(history) == 1 and {"C", "class_weight", "validation_score"} <= set(history)
    assert history.test_score[0] == pytest.approx(record["test"]["test"]["score"], abs=1e-3)


def test_features_are_those_of_the_frozen_model(small_cache):
    run = trainer.prepare_run(
        PROBE, 1, small_cache, 40, runs_folder.RunSpec(PROBE, 1, "", "").folder
    )
    x = probe.pool(run, "test")
    torch.manual_seed(1)
    model = build.build_model(PROBE, 40, 32).eval()
    clip = torch.from_numpy(small_cache.features[run.sets["test"].indices[3]]).float()
    with torch.no_grad():
        np.testing.assert_allclose(x[3], model.features(clip[None] / 2)[0], atol=1e-5)
    assert x.shape == (16, 32)


def test_too_few_patients_are_told():
    x, label, patient = clips(np.random.default_rng(0))
    few = np.where(patient.astype(int) < 6, "a", "b")
    with pytest.raises(TrainingError, match="needs 5 training patients or more .*, not 2"):
        probe.search_probe(x, label, few, ICBHI4, seed=1)
