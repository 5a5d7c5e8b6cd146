"""Tables of spectral responses from made-up records, every cell recomputed by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from lib.runs import folder as runs_folder
from lib.tables import frequency_response

HALVES = np.array([0, 0.5, 1.0])
THIRDS = np.array([0, 1 / 3, 2 / 3, 1.0])
AST = ("patches", "block 0", "block 1")
DASS = ("patches", "stage 2 block 0", "stage 2 block 1", "stage 3 block 0")


def record(folder, names, *lines):
    """A run whose layers have these curves, of three frequencies or of four."""
    arrays = {}
    for name, line in zip(names, lines, strict=True):
        arrays[f"spectrum/{name}/frequency"] = THIRDS if len(line) == 4 else HALVES
        arrays[f"spectrum/{name}/diagonal"] = np.array(line, dtype=float)
        arrays[f"spectrum/{name}/map"] = np.array([2 * len(line) - 2, 19])
    runs_folder.write_arrays(folder / runs_folder.GEOMETRY, arrays)


@pytest.fixture
def results(tmp_path):
    """AST with two seeds, DASS with one, its blur with another, and a run that kept nothing."""
    made = {
        ("ast_srad/ce", 1): (AST, [0, -1, -1], [0, -1, -2, -4], [0, -2, -6]),
        ("ast_srad/ce", 2): (AST, [0, -1, -3], [0, -1, -4, -6], [0, -2, -8]),
        ("dass/ce", 1): (DASS, [0, -1, -9], [0, -1, -1, -2], [0, -1, -2, -2], [0, -5, -5]),
        ("dass/blur", 2): (DASS, [0, 0, -9], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0]),
        ("dass/srad", 1): None,
    }
    rows = []
    for (experiment, seed), layers in made.items():
        folder = tmp_path / f"{runs_folder.slug(experiment)}-s{seed}-00000000"
        if layers:
            record(folder, *layers)
        for selection in ("test", "last"):
            known = {"experiment": experiment, "seed": seed, "selection": selection}
            rows.append(known | {"path": str(folder) if layers else None, "setting": "tiny"})
    return pd.DataFrame(rows)


def test_responses_are_means_over_seeds(results):
    points = frequency_response.responses(results)
    assert list(points.columns) == frequency_response.POINTS
    ast = points[points.model == "AST"]
    assert ast.layer.tolist() == ["patches"] * 3 + ["block 0"] * 4 + ["block 1"] * 3
    assert ast.amplitude.tolist() == [0, -1, -2, 0, -1, -3, -5, 0, -2, -7]
    assert ast.frequency.tolist() == [*HALVES, *THIRDS, *HALVES]


def test_high_frequencies_by_hand(results):
    table = frequency_response.high(results)
    assert list(table.columns) == ["Model", "Layer", "Map", "Above 0.5", "Run with"]
    two = math.sqrt(2)  # of values 2 apart
    assert table.iloc[:6, :4].to_numpy().tolist() == [
        ["AST", "patches", "4 x 19", f"-2.00 ± {two:.2f} (2)"],  # 0.5 itself is not above
        ["AST", "block 0", "6 x 19", f"-4.00 ± {two:.2f} (2)"],  # of -3 and -5, over 2/3 and 1
        ["AST", "block 1", "4 x 19", f"-7.00 ± {two:.2f} (2)"],
        ["DASS", "patches", "4 x 19", "-9.00 (1)"],
        ["DASS", "stage 2 block 0", "6 x 19", "-1.50 (1)"],
        ["DASS", "stage 2 block 1", "6 x 19", "-2.00 (1)"],
    ]
    assert table["Run with"].tolist()[:6] == ["tiny", *2 * ["as above"], "tiny", *2 * ["as above"]]


def test_what_lies_between_layers_is_of_the_same_seed(results):
    table = frequency_response.low_pass(results).set_index("Comparison")
    column = "Difference above 0.5"
    assert table[column].to_dict() == {
        "AST's blocks after the first": "-3.00 ± 0.00 (2)",  # -6 + 3 and -8 + 5
        "DASS's blocks after the first, one grid": "-0.50 (1)",
        "AST's first block and its positions": "-2.00 ± 0.00 (2)",  # -3 + 1 and -5 + 3
        "DASS against AST": "+4.00 (1)",  # the seed that both have
        "DASS: with blur against without": "not run",  # no seed in common
        "DASS: dual axis against fine-tuning": "not run",
        "DASS: the same, last stage": "not run",
        "AST: dual axis against fine-tuning": "not run",
    }
    assert table.Layers.iloc[3] == "DASS, stage 2 block 1 less AST, block 1"
    assert table.Maps.tolist()[1:5] == ["6 x 19; 6 x 19", "6 x 19; 4 x 19", "6 x 19; 4 x 19", "–"]


def test_nothing_is_finished(results):
    none = results.assign(path=None)
    for view in (frequency_response.responses, frequency_response.high):
        assert view(none).empty and len(view(none).columns) > 3
    claim = frequency_response.low_pass(none)
    assert list(claim.columns) == [
        "Comparison", "Layers", "Maps", "Difference above 0.5", "Run with",
    ]  # fmt: skip
    assert set(claim["Difference above 0.5"]) == {"not run"} and set(claim.Maps) == {"–"}
