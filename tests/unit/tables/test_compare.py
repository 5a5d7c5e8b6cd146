"""Paper beside ours: every kind of row, the rule behind every verdict, and the views."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.config import Experiment
from lib.data import ICBHI
from lib.papers import get_published
from lib.papers.published import Published
from lib.papers.table_row import TableRow
from lib.runs.predictions import predictions_of_runs
from lib.runs.results import COMPLETE
from lib.tables import compare
from lib.tables.compare import compare_rows, verdict
from lib.tables.format import MISSING
from tests.unit.tables.conftest import clips

PAPER = get_published("t2/ce")
CE = TableRow("t2/ce", {"method": "CE", "target": "-"}, Experiment("ce"), PAPER)
OWN = TableRow("ours/mn04", {"method": "CE, mn04"}, Experiment("mn04"))
RESNEST = get_published("t1/resnest_in")
QUOTED = TableRow(RESNEST.key, {"method": "ResNeSt"}, None, RESNEST)


@pytest.fixture
def path(save_run):
    """A record whose predictions score Sp 75 and Se 50 on 8 clips of 4 patients."""
    about = clips(8, 4) | {"label": np.array([0, 0, 0, 0, 1, 2, 3, 1])}
    about["patient"] = np.array(list("abcdabcd"))
    return save_run("ce", {"test": (about, np.array([0, 0, 0, 1, 1, 2, 0, 2]))})[0]["path"]


def results_of(path, experiment="ce", scores=(60.0, 59.0, 61.0), **changes):
    """Three seeds of one experiment at all three selections."""
    lines = []
    for seed, score in enumerate(scores, start=1):
        for selection, less in (("test", 0), ("last", 2), ("validation", 3)):
            line = {"experiment": experiment, "seed": seed, "selection": selection}
            line |= {"status": "done", "reason": "", "path": path, "sp": 80.0, "se": 40.0}
            line |= {"score": score - less, "se_binary": 50.0, "score_binary": score + 5 - less}
            line |= {"score_patient_disjoint": score - 1, "gap": float(less)}
            line |= {"score_binary_patient_disjoint": score + 4, "gap_binary": float(less)}
            line |= {"run": f"{experiment}-s{seed}-0123456{seed}", "setting": "50 epochs"}
            line |= {"mark": COMPLETE, "model": "AST mini, from scratch"}
            lines.append(line | {"data": "ICBHI", "weights": "none"} | changes)
    return pd.DataFrame(lines)


def test_a_row_with_runs(path):
    line = compare_rows([CE], results_of(path), judge=True).iloc[0]
    expected = {
        "Method": "CE",
        "Target": "-",
        "Row": "CE",
        "Paper Score": "59.55 ± 0.88",
        "Sp": "80.00 ± 0.00 (3)",
        "Score": "60.00 ± 1.00 (3)",
        "Difference": "+0.45",
        "Verdict": "within one std (at most 0.88 away)",
        "Test": "60.00 ± 1.00 (3)",
        "Last": "58.00 ± 1.00 (3)",
        "Validation": "57.00 ± 1.00 (3)",
        "Test-selection gain": "+3.00",
        "Patient-disjoint": "59.00 ± 1.00 (3)",
        "Seeds": "1: 60.00; 2: 59.00; 3: 61.00",
        "Runs": "01234561; 01234562; 01234563",
        "Setting": "ICBHI; none; 50 epochs",
        "Status": "done",
    }
    assert line[list(expected)].to_dict() == expected
    low, high = map(float, line["95% interval"].split(" to "))
    assert low <= 62.5 <= high  # the Score of the predictions


def test_two_classes_take_any_abnormal_prediction(path):
    line, last = compare_rows([CE], results_of(path), two_class=True).to_dict("records")
    assert (line["Se"], line["Score"]) == ("50.00 ± 0.00 (3)", "65.00 ± 1.00 (3)")
    assert (line["Patient-disjoint"], line["Paper Score"]) == ("64.00 ± 1.00 (3)", "59.55 ± 0.88")
    assert last["Method"] == last["Row"] == "always “normal”"
    assert [last[name] for name in ("Sp", "Se", "Score", "Test")] == ["100.00", "0.00"] + 2 * [
        "50.00"
    ]


def test_a_row_that_was_not_run_has_a_reason_and_no_number():
    reason = "weights not found: AST"
    unfinished = {"status": "not run", "reason": reason, "run": math.nan, "gap": math.nan}
    results = results_of("", score=math.nan, **unfinished)
    line = compare_rows([CE], results, judge=True).iloc[0]
    assert line.Score == line.Sp == line.Last == line.Verdict == "not run"
    assert line.Status == line.Setting == f"not run: {reason}"
    assert line.Difference == line["Test-selection gain"] == line.Runs == MISSING
    quoted = compare_rows([QUOTED], results).iloc[0]
    assert quoted.Score == "not run" and quoted.Status.startswith("not run: quoted")
    assert quoted.Note == "mean of printed Sp, Se: 52.45"
    absent = compare_rows([CE], results.iloc[:0]).iloc[0]
    assert absent.Status == "not run: not part of this profile"


def test_our_own_rows_have_no_published_number(path):
    line = compare_rows([OWN], results_of(path, "mn04", scores=(60.0,)), judge=True).iloc[0]
    assert line["Paper Score"] == "not published" and line.Difference == line.Verdict == MISSING
    assert line.Score == "60.00 (1)"  # one seed has no std


def test_runs_with_different_statuses_are_counted(path):
    results = results_of(path)
    results.loc[results.seed == 2, ["status", "reason"]] = ["failed", "killed"]
    results.loc[results.selection == "validation", "status"] = "none qualifies"
    line = compare_rows([CE], results).iloc[0]
    assert (line.Score, line.Validation) == ("60.50 ± 0.71 (2)", "none qualifies")
    assert line.Status == "2 of 3 done; 1 of 3 failed: killed"
    assert line.Setting == f"{line.Status}; ICBHI; none; 50 epochs"


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
def test_verdicts(path, changes, judge, expected):
    results = results_of(path, **changes)
    assert compare_rows([CE], results, judge)["Verdict"][0] == expected
    deviating = replace(CE, deviates="not as its code runs")
    table = compare_rows([deviating], results, judge)
    assert table["Verdict"][0] == "no verdict (not as its code runs)"


def judge_scores(mean, std, count, published):
    """The first word or two of the verdict on `count` seeds with this mean and std."""
    spread = std * math.sqrt((count - 1) / count)  # of an even count, half above and half below
    scores = mean + spread * np.tile([-1, 1], count)[:count]
    values = {"sp": (80.0, None), "se": (45.0, None), "score": published[:2]}
    row = TableRow("x", {}, None, Published("x", {}, values, "", seeds=published[2]))
    done = pd.DataFrame({"score": scores, "data": "ICBHI"})
    return verdict(row, done, "score", judge=True).split(" (")[0]


def test_noise_is_two_standard_errors_by_hand():
    noise = 2 * math.sqrt(0.5**2 / 5 + 1.2**2 / 4)
    assert judge_scores(60 + noise - 0.01, 1.2, 4, (60.0, 0.5, 5)) == "within noise"
    assert judge_scores(60 + noise + 0.01, 1.2, 4, (60.0, 0.5, 5)) == "above"
    assert judge_scores(60 - noise - 0.01, 1.2, 4, (60.0, 0.5, 5)) == "below"
    assert judge_scores(60 + noise + 0.01, 1.2, 4, (60.0, 0.5, 2)) == "within noise"


def test_a_quoted_number_without_std_counts_as_one_run():
    quoted = (60.0, None, 5)
    assert judge_scores(60.8, 0.1, 4, quoted) == "within one std"
    assert judge_scores(61.5, 0.1, 4, quoted) == "within noise"
    assert judge_scores(62.0, 0.1, 4, quoted) == "above"


def test_chance_std_by_simulation():
    """Each cycle of the official test set right by chance, as often as the paper's model was."""
    rng = np.random.default_rng(0)
    sp, se = (100 * rng.binomial(n, p, 20000) / n for n, p in ((1579, 0.8), (1177, 0.45)))
    simulated = ((sp + se) / 2).std()
    assert compare.chance_std(80.0, 45.0) == pytest.approx(simulated, rel=0.02)
    assert compare.chance_std(100.0, 0.0) == 0


def test_official_data_have_the_name_that_caches_give_them():
    assert ICBHI(Path("icbhi")).label == compare.OFFICIAL_DATA


def test_a_row_that_has_not_learnt_its_task_is_marked(path, save_run):
    """Its predictions' interval ends at the Score of always "normal", or a class is missing."""
    assert compare_rows([CE], results_of(path)).Mark[0] == "never predicts both"
    about = clips(8, 4)
    normal = save_run("ce", {"test": (about, np.zeros(8, dtype=int))})
    table = pd.DataFrame(normal).assign(experiment="ce", model="AST mini, from scratch", reason="")
    assert compare_rows([CE], table).Mark[0] == (
        "predicts only normal; no better than always “normal”"
    )


def test_columns_of_the_views(path):
    results = results_of(path, data="synthetic")
    headline = compare.compare("headline", [CE, QUOTED], results)
    shown = ["Method", "Target", "Paper Score", "Validation", "Score", "Test-selection gain"]
    shown += ["Our model", "Mark"]
    assert list(headline.columns) == [*shown, "Setting"]
    judged = compare.compare("headline", [CE, QUOTED], results, judge=True)
    assert list(judged.columns) == [*shown, "Difference", "Verdict", "Setting"]
    assert headline["Our model"][0] == "AST mini, from scratch"
    assert headline.Setting[0] == "synthetic; none; 50 epochs"
    for view in ("selections", "sweep", "details"):
        assert list(compare.compare(view, [CE, OWN], results).Row) == [
            "CE",
            "CE, mn04",
            compare.NORMAL,
        ]
    rule = compare.selection_rule([CE], results)
    assert rule["Epoch chosen by"].tolist() == ["test", "last", "validation"]
    assert rule.Score.tolist() == ["60.00 ± 1.00 (3)", "58.00 ± 1.00 (3)", "57.00 ± 1.00 (3)"]


def test_a_pivot_has_one_line_for_each_method(path):
    rows = [
        TableRow(name, {"architecture": name[:3], "method": name[4:]}, Experiment(name))
        for name in ("AST CE", "CNN CE", "AST SAM", "CNN SAM")
    ]
    results = pd.concat([
        results_of(path, row.experiment.name, (10.0 * number,), setting=f"setting {number}")
        for number, row in enumerate(rows)
    ])  # fmt: skip
    table = compare.compare("srad_backbones", rows, results)
    assert table.Method.tolist() == ["CE", "SAM", "always “normal”"]
    assert table.AST.tolist() == ["0.00 (1)", "20.00 (1)", "50.00"]
    assert table["CNN, validation"].tolist() == ["7.00 (1)", "27.00 (1)", "50.00"]
    assert table.Setting.tolist()[:2] == [
        "ICBHI; none; setting 0; setting 1",
        "ICBHI; none; setting 2; setting 3",
    ]


def test_an_ensemble_is_the_mean_of_the_probabilities(path):
    one = predictions_of_runs(results_of(path, scores=(60.0,)).iloc[:1])
    sure, unsure = np.eye(4)[one.label], np.full((8, 4), 0.25)
    unsure[:, 0] += 0.3
    both = np.stack([unsure, sure])
    p = replace(one, seeds=(1, 2), predicted=both.argmax(-1), probabilities=both)
    assert compare.ensemble_cell(p) == "100.00 of 2 seeds"
    assert p.ensemble.predicted.tolist() == [one.label.tolist()]
    assert compare.ensemble_cell(one) == compare.ensemble_cell(None) == MISSING
    np.testing.assert_allclose(p.log_odds[0], np.log(0.75 / 0.55))
