"""Which runs a group of rows needs, which exist, how the missing ones are trained."""

import os
import shutil
from contextlib import redirect_stdout
from dataclasses import replace

import pandas as pd
import pytest
from small_runs import BASE, PROFILE, use_experiments, write_cache

from lib import data, files, papers, paths, worker
from lib.config import describe_settings, override
from lib.errors import UserError
from lib.runs import execute, local, plan
from lib.runs import folder as runs_folder
from lib.runs.results import collect_results

NAN = override(BASE, name="small/nan", lr=float("inf"))
FIRST = override(BASE, name="small/first", save_weights=True)
SECOND = override(BASE, name="small/second", init_from="small/first")


class InThisProcess(local.LocalPool):
    """Trains a run as soon as it is started, in the process of the test."""

    def start(self, key, share, words, log):
        """Run `lib.worker` on the words that a process would get."""
        assert words[:2] == ["-m", "lib.worker"] and "--with-parent" in words
        code = 0
        with open(log, "a") as out, redirect_stdout(out):
            try:
                worker.main([word for word in words[2:] if word != "--with-parent"])
            except SystemExit as error:
                code = print(error) or 1
        self.ended = [*getattr(self, "ended", []), (key, code)]

    def finished(self):
        """The exit codes since the last call."""
        ended, self.ended = self.ended, []
        return ended


@pytest.fixture
def given(small_cache, tmp_path, monkeypatch):
    """A feature cache that is given; none of ICBHI's recordings; runs trained in this process."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path / "project")
    monkeypatch.setattr(local, "LocalPool", InThisProcess)
    monkeypatch.setattr(execute, "POLL_SECONDS", 0)
    folder = write_cache(tmp_path / "given", small_cache, name=plan.MEL_CACHE)
    monkeypatch.setenv("FEATURES", str(folder))
    return folder


@pytest.fixture
def group(given, monkeypatch):
    """Four rows: two are the same run, one fails, one has no weights."""
    again = override(BASE, name="small/ce/again")
    imagenet = override(BASE, name="small/imagenet", init="imagenet")
    return use_experiments(monkeypatch, BASE, again, NAN, imagenet)


def results():
    return collect_results(PROFILE, "small")


def statuses():
    return {name: set(status) for name, status in results().groupby("experiment").status}


def planned(profile=PROFILE):
    return plan.plan_runs(plan.open_context(profile), "small")


def publish(name):
    """Copy a local record to where published ones are, and forget all local runs."""
    shutil.copytree(paths.runs_root() / name, runs_folder.published_root() / name)
    (runs_folder.published_root() / name / runs_folder.WEIGHTS).unlink(missing_ok=True)
    os.environ["RUNS_ROOT"] = str(paths.runs_root() / "elsewhere")


def test_a_group_is_trained_once_and_failures_do_not_stop_the_others(group, capsys):
    assert statuses()["small/ce"] == {"not run"}
    problems = execute.train_groups(PROFILE, group)
    assert len(problems) == 1 and "small.nan" in problems[0] and "the loss is nan" in problems[0]
    # The shared run counts once.
    said = capsys.readouterr().out
    assert said.startswith("2 runs: 0 cached, 2 to train; no time estimate for this machine\n")
    assert statuses()["small/ce"] <= {"done", "none qualifies"}
    assert statuses()["small/ce/again"] == statuses()["small/ce"]
    assert statuses()["small/nan"] == {"failed"} and statuses()["small/imagenet"] == {"not run"}
    reasons = results().groupby("experiment").reason.first()
    assert "the loss is nan in epoch 1" in reasons["small/nan"]
    assert "weights not found" in reasons["small/imagenet"]
    capsys.readouterr()
    assert execute.train_groups(PROFILE, group) == []  # what failed by itself would fail again
    assert capsys.readouterr().out == ""


def test_status_says_what_is_missing_and_what_it_would_cost(group, monkeypatch):
    monkeypatch.setitem(papers.NOTEBOOKS, "03", (group,))
    before = plan.status(PROFILE, ["03"]).set_index("experiment")
    assert before.status.to_dict() == {
        **dict.fromkeys(["small/ce", "small/ce/again", "small/nan"], "to train"),
        "small/imagenet": "not run",
    }
    assert "weights not found" in before.reason["small/imagenet"] and before.minutes.isna().all()
    assert not paths.runs_root().exists()
    execute.train_groups(PROFILE, group)
    after = plan.status(PROFILE, ["03", "01"]).set_index("experiment")
    assert after.status[["small/ce", "small/nan"]].tolist() == ["cached", "failed"]
    assert "the loss is nan" in after.reason["small/nan"]
    assert (paths.runs_root() / after.record["small/ce"] / "result.json").exists()
    assert plan.status(PROFILE, ["01"]).empty


def test_estimates_are_medians_of_the_same_kind_of_runs(group):
    runs = planned()[:1]
    longer = [replace(runs[0], experiment=override(BASE, epochs=90, lr=1.0))]
    other = [replace(runs[0], experiment=override(BASE, method="patchmix_cl"))]
    for seed, seconds in enumerate((1.0, 2.0, 60.0)):
        folder = runs_folder.start_run(replace(runs[0].spec, seed=seed), {}, "none")
        (folder / "log.txt").write_text(f"epoch 1 took {seconds} s\nepoch 2 too\n")
    (paths.runs_root() / "old-s1-0/").mkdir()
    (paths.runs_root() / "old-s1-0/log.txt").write_text("epoch 1 took 9.0 s\n")  # damaged: ignored
    assert plan.estimate_seconds(longer + other) == [180.0, 0]

    class Pool:
        cores, gpus = 2, 0

    said = execute._announce(runs + longer, longer, Pool)
    assert said == "1 runs: 0 cached, 1 to train, about 2 min on 2 cores"
    Pool.gpus = 1
    assert execute._announce(runs, longer, Pool).endswith("no time estimate for this machine")


def test_without_the_features_a_published_record_is_shown(group, monkeypatch):
    execute.train_groups(PROFILE, group)
    before = results()
    row = before[(before.experiment == "small/ce") & (before.selection == "last")].iloc[0]
    publish(row.run)
    monkeypatch.delenv("FEATURES")
    monkeypatch.setattr(data, "find_dataset", lambda *_: data.ICBHI(paths.PROJECT))
    plan.open_context.cache_clear()
    after = results()
    same = after[(after.experiment == "small/ce") & (after.selection == "last")].iloc[0]
    assert (same.score, same.run) == (row.score, row.run)
    assert set(after[after.experiment == "small/nan"].status) == {"not run"}


def test_stages_are_trained_in_order_and_a_published_one_is_not_trained_again(
    given, monkeypatch, capsys
):
    group = use_experiments(monkeypatch, SECOND)
    monkeypatch.setitem(papers.EXPERIMENTS, FIRST.name, FIRST)
    assert [run.name for run in planned()] == ["small/first", "small/second"]
    assert execute.train_groups(PROFILE, group) == []
    assert "2 runs: 0 cached, 2 to train" in capsys.readouterr().out
    before = results()
    words = describe_settings(BASE)
    assert set(before.experiment) == {"small/second"}
    assert set(before.setting) == {f"{words}; on ce of {words}"}
    publish(before.run[0])  # in a fresh clone: no weights of the first stage
    assert execute.train_groups(PROFILE, group) == [] and capsys.readouterr().out == ""
    assert not paths.runs_root().exists()
    pd.testing.assert_frame_equal(results().drop(columns="path"), before.drop(columns="path"))
    (runs_folder.published_root() / before.run[0] / "result.json").unlink()
    execute.train_groups(PROFILE, group)  # both are trained again, to the same numbers
    assert "2 to train" in capsys.readouterr().out
    pd.testing.assert_frame_equal(results().drop(columns="path"), before.drop(columns="path"))


def test_what_starts_from_a_failed_run_says_so_and_is_not_tried(given, monkeypatch, capsys):
    group = use_experiments(monkeypatch, SECOND)
    monkeypatch.setitem(papers.EXPERIMENTS, FIRST.name, override(FIRST, lr=float("inf")))
    problems = execute.train_groups(PROFILE, group)
    assert "the loss is nan" in problems[0]
    assert problems[1].startswith("small.second-s1-")
    assert problems[1].endswith("not trained, since small/first was not")
    assert set(results().status) == {"failed"}
    assert results().reason.str.contains("small/first that it starts from: .*the loss is nan").all()
    capsys.readouterr()
    assert execute.train_groups(PROFILE, group) == [] and capsys.readouterr().out == ""


def test_a_killed_worker_leaves_its_run_to_be_resumed(group):
    run = planned()[0]
    folder = runs_folder.start_run(run.spec, {"name": "", "note": ""}, "none")
    (folder / "log.txt").write_text("Traceback\nKeyError: 'x'\n")
    assert "stopped by signal 9" in execute._problem(run, -9)
    assert "stopped: KeyError: 'x'" in execute._problem(run, 1)
    assert runs_folder.failure_reason(run.spec) == ""  # the next command tries it again


def test_results_are_written_beside_the_tables(group):
    loaded = execute.train_and_load(PROFILE, group)
    written = pd.read_csv(plan.open_context(PROFILE).folder / "results" / "small.csv")
    assert list(written) == [column for column in loaded if column != "path"]
    assert written.score.tolist() == pytest.approx(loaded.score.tolist(), nan_ok=True)


def test_a_damaged_record_is_named_and_trained_again(group, capsys):
    execute.train_groups(PROFILE, group)
    record = next(paths.runs_root().glob("small.ce*/result.json"))
    others = {p: p.read_bytes() for p in record.parent.iterdir() if p.is_file() and p != record}
    before = record.read_bytes()
    record.write_text('{"half": ')
    runs_folder.read_record.cache_clear()
    runs_folder._say.cache_clear()
    capsys.readouterr()
    assert statuses()["small/ce"] == {"not run"} and statuses()["small/nan"] == {"failed"}
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "not used: " in said and "result.json: not valid JSON" in said
    assert all(path.read_bytes() == content for path, content in others.items())
    execute.train_groups(PROFILE, group)
    assert (
        record.read_bytes() == before and "trained again" in (record.parent / "log.txt").read_text()
    )
    assert "done" in statuses()["small/ce"]


@pytest.mark.parametrize("name", ["failed.json", "progress.json", "experiment.json"])
def test_a_list_where_an_object_is_expected(group, name):
    run = planned()[0]
    folder = runs_folder.start_run(run.spec, {}, "none")
    (folder / "log.txt").write_text("epoch 1 took 9.0 s\n")
    (folder / name).write_text("[]")
    assert execute._epochs_done(folder) == 0.0 and plan.estimate_seconds([run]) in ([0], [18.0])
    if name == "failed.json":
        with pytest.raises(UserError, match="failed.json: holds no JSON object; delete it"):
            planned()[0].failed  # noqa: B018


@pytest.mark.parametrize(
    ("meta", "problem"),
    [
        ({"frontend": {"rate_hz": 16000, "clip_seconds": 8.0}}, "cache of other settings: .*8.0"),
        ({"name": "something else"}, "no experiment reads it"),
    ],
)
def test_a_feature_cache_that_nothing_reads_is_refused(given, monkeypatch, meta, problem):
    use_experiments(monkeypatch, override(BASE, dataset="icbhi"))
    meta = files.read_json(given / "meta.json") | meta
    files.write_json(given / "meta.json", meta)
    with pytest.raises(UserError, match=problem):
        planned()


@pytest.fixture
def published_profile(group, monkeypatch):
    """The profile paper, with all of ICBHI and, for once, a GPU."""
    monkeypatch.setattr(data, "find_dataset", lambda *_: data.ICBHI(paths.PROJECT))
    monkeypatch.setattr(plan, "has_gpu", lambda: True)
    return "paper"


def test_the_paper_profile_needs_a_gpu_unless_there_is_a_record(published_profile, monkeypatch):
    first, *_ = (run for run in planned("paper") if run.name == "small/ce")
    folder = runs_folder.start_run(first.spec, {}, "none")
    files.write_json(folder / "result.json", {"selections": {}})
    monkeypatch.setattr(plan, "has_gpu", lambda: False)
    found, *others = (run for run in planned("paper") if run.name == "small/ce")
    assert (found.record, found.reason) == (first.spec.folder, "")
    assert [(run.record, run.reason) for run in others] == [(None, "needs a GPU")] * 4
    assert not [run for run in plan.pending_runs(others)]


def test_the_paper_profile_holds_patients_out_of_a_second_run(published_profile, monkeypatch):
    use_experiments(monkeypatch, override(BASE, validation_split=0.0))
    monkeypatch.setattr(papers, "MAIN", {"small/ce"})
    runs = planned("paper")
    assert {(run.selections, run.experiment.validation_split) for run in runs} == {
        (("test", "last"), 0.0),
        (("validation",), 0.2),
    }
    assert {run.seed for run in runs} == {1, 2, 3, 4, 5}


def test_seeds_can_be_asked_for(group, monkeypatch):
    monkeypatch.setenv("SEEDS", "3")
    plan.open_context.cache_clear()
    assert sorted({run.seed for run in planned()}) == [1, 2, 3]
