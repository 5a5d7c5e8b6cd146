"""Paper beside ours: every kind of row, and the rule behind every verdict word."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import files
from lib import rows as registry_rows
from lib.data.inputs import READERS
from lib.paper import Published
from lib.row import Row
from lib.tables import compare as tables_compare
from lib.tables.compare import NONE, verdict

CE = Row("t2/ce", {"method": "CE", "target": "-"}, "ce", "t2/ce")
OWN = Row("ours/mn04", {"method": "CE, mn04"}, "mn04")
QUOTED = Row("t1/resnest_in", {"method": "ResNeSt"}, None, "t1/resnest_in")


@pytest.fixture
def predictions(tmp_path):
    """A run folder whose predictions score Sp 75 and Se 50 on 8 clips of 4 patients."""
    label, answer = np.array([0, 0, 0, 0, 1, 2, 3, 1]), np.array([0, 0, 0, 1, 1, 2, 0, 2])
    arrays = {
        "test/label": label,
        "test/patient": np.array(list("abcdabcd")),
        "test/device": np.full(8, "x"),
        "test/cycle": np.arange(8).astype(str),
        "test/test/logits": np.eye(4)[answer],
    }
    np.savez(tmp_path / "predictions.npz", **arrays)
    files.write_json(tmp_path / "experiment.json", {"experiment": {"task": "icbhi4"}})
    return str(tmp_path)


def _results(path: str, experiment: str = "ce", scores=(60.0, 59.0, 61.0), **changes):
    """Three seeds of one experiment, all three selections."""
    lines = []
    for seed, score in enumerate(scores, start=1):
        for selection, less in (("test", 0), ("last", 2), ("validation", 3)):
            line = {"experiment": experiment, "seed": seed, "selection": selection}
            line |= {"status": "done", "reason": "", "path": path, "sp": 80.0, "se": 40.0}
            line |= {"score": score - less, "se_binary": 50.0, "score_binary": score + 5 - less}
            line |= {
                "score_patient_disjoint": score - 1,
                "score_binary_patient_disjoint": score + 4,
            }
            line |= {"run": f"{experiment}-s{seed}-0123456{seed}"}
            line |= {"gap": float(less), "gap_binary": float(less)}
            line |= {"data": "ICBHI", "weights": "none", "setting": "50 epochs"}
            lines.append(line | changes)
    return pd.DataFrame(lines)


def test_a_row_with_runs(predictions):
    row = tables_compare([CE], _results(predictions), judge=True).iloc[0]
    assert row["Method"] == "CE" and row["Target"] == "-"
    assert row["Paper Score"] == "59.55 ± 0.88"
    assert row["Score"] == "60.00 ± 1.00 (3)"
    assert row["Difference"] == "+0.45"
    assert row["Verdict"].startswith("within one std")
    assert row["Last"] == "58.00 ± 1.00 (3)" and row["Validation"] == "57.00 ± 1.00 (3)"
    assert row["Gap"] == "+3.00"
    assert row["Without 156, 218"] == "59.00 ± 1.00 (3)"
    assert row["Seeds"] == "1: 60.00; 2: 59.00; 3: 61.00"
    assert row["Runs"] == "01234561; 01234562; 01234563"
    assert (row["Data"], row["Weights"], row["Setting"]) == ("ICBHI", "none", "50 epochs")
    assert row["Status"] == "done"
    low, high = map(float, row["95% interval"].split(" to "))
    assert low <= 62.5 <= high  # the Score of the predictions


def test_the_selection_rule_as_rows(predictions):
    table = tables_compare.selection_rule([CE], _results(predictions))
    assert table["Epoch chosen by"].tolist() == ["test", "last", "validation"]
    scores = ["60.00 ± 1.00 (3)", "58.00 ± 1.00 (3)", "57.00 ± 1.00 (3)"]
    assert table.Score.tolist() == scores
    assert set(table.Row) == {"CE"} and set(table["Run with"]) == {"50 epochs"}


def test_two_classes_take_any_abnormal_answer(predictions):
    row = tables_compare([CE], _results(predictions), two_class=True).iloc[0]
    assert (row["Se"], row["Score"]) == ("50.00 ± 0.00 (3)", "65.00 ± 1.00 (3)")
    assert row["Without 156, 218"] == "64.00 ± 1.00 (3)"
    assert row["Classes"] == "2 (the 4-class answers collapsed)"


def test_the_last_row_always_answers_normal(predictions):
    row = tables_compare([CE], _results(predictions)).iloc[-1]
    assert row["Method"] == "always “normal”"
    assert (row["Sp"], row["Se"], row["Score"]) == ("100.00", "0.00", "50.00")


def test_a_row_nobody_ran_has_a_reason_and_no_number():
    results = _results("", status="not run", reason="weights not found: AST", score=np.nan)
    row = tables_compare([CE], results, judge=True).iloc[0]
    assert row["Score"] == row["Sp"] == row["Last"] == "not run"
    assert row["Status"] == "not run: weights not found: AST"
    assert row["Verdict"] == "not run" and row["Difference"] == NONE
    quoted = tables_compare([QUOTED], results).iloc[0]
    assert quoted["Score"] == "not run" and quoted["Status"].startswith("not run: quoted")
    assert quoted["Note"] == "mean of printed Sp, Se: 52.45"


def test_no_cell_is_blank(predictions):
    table = tables_compare([CE, OWN, QUOTED], _results(predictions))
    assert not table.isna().any().any()
    assert (table.map(len) > 0).all().all()


def test_none_qualifies_is_a_result_of_its_own(predictions):
    results = _results(predictions)
    results.loc[results.selection == "validation", "status"] = "none qualifies"
    row = tables_compare([CE], results).iloc[0]
    assert row["Validation"] == "none qualifies" and row["Gap"] == NONE


def test_seeds_that_stand_differently_are_counted(predictions):
    results = _results(predictions)
    results.loc[results.seed == 2, ["status", "reason"]] = ["failed", "killed"]
    row = tables_compare([CE], results).iloc[0]
    assert row["Score"] == "60.50 ± 0.71 (2)"
    assert row["Status"] == "2 of 3 done; 1 of 3 failed: killed"
    shown = tables_compare.headline(tables_compare([CE], results))["Ours was run with"][0]
    assert "1 of 3 failed" in shown and "ICBHI" in shown


def test_one_seed_has_no_spread(predictions):
    assert tables_compare([CE], _results(predictions, scores=(60.0,))).Score[0] == "60.00 (1)"


def test_our_own_rows_meet_no_published_number(predictions):
    row = tables_compare([OWN], _results(predictions, "mn04"), judge=True).iloc[0]
    assert row["Paper Score"] == "not published"
    assert row["Difference"] == row["Verdict"] == NONE


@pytest.mark.parametrize(
    ("changes", "judge", "expected"),
    [
        ({}, False, "no verdict"),
        ({"data": "ICBHI partial"}, True, "no verdict (other data)"),
        ({"data": "synthetic"}, True, "no verdict (other data)"),
        ({"scores": (60.0, 59.0)}, True, "no verdict (fewer than 3 seeds)"),
        ({"scores": (59.6, 59.4, 59.5)}, True, "within one std (at most 0.88 away)"),
        ({"scores": (58.0, 62.0, 63.0)}, True, "within noise (at most 3.15 away)"),
        ({"scores": (62.9, 63.0, 63.1)}, True, "above (more than 0.88 away)"),
        ({"scores": (49.9, 50.0, 50.1)}, True, "below (more than 0.88 away)"),
    ],
)
def test_verdicts(predictions, changes, judge, expected):
    table = tables_compare([CE], _results(predictions, **changes), judge=judge)
    assert table["Verdict"][0] == expected


def test_noise_is_two_standard_errors_by_hand():
    noise = 2 * math.sqrt(0.5**2 / 5 + 1.2**2 / 4)
    paper_s = printed(60.0, 0.5)
    assert verdict(paper_s, (60.0 + noise - 0.01, 1.2, 4))[0] == "within noise"
    assert verdict(paper_s, (60.0 + noise + 0.01, 1.2, 4))[0] == "above"
    assert verdict(paper_s, (60.0 - noise - 0.01, 1.2, 4))[0] == "below"
    assert verdict(printed(60.0, 0.5, key="srad/srad"), (60.0 + noise + 0.01, 1.2, 4))[0] == (
        "within noise"  # two runs stand behind that one
    )


def test_a_quoted_number_without_spread_counts_as_one_run():
    one = printed(60.0, None)
    assert verdict(one, (60.8, 0.1, 5))[0] == "within one std"
    assert verdict(one, (61.5, 0.1, 5))[0] == "within noise"
    assert verdict(one, (62.0, 0.1, 5))[0] == "above"


def test_chance_alone_by_drawing_answers():
    """Each cycle of the official test set right by chance, as often as the paper's answers were."""
    rng = np.random.default_rng(0)
    sp, se = (100 * rng.binomial(n, p, 20000) / n for n, p in ((1579, 0.8), (1177, 0.45)))
    drawn = ((sp + se) / 2).std()
    assert tables_compare.chance_std(80.0, 45.0) == pytest.approx(drawn, rel=0.02)
    assert tables_compare.chance_std(100.0, 0.0) == 0


def test_what_deviates_has_no_verdict(predictions):
    row = replace(CE, deviates="not as its code runs")
    table = tables_compare([row], _results(predictions), judge=True)
    assert table["Verdict"][0] == "no verdict (not as its code runs)"
    assert tables_compare([row], _results(predictions))["Verdict"][0] == "no verdict"


def printed(score, std, key="t3/made"):
    """A published row with Sp 80 and Se 45."""
    return Published(key, {}, 80.0, None, 45.0, None, score, std, "made up", True)


def test_official_data_have_the_name_that_stores_give_them():
    assert READERS["icbhi"].names["official"] == tables_compare.OFFICIAL_DATA


def test_headline_says_what_ours_was_run_with(predictions):
    results = _results(predictions, data="synthetic", weights="none", setting="2 epochs")
    shown = tables_compare.headline(tables_compare([CE, QUOTED], results))
    assert list(shown.columns) == [
        *("Method", "Target", "Paper Score", "Score", "Validation", "Gap"),
        *("Difference", "Verdict", "Ours was run with"),
    ]
    assert shown["Ours was run with"][0] == "synthetic; none; 2 epochs"
    assert shown["Ours was run with"][1].startswith("not run: quoted")


def test_second_and_third_table_name_the_row_in_one_column(predictions):
    table = tables_compare([CE, OWN], _results(predictions))
    for part in (tables_compare.selections(table), tables_compare.details(table)):
        assert list(part["Row"]) == ["CE", "CE, mn04", "always “normal”"]
    assert list(tables_compare.selections(table).columns)[1:5] == [
        "Test",
        "Last",
        "Validation",
        "Gap",
    ]


@pytest.mark.parametrize("name", ["table1", "table2", "table3_4class", "table3_2class", "figure2"])
def test_every_table_is_made_without_a_single_run(name):
    rows = registry_rows.table(name)
    empty = _results("").iloc[:0]
    table = tables_compare(rows, empty, judge=True, two_class=name.endswith("2class"))
    assert len(table) == len(rows) + 1
    assert (table.Score[:-1] == "not run").all()
