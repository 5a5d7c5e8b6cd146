"""The commands predict, package and export, as a user starts them."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from lib import __main__ as front
from lib.predict import measure


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """`main` sets variables of the environment; they end with the test."""
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.fixture
def sounds(breath, tmp_path):
    """A folder with a breath, whose cycles are annotated, and a recording of silence."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    shutil.copy(breath, folder / "breath.wav")
    shutil.copy(breath.with_suffix(".txt"), folder / "breath.txt")
    soundfile.write(folder / "silence.wav", np.zeros(16000), 8000)
    return folder


def predict(packaged, *words):
    return front.main(["predict", *map(str, words), "--model", str(packaged), "--window", "1"])


def test_text_says_what_must_be_known(packaged, sounds, capsys):
    assert predict(packaged, sounds / "breath.wav") == 0
    text = capsys.readouterr().out
    for words in ("normal", "whole recording", "calibrated by the temperature", "card.md",
                  "Research only, not for diagnosis.", "EfficientAT mn04", "windows"):  # fmt: skip
        assert words in text


def test_json_csv_and_picture_hold_the_same_answer(packaged, sounds, tmp_path, capsys):
    csv, picture = tmp_path / "out.csv", tmp_path / "out.png"
    words = [sounds / "breath.wav", "--cycles", sounds / "breath.txt", "--json"]
    assert predict(packaged, *words, "--csv", csv, "--plot", picture) == 0
    answer = json.loads(capsys.readouterr().out)
    (recording,) = answer["recordings"]
    lines = (sounds / "breath.txt").read_text().splitlines()
    assert [part["start"] for part in recording["parts"]] == [float(x.split()[0]) for x in lines]
    classes = answer["model"]["classes"]
    table = pd.read_csv(csv)
    assert table.cycle.tolist() == list(range(len(lines)))
    for part, row in zip(recording["parts"], table.to_dict("records"), strict=True):
        assert list(part["probabilities"]) == classes
        assert sum(part["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        for name in classes:
            assert row[f"p_{name}"] == pytest.approx(part["probabilities"][name], abs=1e-6)
    with Image.open(picture) as image:
        assert image.width > 700 and "breath.wav" in image.text["Description"]


def test_a_folder_is_answered_file_by_file(packaged, sounds, capsys):
    assert predict(packaged, sounds, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    (path,) = answer["refused"]
    assert path.endswith("silence.wav") and "silence" in answer["refused"][path]
    assert [each["file"] for each in answer["recordings"]] == [str(sounds / "breath.wav")]
    assert predict(packaged, sounds, "--cycles", sounds, "--json") == 1  # each beside its sound
    (recording,) = json.loads(capsys.readouterr().out)["recordings"]
    assert recording["kind"] == "cycle"


def test_a_refused_file_is_one_sentence_and_nothing_is_written(packaged, sounds, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert predict(packaged, sounds / "silence.wav", "--csv", out) == 2
    output = capsys.readouterr()
    assert not output.out and not out.exists()
    assert len(output.err.splitlines()) == 1 and "silence" in output.err


@pytest.mark.parametrize(
    "words, problem",
    [
        (["missing.wav"], "not found"),
        (["breath.wav", "--window", "9"], "--window 9"),
        (["breath.wav", "--step", "0"], "--step 0"),
        (["breath.wav", "--cycles", "missing.txt"], "missing.txt: not found"),
        ([".", "--plot", "a.png"], "--plot"),
        ([], "name one sound file"),
    ],
)
def test_bad_input_is_one_sentence(packaged, sounds, monkeypatch, capsys, words, problem):
    monkeypatch.chdir(sounds)
    assert front.main(["predict", "--model", str(packaged), "--window", "1", *words]) == 2
    error = capsys.readouterr().err
    assert problem in error and len(error.splitlines()) == 1


def test_package_prints_the_folder(trained, packaged, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FEATURES_ROOT", str(trained.features))
    monkeypatch.setattr(measure, "MADE_UP", {"train": range(2), "validation": range(2, 3)})
    words = ["package", str(trained.folder), "--data", str(trained.data)]
    assert front.main([*words, "--out", str(tmp_path / "model")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "model")
    for name in ("weights.safetensors", "card.md", "config.json"):
        assert (tmp_path / "model" / name).exists()


def test_a_warning_greys_the_picture_and_stands_in_every_answer(packaged, sounds, tmp_path, capsys):
    """The same model, with a threshold below every distance."""
    strict = shutil.copytree(packaged, tmp_path / "strict")
    config = json.loads((strict / "config.json").read_text())
    config["detectors"]["distance"]["threshold"] = 0.0
    config["detectors"]["lung_sound"]["threshold"] = 0.0
    (strict / "config.json").write_text(json.dumps(config))
    picture = tmp_path / "out.png"
    assert predict(strict, sounds / "breath.wav", "--plot", picture) == 0
    assert "WARNING: recorded unlike anything" in capsys.readouterr().out
    with Image.open(picture) as image:
        assert "Warning: recorded unlike" in image.text["Description"]
    config["detectors"]["lung_sound"]["threshold"] = 1.1
    (strict / "config.json").write_text(json.dumps(config))
    assert predict(strict, sounds / "breath.wav") == 2
    assert "breath.wav: no lung sound" in capsys.readouterr().err


def test_silent_windows_have_no_probabilities(packaged, breath, tmp_path, capsys):
    wave, rate = soundfile.read(breath)
    with_gap = tmp_path / "gap.wav"
    soundfile.write(with_gap, np.concatenate([wave, np.zeros(3 * rate)]), rate)
    csv, picture = tmp_path / "out.csv", tmp_path / "out.png"
    assert predict(packaged, with_gap, "--json", "--csv", csv, "--plot", picture) == 0
    (recording,) = json.loads(capsys.readouterr().out)["recordings"]
    silent = [part["probabilities"] is None for part in recording["parts"]]
    starts = np.array([part["start"] for part in recording["parts"]])
    assert silent == (starts >= len(wave) / rate).tolist() and any(silent) and not all(silent)
    heard = [
        part["probabilities"]["normal"] for part in recording["parts"] if part["probabilities"]
    ]
    assert recording["summary"]["normal"] == pytest.approx(np.mean(heard))
    table = pd.read_csv(csv)
    assert table.p_normal.isna().tolist() == silent
    assert table.window.tolist() == list(range(len(silent)))
    assert f"{sum(silent)} of {len(silent)} windows are silence" in recording["notes"][-1]
    assert predict(packaged, with_gap) == 0
    assert capsys.readouterr().out.count("  silence\n") == sum(silent)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--csv breath.wav", "--csv breath.wav: an input too, and would be lost"),
        ("--plot breath.wav", "--plot breath.wav: an input too"),
        ("--cycles breath.txt --csv breath.txt", "--csv breath.txt: an input too"),
        ("--csv a.png --plot a.png", "--plot a.png: --csv too"),
        ("--plot a.jpg", "--plot a.jpg: a picture is a .png file"),
        ("--csv .", "--csv .: a folder"),
    ],
)
def test_no_output_replaces_an_input(packaged, sounds, monkeypatch, capsys, words, said):
    monkeypatch.chdir(sounds)
    before = {path.name: path.read_bytes() for path in sounds.iterdir()}
    assert predict(packaged, "breath.wav", *words.split()) == 2
    assert said in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in sounds.iterdir()} == before


def test_recordings_of_one_name_are_told_apart(packaged, breath, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "all" / name).mkdir(parents=True)
        shutil.copy(breath, tmp_path / "all" / name / "x.wav")
    assert predict(packaged, tmp_path / "all", "--csv", tmp_path / "out.csv") == 0
    assert pd.read_csv(tmp_path / "out.csv").recording.unique().tolist() == ["a/x.wav", "b/x.wav"]
