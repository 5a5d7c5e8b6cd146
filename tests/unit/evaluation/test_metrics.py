"""Metrics against scikit-learn, a plain loop and an example worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, recall_score

from lib.evaluation.metrics import challenge, challenge_total, choose_epoch, confusion, scores

BY_HAND = np.array([[6, 2, 0, 0], [1, 3, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]])


def _answers(n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05]), rng.choice(4, n, p=[0.6, 0.2, 0.1, 0.1])


def test_confusion_equals_sklearn():
    label, predicted = _answers()
    expected = confusion_matrix(label, predicted, labels=range(4))
    assert (confusion(label, predicted) == expected).all()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_any_answers_score_as_a_plain_count(pairs):
    label, predicted = np.array(pairs).T
    found = scores(confusion(label, predicted))
    normal = [p == 0 for t, p in pairs if t == 0]
    abnormal = [(p == t, p != 0) for t, p in pairs if t != 0]
    if normal and abnormal:
        sp = 100 * sum(normal) / len(normal)
        se, se_binary = (100 * sum(one) / len(abnormal) for one in zip(*abnormal, strict=True))
        assert found["sp"] == pytest.approx(sp) and found["score"] == pytest.approx((sp + se) / 2)
        assert found["se_binary"] == pytest.approx(se_binary) and found["se"] == pytest.approx(se)
    else:
        assert np.isnan(found["score"])


def test_confusion_takes_small_integers():
    label = np.full(200, 3, dtype=np.int8)  # 3 * 50 + 49 does not fit into int8
    assert confusion(label, label, n=50)[3, 3] == 200


def test_example_by_hand():
    got = scores(BY_HAND)
    assert got["sp"] == 75.0  # 6 of 8 normal
    assert got["se"] == 62.5  # 3 + 1 + 1 of 8 abnormal
    assert got["score"] == 68.75
    assert got["se_binary"] == 87.5  # 7 of 8 abnormal were called abnormal
    assert got["score_binary"] == 81.25


def test_scores_equal_a_plain_loop_and_sklearn():
    label, predicted = _answers()
    normal = own = any_abnormal = 0
    for truth, answer in zip(label, predicted, strict=True):
        normal += truth == 0 and answer == 0
        own += truth != 0 and answer == truth
        any_abnormal += truth != 0 and answer != 0
    got = scores(confusion(label, predicted))
    assert got["sp"] == pytest.approx(100 * normal / (label == 0).sum())
    assert got["se"] == pytest.approx(100 * own / (label != 0).sum())
    assert got["se_binary"] == pytest.approx(100 * any_abnormal / (label != 0).sum())
    assert got["sp"] == pytest.approx(100 * recall_score(label == 0, predicted == 0))
    assert got["se_binary"] == pytest.approx(100 * recall_score(label != 0, predicted != 0))


def test_se_is_not_a_macro_average():
    label, predicted = _answers()
    macro = 100 * recall_score(label, predicted, labels=[1, 2, 3], average="macro")
    weighted = recall_score(label, predicted, labels=[1, 2, 3], average="micro")
    got = scores(confusion(label, predicted))["se"]
    assert got == pytest.approx(100 * weighted)
    assert abs(got - macro) > 0.5


def test_all_normal_answers_score_fifty():
    matrix = confusion(np.repeat(range(4), [1579, 649, 385, 143]), np.zeros(2756, dtype=int))
    assert [float(scores(matrix)[key]) for key in ("sp", "se", "score")] == [100, 0, 50]


def test_scores_of_many_matrices_at_once():
    stacked = scores(np.stack([BY_HAND, BY_HAND.T])[:, None])
    assert stacked["score"].shape == (2, 1)
    assert stacked["score"][0, 0] == 68.75
    assert stacked["se_binary"][1, 0] == scores(BY_HAND.T)["se_binary"]


def test_an_absent_side_is_nan():
    no_normal = BY_HAND.copy()
    no_normal[0] = 0
    assert np.isnan(scores(no_normal)["sp"]) and np.isnan(scores(no_normal)["score"])
    assert scores(no_normal)["se"] == 62.5


@pytest.mark.parametrize(
    ("se", "score", "chosen"),
    [
        ([5.0, 4.0], [52.0, 51.0], None),  # Se must be above 5
        ([0.0, 20.0, 30.0, 30.0], [99.0, 40.0, 45.0, 45.0], 2),  # the first of equals
        ([10.0], [10.0], 0),
        ([], [], None),
        ([10.0, 10.0], [float("nan"), 40.0], 1),
    ],
)
def test_choose_epoch(se, score, chosen):
    epochs = [{"se": a, "score": b} for a, b in zip(se, score, strict=True)]
    assert choose_epoch(epochs) == chosen


def test_the_challenge_total_of_the_paper():
    ours = {"1-1": 0.769, "1-2": 0.632, "2-1": 0.662, "2-2": 0.512}
    assert challenge_total(ours, 0.1) == pytest.approx(0.729, abs=5e-4)


def test_poor_quality_counts_on_neither_side():
    # Normal, Poor Quality, Adventitious: a neutral answer is wrong, a neutral truth is not asked.
    matrix = np.array([[6, 1, 3], [4, 5, 6], [1, 1, 2]])
    got = challenge(scores(matrix, neutral=[1]))
    assert got["sp"] == 60.0 and got["se"] == 50.0
    assert got["as"] == 55.0 and got["hs"] == pytest.approx(2 * 60 * 50 / 110)
    assert got["score"] == pytest.approx((55 + 2 * 60 * 50 / 110) / 2)
    other = matrix.copy()
    other[1] = 99
    assert challenge(scores(other, neutral=[1])) == got


def test_a_model_without_any_right_answer_scores_0():
    got = challenge(scores(np.array([[0, 4], [4, 0]])))
    assert got["hs"] == got["score"] == 0
