"""Lung-SRAD's tables from made-up records, every cell recomputed by hand."""

import pandas as pd
import pytest

from lib import files
from lib.papers.lung_srad import BACKBONES
from lib.tables import lung_srad


@pytest.fixture
def results(tmp_path):
    """Two finished runs, and one that was not."""
    files.write_json(tmp_path / "experiment.json", {"weights": {"name": "a file"}})
    files.write_json(tmp_path / "result.json", {"parameters": 12345})
    files.write_text(
        tmp_path / "weights.csv", "key,action\na,loaded\nb,loaded\nc,initialised\nd,left out\n"
    )
    lines = [("ast_srad/ce", tmp_path), ("dass/ce", tmp_path), ("dass/blur", None)]
    known = [{"experiment": name, "path": path and str(path)} for name, path in lines]
    return pd.DataFrame(known).assign(seed=1, setting="tiny")


def test_what_weights_came_in(results):
    table = lung_srad.loaded(results)
    assert table.to_numpy().tolist() == [
        ["AST", "a file", "2", "0", "1", "1", "12,345"],
        ["DASS", "a file", "2", "0", "1", "1", "12,345"],
    ]
    assert list(table.columns)[2:6] == ["loaded", "resized", "initialised", "left out"]


def test_nothing_is_finished(results):
    none = lung_srad.loaded(results.assign(path=None))
    assert none.empty and len(none.columns) > 3


def test_methods_by_backbone(monkeypatch):
    lines = [
        dict(row.label) | {"score": f"{at}.00", "honest": f"{at + 100}.00"}
        for at, row in enumerate(BACKBONES)
    ]
    made = pd.DataFrame(
        [
            {"Architecture": one["architecture"], "Method": one["method"], "Score": one["score"],
             "Validation": one["honest"]}
            for one in lines
        ] + [{"Architecture": "always “normal”", "Method": "–"}]
    )  # fmt: skip
    monkeypatch.setattr(lung_srad.compare, "compare", lambda rows, results: made)
    table = lung_srad.crossed(pd.DataFrame())
    assert list(table.columns) == [
        "Method", "AST", "AST, honest", "DASS", "DASS, honest", "mn04", "mn04, honest",
    ]  # fmt: skip
    assert table.iloc[0].tolist() == [
        "Cross-entropy", "0.00", "100.00", "1.00", "101.00", "2.00", "102.00",
    ]  # fmt: skip
    assert table.Method.tolist() == [row.label["method"] for row in BACKBONES[::3]]
    assert BACKBONES[7].experiment == "dass/patchmix_cl" and table.DASS[2] == "7.00"
