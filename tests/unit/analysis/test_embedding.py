"""kNN and silhouette against scikit-learn's classifier, and embeddings of saved runs."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, silhouette_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from lib import files
from lib.analysis import embedding
from lib.config import Experiment
from lib.data.icbhi import CLASSES
from lib.runs import folder
from lib.runs.folder import RunSpec


def table_of(label, patient, device):
    classes = pd.Categorical.from_codes(label, list(CLASSES))
    return pd.DataFrame({"class": classes, "patient": patient, "device": device})


def clouds(n=60, seed=0):
    """Three classes apart in direction, patients at random."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    z = np.eye(3)[label] + 0.3 * rng.normal(size=(n, 3))
    return z, table_of(label, rng.integers(0, 6, n).astype(str), rng.choice(["a", "b"], n))


def test_knn_equals_scikit_learn_leave_one_out():
    z, clips = clouds()
    table = embedding.separability(z, clips).set_index("grouping")
    for name, groups in (("class", clips["class"].cat.codes), ("device", clips.device)):
        model = KNeighborsClassifier(5, metric="cosine")
        predicted = cross_val_predict(model, z, groups, cv=LeaveOneOut())
        expected = 100 * balanced_accuracy_score(groups, predicted)
        assert table.kNN[name] == pytest.approx(expected, abs=0.01)
        silhouette = silhouette_score(z, groups, metric="cosine")
        assert table.silhouette[name] == pytest.approx(silhouette, abs=1e-3)
    assert table.chance["patient"] == pytest.approx(100 / 6, abs=0.01)


def test_neighbours_of_the_same_patient_can_be_left_out():
    """Each patient is a tight cloud of one class: what the neighbours tell is the patient."""
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(12), 8)
    z = np.eye(12)[patient] + 0.01 * rng.normal(size=(96, 12))
    clips = table_of(patient % 2, patient, patient % 2)
    table = embedding.separability(z, clips).set_index("grouping")
    assert table.kNN["class"] == 100
    assert table.kNN["class, from other patients"] < 70


def test_tsne_keeps_clouds_apart_and_repeats():
    z, clips = clouds()
    first = embedding.tsne(z)
    assert np.array_equal(first, embedding.tsne(z))
    assert silhouette_score(first, clips["class"].cat.codes) > 0.3


def test_embeddings_of_the_first_seed_are_loaded():
    z, clips = clouds(12)
    rows = []
    for seed in (2, 1):
        spec = RunSpec(Experiment("a"), seed, "f", "")
        run = folder.start_run(spec, {"name": "x"}, "")
        arrays = {f"test/{key}": clips[key].to_numpy(str) for key in ("patient", "device")}
        arrays |= {"test/label": clips["class"].cat.codes.to_numpy()}
        arrays |= {"last/test/embedding": seed * z, "validation/validation/embedding": z}
        folder.write_arrays(run / "predictions.npz", arrays)
        files.write_json(run / "result.json", {})
        rows.append({"experiment": "a", "seed": seed, "path": str(run)})
    results = pd.DataFrame([*rows, {"experiment": "b", "seed": 1, "path": None}])
    embeddings = embedding.load_embeddings(results, {"CE": "a", "CL": "b"})
    assert list(embeddings) == ["CE"] and embeddings["CE"].selection == "last"
    np.testing.assert_array_equal(embeddings["CE"].z, z.astype(np.float32))
    pd.testing.assert_frame_equal(embeddings["CE"].clips, clips)
    compared = embedding.compare_embeddings(embeddings)
    assert compared.columns.tolist() == embedding.COLUMNS and set(compared.method) == {"CE"}
    points = embedding.tsne_points(embeddings)["CE"]
    assert points["normal or not"].eq("normal").equals(points["class"].eq("normal"))
    assert embedding.compare_embeddings({}).columns.tolist() == embedding.COLUMNS
