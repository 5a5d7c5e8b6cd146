"""Run records: what the hash covers, how records are found, verified and refused."""

import json
import shutil

import numpy as np
import pytest

from lib import files
from lib.config import Experiment, override
from lib.errors import UserError
from lib.evaluation import scores, tasks
from lib.runs import folder as runs_folder
from lib.runs.folder import RunSpec

EXPERIMENT = Experiment("ast/ce", epochs=2)
SPEC = RunSpec(EXPERIMENT, 1, "data", "weights")
LOGITS = np.eye(4, dtype=np.float32)
RECORD = {"experiment.json", "history.csv", "predictions.npz", "weights.csv", "result.json"}
RECORD |= {"checksums.json"}


def arrays():
    """Eight test clips: labels 0..3 twice, the second of each predicted as normal."""
    return {
        "test/label": np.array([0, 1, 2, 3, 0, 1, 2, 3], np.int8),
        "test/cycle": np.array([f"r:{i}" for i in range(8)]),
        "test/patient": np.array(["101"] * 5 + ["218"] + ["156"] * 2),
        "test/device": np.array(["Meditron"] * 8),
        "last/test/logits": np.concatenate([LOGITS, LOGITS[[0, 0, 0, 0]]]),
        "sprsound/label": np.array([0, 1], np.int8),  # a second test set
        "last/sprsound/logits": LOGITS[[0, 0]],
    }


@pytest.fixture
def record():
    """A complete local record."""
    folder = runs_folder.start_run(SPEC, {"name": "small", "note": ""}, "none")
    history = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}]
    files.write_text(folder / "weights.csv", "key,action\n")
    epochs = {"last": 2, "test": None, "validation": None}
    runs_folder.write_record(folder, history, arrays(), epochs, {"parameters": 7})
    runs_folder.read_record.cache_clear()
    return folder


@pytest.fixture
def published(record):
    """The record's published copy, beside the local one."""
    return shutil.copytree(record, runs_folder.published_root() / record.name)


def test_hash_covers_settings_seed_and_bytes_and_nothing_else():
    changed = [
        RunSpec(override(EXPERIMENT, lr=1.0), 1, "data", "weights"),
        RunSpec(EXPERIMENT, 2, "data", "weights"),
        RunSpec(EXPERIMENT, 1, "data+other", "weights"),
        RunSpec(EXPERIMENT, 1, "data", "run-01234567"),
    ]
    assert len({spec.hash8 for spec in [SPEC, *changed]}) == 5
    same = override(EXPERIMENT, name="other/name", save_embeddings=True, tau=Experiment("x").tau)
    assert RunSpec(same, 1, "data", "weights").hash8 == SPEC.hash8


def test_scores_by_hand(record):
    """Normal 2/2, abnormal 3 of 6; without patients 156 and 218 abnormal 3 of 3."""
    result = runs_folder.read_record(record)["selections"]
    test = result["last"]["test"]
    assert (test["sp"], test["se"], test["score"]) == (100.0, 50.0, 75.0)
    assert test["confusion"][1] == [1, 1, 0, 0] and "subsets" not in test
    assert result["last"]["test_patient_disjoint"]["se"] == 100.0
    assert result["last"]["epoch"] == 2 and result["test"] is None
    assert result["last"]["sprsound"]["score"] == 50.0


def test_test2023_stands_apart_from_the_score():
    """Truth and predictions of test_tasks.BY_HAND: inter and intra give Sp 87.5, Se 37.5."""
    label = np.array([0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1])
    predicted = np.array([0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1])
    subset = np.repeat(["inter", "intra", "test2023"], [6, 6, 4])

    def score(at):
        saved = {"test/label": label[at], "test/subset": subset[at]}
        saved["test/patient"] = np.full(len(label[at]), "c1")
        saved["test/test/logits"] = np.eye(2)[predicted[at]]
        return scores.score_selections(saved, {"test": 1}, tasks.get_task("1-1"))["test"]["test"]

    whole, without = score(subset != ""), score(subset != "test2023")
    assert (whole["sp"], whole["se"], whole["score"]) == (87.5, 37.5, 56.25)
    assert whole["confusion"] == without["confusion"] == [[5, 1], [4, 2]]
    apart = whole["subsets"].pop("test2023")
    assert (apart["score"], apart["se"]) == (25, 100) and whole == without
    alone = score(subset == "test2023")
    assert alone["score"] == 25 and "subsets" not in alone


def test_a_saved_set_is_described_in_the_order_of_its_logits(small_cache):
    cycles = small_cache.cycles[::-3]
    label = np.arange(len(small_cache.cycles)) % 4
    described = scores.describe_set("test", cycles.assign(subset="inter"), label)
    assert set(described) == {
        f"test/{key}" for key in ("label", "cycle", "patient", "device", "subset")
    }
    assert (described["test/label"] == label[cycles.index]).all()
    row = cycles.iloc[0]
    assert described["test/cycle"][0] == f"{row.recording}:{row.cycle}"
    assert set(scores.read_subset(described, "test")) == {"inter"}
    assert set(scores.describe_set("test", cycles, label)["test/subset"]) == {""}


def test_result_json_alone_marks_a_complete_record(record, published):
    assert {path.name for path in record.iterdir()} == RECORD
    assert runs_folder.find_run(SPEC) == record
    (record / "result.json").unlink()
    assert runs_folder.find_run(SPEC) == published
    (published / "result.json").unlink()
    assert runs_folder.find_run(SPEC) is None


def test_a_run_is_found_without_its_inputs(published, record):
    shutil.rmtree(record)
    for data, weights in ((None, None), ("data", None), (None, "weights")):
        assert runs_folder.find_run(RunSpec(EXPERIMENT, 1, data, weights)) == published
    others = [
        RunSpec(EXPERIMENT, 1, "other data", None),
        RunSpec(EXPERIMENT, 1, None, "other weights"),
        RunSpec(EXPERIMENT, 2, None, None),
        RunSpec(override(EXPERIMENT, lr=1.0), 1, None, None),
    ]
    assert [runs_folder.find_run(spec) for spec in others] == [None] * 4
    started = files.read_json(published / "experiment.json")
    started["experiment"]["setting_of_another_version"] = 1
    files.write_json(published / "experiment.json", started)
    assert runs_folder.find_run(RunSpec(EXPERIMENT, 1, None, None)) is None


def test_a_run_starts_from_the_weights_of_another(record):
    child = RunSpec(EXPERIMENT, 1, "data", runs_folder.weights_fingerprint(SPEC))
    folder = runs_folder.start_run(child, {}, "ast/ce")
    assert runs_folder.read_spec(folder) == child and runs_folder.initial_weights(record) is None
    with pytest.raises(UserError, match="has no weights.safetensors here"):
        runs_folder.initial_weights(folder)
    (record / runs_folder.WEIGHTS).touch()
    assert runs_folder.initial_weights(folder) == record / runs_folder.WEIGHTS


@pytest.mark.parametrize("sums", [True, False])  # records of before have none
@pytest.mark.parametrize("changed", ["nothing", "number", "prediction", "setting"])
def test_verify_finds_every_kind_of_difference(published, changed, sums):
    if not sums:
        (published / "checksums.json").unlink()
    if changed == "number":
        result = files.read_json(published / "result.json")
        result["selections"]["last"]["test"]["score"] += 0.01
        files.write_json(published / "result.json", result)
    elif changed == "prediction":
        saved = arrays()
        saved["last/test/logits"][0] = [0, 9, 0, 0]
        np.savez_compressed(published / "predictions.npz", **saved)
    elif changed == "setting":
        started = files.read_json(published / "experiment.json")
        started["experiment"]["lr"] = 1.0
        files.write_json(published / "experiment.json", started)
    differences = runs_folder.verify_records()
    assert len(differences) == (changed != "nothing")
    assert all(published.name in line for line in differences)


@pytest.mark.parametrize("name", ["experiment.json", "result.json", "predictions.npz"])
def test_a_corrupt_file_is_named(record, name):
    (record / name).write_text('{"half": ')
    read = runs_folder.read_predictions if name.endswith("npz") else runs_folder.read_record
    with pytest.raises(UserError, match=f"{name}: (not valid JSON|cannot be read)"):
        read(record)


def object_less(path):
    path.write_text("[]")


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-30])


def change_a_digit(path):
    path.write_text(path.read_text().replace("1.0", "1.5").replace("50.0", "50.5"))


def rename_the_recordings(path):
    path.write_text(path.read_text().replace('"small"', '"ICBHI"'))


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = [
    ("experiment.json", object_less), ("experiment.json", cut_short),
    ("experiment.json", rename_the_recordings),
    ("result.json", object_less), ("result.json", cut_short), ("result.json", change_a_digit),
    ("predictions.npz", cut_short), ("predictions.npz", flip_a_bit),
    ("checksums.json", object_less), ("history.csv", change_a_digit),
    ("weights.csv", lambda path: path.unlink()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_a_damaged_record_is_named_and_left_out(record, published, capsys, name, damage):
    """The published copy stands for the local one; `verify` names it and goes on."""
    damage(record / name)
    assert runs_folder.find_run(SPEC) == published
    assert runs_folder.find_run(RunSpec(EXPERIMENT, 1, None, "weights")) == published
    said = capsys.readouterr().err
    assert name in said and record.name in said
    assert runs_folder.verify_records() == []
    damage(published / name)
    other = runs_folder.start_run(RunSpec(EXPERIMENT, 2, "data", "weights"), {}, "none")
    files.write_json(other / "result.json", {"selections": {"last": [1]}})  # without checksums
    np.savez(other / "predictions.npz", **arrays())
    shutil.copytree(other, runs_folder.published_root() / other.name)
    runs_folder.read_record.cache_clear()
    first, second = runs_folder.verify_records()
    assert first.startswith(f"{published.name}: ") and name in first
    assert second.startswith(f"{other.name}: ") and "damaged" in second
    assert runs_folder.find_run(SPEC) is None


@pytest.mark.parametrize("name", ["experiment.json", "result.json"])
def test_a_flipped_byte_is_a_difference_or_changes_nothing(published, name):
    """Any byte, with checksums and without: a sentence, never another error."""
    whole = (published / name).read_bytes()
    sums = (published / "checksums.json").read_bytes()
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        (published / name).write_bytes(changed)
        for content in (sums, None):
            if content:
                (published / "checksums.json").write_bytes(content)
            else:
                (published / "checksums.json").unlink()
            runs_folder.read_record.cache_clear()
            assert len(runs_folder.verify_records()) <= 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"pool": "special"', '"pool": "1_0"', "unknown pool '1_0'"),
        ('"fingerprint": "data"', '"fingerprint": null', "damaged"),
        ('"seed": 1', '"sed": 1', "damaged"),
    ],
)
def test_a_damaged_specification_is_named(record, old, new, said):
    path = record / "experiment.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=f"^{path}: {said}"):
        runs_folder.read_spec(record)


@pytest.mark.parametrize("content", ["{}", '{"reason": ""}', '{"reason": true}'])
def test_a_failure_without_a_reason_is_named(content):
    folder = runs_folder.start_run(SPEC, {}, "none")
    assert runs_folder.failure_reason(SPEC) == ""
    (folder / "failed.json").write_text(content)
    with pytest.raises(UserError, match=f"^{folder}/failed.json: damaged .*; delete it to try"):
        runs_folder.failure_reason(SPEC)


def test_a_record_under_the_name_of_another_is_not_taken(record):
    other = RunSpec(EXPERIMENT, 2, "data", "weights")
    record.rename(other.folder)
    assert runs_folder.find_run(other) is None


def test_weights_that_the_first_run_did_not_save_are_refused(record):
    child = RunSpec(EXPERIMENT, 1, "data", runs_folder.weights_fingerprint(SPEC))
    folder = runs_folder.start_run(child, {}, "ast/ce")
    (record / runs_folder.WEIGHTS).write_bytes(b"weights")
    epochs = {"last": 2, "test": None, "validation": None}
    runs_folder.write_record(record, [{"epoch": 1}], arrays(), epochs, {})
    assert runs_folder.initial_weights(folder) == record / runs_folder.WEIGHTS
    assert runs_folder.damage(record) == ""
    (record / runs_folder.WEIGHTS).write_bytes(b"weightz")
    with pytest.raises(UserError, match=r"weights.safetensors: not the weights of run-.*delete"):
        runs_folder.initial_weights(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_logit_that_is_not_finite_never_counts_as_normal(value):
    saved = arrays()
    saved["last/test/logits"][0, 2] = value
    with pytest.raises(UserError, match="last/test/logits: 1 of 8 clips have a logit that is not"):
        scores.score_selections(saved, {"last": 2})


def test_progress_is_written_at_most_once_a_second(tmp_path):
    progress = runs_folder.Progress(tmp_path, epoch=2, steps=10)
    progress.step(5)
    progress.step(6)
    assert json.loads((tmp_path / "progress.json").read_text()) == {"epochs": 1.5}
