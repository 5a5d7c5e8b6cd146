"""What probabilities are worth, of made-up runs whose clips are covered or not by hand."""

import numpy as np
import pandas as pd
import pytest

from lib.evaluation import calibration
from lib.papers.reliability import RUNS
from lib.tables import groups, reliability
from tests.unit.tables.conftest import NOTHING, clips, first_normal, table_of

ROW = RUNS[0]
WRONG = {"validation": 3, "inter": 8, "icbhi": 24}  # clips called normal, a quarter of them rightly
SITES = ["SPRSound inter", "SPRSound intra", "ICBHI", "ICBHI, Litt3200", "ICBHI, Meditron"]


@pytest.fixture
def save(save_run):
    """A function that saves one run of the first row, with so many wrong validation clips."""

    def save(validation=WRONG["validation"], seed=1):
        held_out = clips(40, 4, subset=np.full(40, "train"), prefix="v")
        subset = np.repeat(["inter", "intra"], 32)
        own = clips(64, 4, patients=16, subset=subset, prefix="s")
        other = clips(48, 4, patients=12, subset=np.full(48, ""), prefix="i")
        other["device"] = np.repeat(["Litt3200", "Meditron"], [16, 32])
        sets = {
            "validation": (held_out, first_normal(held_out["label"], validation)),
            "test": (own, first_normal(own["label"], WRONG["inter"])),
            "icbhi": (other, first_normal(other["label"], WRONG["icbhi"])),
        }
        settings = {"dataset": "sprsound", "test_sets": ("icbhi",), "data": "SPRSound"}
        return save_run(ROW.experiment.name, sets, seed=seed, **settings)

    return save


def by_site(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.Method == "Fine-tuning"].set_index("Tested on")


def test_sets_of_a_model_that_is_seldom_wrong_are_its_answers(save):
    """2 of 40 held-out clips are wrong, so the threshold is that of the right ones."""
    table = by_site(reliability.sets_table(RUNS[:1], table_of(save())))
    assert table.index.tolist() == SITES
    right = {"SPRSound inter": 26 / 32, "SPRSound intra": 1, "ICBHI": 30 / 48,
             "ICBHI, Litt3200": 4 / 16, "ICBHI, Meditron": 26 / 32}  # fmt: skip
    for site, share in right.items():
        assert table.Coverage[site] == f"{100 * share:.2f} (1)", site
    assert set(table["Classes in a set"]) == {"1.00 (1)"} and set(table["Empty sets"]) == {
        "0.00 (1)"
    }
    low, high = map(float, table["95% interval"]["ICBHI"].split(" to "))
    assert low < 62.5 < high
    assert table.Patients.tolist() == ["8", "8", "12", "4", "8"]


def test_sets_of_a_model_that_is_often_wrong_hold_every_class(save):
    table = by_site(reliability.sets_table(RUNS[:1], table_of(save(validation=12))))
    assert set(table.Coverage) == {"100.00 (1)"} and set(table["Classes in a set"]) == {"4.00 (1)"}


def test_seeds_are_averaged(save):
    both = table_of(save(), save(validation=12, seed=2))
    table = by_site(reliability.sets_table(RUNS[:1], both))
    values = 100 * 30 / 48, 100.0
    assert table.Coverage["ICBHI"] == f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} (2)"


def test_the_temperature_is_that_of_the_held_out_patients_alone(save):
    table = by_site(reliability.calibration_table(RUNS[:1], table_of(save())))
    logits, label = np.eye(4)[first_normal(np.arange(40) % 4, 3)], np.arange(40) % 4
    temperature = calibration.fit_temperature(logits, label)
    assert set(table.Temperature) == {f"{temperature:.2f} (1)"} and temperature < 0.5
    truth = np.arange(48) % 4
    logits = np.eye(4)[first_normal(truth, 24)]
    for name, t in (("before", 1.0), ("after", temperature)):
        p = calibration.softmax(logits / t)
        error, brier = calibration.calibration_error(p, truth), calibration.brier_score(p, truth)
        assert table[f"ECE {name}"]["ICBHI"] == f"{error:.3f} (1)"
        assert table[f"Brier score {name}"]["ICBHI"] == f"{brier:.3f} (1)"


def test_few_patients_are_of_the_other_dataset_and_leave_enough(save):
    results = table_of(save())
    table = by_site(reliability.few_patients_table(RUNS[:1], results))
    assert table.index.tolist() == SITES[2:]
    row = table.loc["ICBHI"]
    assert row["Coverage, k = 0"] == f"{100 * 30 / 48:.2f} (1)"
    assert row["Coverage, k = 5"].endswith(f"({reliability.DRAWS})")
    assert row["Coverage, k = 10"] == "–"  # 2 of 12 would be left
    assert reliability.few_patients_points(RUNS[:1], results).empty


def test_equally_sure_answers_have_the_same_risk_everywhere(save):
    table = by_site(reliability.selective_table(RUNS[:1], table_of(save())))
    errors = table.loc["ICBHI"].drop(["Method", "Trained on", "Clips", "Patients"])
    assert set(errors) == {f"{100 * 18 / 48:.2f} (1)"}
    curves = reliability.risk_curves(RUNS[:1], table_of(save()))
    assert list(curves) == ["ICBHI", "SPRSound"]
    assert curves["ICBHI"]["Fine-tuning · SPRSound"][1][-1] == pytest.approx(18 / 48)


def test_the_worst_group_is_named_if_it_has_enough_patients(save):
    results = table_of(save())
    worst = by_site(groups.worst_table(RUNS[:1], results))
    # Litt3200 is worse, but has 4 patients; Meditron: clips 16 to 23 are called normal
    expected = 100 * (24 - 6) / 24
    score = f"{(100 + expected) / 2:.2f} (Sp 100.00, Se {expected:.2f})"
    assert worst["Worst device"]["ICBHI"] == f"Meditron: {score}"
    assert worst["Worst age"]["ICBHI"] == "–"  # no clip of these recordings is annotated
    table = by_site(groups.groups_table(RUNS[:1], results))
    assert table.Group.tolist() == ["device Litt3200", "device Meditron"]
    assert table.Clips.tolist() == ["16", "32"]


def test_age_and_sex_are_those_of_the_annotations(save_run):
    names = ["101_1b1_Al_sc_Meditron", "102_1b1_Ar_sc_Meditron"]  # 3 years, female; 0.75, female
    about = clips(8, 4)
    about["cycle"] = np.array([f"{name}:{i}" for name in names for i in range(4)])
    held_out = clips(40, 4)
    sets = {"test": (about, about["label"]), "validation": (held_out, held_out["label"])}
    results = table_of(save_run(RUNS[2].experiment.name, sets))
    table = groups.groups_table(RUNS[2:3], results)
    assert table.Group.tolist() == ["age 0 to 2", "age 3 to 5"]  # all of one sex and device


def test_a_run_that_held_nobody_out_is_not_used(save_run):
    about = clips(32, 4)
    results = table_of(save_run(ROW.experiment.name, {"test": (about, about["label"])}))
    for make in (reliability.sets_table, groups.groups_table, groups.worst_table):
        table = make(RUNS[:2], results)
        assert set(table["Tested on"]) == {"not run"} and len(table) == 2
        assert make(RUNS[:2], NOTHING).equals(table)
    assert reliability.diagrams(RUNS, NOTHING) == {} == reliability.risk_curves(RUNS, NOTHING)
    assert reliability.coverage_points(RUNS, NOTHING).empty
