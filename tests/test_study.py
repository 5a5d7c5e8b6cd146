"""What a study stands on where recordings, stores or both are at hand."""

from dataclasses import asdict

import numpy as np
import pytest
from small_runs import write_store

from lib import data, files, profiles, registry, study
from lib.errors import UserError
from lib.features import front_end


def give(folder, small_store, monkeypatch, **meta):
    """The small store as a folder on disk that STORE names."""
    write_store(folder, small_store, **meta)
    monkeypatch.setenv("STORE", str(folder))
    study.open_study.cache_clear()
    return folder


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """No recordings beside the project, and no study from another test."""
    monkeypatch.setattr(files, "PROJECT", tmp_path / "project")
    study.open_study.cache_clear()
    yield
    study.open_study.cache_clear()


def quick(name):
    return profiles.apply(profiles.get("quick"), registry.get(name))


def test_a_store_stands_for_the_recordings_it_was_made_of(small_store, tmp_path, monkeypatch):
    front = asdict(front_end(quick("ast/ce")))
    words = {"front_end": front, "kind": "official", "note": "", "name": "ICBHI"}
    folder = give(tmp_path / "own", small_store, monkeypatch, **words)
    here = study.open_study("quick")
    assert here.source == data.Source("icbhi", folder, "official", "")
    assert here.name == "quick-icbhi-official"
    assert here.store(quick("ast/ce")).path == folder
    assert here.data_name(quick("ast/ce")) == {"name": "ICBHI", "note": ""}
    assert study.open_study("paper").source.kind == "official"


def test_a_store_without_a_name_is_called_by_its_folder(small_store, tmp_path, monkeypatch):
    words = {"front_end": asdict(front_end(quick("ast/ce")))}
    folder = give(tmp_path / "nameless", small_store, monkeypatch, **words)
    meta = {k: v for k, v in files.read_json(folder / "meta.json").items() if k != "name"}
    files.write_json(folder / "meta.json", meta)
    assert study.open_study("quick").data_name(quick("ast/ce"))["name"] == "nameless"


def test_with_mel_pictures_alone_only_their_rows_can_be_run(small_store, tmp_path, monkeypatch):
    folder = give(tmp_path / "mel", small_store, monkeypatch, name=study.MEL_STORE)
    here = study.open_study("quick")
    assert here.source.kind == "none" and "No ICBHI recordings here" in here.source.banner
    assert here.store(quick("ast/ce")) is None
    with pytest.raises(UserError, match="clips of 40 frames, but 398 are wanted"):
        here.store(quick("mn04/ce@mel"))
    long = np.zeros((len(small_store.cycles), 798, small_store.features.shape[2]), np.float16)
    np.save(folder / "features.npy", long)
    study.open_study.cache_clear()
    assert study.open_study("quick").store(quick("mn04/ce@mel")).path == folder
    reasons = {p.name: p.reason for p in study.plan(study.open_study("quick"), "table1")}
    assert reasons["ast/ce"] == "its feature store was not given (README, Data: --store)"
    assert not reasons["mn04/ce@mel"]
    with pytest.raises(UserError, match="paper: No ICBHI recordings here.*real recordings are"):
        study.open_study("paper")
