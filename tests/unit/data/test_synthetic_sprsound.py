"""Synthetic SPRSound: the official layout, same seed same bytes, classes that can be learnt."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib import data
from lib.data import sprsound, synthetic
from lib.data.sprsound import SPRSound
from lib.features import cache
from lib.features.frontends import Mfcc


def tree(root) -> dict[str, str]:
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The default recordings, made once for all tests here."""
    root = tmp_path_factory.mktemp("sprsound")
    synthetic.write_sprsound(root)
    return SPRSound.open(root)


def statistics(source, front, monkeypatch) -> tuple[pd.DataFrame, np.ndarray]:
    monkeypatch.setattr(cache, "available_cores", lambda: 1)
    built = cache.cache_for(source, front, progress=False)
    clips = [np.asarray(built.clip(row), np.float32) for row in range(len(built.cycles))]
    found = [np.concatenate([c.mean(0), c.std(0), np.abs(np.diff(c, axis=0)).mean(0)])
             for c in clips]  # fmt: skip
    return built.cycles, np.stack(found)


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        synthetic.write_sprsound(tmp_path / name, seed, patients=2)
    assert tree(tmp_path / "a") == tree(tmp_path / "b") != tree(tmp_path / "c")


def test_all_labels_of_all_tasks_in_every_part(made):
    assert made.kind == "synthetic" and made.banner.startswith("SYNTHETIC")
    assert SPRSound(made.root).validate() == [] and SPRSound(made.root).remarks().empty
    events, records = SPRSound(made.root).load("event"), SPRSound(made.root).load("record")
    for task, classes in sprsound.TASKS.items():
        table = events if task in events else records
        counts = pd.crosstab(table.subset, table[task])
        assert sorted(counts.columns) == sorted(classes) and counts.to_numpy().min() >= 4
    assert records.patient.nunique() == 40 and sorted(records.subset.unique()) == [
        "inter", "intra", "train"
    ]  # fmt: skip
    child = records.groupby("subset").patient.agg(set)
    assert child["intra"] <= child["train"] and not child["inter"] & child["train"]
    assert records.end.between(3, 12).all()


@pytest.mark.parametrize(("unit", "tasks"), [("event", ("1-1", "1-2")), ("record", ("2-1", "2-2"))])
def test_classes_can_be_learnt(made, unit, tasks, monkeypatch):
    """A linear model on simple statistics of the MFCC, on children whom it never saw."""
    table, x = statistics(made, Mfcc(unit=unit), monkeypatch)
    train, test = (table.index[table.subset == part] for part in ("train", "inter"))
    for task in tasks:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
        model.fit(x[train], table[task][train])
        recalls = recall_score(table[task][test], model.predict(x[test]), average=None)
        assert recalls.min() >= 0.5 and recalls.mean() > 0.75, task


@pytest.mark.parametrize(
    ("label", "low", "high"), [("Rhonchi", 90, 200), ("Wheeze", 250, 450), ("Stridor", 500, 800)]
)
def test_continuous_sounds_differ_in_height(made, label, low, high):
    events, peaks = SPRSound(made.root).load("event"), []
    files = SPRSound(made.root).audio_files()
    for event in events[events["1-2"] == label].itertuples():
        wave, rate = soundfile.read(files[event.recording])
        part = wave[round(event.start * rate) : round(event.end * rate)]
        peaks.append(np.abs(np.fft.rfft(part)).argmax() * rate / len(part))
    assert low < np.median(peaks) < high


def test_written_once(monkeypatch):
    calls, real = [], synthetic.write_sprsound

    def fewer(root, seed=0, patients=40):
        calls.append((seed, patients))
        real(root, seed, 4)

    monkeypatch.setattr(synthetic, "write_sprsound", fewer)
    assert data.synthetic_dataset("sprsound") == data.synthetic_dataset("sprsound")
    assert calls == [(0, 40)] and data.synthetic_dataset("sprsound").kind == "synthetic"
