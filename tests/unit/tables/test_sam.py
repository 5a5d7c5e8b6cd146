"""SAM's tables on made-up records, every cell recomputed by hand."""

import pytest

from lib.papers.sam import PAIRS
from lib.tables import sam
from lib.tables.format import MISSING
from tests.unit.tables.conftest import clips, first_normal, table_of

RECIPE, *PAIR = PAIRS[0]
PLAIN, SAM = (experiment.name for experiment in PAIR)


@pytest.fixture
def results(save_run):
    """Two seeds of the first recipe; plain calls 6 of 8 clips normal, SAM none but the normal."""
    about = clips(8, 4)
    lines = []
    eigenvalues = {(PLAIN, 1): 8.0, (PLAIN, 2): 2.0, (SAM, 1): 2.0, (SAM, 2): 1.0}
    for (name, seed), eigenvalue in eigenvalues.items():
        analysis = {"eigenvalue": eigenvalue, "sharpness": eigenvalue / 100, "loss": 1.0}
        predicted = first_normal(about["label"], 6 if name == PLAIN else 0)
        sets = {"test": (about, predicted)}
        lines.append(save_run(name, sets, seed=seed, analysis=analysis, selections=("test",)))
    return table_of(*lines)


def test_effects_by_hand(results):
    table = sam.effects(results).set_index("Recipe")
    assert len(table) == len(PAIRS)
    first = table.loc[RECIPE]
    # plain: Sp 100, Se 2 of 6; SAM: both 100
    assert first["4 classes"].startswith("+33.33 (") and first["2 classes"].startswith("+33.33 (")
    assert first["4 classes, validation"] == first["2 classes, validation"] == MISSING
    settings = [f"ast base, 50 epochs, 8 s clips, lr 0.000{n}, batch 8" for n in (1, 2, 3, 4)]
    assert first.Setting == "; ".join(["ICBHI", "none", *settings])
    assert table.iloc[1].Setting == "not run: not part of this profile"


def test_flatness_by_hand(results):
    plain, with_sam, *others = sam.flatness(results).to_dict("records")
    assert (plain["Recipe"], plain["Training"], with_sam["Training"]) == (RECIPE, "plain", "SAM")
    assert (plain["Eigenvalue"], with_sam["Eigenvalue"]) == ("5 ± 4.24 (2)", "1.5 ± 0.707 (2)")
    assert (plain["Ratio"], with_sam["Ratio"]) == (MISSING, "0.35")  # sqrt(2 / 8 * 1 / 2)
    assert with_sam["Sharpness at 0.05"] == "0.015 ± 0.00707 (2)"
    assert with_sam["Loss"] == "1.000 ± 0.000 (2)"
    assert len(others) == 2 * (len(PAIRS) - 1) and others[0]["Eigenvalue"] == "not run"


def test_flatness_of_runs_that_saved_nothing(results, save_run):
    about = clips(8, 4)
    bare = table_of(save_run(SAM, {"test": (about, about["label"])}, seed=3))
    assert sam.flatness(bare).Loss[:2].tolist() == ["not run", "not saved"]
    alone = sam.flatness(results[results.experiment == PLAIN])
    assert (
        alone.Eigenvalue[:2].tolist() == ["5 ± 4.24 (2)", "not run"] and alone.Ratio[1] == MISSING
    )
