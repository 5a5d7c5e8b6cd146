"""What a study stands on where recordings, stores or both are at hand."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from small_runs import write_store

from lib import data, files, paths, profiles, registry, rows
from lib.config import override
from lib.errors import UserError
from lib.features.frontends import front_end
from lib.models import weights
from lib.runs import execute, plan
from lib.runs import folder as runs_folder
from lib.runs.plan import Study


def give(folder, small_store, monkeypatch, **meta):
    """The small store as a folder on disk that STORE names."""
    write_store(folder, small_store, **meta)
    monkeypatch.setenv("STORE", str(folder))
    plan.open_study.cache_clear()
    return folder


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """No recordings beside the project, and no study from another test."""
    monkeypatch.setattr(paths, "PROJECT", tmp_path / "project")
    plan.open_study.cache_clear()
    yield
    plan.open_study.cache_clear()


def quick(name):
    return profiles.apply(profiles.get("quick"), registry.get(name))


def test_a_store_stands_for_the_recordings_it_was_made_of(small_store, tmp_path, monkeypatch):
    front = asdict(front_end(quick("ast/ce")))
    words = {"front_end": front, "kind": "official", "note": "", "name": "ICBHI"}
    folder = give(tmp_path / "own", small_store, monkeypatch, **words)
    here = plan.open_study("quick")
    assert here.source == data.Source("icbhi", folder, "official", "")
    assert here.name == "quick-icbhi-official"
    assert here.store(quick("ast/ce")).path == folder
    assert here.data_name(quick("ast/ce")) == {"name": "ICBHI", "note": ""}
    assert plan.open_study("paper").source.kind == "official"


def test_a_store_without_a_name_is_called_by_its_folder(small_store, tmp_path, monkeypatch):
    words = {"front_end": asdict(front_end(quick("ast/ce")))}
    folder = give(tmp_path / "nameless", small_store, monkeypatch, **words)
    meta = {k: v for k, v in files.read_json(folder / "meta.json").items() if k != "name"}
    files.write_json(folder / "meta.json", meta)
    assert plan.open_study("quick").data_name(quick("ast/ce"))["name"] == "nameless"


def test_with_mel_pictures_alone_only_their_rows_can_be_run(small_store, tmp_path, monkeypatch):
    folder = give(tmp_path / "mel", small_store, monkeypatch, name=plan.MEL_STORE)
    here = plan.open_study("quick")
    assert here.source.kind == "none" and "No ICBHI recordings here" in here.source.banner
    assert here.store(quick("ast/ce")) is None
    with pytest.raises(UserError, match="clips of 40 frames, but 398 are wanted"):
        here.store(quick("mn04/ce@mel"))
    long = np.zeros((len(small_store.cycles), 798, small_store.features.shape[2]), np.float16)
    np.save(folder / "features.npy", long)
    plan.open_study.cache_clear()
    assert plan.open_study("quick").store(quick("mn04/ce@mel")).path == folder
    reasons = {p.name: p.reason for p in plan.plan(plan.open_study("quick"), "table1")}
    assert reasons["ast/ce"] == "its feature store was not given (README, Data: --store)"
    assert not reasons["mn04/ce@mel"]
    with pytest.raises(UserError, match="paper: No ICBHI recordings here.*real recordings are"):
        plan.plan(plan.open_study("paper"), "table1")


def test_paper_wants_all_of_icbhi_where_a_row_reads_it(monkeypatch):
    part = data.Source("icbhi", Path("icbhi"), "partial", "partial ICBHI: 2 of 920.")
    whole = data.Source("icbhi", Path("icbhi"), "official", "")
    with pytest.raises(UserError, match="profile paper: partial ICBHI: 2 of 920, but all are"):
        plan.plan(plan.Study(profiles.PAPER, part), "table1")
    for one in (plan.Study(profiles.PAPER, whole), plan.Study(profiles.QUICK, part)):
        one.check_icbhi()
    monkeypatch.setattr(Study, "_built", lambda self, source, front: source)
    found = plan.Study(profiles.PAPER, part).store(registry.get("cnn2/ce@1-1"))
    assert found.dataset == "sprsound"  # which is not refused


@pytest.fixture
def here(small_store, monkeypatch):
    """The quick study of both data sets' pages, with stores and weights that are only names."""
    source = data.Source("icbhi", Path("icbhi"), "official", "")
    monkeypatch.setattr(Study, "store", lambda self, experiment: small_store)
    monkeypatch.setattr(weights, "missing", lambda experiment: "")
    monkeypatch.setattr(weights, "fingerprint", lambda e: "" if e.init == "none" else "w" * 64)
    return plan.Study(profiles.get("quick"), source)


def publish(planned):
    """A record of a run as it stands in reports/runs: no weights, and nothing in runs/."""
    name = f"{runs_folder.slug(planned.name)}-s{planned.seed}-{planned.wanted.hash8}"
    folder = runs_folder.published_root() / name
    marks = {"data": planned.wanted.data, "weights": planned.wanted.weights}
    record = {key: {"fingerprint": mark} for key, mark in marks.items()}
    record |= {"experiment": asdict(planned.experiment), "seed": planned.seed}
    files.write_json(folder / "experiment.json", record)
    files.write_json(folder / "result.json", {"selections": {}})
    return folder


PAGES = [table for number in ("08", "09") for table in rows.NOTEBOOKS[number]]


def test_of_published_runs_nothing_is_made_not_even_their_parents(here):
    wanted = [planned for planned in plan.plan(here, *PAGES) if planned.wanted]
    names = {planned.name for planned in wanted if planned.parent}
    assert {"resnet18_supcon/ce@2-1", "mn04_as/ce@icbhi/on=sprsound"} <= names
    pending = {planned.name for planned in execute._pending(wanted)}
    assert {"resnet18/supcon@2-1", "mn04_as/ce@icbhi"} <= pending  # without a record: all
    folders = {planned.wanted.hash8: publish(planned) for planned in wanted}
    again = plan.plan(here, *PAGES)
    assert execute._pending(again) == [] and not paths.runs_root().exists()
    found = {planned.wanted.hash8: planned.record for planned in again if planned.wanted}
    assert found == folders
    supcon = [planned for planned in again if planned.name.startswith("resnet18_supcon/ce@2-1")]
    assert [planned.parent.record for planned in supcon] == [None]  # it was not even published


def test_a_child_without_record_asks_for_its_parent_again(here):
    """The published parent has no weights to start from."""
    wanted = plan.plan(here, "transfer")
    for planned in wanted:
        if planned.name != "mn04_as/ce@icbhi/on=sprsound":
            publish(planned)
    pending = {planned.name for planned in execute._pending(plan.plan(here, "transfer"))}
    assert pending == {"mn04_as/ce@icbhi/on=sprsound", "mn04_as/ce@icbhi"}


def test_without_weights_a_child_is_shown_with_its_own_parent(here, monkeypatch):
    """Answers on the other data set differ by their parents alone, not by any setting."""
    wanted = plan.plan(here, "transfer")
    folders = {(planned.name, planned.seed): publish(planned) for planned in wanted}
    monkeypatch.setattr(weights, "missing", lambda e: "mn04.pt: not found" if e.init else "")
    found = plan.plan(here, "transfer")
    assert {(planned.name, planned.seed): planned.record for planned in found} == folders
    assert execute._pending(found) == [] and {p.reason for p in found} == {"mn04.pt: not found"}


def test_without_weights_an_older_parents_child_is_not_shown(here, monkeypatch):
    for planned in plan.plan(here, "transfer"):
        publish(planned)
    other = registry.get("mn04_as/ce@icbhi")
    monkeypatch.setitem(registry.EXPERIMENTS, other.name, override(other, weight_decay=0.1))
    monkeypatch.setattr(weights, "missing", lambda experiment: "mn04.pt: not found")
    found = {planned.name: planned.record for planned in plan.plan(here, "transfer")}
    assert found["mn04_as/ce@icbhi/on=sprsound"] is None


def test_a_child_whose_parents_features_were_not_given_is_not_run(here, small_store, monkeypatch):
    """Feature stores alone, none of ICBHI's recordings: SPRSound's rows stand all the same."""

    def given(self, experiment):
        return None if experiment.dataset == "icbhi" else small_store

    monkeypatch.setattr(Study, "store", given)
    found = {planned.name: planned for planned in plan.plan(here, "transfer")}
    for name in ("mn04_as/ce@icbhi", "mn04_as/ce@icbhi/on=sprsound"):
        assert found[name].wanted is None and "store was not given" in found[name].reason
    assert found["mn04_as/ce@sprsound"].wanted and not found["mn04_as/ce@sprsound"].reason
