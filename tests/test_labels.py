"""Labellings: which classes a column holds, and how their answers are scored by parts."""

import numpy as np
import pytest
from sklearn.metrics import recall_score

from lib import labels
from lib.data import icbhi, sprsound
from lib.errors import UserError


def answers(classes, n=400):
    rng = np.random.default_rng(0)
    part = rng.choice(["inter", "intra"], n, p=[0.3, 0.7])
    label = rng.integers(0, classes, n)
    return label, np.where(rng.random(n) < 0.5, label, rng.integers(0, classes, n)), part


@pytest.mark.parametrize("task", sprsound.TASKS | sprsound.WINDOWS)
def test_scores_are_the_mean_over_inter_and_intra(task):
    labelling = labels.get(task)
    label, predicted, part = answers(len(labelling.classes))
    sides = [i for i, name in enumerate(labelling.classes) if name not in ("Normal", sprsound.POOR)]
    found = []
    for one in ("inter", "intra"):
        truth, said = label[part == one], predicted[part == one]
        sp = recall_score(truth == 0, said == 0)
        se = recall_score(truth, said, labels=sides, average="micro")
        found.append(((sp + se) / 2 + 2 * sp * se / (sp + se)) / 2)
    got = labelling.mean_scores(label, predicted, part)
    assert got["score"] == pytest.approx(100 * np.mean(found))


def test_icbhi_has_one_part_and_its_own_score():
    label, predicted, _ = answers(4)
    got = labels.get("label").mean_scores(label, predicted, np.zeros(len(label), str))
    sp = recall_score(label == 0, predicted == 0)
    se = recall_score(label, predicted, labels=[1, 2, 3], average="micro")
    assert got["score"] == pytest.approx(50 * (sp + se)) and "score2" in got


def test_names():
    assert labels.get("label").classes == icbhi.CLASSES
    assert [labels.get(task).neutral for task in ("t11", "t22")] == [(), (sprsound.POOR,)]
    with pytest.raises(UserError, match="unknown labels 't13': did you mean"):
        labels.get("t13")
