"""The training loop: same bytes for same seeds, also after kill -9; failures are told."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_runs import write_cache

from lib import files, paths
from lib.config import Experiment, override
from lib.errors import UserError
from lib.runs import folder as runs_folder
from lib.training import trainer

SMALL = Experiment(
    "small",
    validation_split=0.25,
    normalise="dataset",
    size="nano",
    patch=8,
    stride=8,
    method="patchmix_cl",
    lr=1e-3,
    batch_size=4,
    epochs=3,
    frequency_mask=4,
    time_mask=8,
    save_embeddings=True,
)
COMPARED = ("history.csv", "result.json")


def make(folder, store, experiment=SMALL, seed=1):
    files.write_json(folder / "experiment.json", {"seed": seed})
    trainer.fit(experiment, seed, store, 40, folder)
    return folder


def same(one, other):
    texts = all((one / name).read_bytes() == (other / name).read_bytes() for name in COMPARED)
    a, b = runs_folder.read_predictions(one), runs_folder.read_predictions(other)
    return texts and a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.fixture
def stored(small_cache, tmp_path):
    """The small store as a folder on disk, for a process of its own."""
    return write_cache(tmp_path / "store", small_cache)


def test_same_seed_same_bytes_and_other_seed_other_result(small_cache, tmp_path):
    first = make(tmp_path / "a", small_cache)
    assert same(first, make(tmp_path / "b", small_cache))
    assert not same(first, make(tmp_path / "c", small_cache, seed=2))


def test_what_a_run_leaves_behind(small_cache, tmp_path):
    folder = make(tmp_path / "a", small_cache)
    history = pd.read_csv(folder / "history.csv")
    assert history.epoch.tolist() == [1, 2, 3]
    arrays = runs_folder.read_predictions(folder)
    assert arrays["last/test/logits"].shape == (16, 4)
    embedded = sorted(key for key in arrays if key.endswith("embedding"))
    chosen = embedded[0].split("/")[0]
    assert chosen in ("test", "last")
    assert embedded == [f"{chosen}/test/embedding", f"{chosen}/validation/embedding"]
    assert arrays[embedded[0]].shape == (16, 32)
    assert not list(folder.glob("*.pt")) and not list(folder.glob("*.part"))
    record = files.read_json(folder / "result.json")
    last = record["selections"]["last"]
    assert last["test"]["score"] == pytest.approx(history.test_score.iloc[-1], abs=1e-3)
    chosen = record["selections"]["test"]
    if chosen:  # best epoch on the test set with Se > 5
        allowed = history[history.test_se > 5]
        assert chosen["epoch"] == allowed.epoch[allowed.test_score.idxmax()]
    assert list((folder / "events").iterdir())


def test_it_learns_what_can_be_learnt(small_cache, tmp_path):
    experiment = override(SMALL, method="ce", epochs=40, validation_split=0.0)
    result = files.read_json(make(tmp_path / "a", small_cache, experiment) / "result.json")
    assert result["selections"]["last"]["test"]["score"] > 70


@pytest.mark.parametrize("changes", [{}, {"rho": 0.05, "optimizer": "adamw"}])
def test_killed_anywhere_it_ends_with_the_same_bytes(stored, tmp_path, changes):
    """kill -9 three times, at moments that differ, then let it end."""

    def command(folder):
        return [sys.executable, "-m", "lib.worker", str(folder), str(stored), "40"]

    def prepare(name):
        folder = tmp_path / name
        record = {"experiment": override(SMALL, epochs=6, **changes).__dict__, "seed": 1}
        files.write_json(folder / "experiment.json", record)
        return folder

    whole, killed = prepare("whole"), prepare("killed")
    subprocess.run(command(whole), check=True, cwd=paths.PROJECT)
    for wanted in ("epoch-0001.pt", "epoch-0003.pt", "epoch-0004.pt"):
        process = subprocess.Popen(command(killed), cwd=paths.PROJECT)
        while not (killed / wanted).exists() and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    subprocess.run(command(killed), check=True, cwd=paths.PROJECT)
    assert same(whole, killed)


def test_a_broken_checkpoint_goes_back_by_one(small_cache, tmp_path, monkeypatch, capsys):
    whole = make(tmp_path / "whole", small_cache)
    folder = tmp_path / "broken"

    def stop_after_two(run, history, kept):
        save(run, history, kept)
        if len(history) == 2:
            raise KeyboardInterrupt

    save = trainer._save
    monkeypatch.setattr(trainer, "_save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        make(folder, small_cache)
    monkeypatch.undo()
    (folder / "epoch-0002.pt").write_bytes((folder / "epoch-0002.pt").read_bytes()[:1000])
    make(folder, small_cache)
    assert "epoch-0002.pt: cannot be read" in capsys.readouterr().err
    assert same(whole, folder)


def test_a_full_disk_loses_nothing(small_cache, tmp_path, monkeypatch):
    """The disk fills while the second checkpoint is written; with space again the run goes on."""
    whole = make(tmp_path / "whole", small_cache)
    folder, calls = tmp_path / "full", []

    def full(path, content):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="epoch-0002.pt: no space left on the disk"):
        make(folder, small_cache)
    assert {p.name for p in folder.glob("*.pt*")} == {"epoch-0001.pt"}
    make(folder, small_cache)
    assert same(whole, folder)


def test_fewer_clips_than_a_batch_are_told(small_cache, tmp_path):
    with pytest.raises(UserError, match="24 training clips do not fill one batch of 64"):
        make(tmp_path / "a", small_cache, override(SMALL, batch_size=64))


def test_a_loss_that_is_not_finite_ends_the_run_with_a_reason(small_cache, tmp_path):
    with pytest.raises(UserError, match="the loss is nan in epoch 1"):
        make(tmp_path / "a", small_cache, override(SMALL, lr=float("inf")))


def test_training_answers_are_kept_where_asked_for(small_cache, tmp_path):
    folder = make(tmp_path / "a", small_cache, override(SMALL, save_train_predictions=True))
    plain = make(tmp_path / "b", small_cache)
    arrays, fewer = runs_folder.read_predictions(folder), runs_folder.read_predictions(plain)
    assert set(arrays) - set(fewer) == {
        *(f"train/{key}" for key in ("label", "cycle", "patient", "device")),
        *(
            f"{name}/train/logits"
            for name in ("test", "last", "validation")
            if f"{name}/test/logits" in arrays
        ),
    }
    assert all(np.array_equal(arrays[key], fewer[key]) for key in fewer)
    last = files.read_json(folder / "result.json")["selections"]["last"]
    assert np.sum(last["train"]["confusion"]) == 24


METHODS = {
    "ce": {"label_smoothing": 0.1},
    "patchmix_ce": {},
    "patchmix_cl": {"precision": "bf16"},
    "mixup": {"model": "resnet18", "batch_size": 8},
    "supcon": {"model": "resnet18", "batch_size": 8, "tau": 0.1},
}


@pytest.mark.parametrize("method", METHODS)
def test_sam_works_with_every_method_and_changes_what_is_learnt(small_cache, tmp_path, method):
    plain = override(SMALL, method=method, epochs=1, save_embeddings=False, **METHODS[method])
    sam = override(plain, rho=0.05)
    first, second = (make(tmp_path / str(e.rho), small_cache, e) for e in (plain, sam))
    one, other = (pd.read_csv(folder / "history.csv") for folder in (first, second))
    assert "rise" not in one and np.isfinite(other.rise).all()
    assert one.loss.item() != other.loss.item()


def test_fp16_with_sam_is_what_it_is_in_fp32_within_its_precision(small_cache, tmp_path):
    found = []
    for precision in ("fp32", "fp16"):
        sam = override(SMALL, method="ce", epochs=1, rho=0.05, precision=precision)
        history = pd.read_csv(make(tmp_path / precision, small_cache, sam) / "history.csv")
        found.append(history.loss.item())
    assert found[0] == pytest.approx(found[1], rel=0.01)
