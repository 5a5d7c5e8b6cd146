"""Run records: what the hash covers, how records are found, published, verified and refused."""

import json
import shutil

import numpy as np
import pytest

from lib import files
from lib.config import Experiment, override
from lib.errors import UserError
from lib.evaluation import scores, tasks
from lib.runs import folder as runs_folder
from lib.runs.folder import Wanted

EXPERIMENT = Experiment("ast/ce", epochs=2)
WANTED = Wanted(EXPERIMENT, 1, "data", "weights")
LOGITS = np.eye(4, dtype=np.float32)


def arrays():
    """Eight test clips: labels 0..3 twice, the second of each answered "normal"."""
    return {
        "test/label": np.array([0, 1, 2, 3, 0, 1, 2, 3], np.int8),
        "test/cycle": np.array([f"r:{i}" for i in range(8)]),
        "test/patient": np.array(["101"] * 6 + ["156"] * 2),
        "test/device": np.array(["Meditron"] * 8),
        "last/test/logits": np.concatenate([LOGITS, LOGITS[[0, 0, 0, 0]]]),
    }


@pytest.fixture
def record():
    """A complete local record."""
    folder = runs_folder.start(WANTED, {"name": "small", "note": ""}, "none")
    history = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}]
    files.write_text(folder / "weights.csv", "key,action\n")
    epochs = {"last": 2, "test": None, "validation": None}
    runs_folder.write_record(folder, history, arrays(), epochs, {"parameters": 7})
    return folder


def test_hash_covers_settings_seed_and_bytes_and_nothing_else():
    changed = [
        Wanted(override(EXPERIMENT, lr=1.0), 1, "data", "weights"),
        Wanted(EXPERIMENT, 2, "data", "weights"),
        Wanted(EXPERIMENT, 1, "other data", "weights"),
        Wanted(EXPERIMENT, 1, "data", "other weights"),
    ]
    assert len({w.hash8 for w in [WANTED, *changed]}) == 5
    renamed = override(EXPERIMENT, name="another/name", save_embeddings=True)
    assert Wanted(renamed, 1, "data", "weights").hash8 == WANTED.hash8


def test_a_setting_at_its_default_leaves_the_hash_alone():
    same = override(EXPERIMENT, tau=Experiment("x").tau)
    assert Wanted(same, 1, "data", "weights").hash8 == WANTED.hash8


def test_scores_by_hand(record):
    result = runs_folder.read(record)["selections"]
    # normal 2/2; abnormal 3 of 6; without patient 156: abnormal 3 of 4
    assert result["last"]["test"]["sp"] == 100.0
    assert result["last"]["test"]["se"] == 50.0
    assert result["last"]["test"]["score"] == 75.0
    assert result["last"]["test_patient_disjoint"]["se"] == 75.0
    assert result["last"]["test"]["confusion"][1] == [1, 1, 0, 0]
    assert result["test"] is None


def test_the_final_test_stands_apart_from_the_score():
    """Truth and answers of test_labels.HAND, inter and intra: SP 87.5, SE 37.5, Score 56.25."""
    label = np.array([0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1])
    said = np.array([0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1])
    part = np.repeat(["inter", "intra", "2023"], [6, 6, 4])

    def score(at):
        known = {"test/label": label[at], "test/part": part[at]}
        known["test/patient"] = np.full(len(label[at]), "c1")
        known["test/test/logits"] = np.eye(2)[said[at]]
        found = scores.score_selections(known, {"test": 1}, tasks.get("1-1"))
        return found["test"]["test"]

    whole, before = score(part != ""), score(part != "2023")
    assert (whole["sp"], whole["se"], whole["score"]) == (87.5, 37.5, 56.25)
    assert whole["confusion"] == before["confusion"] == [[5, 1], [4, 2]]
    assert whole["parts"]["2023"]["score"] == 25 and whole["parts"]["2023"]["se"] == 100
    assert before == whole | {"parts": {k: v for k, v in whole["parts"].items() if k != "2023"}}
    assert score(part == "2023")["score"] == 25 and "parts" not in score(part == "2023")


def test_result_json_alone_marks_completion(record):
    assert runs_folder.find(WANTED) == record
    (record / "result.json").unlink()
    assert runs_folder.find(WANTED) is None


def test_published_records_are_found_like_local_ones_and_verify(record):
    (copy,) = runs_folder.publish([record])
    assert {p.name for p in copy.iterdir()} == set(runs_folder.RECORD) - {
        "machine.json",
        runs_folder.GEOMETRY,
    }
    shutil.rmtree(record)
    assert runs_folder.find(WANTED) == copy
    assert runs_folder.find_published(EXPERIMENT, 1, None) == copy
    assert runs_folder.find_published(EXPERIMENT, 1, "other data") is None
    assert runs_folder.find_published(EXPERIMENT, 2, None) is None
    assert runs_folder.verify() == []


@pytest.mark.parametrize("what", ["number", "prediction", "setting"])
def test_verify_finds_every_kind_of_difference(record, what):
    (copy,) = runs_folder.publish([record])
    if what == "number":
        result = files.read_json(copy / "result.json")
        result["selections"]["last"]["test"]["score"] += 0.01
        files.write_json(copy / "result.json", result)
    elif what == "prediction":
        changed = arrays()
        changed["last/test/logits"][0] = [0, 9, 0, 0]
        np.savez_compressed(copy / "predictions.npz", **changed)
    else:
        settings = files.read_json(copy / "experiment.json")
        settings["experiment"]["lr"] = 1.0
        files.write_json(copy / "experiment.json", settings)
    runs_folder.read.cache_clear()
    (difference,) = runs_folder.verify()
    assert copy.name in difference


@pytest.mark.parametrize("name", ["experiment.json", "result.json"])
def test_corrupt_json_is_named(record, name):
    (record / name).write_text('{"half": ')
    runs_folder.read.cache_clear()
    with pytest.raises(UserError, match=f"{name}: not valid JSON"):
        runs_folder.read(record)


def test_corrupt_predictions_are_named(record):
    (record / "predictions.npz").write_bytes(b"PK not a zip")
    with pytest.raises(UserError, match="predictions.npz: cannot be read"):
        runs_folder.predictions(record)


def test_progress_is_written_at_most_once_a_second(tmp_path):
    bar = runs_folder.Progress(tmp_path, epoch=2, steps=10)
    bar.step(5)
    bar.step(6)
    assert json.loads((tmp_path / "progress.json").read_text()) == {"epochs": 1.5}
