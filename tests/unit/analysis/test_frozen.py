"""Frozen features in 8 bits, and a linear probe on them against scikit-learn by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from lib.analysis import frozen
from lib.errors import UserError
from lib.evaluation.scores import cycle_ids
from lib.evaluation.tasks import get_task

SETTINGS = {"C": 0.03, "class_weight": "balanced", "cross_validation": 80.0}


def annotations():
    """240 events of 24 children: 12 to train on, 12 in the three parts of the test set."""
    index = np.arange(240)
    subset = np.array(["train", "train", "train", "inter", "intra", "test2023"])[index // 40]
    return pd.DataFrame({
        "recording": [f"r{i // 4}" for i in index], "cycle": index % 4,
        "patient": [f"p{i // 10}" for i in index], "subset": subset,
        "split": np.where(subset == "train", "train", "test"),
        "1-1": np.where(index % 3 == 0, "Adventitious", "Normal"),
    })  # fmt: skip


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A file of features of which one dimension of five tells the classes apart, a little."""
    table = annotations()
    monkeypatch.setattr(frozen, "load_annotations", lambda dataset, unit: table)
    monkeypatch.setattr(frozen, "TASKS", ("1-1",))
    x = np.random.default_rng(0).normal(size=(240, 5)) * [1, 10, 0.1, 1, 1]
    x[:, 1] += 15 * (table["1-1"] == "Adventitious")
    arrays = frozen.quantise(x, (table.split == "train").to_numpy())
    arrays = {f"event/{name}": values for name, values in arrays.items()}
    arrays |= {"event/cycle": cycle_ids(table), "settings": json.dumps({"1-1": SETTINGS})}
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    return tmp_path / "x.npz"


def test_eight_bits_lose_at_most_half_a_step():
    x = np.random.default_rng(0).normal(size=(500, 3)) * [1, 10, 0.1] + [0, 5, 1]
    train = np.arange(500) < 400
    q = frozen.quantise(x, train)
    assert q["x"].dtype == np.int8
    np.testing.assert_allclose(q["mean"], x[:400].mean(0))
    restored = q["x"] / frozen.STEPS * q["std"] + q["mean"]
    assert (abs(restored - x) <= q["std"] / frozen.STEPS / 2 + 1e-9).all()
    far = frozen.quantise(np.vstack([x, [[1e6, -1e6, 0]]]), np.append(train, False))
    assert far["x"][-1, :2].tolist() == [127, -127]


def test_a_probe_by_hand(path):
    table = annotations()
    label = (table["1-1"] == "Adventitious").to_numpy().astype(int)
    assert get_task("1-1").classes == ("Normal", "Adventitious")
    with np.load(path) as arrays:
        x = arrays["event/x"].astype(float)
    train = (table.split == "train").to_numpy()
    x = (x - x[train].mean(0)) / x[train].std(0)
    model = LogisticRegression(C=0.03, class_weight="balanced").fit(x[train], label[train])
    right, scores = model.predict(x) == label, {}
    for subset in ("inter", "intra", "test2023"):
        part = (table.subset == subset).to_numpy()
        sp, se = (100 * right[part & (label == c)].mean() for c in (0, 1))
        scores[subset] = ((sp + se) / 2 + 2 * sp * se / (sp + se)) / 2
    (line,) = frozen.probe_table(path).to_dict("records")
    assert line["test2023"] == pytest.approx(scores["test2023"], abs=1e-6)
    assert line["test2022"] == pytest.approx((scores["inter"] + scores["intra"]) / 2, abs=1e-6)
    assert line["low"] <= line["test2023"] <= line["high"] and line["C"] == 0.03


def test_a_file_that_is_missing_or_of_other_annotations_is_told(path, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="missing.npz: cannot be read"):
        frozen.load_features("event", tmp_path / "missing.npz")
    table = annotations().iloc[::-1]
    monkeypatch.setattr(frozen, "load_annotations", lambda dataset, unit: table)
    with pytest.raises(UserError, match="made from other annotations"):
        frozen.load_features("event", path)


@pytest.mark.parametrize(("unit", "count"), [("event", 12213), ("record", 3554)])
def test_the_file_that_comes_with_the_code(unit, count):
    table, x = frozen.load_features(unit)
    train = (table.split == "train").to_numpy()
    assert x.shape == (count, 896) and len(table) == count
    assert frozen.FILE.stat().st_size < 16e6
    assert abs(x[train].mean(0)).max() < 0.1 and np.median(x[train].std(0)) == pytest.approx(
        1, abs=0.05
    )
