"""Metrics against scikit-learn, a plain loop and an example worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, recall_score

from lib.evaluation.metrics import challenge_scores, challenge_total, scores, select_epoch

BY_HAND = np.array([[6, 2, 0, 0], [1, 3, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_any_predictions_score_as_a_plain_count(pairs):
    computed = scores(confusion_matrix(*zip(*pairs, strict=True), labels=range(4)))
    normal = [p == 0 for t, p in pairs if t == 0]
    abnormal = [(p == t, p != 0) for t, p in pairs if t != 0]
    if normal and abnormal:
        sp = 100 * sum(normal) / len(normal)
        se, se_binary = (100 * sum(hits) / len(abnormal) for hits in zip(*abnormal, strict=True))
        expected = [sp, se, (sp + se) / 2, se_binary, (sp + se_binary) / 2]
        assert [*computed.values()] == pytest.approx(expected)
        assert [*computed] == ["sp", "se", "score", "se_binary", "score_binary"]
    else:
        assert np.isnan(computed["score"])


def test_se_is_not_a_macro_average():
    rng = np.random.default_rng(3)
    label = rng.choice(4, 500, p=[0.5, 0.3, 0.15, 0.05])
    predicted = rng.choice(4, 500, p=[0.6, 0.2, 0.1, 0.1])
    computed = scores(confusion_matrix(label, predicted))
    recalls = {
        average: 100 * recall_score(label, predicted, labels=[1, 2, 3], average=average)
        for average in ("micro", "macro")
    }
    assert computed["se"] == pytest.approx(recalls["micro"])
    assert abs(computed["se"] - recalls["macro"]) > 0.5
    assert computed["sp"] == pytest.approx(100 * recall_score(label == 0, predicted == 0))
    assert computed["se_binary"] == pytest.approx(100 * recall_score(label != 0, predicted != 0))


def test_example_by_hand():
    expected = {
        "sp": 75.0,  # 6 of 8 normal
        "se": 62.5,  # 3 + 1 + 1 of 8 abnormal
        "score": 68.75,
        "se_binary": 87.5,  # 7 of 8 abnormal were called abnormal
        "score_binary": 81.25,
    }
    assert scores(BY_HAND) == expected
    stacked = scores(np.stack([BY_HAND, BY_HAND.T])[:, None])
    assert stacked["score"].shape == (2, 1) and stacked["score"][0, 0] == 68.75
    assert stacked["se_binary"][1, 0] == scores(BY_HAND.T)["se_binary"]


def test_an_absent_class_is_nan():
    no_normal = BY_HAND.copy()
    no_normal[0] = 0
    assert np.isnan(scores(no_normal)["sp"]) and np.isnan(scores(no_normal)["score"])
    assert scores(no_normal)["se"] == 62.5


@pytest.mark.parametrize(
    ("se", "score", "selected"),
    [
        ([5.0, 4.0], [52.0, 51.0], None),  # Se must be above 5
        ([0.0, 20.0, 30.0, 30.0], [99.0, 40.0, 45.0, 45.0], 2),  # the first of equals
        ([10.0], [10.0], 0),
        ([], [], None),
        ([10.0, 10.0], [float("nan"), 40.0], 1),
        ([float("nan")], [40.0], None),
    ],
)
def test_select_epoch(se, score, selected):
    epochs = [{"se": a, "score": b} for a, b in zip(se, score, strict=True)]
    assert select_epoch(epochs) == selected


def test_the_challenge_total_of_the_paper():
    ours = {"1-1": 0.769, "1-2": 0.632, "2-1": 0.662, "2-2": 0.512}
    assert challenge_total(ours, 0.1) == pytest.approx(0.729, abs=5e-4)  # printed to 3 digits


def test_an_ignored_class_counts_on_neither_side():
    # Normal, Poor Quality, Adventitious: predicting the ignored class is wrong.
    matrix = np.array([[6, 1, 3], [4, 5, 6], [1, 1, 2]])
    computed = challenge_scores(scores(matrix, ignored=[1]))
    hs = 2 * 60 * 50 / 110
    expected = {"sp": 60, "se": 50, "as": 55, "hs": hs, "score": (55 + hs) / 2}
    assert computed == pytest.approx(expected)
    matrix[1] = 99
    assert challenge_scores(scores(matrix, ignored=[1])) == computed
    assert challenge_scores(scores(np.array([[0, 4], [4, 0]])))["score"] == 0  # hs: 0 of 0
