"""Synthetic recordings: the official layout, same seed same bytes, sounds as described."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import butter, sosfilt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib import data
from lib.config import Experiment
from lib.data import CLASSES, icbhi, synthetic
from lib.data.icbhi import ICBHI
from lib.errors import UserError
from lib.features import cache
from lib.features.frontends import Fbank, frontend_for
from lib.files import read_json
from lib.paths import PROJECT, features_root
from lib.training import trainer

TRAITS = {
    "cycle_seconds": 2.5, "breath_low_hz": 100, "breath_high_hz": 500, "wheeze_hz": 300,
    "crackle_fine": 1.0, "heart_hz": 1.2, "heart_gain": 0.5,
}  # fmt: skip


def tree(root) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        synthetic.write_icbhi(tmp_path / name, seed, patients=2, cycles=2)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert tree(tmp_path / "a") != tree(tmp_path / "c")


def test_the_first_patients_do_not_depend_on_the_number_of_patients(tmp_path):
    synthetic.write_icbhi(tmp_path / "a", patients=1, cycles=2)
    synthetic.write_icbhi(tmp_path / "b", patients=2, cycles=2)
    folder = tree(tmp_path / "a" / ICBHI.folder)
    assert folder.items() <= tree(tmp_path / "b" / ICBHI.folder).items()


def test_default_is_the_official_layout_and_can_be_learnt(tmp_path):
    """A linear model on simple statistics passes Score 70 on patients it never saw."""
    source = data.find_dataset("icbhi")
    assert source.kind == "synthetic" and source.banner.startswith("SYNTHETIC")
    assert ICBHI(source.root).validate() == []
    with pytest.raises(UserError, match="made up, but real recordings are needed"):
        data.require_official(source, "paper")
    cycles = ICBHI(source.root).load()
    train, test = (cycles[cycles.split == side] for side in ("train", "test"))
    assert not set(train.patient) & set(test.patient)
    assert set(cycles.device) == set(icbhi.DEVICES) and cycles.patient.nunique() == 40
    assert set(train.label) == set(test.label) == set(CLASSES)
    sc = cycles[cycles.recording.str.contains("_sc_")]
    assert len(sc) > 0.6 * len(cycles) and set(sc[sc.split == "test"].label) == set(CLASSES)
    infos = [soundfile.info(path) for path in ICBHI(source.root).audio_files().values()]
    assert {info.samplerate for info in infos} == {4000, 10000, 44100}
    assert {info.subtype for info in infos} == {"PCM_16", "PCM_24"}

    features = cache.cache_for(source, Fbank(clip_seconds=3.0), progress=False)
    x = np.asarray(features.features, np.float32)
    x = np.concatenate([x.mean(1), x.std(1), np.diff(x, axis=1).std(1)], axis=1)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    model.fit(x[train.index], train.label)
    right = model.predict(x[test.index]) == test.label
    normal = test.label == "normal"
    assert 50 * (right[normal].mean() + right[~normal].mean()) > 70


def test_positive_control(tmp_path):
    """The smallest AST with plain CE passes Score 70 in its last epoch: the way from sounds to
    scores learns what can be learnt. About a minute. Measured: 76.5 and 87.1 (seeds 1 and 2);
    fewer epochs are not enough for every seed (40 gave 82.8, 62.3 and 86.9)."""
    torch.set_num_threads(1)
    experiment = Experiment(
        "control", size="nano", stride=16, clip_seconds=2.0, normalise="dataset", batch_size=8,
        lr=2e-3, epochs=25, spec_augment=0.0, moving_average=0.0,
    )  # fmt: skip
    source, front = data.synthetic_dataset("icbhi"), frontend_for(experiment)
    features = cache.cache_for(source, front, progress=False)
    trainer.fit(experiment, 1, features, front.frames, tmp_path / "run")
    selections = read_json(tmp_path / "run/result.json")["selections"]
    assert selections["last"]["test"]["score"] > 60  # always one class: 50


def test_written_once(monkeypatch):
    root = synthetic.default_root("icbhi")
    before = tree(root)
    monkeypatch.setattr(synthetic, "write_icbhi", None)
    assert synthetic.default_root("icbhi") == root and tree(root) == before


def test_every_patient_has_every_class(tmp_path):
    synthetic.write_icbhi(tmp_path, patients=3, cycles=2)
    seen = ICBHI(tmp_path).load().groupby("patient").label.agg(set)
    assert all(labels == set(CLASSES) for labels in seen)


def test_a_wheeze_is_a_harmonic_tone_between_100_and_1000_hz():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        tone = synthetic._wheeze(rng, 8000, hz := rng.uniform(150, 450), 0.3)
        power = np.abs(np.fft.rfft(tone * np.hanning(len(tone)))) ** 2
        hertz = np.fft.rfftfreq(len(tone), 1 / 8000)
        assert len(tone) >= 800 and np.isfinite(tone).all()
        assert power[(hertz > 100) & (hertz < 1050)].sum() > 0.99 * power.sum()
        assert abs(hertz[power.argmax()] / hz - 1) < 0.25


@pytest.mark.parametrize(("fine", "low", "high"), [(True, 500, 1000), (False, 200, 500)])
def test_a_crackle_is_short_and_fine_ones_are_higher(fine, low, high):
    for seed in range(20):
        crackle = synthetic._crackle(np.random.default_rng(seed), 8000, fine)
        power = np.abs(np.fft.rfft(crackle, 8000)) ** 2
        assert low < power.argmax() < high
        energy = np.cumsum(crackle**2) / (crackle**2).sum()
        assert (energy < 0.99).sum() / 8000 < (0.005 if fine else 0.015)


@pytest.mark.parametrize("label", CLASSES)
def test_what_a_cycle_holds(label):
    """Crackles click above the breath's band; a wheeze is a narrow line in the expiration."""
    clicks, narrow = [], []
    above = butter(4, 1000, "high", fs=8000, output="sos")
    for seed in range(10):
        sound = synthetic.cycle_sound(np.random.default_rng(seed), label, 2.5, 8000, TRAITS)
        assert sound.shape == (20000,)
        clicks.append(np.abs(sosfilt(above, sound)).max())
        power = np.abs(np.fft.rfft(sound[9000:17000])) ** 2
        narrow.append(np.sort(power)[-30:].sum() / power.sum())
    assert (np.mean(clicks) > 0.8) == (label in ("crackle", "both"))
    assert (np.mean(narrow) > 0.35) == (label in ("wheeze", "both"))


def test_a_disk_that_fills_is_one_sentence(tmp_path):
    """A limit of 20,000 bytes for a file stands for it; nothing half-written stays."""
    code = (
        "import resource, signal\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from lib.data import synthetic\n"
        "from lib.errors import UserError\n"
        "try: synthetic.default_root('{}')\n"
        "except UserError as error: print(error)\n"
    )
    for name in ("icbhi", "sprsound"):
        command = [sys.executable, "-c", code.format(name)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
        assert done.stderr == ""
        assert done.stdout.startswith(
            f"{features_root()}/synthetic-{name}-v1: larger than the disk"
        )
        assert list(features_root().iterdir()) == []
