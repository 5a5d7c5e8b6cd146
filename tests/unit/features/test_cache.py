"""Feature caches: the same bytes on any number of cores, interrupted builds, damaged files."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from lib.data import audio, synthetic
from lib.data.icbhi import ICBHI
from lib.data.sprsound import SPRSound
from lib.errors import UserError
from lib.features import cache
from lib.features.frontends import Fbank, Mfcc, fbank, mfcc

FRONT = Fbank(clip_seconds=2.0)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    synthetic.write_icbhi(folder / "icbhi", patients=4, cycles=4)
    synthetic.write_sprsound(folder / "sprsound", patients=4)
    return folder


@pytest.fixture
def icbhi(roots):
    return ICBHI.open(roots / "icbhi")


def files(path):
    return {one.name: one.read_bytes() for one in sorted(path.iterdir())}


def test_features_are_those_of_each_cycle(icbhi):
    built = cache.cache_for(icbhi, FRONT, progress=False)
    assert built.features.shape == (len(icbhi.load()), FRONT.frames, 128)
    assert built.features.dtype == np.float16 and not built.features.flags.writeable
    for row in (0, 7, len(built.cycles) - 1):
        cycle = built.cycles.loc[row]
        wave = audio.recording_wave(icbhi.audio_files()[cycle.recording], FRONT)
        clip = torch.from_numpy(audio.cycle_clip(wave, cycle.start, cycle.end, FRONT))
        np.testing.assert_array_equal(built.clip(row), fbank(clip[None], FRONT)[0].half().numpy())
    numbers = np.asarray(built.features, np.float64)
    assert built.meta["mean"] == pytest.approx(numbers.mean(), abs=1e-4)
    assert built.meta["std"] == pytest.approx(numbers.std(), abs=1e-4)
    assert built.meta["fingerprint"] == cache.data_fingerprint(icbhi, FRONT)


@pytest.mark.parametrize("unit", ["event", "record"])
def test_clips_of_variable_length_lie_one_behind_the_other(roots, unit):
    dataset, front = SPRSound.open(roots / "sprsound"), Mfcc(unit=unit, n_mfcc=8)
    built = cache.cache_for(dataset, front, progress=False)
    assert built.features.shape == (built.cycles.frames.sum(), 8)
    assert (built.cycles.offset == built.cycles.frames.cumsum() - built.cycles.frames).all()
    cycle = built.cycles.loc[3]
    wave, rate = audio.read(dataset.audio_files()[cycle.recording])
    clip = torch.from_numpy(audio.excerpt(wave, cycle.start, cycle.end, rate))
    np.testing.assert_array_equal(built.clip(3), mfcc(clip, front).numpy().astype(np.float16))


def test_the_same_bytes_on_any_number_of_cores(icbhi, monkeypatch, tmp_path):
    made = []
    for cores in (1, 3):
        monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / str(cores)))
        monkeypatch.setattr(cache, "available_cores", lambda cores=cores: cores)
        made.append(files(cache.cache_for(icbhi, FRONT, progress=False).path))
    assert made[0] == made[1]
    assert set(made[0]) == {"cycles.csv", "features.npy", "meta.json"}


def test_an_interrupted_build_continues_with_the_same_bytes(icbhi, monkeypatch, tmp_path):
    whole = files(cache.cache_for(icbhi, FRONT, progress=False).path)
    monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / "again"))
    monkeypatch.setattr(cache, "available_cores", lambda: 1)
    real, calls = cache.recording_features, []

    def third_stops(*given):
        calls.append(given[0])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(cache, "recording_features", third_stops)
    with pytest.raises(KeyboardInterrupt):
        cache.cache_for(icbhi, FRONT, progress=False)
    before = set(calls[:2])
    calls[:] = [None] * 3
    assert files(cache.cache_for(icbhi, FRONT, progress=False).path) == whole
    assert not before & set(calls)  # finished recordings are not computed again


def test_another_input_setting_or_version_is_another_folder(icbhi, monkeypatch):
    first = cache.cache_for(icbhi, FRONT, progress=False)
    assert cache.cache_for(icbhi, FRONT, progress=False).path == first.path
    other = cache.cache_for(icbhi, Fbank(clip_seconds=1.0), progress=False)
    assert other.path != first.path
    monkeypatch.setattr(cache, "VERSION", 0)
    newer = cache.cache_for(icbhi, FRONT, progress=False)
    assert newer.path != first.path and newer.meta["fingerprint"] == first.meta["fingerprint"]


def test_all_recordings_with_problems_are_named_at_once(tmp_path):
    synthetic.write_icbhi(tmp_path, patients=4, cycles=4)
    dataset = ICBHI.open(tmp_path)
    first, second, *_ = dataset.audio_files().values()
    first.write_bytes(b"no sound")
    second.write_bytes(second.read_bytes()[:4000])
    with pytest.raises(UserError, match=f"(?s)2 problems.*{first.name}.*{second.name}"):
        cache.cache_for(dataset, FRONT, progress=False)


def damaged(path, name, change):
    text = (path / name).read_bytes()
    (path / name).write_bytes(change(text))


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("features.npy", lambda text: text[:100], "features.npy"),
        ("cycles.csv", lambda text: text.replace(b"split", b"spilt", 1), "lacks the columns split"),
        ("cycles.csv", lambda text: text.replace(b"label", b"table", 1), "column of labels"),
        ("cycles.csv", lambda text: text[: len(text) // 2], "does not fit|not a readable table"),
        ("meta.json", lambda text: text.replace(b'"mean"', b'"men"'), "mean and std"),
        ("meta.json", lambda text: text[:20], "not valid JSON"),
    ],
)
def test_a_damaged_cache_is_named(icbhi, name, change, problem):
    path = cache.cache_for(icbhi, FRONT, progress=False).path
    damaged(path, name, change)
    with pytest.raises(UserError, match=problem):
        cache.open_cache(path)


def test_a_cache_from_elsewhere(tmp_path):
    with pytest.raises(UserError, match="no complete feature cache"):
        cache.open_cache(tmp_path)
    cycles = pd.DataFrame({"recording": "a", "cycle": [0, 1], "start": 0, "end": 1,
                           "label": "normal", "split": "train"})  # fmt: skip
    cycles.to_csv(tmp_path / "cycles.csv", index=False)
    np.save(tmp_path / "features.npy", np.zeros((2, 40, 128), np.float16))
    (tmp_path / "meta.json").write_text(json.dumps({"mean": 0, "std": 1}))
    given = cache.open_cache(tmp_path)
    assert len(given.meta["fingerprint"]) == 64
    with pytest.raises(UserError, match=f"frames is 40, needed {FRONT.frames}"):
        cache.require_frontend(given, FRONT)
