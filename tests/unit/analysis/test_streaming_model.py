"""A listener hears the bits that training hears, and Table II is that of scikit-learn's counts."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import recall_score

from lib import data, files
from lib import paths as lib_paths
from lib.analysis import streaming_model
from lib.analysis.streaming import recording, stream
from lib.config import Experiment, override
from lib.data import audio, sprsound
from lib.data.sprsound import POOR
from lib.data.synthetic_sprsound import write
from lib.errors import UserError
from lib.features import cache
from lib.features.frontends import clip_frames, frontend_for
from lib.runs import folder as runs_folder
from lib.training import dataset

CNN = Experiment("cnn2/ce@1-2-windows", dataset="sprsound", frontend="mfcc", clip_seconds=3.0, task="1-2-windows",
                 normalise="zscore", model="cnn2", size="2-8-16-8", save_weights=True)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sprsound")
    write(folder, seed=0, patients=4)
    return folder


@pytest.fixture
def windows(root, monkeypatch):
    monkeypatch.setattr(lib_paths, "available_cores", lambda: 1)
    monkeypatch.setattr("lib.features.cache_build.cores", lambda: 1)
    return cache.cache_for(data.sprsound_source(root), frontend_for(CNN), progress=False)


def keep(folder, experiment=CNN, **result) -> tuple:
    """A run folder as one with kept weights leaves it."""
    torch.manual_seed(1)
    made = streaming_model.untrained(experiment)
    wanted = runs_folder.Wanted(experiment, 1, "f" * 64, "")
    run = runs_folder.start(wanted, {"name": "x", "note": ""}, "none")
    save_file(made.model.state_dict(), run / runs_folder.WEIGHTS)
    files.write_json(run / "result.json", result)
    return run, made


def test_the_same_bits_as_in_training(windows, root):
    """Every item of the store that is no longer than a window, read as training reads it."""
    coded = np.zeros(len(windows.cycles), np.int64)
    trained = dataset.load(windows, coded, clip_frames(CNN), "zscore", torch.device("cpu"))
    paths, seen = sprsound.audio_files(root), 0
    for row in windows.cycles[windows.cycles["1-2-windows"] != POOR].itertuples():
        wave = audio.resample(*audio.read(paths[row.recording]), 8000)
        heard = streaming_model.features(audio.excerpt(wave, row.start, row.end, 8000), CNN)
        x, _ = trained.batch(torch.tensor([row.Index]))
        assert torch.equal(heard, x) and heard.shape == (1, 187, 64)
        seen += 1
    assert seen > 20


def test_a_stream_hears_the_bits_of_each_window(root):
    """Whole records in blocks of a second: no window is touched by what surrounds it."""
    path = next(iter(sprsound.audio_files(root).values()))
    wave = audio.resample(*audio.read(path), 8000)
    heard = []
    found = list(
        stream(recording(path), lambda one: heard.append(streaming_model.features(one, CNN)))
    )
    for (start, end, _), x in zip(found, heard, strict=True):
        assert torch.equal(x, streaming_model.features(audio.excerpt(wave, start, end, 8000), CNN))
    assert len(heard) == int(len(wave) / 8000) - 2


def test_a_kept_run_answers_as_its_model_does(tmp_path):
    run, made = keep(tmp_path)
    loaded = streaming_model.load(run)
    assert not loaded.model.training
    rng = np.random.default_rng(0)
    for scale in (0.01, 1.0):
        sound = (scale * rng.normal(size=24000)).astype(np.float32)
        logits = made.model(streaming_model.features(sound, CNN))
        assert loaded(sound) == sprsound.WINDOWS["1-2-windows"][int(logits.argmax())]
        assert loaded(sound) == loaded(3 * sound)  # loudness is scaled away
    assert loaded(np.zeros(24000)) in sprsound.WINDOWS["1-2-windows"]  # digital silence is finite


def test_what_cannot_listen_is_told(tmp_path):
    run, _ = keep(tmp_path)
    (run / runs_folder.WEIGHTS).unlink()
    with pytest.raises(UserError, match="make it with save_weights"):
        streaming_model.load(run)
    for changes, fault in (
        ({"task": "1-2"}, "hears no windows"),
        ({"normalise": "dataset"}, "needs normalise = zscore"),
        ({"method": "supcon"}, "and a classifier"),
    ):
        with pytest.raises(UserError, match=fault):
            streaming_model.untrained(override(CNN, **changes))


def score(truth, said, sides) -> float:
    sp = recall_score(truth == "Normal", said == "Normal")
    se = recall_score(truth, said, labels=sides, average="micro")
    return ((sp + se) / 2 + 2 * sp * se / (sp + se)) / 2


def test_table_2(tmp_path, root):
    parts = {"inter": {"score": 61.5}, "intra": {"score": 71.25}}
    selections = {"validation": {"test": {"score": 66.0, "parts": parts}}, "last": None}
    run, made = keep(tmp_path, selections=selections)
    found = streaming_model.evaluate(root, run)
    records = sprsound.records(root)
    assert found.record.tolist() == records[records.split == "test"].recording.tolist()
    one = found.iloc[0]
    heard = [label for *_, label in stream(recording(sprsound.audio_files(root)[one.record]), made)]
    assert one.windows.split("|") == heard

    rng = np.random.default_rng(0)
    kinds = np.array(sprsound.TASKS["2-2"])
    made_up = pd.DataFrame({"part": rng.choice(["inter", "intra"], 200)})
    made_up["truth"] = rng.choice(kinds, 200)
    guess = rng.choice(kinds, 200)
    made_up["answer"] = np.where(rng.random(200) < 0.6, made_up.truth, guess)
    table = streaming_model.table2(run, made_up)
    assert table.task.tolist() == ["2-2", "2-2"] and table.part.tolist() == ["intra", "inter"]
    assert table.event.tolist() == [0.7125, 0.615]
    for row in table.itertuples():
        part = made_up[made_up.part == row.part]
        truth, said = part.truth.to_numpy(), part.answer.to_numpy()
        assert row.record == pytest.approx(score(truth, said, list(kinds[2:])), abs=6e-5)
