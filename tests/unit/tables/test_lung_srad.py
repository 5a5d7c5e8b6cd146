"""Lung-SRAD's tables on made-up records, every cell recomputed by hand."""

import math

import numpy as np
import pytest

from lib.tables import lung_srad
from tests.unit.tables.conftest import clips, table_of

HALVES, THIRDS = np.array([0, 0.5, 1.0]), np.array([0, 1 / 3, 2 / 3, 1.0])
AST = ("patches", "block 0", "block 1")
DASS = ("patches", "stage 2 block 0", "stage 2 block 1", "stage 3 block 0")
CURVES = {  # of each layer, at three frequencies or at four
    ("ast_srad/ce", 1): (AST, [0, -1, -1], [0, -1, -2, -4], [0, -2, -6]),
    ("ast_srad/ce", 2): (AST, [0, -1, -3], [0, -1, -4, -6], [0, -2, -8]),
    ("dass/ce", 1): (DASS, [0, -1, -9], [0, -1, -1, -2], [0, -1, -2, -2], [0, -5, -5]),
    ("dass/blur", 2): (DASS, [0, 0, -9], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0]),
    ("dass/srad", 1): None,
}


@pytest.fixture
def results(save_run):
    """AST with two seeds, DASS with one, its blur with another, and a run that saved nothing."""
    about, lines = clips(8, 4), []
    for (name, seed), saved in CURVES.items():
        analysis = {}
        for layer, curve in zip(saved[0], saved[1:], strict=True) if saved else ():
            prefix, frequency = f"spectrum/{layer}", THIRDS if len(curve) == 4 else HALVES
            analysis |= {f"{prefix}/frequency": frequency, f"{prefix}/diagonal": np.array(curve)}
            analysis[f"{prefix}/map"] = np.array([2 * len(curve) - 2, 19])
        sets = {"test": (about, about["label"])}
        lines.append(save_run(name, sets, seed=seed, analysis=analysis))
    return table_of(*lines)


def test_what_became_of_the_weights(results):
    table = lung_srad.weights(results)
    assert table.columns[2:6].tolist() == ["loaded", "resized", "initialised", "left out"]
    assert table.Model.tolist() == ["AST", "DASS", "DASS + blur", "Lung-SRAD"]
    assert table.iloc[0].tolist() == ["AST", "none", "2", "0", "0", "1", "12,345"]


def test_high_frequencies_by_hand(results):
    table = lung_srad.high_frequencies(results)
    assert table.columns.tolist() == ["Model", "Layer", "Map", "Above 0.5", "Setting"]
    two = math.sqrt(2)  # std of values 2 apart
    assert table.iloc[:6, :4].to_numpy().tolist() == [
        ["AST", "patches", "4 x 19", f"-2.00 ± {two:.2f} (2)"],  # 0.5 itself is not above
        ["AST", "block 0", "6 x 19", f"-4.00 ± {two:.2f} (2)"],  # -3 and -5, over 2/3 and 1
        ["AST", "block 1", "4 x 19", f"-7.00 ± {two:.2f} (2)"],
        ["DASS", "patches", "4 x 19", "-9.00 (1)"],
        ["DASS", "stage 2 block 0", "6 x 19", "-1.50 (1)"],
        ["DASS", "stage 2 block 1", "6 x 19", "-2.00 (1)"],
    ]
    settings = [f"ast base, 50 epochs, 8 s clips, lr 0.000{n}, batch 8" for n in (1, 2, 3)]
    assert table.Setting[:4].tolist() == [
        "; ".join(settings[:2]), "as above", "as above", settings[2]
    ]  # fmt: skip


def test_layers_are_compared_within_a_seed(results):
    table = lung_srad.low_pass(results).set_index("Comparison")
    assert table["Difference above 0.5"].to_dict() == {
        "AST's blocks after the first": "-3.00 ± 0.00 (2)",  # -6 + 3 and -8 + 5
        "DASS's blocks after the first, one grid": "-0.50 (1)",
        "AST's first block and its positions": "-2.00 ± 0.00 (2)",  # -3 + 1 and -5 + 3
        "DASS against AST": "+4.00 (1)",  # the seed that both have
        "DASS: with blur against without": "not run",  # no seed in common
        "DASS: dual axis against fine-tuning": "not run",
        "DASS: the same, last stage": "not run",
        "AST: dual axis against fine-tuning": "not run",
    }
    assert table.Layers.iloc[3] == "DASS, stage 2 block 1 minus AST, block 1"
    assert table.Maps.tolist()[1:5] == ["6 x 19; 6 x 19", "6 x 19; 4 x 19", "6 x 19; 4 x 19", "–"]
