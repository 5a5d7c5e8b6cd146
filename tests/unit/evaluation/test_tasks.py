"""Labellings: which classes a column holds, and how their answers are scored by parts."""

import numpy as np
import pytest
from sklearn.metrics import recall_score

from lib.data import icbhi, sprsound
from lib.errors import UserError
from lib.evaluation import tasks


def answers(classes, n=400):
    rng = np.random.default_rng(0)
    part = rng.choice(["inter", "intra"], n, p=[0.3, 0.7])
    label = rng.integers(0, classes, n)
    return label, np.where(rng.random(n) < 0.5, label, rng.integers(0, classes, n)), part


@pytest.mark.parametrize("task", sprsound.TASKS | sprsound.WINDOWS)
def test_scores_are_the_mean_over_inter_and_intra(task):
    labelling = tasks.get(task)
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
    got = tasks.get("icbhi4").mean_scores(label, predicted, np.zeros(len(label), str))
    sp = recall_score(label == 0, predicted == 0)
    se = recall_score(label, predicted, labels=[1, 2, 3], average="micro")
    assert got["score"] == pytest.approx(50 * (sp + se)) and "score_binary" in got


# Two classes of task 11; of each part: truth, answer.
HAND = {
    "inter": ([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]),  # SP 3/4, SE 1/2
    "intra": ([0, 0, 1, 1, 1, 1], [0, 0, 1, 0, 0, 0]),  # SP 2/2, SE 1/4
    "2023": ([0, 1, 1, 1], [1, 1, 1, 1]),  # SP 0/1, SE 3/3
}


def by_hand(*names):
    """Label, predicted, part of some parts of HAND, one after another."""
    both = [np.concatenate([HAND[name][i] for name in names]) for i in (0, 1)]
    return *both, np.repeat(names, [len(HAND[name][0]) for name in names])


def test_the_final_test_moves_no_score():
    """inter: AS .625, HS .6, Score .6125; intra: AS .625, HS .4, Score .5125; mean .5625."""
    labelling = tasks.get("1-1")
    for names in (("inter", "intra"), ("inter", "2023", "intra")):
        got = labelling.mean_scores(*by_hand(*names))
        assert got["score"] == pytest.approx(56.25) and got["sp"] == pytest.approx(87.5)
        assert got["se"] == pytest.approx(37.5)
    alone = labelling.mean_scores(*by_hand("2023"))  # SP 0, SE 1: AS .5, HS 0
    assert (alone["sp"], alone["se"], alone["score"]) == (0, 100, 25)
    one = labelling.mean_scores(*by_hand("2023", "inter"))
    assert one["score"] == pytest.approx(61.25)


def test_which_parts_count():
    assert tasks.counted(np.array(["2023", "intra", "inter"])).tolist() == [False, True, True]
    assert tasks.counted(np.array(["2023", "2023"])).all()
    assert tasks.counted(np.array(["", ""])).all() and tasks.counted(np.zeros(2, int)).all()


def test_names():
    assert tasks.get("icbhi4").classes == icbhi.CLASSES
    assert [tasks.get(task).neutral for task in ("1-1", "2-2")] == [(), (sprsound.POOR,)]
    with pytest.raises(UserError, match="unknown task '1-3': did you mean"):
        tasks.get("1-3")
