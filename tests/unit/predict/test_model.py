"""Answers of runs and packaged models are those of training; calibration; damaged files."""

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from lib import files
from lib.data import SPRSound
from lib.errors import UserError
from lib.predict import model, package
from lib.predict.answer import predict_file
from lib.runs import folder as runs_folder


def test_cycles_get_the_probabilities_of_the_runs_record(trained, small, tmp_path, monkeypatch):
    monkeypatch.setattr(type(small.detectors), "is_refused", lambda *_: False)
    arrays = runs_folder.read_predictions(trained.folder)
    logits = arrays["validation/test/logits"] / small.network.temperature
    stored = pd.DataFrame(softmax(logits, axis=1), index=arrays["test/cycle"])
    dataset = SPRSound.open(trained.data / "sprsound")
    clips, paths = dataset.clips("event"), dataset.audio_files()
    recording = clips[clips.split == "test"].recording.iloc[0]
    table = clips[clips.recording == recording]
    cycles = tmp_path / "cycles.txt"
    cycles.write_text(table[["start", "end"]].to_csv(sep="\t", header=False, index=False))
    answer = predict_file(paths[recording], small, cycles)
    expected = stored.loc[[f"{recording}:{cycle}" for cycle in table.cycle]].to_numpy()
    # Training stores features as float16: 3 digits of a log-mel.
    np.testing.assert_allclose(answer.probabilities, expected, atol=0.01)
    assert answer.kind == "cycle" and len(answer.parts) == len(table)
    means = expected.mean(axis=0)
    np.testing.assert_allclose(list(answer.summary.values()), means, atol=0.01)


def test_a_run_answers_without_being_packaged_and_says_so(trained, small, breath, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(trained.folder.parent))
    run = model.load_model(trained.folder.name)
    assert run.detectors is None and run.calibration == small.calibration
    plain, whole = (predict_file(breath, each, step=0.5, window=1.0) for each in (run, small))
    np.testing.assert_allclose(plain.probabilities, whole.probabilities, atol=1e-6)
    assert plain.distance is None and "not packaged" in plain.notes[0]


def test_an_unknown_model_is_an_error_with_the_names():
    with pytest.raises(UserError, match="unknown model 'mn04-sprsoun'"):
        model.load_model("mn04-sprsoun")


def test_a_run_without_weights_or_held_out_patients_is_named(trained, tmp_path):
    run = shutil.copytree(trained.folder, tmp_path / trained.folder.name)
    arrays = runs_folder.read_predictions(run)
    arrays.pop("validation/validation/logits")
    runs_folder.write_arrays(run / runs_folder.PREDICTIONS, arrays)
    assert model.from_run(run).calibration.startswith("not calibrated")
    with pytest.raises(UserError, match="held no patients out"):
        package.package_run(run, tmp_path / "out")
    (run / "weights.safetensors").unlink()
    with pytest.raises(UserError, match="has no weights.safetensors"):
        model.load_model(str(run))


@pytest.mark.parametrize("name", ["weights.safetensors", "detectors.safetensors"])
def test_a_damaged_model_is_named(packaged, tmp_path, name):
    copy = shutil.copytree(packaged, tmp_path / "copy")
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: not the file that was packaged"):
        model.load_model(str(copy))


def test_a_damaged_config_is_named(packaged, tmp_path):
    copy = shutil.copytree(packaged, tmp_path / "copy")
    config = files.read_json(copy / "config.json")
    del config["temperature"]
    files.write_json(copy / "config.json", config)
    with pytest.raises(UserError, match="config.json: damaged"):
        model.load_model(str(copy))
