"""What a profile's runs stand on: recordings, given feature caches, published records, weights."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from small_runs import write_cache

from lib import data, files, papers, paths
from lib.config import override
from lib.errors import UserError
from lib.features.frontends import frontend_for, frontend_settings
from lib.models import weights
from lib.papers.profiles import LAPTOP, PAPER, apply_rules
from lib.runs import folder as runs_folder
from lib.runs import plan
from lib.runs.plan import Context

GROUPS = papers.groups_of(["08", "09"])
REPORTS = paths.PROJECT / "reports"
CHILD = "resnet18_supcon/ce@2-1"


@pytest.fixture(autouse=True)
def nothing_beside_the_project(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "PROJECT", tmp_path / "project")


def laptop(name):
    return apply_rules(LAPTOP, papers.get_experiment(name))


def give(folder, small_cache, monkeypatch, **meta):
    """Write the small feature cache to disk and name it in FEATURES."""
    write_cache(folder, small_cache, **meta)
    monkeypatch.setenv("FEATURES", str(folder))
    plan.open_context.cache_clear()
    return folder


def test_a_cache_stands_for_the_recordings_it_was_computed_from(small_cache, tmp_path, monkeypatch):
    frontend = frontend_settings(frontend_for(laptop("ast/ce")))
    small_cache = replace(small_cache, features=np.tile(small_cache.features, 4))  # 128 mels
    meta = {"frontend": frontend, "kind": "official", "note": "", "name": "ICBHI"}
    folder = give(tmp_path / "own", small_cache, monkeypatch, **meta)
    context = plan.open_context("laptop")
    assert context.source == data.ICBHI(folder, "official", "")
    assert context.name == "laptop-icbhi-official"
    assert context.cache(laptop("ast/ce")).path == folder
    assert context.fingerprint(laptop("ast/ce")) == small_cache.meta["fingerprint"]
    assert plan.cache_name(context.cache(laptop("ast/ce"))) == "ICBHI"
    assert plan.open_context("paper").source.kind == "official"


def test_a_cache_without_a_name_is_called_by_its_folder(small_cache):
    meta = {key: value for key, value in small_cache.meta.items() if key != "name"}
    assert plan.cache_name(replace(small_cache, meta=meta)) == "small"


def test_with_mel_pictures_alone_only_their_rows_can_be_trained(small_cache, tmp_path, monkeypatch):
    folder = give(tmp_path / "mel", small_cache, monkeypatch, name=plan.MEL_CACHE)
    context = plan.open_context("laptop")
    assert context.source.kind == "none" and "No ICBHI recordings here" in context.source.banner
    assert context.cache(laptop("ast/ce")) is None and context.fingerprint(laptop("ast/ce")) is None
    with pytest.raises(UserError, match="clips of 40 frames, but 398 are needed"):
        context.cache(laptop("mn04/ce@mel"))
    long = np.zeros((len(small_cache.cycles), 798, small_cache.features.shape[2]), np.float16)
    np.save(folder / "features.npy", long)
    plan.open_context.cache_clear()
    assert plan.open_context("laptop").cache(laptop("mn04/ce@mel")).path == folder
    reasons = {
        run.name: run.reason for run in plan.plan_runs(plan.open_context("laptop"), "table1")
    }
    assert reasons["ast/ce"] == "its features were not given (--features)"
    assert not reasons["mn04/ce@mel"]
    with pytest.raises(UserError, match=r"paper: No ICBHI recordings here.*real recordings are"):
        plan.plan_runs(plan.open_context("paper"), "table1")


def test_the_paper_profile_needs_all_of_icbhi_if_a_row_reads_it(monkeypatch):
    partial = data.ICBHI(Path("icbhi"), "partial", "partial ICBHI: 2 of 920.")
    with pytest.raises(UserError, match="profile paper: partial ICBHI: 2 of 920, but all are"):
        plan.plan_runs(Context(PAPER, partial), "table1")
    Context(PAPER, data.ICBHI(Path("icbhi"))).check_icbhi()
    Context(LAPTOP, partial).check_icbhi()
    child = data.SPRSound(Path("sprsound"))
    monkeypatch.setattr(data, "find_dataset", lambda name: child)
    monkeypatch.setattr(plan, "cache_for", lambda dataset, frontend: dataset)
    found = Context(PAPER, partial).cache(papers.get_experiment("cnn2/ce@1-1"))
    assert found is child  # SPRSound is not refused


def test_a_fingerprint_covers_every_test_set_and_computes_no_features(monkeypatch):
    monkeypatch.setattr(data, "find_dataset", lambda name: data.SPRSound(Path("sprsound")))
    monkeypatch.setattr(plan, "_fingerprint", lambda dataset, frontend: dataset.name)
    monkeypatch.setattr(plan, "cache_for", lambda *_: pytest.fail("computed"))
    context = Context(LAPTOP, data.ICBHI(Path("icbhi")))
    assert context.fingerprint(laptop("mn04_as/ce@sprsound")) == "sprsound+icbhi"
    assert context.fingerprint(laptop("ast/ce")) == "icbhi"
    assert Context(LAPTOP, data.ICBHI(Path("icbhi"), "none")).fingerprint(
        laptop("mn04_as/ce@sprsound")
    ) is None  # fmt: skip


@pytest.fixture
def context(monkeypatch):
    """The laptop profile with fingerprints of data and weights that are only names."""
    monkeypatch.setattr(Context, "fingerprint", lambda self, experiment: "d" * 64)
    monkeypatch.setattr(weights, "missing_reason", lambda experiment: "")
    monkeypatch.setattr(weights, "fingerprint", lambda e: "" if e.init == "none" else "w" * 64)
    return Context(LAPTOP, data.ICBHI(Path("icbhi")))


def publish(run):
    """A record of a run as it is in reports/runs: no weights, and nothing in runs/."""
    name = f"{runs_folder.slug(run.name)}-s{run.seed}-{run.spec.hash8}"
    folder = runs_folder.published_root() / name
    record = {"experiment": asdict(run.experiment), "seed": run.seed}
    record["data"] = {"fingerprint": run.spec.data}
    record["weights"] = {"fingerprint": run.spec.weights}
    files.write_json(folder / "experiment.json", record)
    files.write_json(folder / "result.json", {"selections": {}})
    return folder


def test_a_run_follows_the_run_that_it_starts_from_and_each_is_planned_once(context):
    runs = plan.plan_runs(context, *GROUPS)
    stages = [run for run in runs if run.pretraining]
    assert {CHILD, "resnet18_supcon/mixup@1-1-windows"} <= {run.name for run in stages}
    for run in stages:
        assert runs.index(run.pretraining) < runs.index(run)
        assert run.pretraining.experiment.save_weights
        assert run.spec.weights == f"run-{run.pretraining.spec.hash8}"
    assert len(runs) == len({(run.name, run.seed, run.selections) for run in runs})
    pending = [run.spec.hash8 for run in plan.pending_runs(runs)]
    planned = {run.spec.hash8 for run in runs if not run.reason}  # a row's run may be a stage, too
    assert len(pending) == len(set(pending)) == len(planned)


def test_published_runs_are_not_trained_again_nor_what_they_start_from(context):
    runs = [run for run in plan.plan_runs(context, *GROUPS) if not run.reason]
    folders = {run.spec.hash8: publish(run) for run in runs if run.selections}
    again = plan.plan_runs(context, *GROUPS)
    assert plan.pending_runs(again) == [] and not paths.runs_root().exists()
    assert {run.spec.hash8: run.record for run in again if run.selections and not run.reason} == (
        folders
    )
    (first,) = {run.pretraining.record for run in again if run.name == CHILD}
    assert first is None  # a first stage is not even published


def test_a_later_stage_without_record_needs_the_first_one_again(context):
    """The published first stage has no weights to start from."""
    for run in plan.plan_runs(context, *GROUPS):
        if run.name != CHILD and not run.reason:
            publish(run)
    pending = {run.name for run in plan.pending_runs(plan.plan_runs(context, *GROUPS))}
    assert pending == {CHILD, "resnet18/supcon@2-1"}


def test_without_features_a_later_stage_is_shown_only_with_its_own_first_stage(
    context, monkeypatch
):
    """Two such runs may differ in their first stages alone, not in any setting."""
    for run in plan.plan_runs(context, "sprsound1"):
        if not run.reason:
            publish(run)
    monkeypatch.setattr(Context, "fingerprint", lambda self, experiment: None)

    def child():
        return next(run for run in plan.plan_runs(context, "sprsound1") if run.name == CHILD)

    assert child().reason == "its features were not given (--features)"
    assert child().record and plan.pending_runs([child()]) == []
    other = papers.get_experiment("resnet18/supcon@2-1")
    monkeypatch.setitem(papers.EXPERIMENTS, other.name, override(other, tau=0.5))
    assert child().record is None


def test_without_weights_a_published_record_is_shown(context, monkeypatch):
    (published, *_) = (publish(r) for r in plan.plan_runs(context, "transfer") if not r.reason)
    missing = "mn04.pt: not found"
    monkeypatch.setattr(weights, "missing_reason", lambda e: missing if e.init != "none" else "")
    runs = plan.plan_runs(context, "transfer")
    assert runs[0].record == published and {run.reason for run in runs} == {missing}
    assert plan.pending_runs(runs) == []


def test_the_first_seed_alone_saves_embeddings(context):
    seeds = replace(context, profile=replace(LAPTOP, seeds=(1, 2, 3)))
    runs = [run for run in plan.plan_runs(seeds, "tsne") if run.name == "ast_in_as/ce"]
    assert [(run.seed, run.experiment.save_embeddings) for run in runs] == [
        (1, True), (2, False), (3, False)
    ]  # fmt: skip


def test_only_named_experiments_are_trained_long_ones_too(context, monkeypatch):
    monkeypatch.setenv("ONLY", "mn04_as/sam@sprsound")
    long = replace(context.profile, budgets=(*context.profile.budgets, "long"))
    runs = plan.plan_runs(replace(context, profile=long), "methods")
    assert [run.name for run in plan.pending_runs(runs)] == ["mn04_as/sam@sprsound"]
    monkeypatch.setenv("ONLY", "mn04_as/supcon_*")  # with the run that it starts from
    names = [run.name for run in plan.pending_runs(runs)]
    assert names == ["mn04_as/supcon@sprsound", "mn04_as/supcon_linear@sprsound"]


def test_a_record_of_a_run_that_takes_too_long_is_shown(context):
    def run():
        runs = plan.plan_runs(context, "methods")
        return next(run for run in runs if run.name == "mn04_as/sam@sprsound")

    assert run().reason == "takes too long for this profile"
    folder = publish(run())
    assert run().record == folder and run().reason == ""


def test_a_probe_is_selected_on_validation_too(context):
    (run,) = (run for run in plan.plan_runs(context, "methods") if "probe" in run.name)
    assert run.selections == ("test", "last", "validation")


def test_rows_of_stored_runs_show_these_whatever_the_profile(monkeypatch):
    monkeypatch.setenv("REPORTS_ROOT", str(REPORTS))
    for profile in ("smoke", "laptop"):
        runs = plan.plan_runs(plan.open_context(profile), "reliability")
        rows = papers.GROUPS["reliability"]
        assert [run.spec.hash8 for run in runs] == [
            hash8 for row in rows for hash8 in row.stored.split()
        ]
        assert all(run.record and run.experiment.validation_split for run in runs)
        assert plan.pending_runs(runs) == []


def test_a_stored_run_that_is_not_here_is_named_and_not_trained():
    runs = plan.plan_runs(plan.open_context("smoke"), "reliability")
    assert runs[0].reason == "the run fe559ba6 is not stored here" and not runs[0].record
    assert plan.pending_runs(runs) == []
