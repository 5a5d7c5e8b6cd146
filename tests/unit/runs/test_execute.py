"""Which runs a table wants, what exists already, and how the missing ones are made."""

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from small_runs import BASE, write_store

from lib import data, files, paths, registry, rows
from lib.config import describe_settings, override
from lib.errors import UserError
from lib.runs import execute, plan
from lib.runs import folder as runs_folder
from lib.runs.results import of as results_of


@pytest.fixture
def table(small_store, tmp_path, monkeypatch):
    """A table "small" of four rows, three of which can be run on a store that is given."""
    folder = write_store(tmp_path / "given", small_store, name=plan.MEL_STORE)
    monkeypatch.setenv("STORE", str(folder))
    experiments = [
        BASE,
        override(BASE, name="small/ce/again"),  # the same run under another name
        override(BASE, name="small/nan", lr=float("inf")),
        override(BASE, name="small/imagenet", size="nano", init="imagenet"),
    ]
    monkeypatch.setattr(registry, "EXPERIMENTS", {e.name: e for e in experiments})
    monkeypatch.setattr(
        rows, "TABLES", {"small": [rows.Row(e.name, {"row": e.name}, e.name) for e in experiments]}
    )
    source = data.Source("icbhi", tmp_path, "synthetic", "")
    monkeypatch.setattr(data, "synthetic_source", lambda: source)
    plan.open_study.cache_clear()
    yield "small"
    plan.open_study.cache_clear()


def statuses():
    results = results_of("smoke", "small")
    return {k: set(v) for k, v in results.groupby("experiment").status}


def test_a_table_is_made_once_and_failures_do_not_stop_the_others(table, capsys):
    assert statuses()["small/ce"] == {"not run"}
    execute.tables("smoke", table)
    assert "2 to make" in capsys.readouterr().out  # the shared run counts once
    found = statuses()
    assert found["small/ce"] <= {"done", "none qualifies"} and "done" in found["small/ce"]
    assert found["small/ce/again"] == found["small/ce"]
    assert found["small/nan"] == {"failed"}
    assert found["small/imagenet"] == {"not run"}
    execute.tables("smoke", table)
    assert capsys.readouterr().out == ""  # nothing is left to make


def test_results_say_why_a_row_has_no_number(table):
    execute.tables("smoke", table)
    reasons = results_of("smoke", "small").set_index("experiment").reason
    assert "the loss is nan in epoch 1" in reasons["small/nan"].iloc[0]
    assert "weights not found" in reasons["small/imagenet"].iloc[0]


def test_without_the_store_a_published_record_is_shown(table, monkeypatch):
    execute.tables("smoke", table)
    results = results_of("smoke", "small")
    done = results[(results.experiment == "small/ce") & (results.selection == "last")].iloc[0]
    runs_folder.publish([paths.runs_root() / done.run])
    monkeypatch.setenv("RUNS_ROOT", str(paths.runs_root() / "elsewhere"))
    monkeypatch.delenv("STORE")
    plan.open_study.cache_clear()
    again = results_of("smoke", "small")
    row = again[(again.experiment == "small/ce") & (again.selection == "last")].iloc[0]
    assert row.score == done.score and row.run == done.run
    assert set(again[again.experiment == "small/nan"].status) == {"not run"}


def test_a_published_child_is_shown_and_its_parent_not_made_again(table, monkeypatch, capsys):
    """In a fresh clone: the child's record alone, no run folder, no weights of the parent."""
    first = override(BASE, name="small/first", save_weights=True)
    child = override(
        first, name="small/on", init_from=first.name, method="none", save_weights=False
    )
    monkeypatch.setattr(registry, "EXPERIMENTS", {e.name: e for e in (first, child)})
    monkeypatch.setattr(rows, "TABLES", {"small": [rows.Row("on", {"row": "on"}, child.name)]})
    execute.tables("smoke", table)
    assert "2 to make" in capsys.readouterr().out
    before = results_of("smoke", "small").drop(columns="path")
    assert set(before.setting) == {
        describe_settings(plan.plan(plan.open_study("smoke"), table)[0].parent.experiment)
    }
    runs_folder.publish([paths.runs_root() / before.run[0]])
    monkeypatch.setenv("RUNS_ROOT", str(paths.runs_root() / "elsewhere"))
    assert execute.tables("smoke", table) == [] and capsys.readouterr().out == ""
    assert not paths.runs_root().exists()
    pd.testing.assert_frame_equal(results_of("smoke", "small").drop(columns="path"), before)
    (runs_folder.published_root() / before.run[0] / "result.json").unlink()
    execute.tables("smoke", table)  # the other way: without it both are made, to the same numbers
    assert "2 to make" in capsys.readouterr().out
    pd.testing.assert_frame_equal(results_of("smoke", "small").drop(columns="path"), before)


def test_what_starts_from_a_failed_run_says_so_and_nothing_is_made_again(
    table, monkeypatch, capsys
):
    first = override(BASE, name="small/first", lr=float("inf"), save_weights=True)
    child = override(BASE, name="small/second", init_from=first.name)
    monkeypatch.setattr(registry, "EXPERIMENTS", {e.name: e for e in (first, child)})
    monkeypatch.setattr(rows, "TABLES", {"small": [rows.Row("on", {"row": "on"}, child.name)]})
    faults = execute.tables("smoke", table)
    assert any("the loss is nan" in fault for fault in faults)
    found = results_of("smoke", "small")
    assert set(found.status) == {"failed"}
    assert found.reason.str.contains("small/first that it starts from: .*the loss is nan").all()
    assert found.setting.str.contains("; on ce of ").all()
    capsys.readouterr()
    assert execute.tables("smoke", table) == [] and capsys.readouterr().out == ""


def test_a_killed_worker_leaves_its_run_to_be_resumed(table, capsys):
    planned = plan.plan(plan.open_study("smoke"), table)[0]
    folder = runs_folder.start(planned.wanted, {"name": "", "note": ""}, "none")
    (folder / "log.txt").write_text("Traceback\nKeyError: 'x'\n")
    assert "stopped by signal 9" in execute._settle(planned, -9)[0]
    assert "stopped: KeyError: 'x'" in execute._settle(planned, 1)[0]
    assert runs_folder.failure(planned.wanted) == ""  # both are tried again by the next command
    assert execute._settle(planned, 0) == []


def test_faults_are_returned_and_a_passing_one_condemns_nothing(table, monkeypatch):
    (fault,) = execute.tables("smoke", table)
    assert "small.nan" in fault and "the loss is nan" in fault
    assert execute.tables("smoke", table) == []  # it would fail again: not tried


def test_a_store_of_other_settings_is_refused(table, monkeypatch):
    monkeypatch.setitem(registry.EXPERIMENTS, "small/ce", override(BASE, dataset="icbhi"))
    folder = Path(os.environ["STORE"])
    meta = files.read_json(folder / "meta.json")
    other = {"rate_hz": 16000, "clip_seconds": 8.0, "mels": 128}
    files.write_json(folder / "meta.json", meta | {"front_end": other})
    plan.open_study.cache_clear()
    with pytest.raises(UserError, match="store of other settings: .*clip_seconds is 8.0"):
        plan.plan(plan.open_study("smoke"), table)


def test_a_store_that_nothing_reads_is_refused(table):
    folder = Path(os.environ["STORE"])
    meta = files.read_json(folder / "meta.json")
    files.write_json(folder / "meta.json", meta | {"name": "something else"})
    plan.open_study.cache_clear()
    with pytest.raises(UserError, match="no experiment reads it"):
        plan.open_study("smoke")


def test_a_corrupt_record_is_named_and_the_others_are_kept(table):
    execute.tables("smoke", table)
    record = next(paths.runs_root().glob("small.ce*/result.json"))
    kept = {p: p.read_bytes() for p in record.parent.iterdir() if p.is_file() and p != record}
    record.write_text('{"half": ')
    runs_folder.read.cache_clear()
    with pytest.raises(UserError, match="result.json: not valid JSON .*delete it"):
        results_of("smoke", "small")
    assert all(path.read_bytes() == content for path, content in kept.items())
    record.unlink()  # the remedy
    runs_folder.read.cache_clear()
    execute.tables("smoke", table)
    assert "done" in statuses()["small/ce"]


def test_paper_on_a_cpu_says_that_it_needs_a_gpu(table, monkeypatch):
    source = data.Source("icbhi", paths.PROJECT, "official", "")
    monkeypatch.setattr(data, "find", lambda *_: source)
    monkeypatch.setattr(plan, "has_gpu", lambda: False)
    planned = plan.plan(plan.open_study("paper"), table)
    assert {p.reason for p in planned if p.name == "small/ce"} == {"needs a GPU"}


def test_a_record_made_on_a_gpu_is_found_without_one(table, monkeypatch):
    source = data.Source("icbhi", paths.PROJECT, "official", "")
    monkeypatch.setattr(data, "find", lambda *_: source)
    monkeypatch.setattr(plan, "has_gpu", lambda: True)
    planned = [p for p in plan.plan(plan.open_study("paper"), table) if p.name == "small/ce"]
    made, *others = planned
    files.write_json(made.wanted.folder / "result.json", {})
    monkeypatch.setattr(plan, "has_gpu", lambda: False)
    found = [p for p in plan.plan(plan.open_study("paper"), table) if p.name == "small/ce"]
    assert found[0].record == made.wanted.folder and found[0].reason == ""
    assert [(p.wanted, p.reason) for p in found[1:]] == [(None, "needs a GPU")] * len(others)


def test_the_estimate_is_for_cores_only(table):
    class Pool:
        cores, gpus = 4, 0

    chosen = plan.open_study("smoke")
    planned = [p for p in plan.plan(chosen, table) if p.wanted]
    quick = [replace(p, experiment=override(BASE, dataset="icbhi", epochs=80)) for p in planned]
    said = execute._announce(chosen, planned, quick, Pool)
    assert (
        said
        == f"{len(planned)} runs wanted: 0 done, {len(planned)} to make, about 3 min on 4 cores"
    )
    Pool.gpus = 1
    assert "nobody has measured" in execute._announce(chosen, planned, quick, Pool)


def test_the_paper_profile_runs_a_held_out_variant_of_the_main_rows(table, monkeypatch):
    published = override(BASE, validation_split=0.0)
    monkeypatch.setitem(registry.EXPERIMENTS, "small/ce", published)
    source = data.Source("icbhi", paths.PROJECT, "official", "")
    monkeypatch.setattr(data, "find", lambda *_: source)
    monkeypatch.setattr(registry, "MAIN", {"small/ce"})
    monkeypatch.setattr(plan, "has_gpu", lambda: True)
    planned = [p for p in plan.plan(plan.open_study("paper"), table) if p.name == "small/ce"]
    assert {(p.selections, p.experiment.validation_split) for p in planned} == {
        (("test", "last"), 0.0),
        (("validation",), 0.2),
    }
    assert {p.seed for p in planned} == {1, 2, 3, 4, 5}
