"""Lung-SRAD's tables from made-up records, every cell recomputed by hand."""

import numpy as np
import pandas as pd
import pytest

from lib import files, runs, tables_srad
from lib.rows_srad import BACKBONES

HALVES = np.array([0, 0.5, 1.0])
THIRDS = np.array([0, 1 / 3, 2 / 3, 1.0])


def record(folder, first, last):
    """A run whose first block has three frequencies and whose last has four."""
    files.write_json(folder / "experiment.json", {"weights": {"name": "a file"}})
    files.write_json(folder / "result.json", {"parameters": 12345})
    files.write_text(
        folder / "weights.csv", "key,action\na,loaded\nb,loaded\nc,initialised\nd,left out\n"
    )
    blocks = {"block 0": (THIRDS, first), "block 1": (HALVES, last)}
    arrays = {}
    for name, (frequency, line) in blocks.items():
        arrays |= {f"spectrum/{name}/frequency": frequency, f"spectrum/{name}/diagonal": line}
        arrays[f"spectrum/{name}/map"] = np.array([2 * len(line) - 2, 19])
    runs.write_arrays(folder / runs.GEOMETRY, arrays)


@pytest.fixture
def results(tmp_path):
    """AST with two seeds, DASS with one, and a run that kept nothing."""
    rows = []
    made = {
        ("ast_srad/ce", 1): ([0, -1, -2, -4], [0, -2, -6.0]),
        ("ast_srad/ce", 2): ([0, -1, -4, -6], [0, -2, -8.0]),
        ("dass/ce", 1): ([0, -1, -1, -2.0], [0, -1, -1.5]),
        ("dass/blur", 1): None,
    }
    for (experiment, seed), lines in made.items():
        folder = tmp_path / f"{runs.slug(experiment)}-s{seed}-00000000"
        if lines:
            record(folder, *map(np.array, lines))
        for selection in ("test", "last"):
            known = {"experiment": experiment, "seed": seed, "selection": selection}
            rows.append(known | {"path": str(folder) if lines else None, "setting": "tiny"})
    return pd.DataFrame(rows)


def test_responses_are_means_over_seeds(results):
    points = tables_srad.responses(results)
    assert list(points.columns) == tables_srad.POINTS and len(points) == 2 * 7
    ast = points[points.model == "AST"]
    assert ast.layer.tolist() == ["block 0"] * 4 + ["block 1"] * 3
    assert ast.amplitude.tolist() == [0, -1, -3, -5, 0, -2, -7]
    assert ast.frequency.tolist() == [*THIRDS, *HALVES]


def test_high_frequencies_by_hand(results):
    table = tables_srad.high(results)
    assert list(table.columns) == ["Model", "Layer", "Map", "Above 0.5", "Run with"]
    assert table.iloc[:, :4].to_numpy().tolist() == [
        ["AST", "block 0", "6 x 19", "-4.00"],  # of -3 at 2/3 and -5 at 1
        ["AST", "block 1", "4 x 19", "-7.00"],  # 0.5 itself is not above
        ["AST", "all layers", "–", "-5.50"],
        ["DASS", "block 0", "6 x 19", "-1.50"],
        ["DASS", "block 1", "4 x 19", "-1.50"],
        ["DASS", "all layers", "–", "-1.50"],
    ]
    assert table["Run with"].tolist() == ["–", "–", "tiny"] * 2


def test_what_weights_came_in(results):
    table = tables_srad.loaded(results)
    assert table.to_numpy().tolist() == [
        ["AST", "a file", "2", "0", "1", "1", "12,345"],
        ["DASS", "a file", "2", "0", "1", "1", "12,345"],
    ]
    assert list(table.columns)[2:6] == ["loaded", "resized", "initialised", "left out"]


def test_nothing_is_finished(results):
    none = results.assign(path=None)
    for view in (tables_srad.responses, tables_srad.high, tables_srad.loaded):
        assert view(none).empty and len(view(none).columns) > 3


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
    monkeypatch.setattr(tables_srad.tables, "compare", lambda rows, results: made)
    table = tables_srad.crossed(pd.DataFrame())
    assert list(table.columns) == [
        "Method", "AST", "AST, honest", "DASS", "DASS, honest", "mn04", "mn04, honest",
    ]  # fmt: skip
    assert table.iloc[0].tolist() == [
        "Cross-entropy", "0.00", "100.00", "1.00", "101.00", "2.00", "102.00",
    ]  # fmt: skip
    assert table.Method.tolist() == [row.label["method"] for row in BACKBONES[::3]]
    assert BACKBONES[7].experiment == "dass/patchmix_cl" and table.DASS[2] == "7.00"
