"""Claims, verification of published tables, and what notebooks show, on hand-made results."""

import numpy as np
import pandas as pd
import pytest

from lib import files, paper, paths, rows
from lib.config import SELECTIONS, Experiment
from lib.papers import profiles as papers_profiles
from lib.reports import metadata
from lib.runs import folder as runs_folder
from lib.runs import predictions
from lib.runs.results import COLUMNS, from_record
from lib.tables import claims, compare, verify
from lib.tables import format as tables_format

LABEL = np.tile(np.arange(4), 10)
PATIENT = np.repeat([f"{p}" for p in range(101, 111)], 4)


def record(name, wrong, seed=1):
    """A complete record in which the first `wrong` clips of ten are answered "normal"."""
    wanted = runs_folder.RunSpec(
        Experiment(name, epochs=2, lr=0.001 * (1 + wrong)), seed, "d" * 64, ""
    )
    folder = runs_folder.start_run(wanted, {"name": "ICBHI partial", "note": ""}, "none")
    logits = np.eye(4, dtype=np.float32)[np.where(np.arange(40) < 4 * wrong, 0, LABEL)]
    arrays = {
        "test/label": LABEL.astype(np.int8),
        "test/cycle": np.array([f"r:{i}" for i in range(40)]),
        "test/patient": PATIENT,
        "test/device": np.full(40, "Meditron"),
        **{f"{s}/test/logits": logits for s in SELECTIONS},
        "test/test/embedding": np.random.default_rng(0).normal(size=(40, 8)).astype(np.float16),
    }
    files.write_text(folder / "weights.csv", "key\n")
    history = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}]
    runs_folder.write_record(folder, history, arrays, dict.fromkeys(SELECTIONS, 2), {})
    return folder


def result_rows(name, folder):
    for selection in SELECTIONS:
        row = {"experiment": name, "seed": 1, "selection": selection, "setting": "small"}
        row |= {"run": folder.name, "path": str(folder)}
        yield row | from_record(runs_folder.read_record(folder), selection)


@pytest.fixture
def results():
    """CE right on 4 of 10 patients, Patch-Mix CL on 9; nothing else was run."""
    made = {"ast_in_as/ce": record("ce", 6), "ast_in_as/patchmix_cl": record("cl", 1)}
    found = [row for name, folder in made.items() for row in result_rows(name, folder)]
    table = pd.DataFrame(found, columns=COLUMNS)
    return {name: table for name in ("table1", "table2", "figure2", "table3_4class", "tsne")}


def test_claims_by_hand(results):
    table = claims.claims_table(results, judge=True).set_index("claim")
    line = table.loc["Patch-Mix CL beats fine-tuning"]
    # Sp is 100 for both; Se 12 of 30 against 27 of 30: (90 - 40) / 2 = 25 points of Score
    assert line["difference"].startswith("+25.00 (")
    assert line.paper == f"{62.37 - 59.55:+.2f}"
    assert line["honest one says"] == "for the claim"
    assert line["run with"] == "ICBHI partial; none; small"
    assert table.loc["AudioSet pretraining helps (mn04)", "difference"] == "not run"
    assert set(claims.claims_table(results)["honest one says"]) == {"no verdict", "not run"}


def test_an_interval_below_zero_speaks_against_the_claim():
    assert [claims._judge(*x) for x in ((1, 2), (-2, -1), (-1, 1))] == [
        "for the claim",
        "against the claim",
        "within chance",
    ]


def test_differences_and_intervals_by_hand(results):
    table = claims.differences(results["table3_4class"])
    assert list(table["epoch chosen by"].unique()) == list(SELECTIONS)
    assert set(table.difference) == {"+25.00"}
    points = claims.interval_points(results["table3_4class"], rows.table("table3_4class"))
    assert points.name.tolist() == ["Fine-tuning", "Patch-Mix CL"]
    assert points.value.tolist() == [70.0, 95.0]
    assert points.paper.tolist() == [59.55, 62.37]
    assert (points.low < points.value).all() and (points.high > points.value).all()


@pytest.fixture
def published(results):
    """A published report: records, results and every table that can be made of them."""
    root = paths.reports_root()
    for name, table in results.items():
        runs_folder.publish([paths.runs_root() / run for run in table.run.unique()])
        text = table.drop(columns="path").to_csv(index=False)
        files.write_text(root / "results" / f"{name}.csv", text)
    for name, build in verify.TABLES.items():
        if name.startswith(("sprsound", "transfer", "children", "sam", "srad")):
            continue  # tests/test_notebooks.py verifies what is published of them
        files.write_text(
            root / "tables" / f"{name}.csv", tables_format.csv_text(build(results, False))
        )
    card = metadata.Card("03_x", "", "", "complete", "quick", "", "", "1", False, ())
    metadata.write_card(root, card)
    return root


def test_published_numbers_verify_from_reports_alone(published, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(published / "nowhere"))
    assert verify.verify() == []
    assert not papers_profiles.get_profile("quick").verdict  # what the tables above were made with


@pytest.mark.parametrize("name", ["table1", "table3_2class", "claims", "tsne"])
def test_a_changed_table_is_found(published, name):
    path = published / "tables" / f"{name}.csv"
    path.write_text(path.read_text().replace("5", "6", 1))
    assert verify.verify() == [f"tables/{name}.csv: comes out otherwise from its runs"]


def test_a_changed_result_is_found(published):
    path = published / "results/table2.csv"
    path.write_text(path.read_text().replace("95.0", "96.0", 1))
    assert any("results/table2.csv" in line for line in verify.verify())


def test_the_clean_two_class_score_is_there(results):
    table = compare.compare_rows(
        rows.table("table3_2class"), results["table3_4class"], two_class=True
    )
    assert table.set_index("Method").loc["Patch-Mix CL", compare.SPLIT_COLUMN] == "95.00 (1)"
    assert paper.get("t3b/patchmix_cl").score == 68.71
    assert predictions.load_predictions(results["tsne"], "ast_in_as/ce").predicted.shape == (1, 40)
