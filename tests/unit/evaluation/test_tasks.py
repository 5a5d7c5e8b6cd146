"""Tasks: classes, confusion matrices and scores by subset."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, recall_score

from lib.data import icbhi, sprsound
from lib.errors import UserError
from lib.evaluation.tasks import get_task, scored_mask


def example(classes: int, n: int = 400) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    subset = rng.choice(["inter", "intra"], n, p=[0.3, 0.7])
    label = rng.integers(0, classes, n)
    return label, np.where(rng.random(n) < 0.5, label, rng.integers(0, classes, n)), subset


def test_matrices_equal_sklearn():
    task = get_task("1-2")
    label, predicted, subset = example(7)
    group = np.arange(len(label)) % 3
    matrices = task.matrices(label.astype(np.int8), predicted, subset, group)
    assert matrices.shape == (2, 3, 7, 7)
    for i, name in enumerate(("inter", "intra")):
        at = (subset == name) & (group == 2)
        expected = confusion_matrix(label[at], predicted[at], labels=range(7))
        assert (matrices[i, 2] == expected).all()
    assert (task.matrices(label, predicted) == matrices.sum((0, 1))).all()


@pytest.mark.parametrize("name", sprsound.TASKS | sprsound.WINDOWS)
def test_scores_are_the_mean_over_inter_and_intra(name):
    task = get_task(name)
    label, predicted, subset = example(len(task.classes))
    abnormal = [i for i, c in enumerate(task.classes) if c not in ("Normal", sprsound.POOR)]
    expected = []
    for at in (subset == "inter", subset == "intra"):
        sp = recall_score(label[at] == 0, predicted[at] == 0)
        se = recall_score(label[at], predicted[at], labels=abnormal, average="micro")
        expected.append(((sp + se) / 2 + 2 * sp * se / (sp + se)) / 2)
    computed = task.mean_scores(label, predicted, subset)["score"]
    assert computed == pytest.approx(100 * np.mean(expected))


def test_icbhi_has_no_subsets_and_its_own_score():
    label, predicted, _ = example(4)
    computed = get_task("icbhi4").mean_scores(label, predicted, np.zeros(len(label), str))
    sp = recall_score(label == 0, predicted == 0)
    se = recall_score(label, predicted, labels=[1, 2, 3], average="micro")
    assert computed["score"] == pytest.approx(50 * (sp + se)) and "score_binary" in computed


# Two classes of task 1-1; truth and prediction of each subset.
BY_HAND = {
    "inter": ([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]),  # Sp 3/4, Se 1/2: as .625, hs .6
    "intra": ([0, 0, 1, 1, 1, 1], [0, 0, 1, 0, 0, 0]),  # Sp 2/2, Se 1/4: as .625, hs .4
    "test2023": ([0, 1, 1, 1], [1, 1, 1, 1]),  # Sp 0/1, Se 3/3: as .5, hs 0
}


@pytest.mark.parametrize(
    ("names", "sp", "se", "score"),
    [
        (["inter", "intra"], 87.5, 37.5, 56.25),
        (["inter", "test2023", "intra"], 87.5, 37.5, 56.25),
        (["test2023", "inter"], 75, 50, 61.25),
        (["test2023"], 0, 100, 25),
    ],
)
def test_test2023_changes_no_score(names, sp, se, score):
    label, predicted = (np.concatenate([BY_HAND[name][i] for name in names]) for i in (0, 1))
    subset = np.repeat(names, [len(BY_HAND[name][0]) for name in names])
    computed = get_task("1-1").mean_scores(label, predicted, subset)
    expected = {"sp": sp, "se": se, "score": score}
    assert {key: computed[key] for key in expected} == pytest.approx(expected)


def test_which_subsets_are_scored():
    assert scored_mask(np.array(["test2023", "intra", "inter"])).tolist() == [False, True, True]
    for subset in (["test2023", "test2023"], ["", ""], [0, 0]):
        assert scored_mask(np.array(subset)).all()


def test_names():
    assert get_task("icbhi4").classes == icbhi.CLASSES
    assert [get_task(name).ignored for name in ("1-1", "2-2")] == [(), (sprsound.POOR,)]
    codes = get_task("icbhi4").encode(pd.Series(["both", "normal"]))
    assert codes.tolist() == [3, 0] and codes.flags.writeable
    with pytest.raises(UserError, match="unknown task '1-3': did you mean"):
        get_task("1-3")
