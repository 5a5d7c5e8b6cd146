"""Which differences 49 patients can show, from made-up pairs of runs."""

import numpy as np
import pytest

from lib.papers.reliability import OFFICIAL
from lib.runs.predictions import paired_difference
from lib.tables import detectable
from lib.tables.claims import load_pair
from tests.unit.tables.conftest import NOTHING, clips, table_of


@pytest.fixture
def save(save_run):
    """A function that saves a run of two rows each, on so many patients."""

    def save(patients):
        rng, lines = np.random.default_rng(0), []
        for row, right in zip(OFFICIAL[:2], (0.6, 0.5), strict=True):
            about = clips(4 * patients, 4, patients=patients)
            guess = rng.integers(0, 4, 4 * patients)
            predicted = np.where(rng.random(4 * patients) < right, about["label"], guess)
            lines.append(save_run(row.experiment.name, {"test": (about, predicted)}))
        return table_of(*lines)

    return save


def test_a_difference_of_280_standard_errors_is_found_with_a_power_of_80_percent(save):
    results = save(49)
    (pair,) = detectable.detectable(OFFICIAL, results).itertuples()
    first, second = (row.experiment for row in OFFICIAL[:2])
    a, b = load_pair(results, second, first, "validation")
    difference, low, high = paired_difference(a, b)
    assert (pair.difference, pair.low, pair.high) == (difference, low, high)
    assert pair.detectable == pytest.approx(2.8016 * (high - low) / 3.9199, rel=1e-4)
    # of many experiments whose true difference this is, 80% differ significantly from 0
    drawn = np.random.default_rng(0).normal(pair.detectable, pair.error, 200_000)
    assert (np.abs(drawn / pair.error) > 1.96).mean() == pytest.approx(0.8, abs=0.005)
    assert pair.pair == "Fine-tuning minus Patch-Mix CE" and pair.seeds == 1


def test_only_runs_on_the_official_test_set_count(save):
    assert detectable.detectable(OFFICIAL, save(48)).empty


def test_published_differences_stand_beside_it(save):
    table = detectable.claims_table(OFFICIAL, save(49)).set_index("Claim")
    (smallest,) = detectable.detectable(OFFICIAL, save(49)).detectable
    for claim in detectable.published_differences().itertuples():
        row = table.loc[claim.claim]
        assert row["Paper difference"] == f"{claim.difference:+.2f}"
        shown = int(abs(claim.difference) >= smallest)
        assert row["Large enough"] == f"by {shown} of 1 pairs"
    assert table.loc["Patch-Mix CL beats fine-tuning", "Paper difference"] == "+2.82"
    assert not table.index.str.contains("task").any()  # SPRSound has another test set


def test_without_runs_it_says_so():
    pairs = detectable.pairs_table(OFFICIAL, NOTHING)
    assert set(pairs[detectable.DIFFERENCE]) == {"not run"} and len(pairs) == 6
    table = detectable.claims_table(OFFICIAL, NOTHING)
    assert set(table["Smallest detectable difference"]) == {"not run"} and len(table) > 5
