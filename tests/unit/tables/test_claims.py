"""Claims and other paired differences on made-up runs, and verification of published numbers."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib import files, paths
from lib.errors import UserError
from lib.papers import CLAIMS, TABLES
from lib.papers.patchmix import TSNE
from lib.runs import folder
from lib.tables import build_table, claims, verify
from tests.unit.tables.conftest import NOTHING, clips, first_normal, publish, table_of


@pytest.fixture
def results(save_run):
    """CE calls 24 clips of 40 normal, Patch-Mix CL calls 4; nothing else was run."""
    about = clips(40, 4, patients=10)
    z = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float16)
    lines = []
    for name, wrong in (("ast_in_as/ce", 24), ("ast_in_as/patchmix_cl", 4)):
        sets = {"test": (about, first_normal(about["label"], wrong))}
        lines.append(save_run(name, sets, embeddings={"test/test": z}))
    return dict.fromkeys(("table1", "table2", "figure2", "table3_4class", "tsne"), table_of(*lines))


def table_of_claims(results, judge=False):
    table = claims.claims_table(lambda group: results.get(group, NOTHING), judge)
    return table.set_index("Claim")


def test_claims_by_hand(results):
    table = table_of_claims(results)
    assert len(table) == len(CLAIMS)
    line = table.loc["Patch-Mix CL beats fine-tuning"]
    # Sp is 100 for both; Se is 12 of 30 against 27 of 30: (90 - 40) / 2 = 25 points of Score
    assert line.Difference.startswith("+25.00 (") and line.Difference == line["Test-selected"]
    assert line["Paper difference"] == f"{62.37 - 59.55:+.2f}" and line.Page == "04"
    assert line.State == "undecided (stand-in models)" and line.Setting.startswith(
        "ICBHI; none; ast base"
    )
    judged = table_of_claims(results, judge=True).loc["Patch-Mix CL beats fine-tuning"]
    assert judged.State == "undecided (fewer than 3 seeds)"
    assert line.Mark == "–" and line["On a model that has learnt"] == "not run"
    other = table.loc["SAM helps"]
    assert other.Difference == other.State == "not run" and other.Setting.startswith("not run")


def test_the_stand_in_of_a_claim_and_its_mark(results, save_run):
    about = clips(40, 4, patients=10)
    learnt = [
        save_run(name, {"test": (about, first_normal(about["label"], wrong))})
        for name, wrong in (("mn04_as/ce@sprsound", 8), ("mn04_as/patchmix_cl@sprsound", 16))
    ]
    results |= {"methods": table_of(*learnt)}
    only = save_run("ast_in_as/ce", {"test": (about, np.zeros(40, dtype=int))})
    results["table2"] = table_of(only, results["table2"][3:].to_dict("records"))
    line = table_of_claims(results).loc["Patch-Mix CL beats fine-tuning"]
    # Se is 24 of 30 with fine-tuning and 18 of 30 with Patch-Mix CL
    assert line["On a model that has learnt"].startswith("-10.00 (")
    assert line["On a model that has learnt"].endswith(", 1 seed")
    mark = "predicts only normal; no better than always “normal”"
    assert line.Mark == f"CE has not learnt its task ({mark})"
    same = save_run("ast_in_as/patchmix_cl", {"test": (about, np.zeros(40, dtype=int))})
    results["table2"] = table_of(only, same)
    line = table_of_claims(results).loc["Patch-Mix CL beats fine-tuning"]
    assert line.Mark == f"neither has learnt its task ({mark})"


def test_a_claim_whose_runs_have_no_selected_epoch_was_run(results, save_run):
    sets = {"test": (about := clips(40, 4, patients=10), first_normal(about["label"], 8))}
    unselected = save_run("ast_in_as/ce", sets, selections=("test", "last"))
    results["table2"] = table_of(unselected, results["table2"][3:].to_dict("records"))
    line = table_of_claims(results).loc["Patch-Mix CL beats fine-tuning"]
    assert line.Difference == "–" and line.State == "undecided (no epoch qualifies)"


def test_a_claim_reads_the_results_of_its_own_rows(results):
    """In table 1 the same experiment may be left out: its row there needs pretrained weights."""
    results["table1"] = NOTHING
    table = table_of_claims(results)
    assert table.loc["Patch-Mix CL beats fine-tuning"].Difference.startswith("+25.00 (")
    assert table.loc["AudioSet pretraining helps AST"].Difference == "not run"


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((1, 2), "confirmed"),
        ((-2, -1), "refuted"),
        ((-1, 1), "undecided (within chance)"),
    ],
)
def test_three_seeds_of_the_published_setting_decide_a_claim(
    results, monkeypatch, interval, expected
):
    pair = claims.load_pair(results["table2"], *(CLAIMS[0].a.experiment,) * 2, "validation")
    monkeypatch.setattr(claims, "paired_difference", lambda a, b: (0, *interval))
    few = claims.claim_state(pair, as_claimed=True)
    assert few == "undecided (fewer than 3 seeds)"
    three = tuple(replace(p, seeds=(1, 2, 3)) for p in pair)
    assert claims.claim_state(three, as_claimed=True) == expected
    assert claims.claim_state(three, as_claimed=False) == "undecided (stand-in models)"


def test_method_differences_by_hand(results):
    table = claims.method_differences(TSNE, results["tsne"])
    assert table["Epoch chosen by"].tolist() == ["test", "last", "validation"]
    for column in ("4 classes", "2 classes"):
        assert table[column].str.startswith("+25.00 (").all()


_copies = []  # of what `publish` made, which takes seconds


@pytest.fixture
def published(request, tmp_path_factory):
    """What the results published: made for the first test and copied for the others."""
    if _copies:
        return shutil.copytree(_copies[0], paths.reports_root())
    root = publish(request.getfixturevalue("results"))
    _copies.append(shutil.copytree(root, tmp_path_factory.mktemp("copy") / "reports"))
    return root


def test_published_numbers_verify_from_reports_alone(published):
    assert not paths.runs_root().exists() and len(list(published.glob("tables/*.csv"))) > 12
    assert verify.verify() == []


@pytest.mark.parametrize("name", ["table1", "table3_2class", "claims", "tsne"])
def test_a_changed_table_is_found(published, name):
    path = published / "tables" / f"{name}.csv"
    path.write_text(path.read_text().replace("5", "6", 1))
    assert verify.verify() == [f"tables/{name}.csv: differs when built from its runs"]


def test_a_changed_result_is_found(published):
    path = published / "results" / "figure2.csv"
    path.write_text(path.read_text().replace(",95.0,", ",96.0,", 1))
    run = pd.read_csv(path).run.iloc[-1]
    expected = f"results/figure2.csv, {run}, test: score: not what its record says"
    assert expected in verify.verify()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda line: line.replace(",1,test,", ",2,test,"), "test: seed: not what its record says"),
        (lambda line: line.replace("epochs", "epoch"), "test: setting: not what its record says"),
        (lambda line: f"{line}\n{line}", "test: is there twice"),
        (lambda line: line[: line.index(",test,") + 6], "cannot be checked"),
    ],
)
def test_a_changed_line_of_results_is_found(published, change, said):
    path = published / "results" / "figure2.csv"
    header, first, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, change(first), *lines]))
    assert path.read_text().splitlines()[1:] != [first, *lines]
    assert any(
        line.startswith("results/figure2.csv, ") and said in line for line in verify.verify()
    )


def test_a_missing_record_is_found(published):
    run = pd.read_csv(published / "results" / "table1.csv").run[0]
    (published / "runs" / run / "result.json").unlink()
    row = next(verify.load_results()["table1"].itertuples())
    assert verify._verify_line("table1", row, dict) == ["table1: its record is not published"]


@pytest.mark.parametrize(
    ("damaged", "content"),
    [
        ("result.json", b"[]"),
        ("result.json", b'{"selections": 1}'),
        ("experiment.json", b'{"half'),
        ("experiment.json", b"{}"),
        ("predictions.npz", b"PK\x03\x04"),
        ("predictions.npz", b""),
        ("../../results/figure2.csv", b"\xff\xfe"),
        ("../../results/figure2.csv", b"run\n"),
        ("../../pages.json", b"[]"),
        ("../../pages.json", b"{}"),
    ],
)
def test_a_damaged_file_is_named_and_the_others_are_checked(published, damaged, content):
    folder.read_record.cache_clear()
    first, last = (sorted((published / "runs").iterdir())[i] for i in (0, -1))
    (first / damaged).write_bytes(content)
    saved = files.read_json(last / "result.json")
    saved["selections"]["last"]["test"]["score"] += 0.01
    files.write_json(last / "result.json", saved)
    differences = verify.verify()
    folder.read_record.cache_clear()
    name = first.name if "/" not in damaged else damaged.removeprefix("../../")
    assert any(line.startswith(name) and "cannot be checked" in line for line in differences)
    assert f"{last.name}: result.json is not what predictions.npz gives" in differences


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_built_without_a_single_run(name):
    table = build_table(name, lambda group: NOTHING)
    assert not table.isna().any().any() and table.map(lambda cell: len(str(cell)) > 0).all().all()
    assert len(table) or name.startswith(("tsne", "sam_neighbours", "srad", "sprsound_tuned"))


def test_an_unknown_table_is_an_error_that_names_the_nearest():
    with pytest.raises(UserError, match="table1"):
        build_table("tabel1", dict)
