"""kNN and silhouette figures against scikit-learn's own classifier and a worked example."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from lib.analysis import embedding


def clouds(n=60, seed=0):
    """Three classes apart in direction, patients at random."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    z = np.eye(3)[label] + 0.3 * rng.normal(size=(n, 3))
    return z, label, rng.integers(0, 6, n).astype(str), rng.choice(["a", "b"], n)


def test_knn_equals_scikit_learn_leave_one_out():
    z, label, patient, device = clouds()
    table = embedding.separability(z, label, patient, device).set_index("grouping")
    for name, groups in (("class", label), ("device", device)):
        model = KNeighborsClassifier(5, metric="cosine")
        predicted = cross_val_predict(model, z, groups, cv=LeaveOneOut())
        expected = 100 * balanced_accuracy_score(groups, predicted)
        assert table.kNN[name] == pytest.approx(expected, abs=0.01)
        silhouette = silhouette_score(z, groups, metric="cosine")
        assert table.silhouette[name] == pytest.approx(silhouette, abs=1e-3)
    assert table.chance["patient"] == pytest.approx(100 / 6, abs=0.01)


def test_neighbours_of_the_same_patient_can_be_left_out():
    """Each patient is a tight cloud of one class: what the neighbours know is the patient."""
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(12), 8)
    label = patient % 2
    z = np.eye(12)[patient] + 0.01 * rng.normal(size=(96, 12))
    table = embedding.separability(z, label, patient, label).set_index("grouping")
    assert table.kNN["class"] == 100
    assert table.kNN["class, from other patients"] < 70


def test_tsne_keeps_clouds_apart_and_repeats():
    z, label, *_ = clouds()
    first = embedding.tsne(z)
    assert np.array_equal(first, embedding.tsne(z))
    assert silhouette_score(first, label) > 0.3


def test_abnormal_classes_are_one_where_two_are_asked_for():
    one = {"label": np.array([0, 2, 3]), "patient": np.array(list("abc")), "device": np.array([""])}
    named = embedding.point_labels({"x": one}, two=True)
    assert named["normal or not"].tolist() == ["normal", "abnormal", "abnormal"]
    assert embedding.point_labels({"x": one})["class"].tolist() == ["normal", "wheeze", "both"]
