"""Feature caches: the same bytes on any number of cores, interrupted builds, damaged files."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import soundfile
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


def test_what_a_builder_killed_at_its_end_left_is_removed(icbhi):
    path = cache.cache_for(icbhi, FRONT, progress=False).path
    whole = files(path)
    (path / cache.WORK).mkdir()
    (path / cache.WORK / "101_1b1_Al_sc_Meditron.npy").write_bytes(b"features")
    assert cache.cache_for(icbhi, FRONT, progress=False).path == path
    assert not (path / cache.WORK).exists() and files(path) == whole


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
        ("cycles.csv", lambda text: text[: len(text) // 2], "not a readable|has the split"),
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


# What is checked when a cache is opened


@pytest.fixture
def given(tmp_path):
    """A function that writes a good cache of 4 clips, changed by keywords; returns its folder."""

    def write(features=None, meta=None, **columns):
        table = {"recording": ["a", "a", "b", "b"], "cycle": [0, 1, 0, 1], "start": 0.0, "end": 1.0,
                 "label": ["normal", "crackle", "wheeze", "both"],
                 "split": ["train", "train", "test", "test"]}  # fmt: skip
        folder = tmp_path / "given"
        folder.mkdir(exist_ok=True)
        pd.DataFrame(table | columns).to_csv(folder / "cycles.csv", index=False)
        clips = np.random.default_rng(0).normal(size=(4, 40, 128)).astype(np.float16)
        np.save(folder / "features.npy", clips if features is None else features(clips))
        (folder / "meta.json").write_text(json.dumps({"mean": 0.0, "std": 1.0} | (meta or {})))
        return folder

    assert len(cache.open_cache(write()).cycles) == 4
    return write


def with_value(value):
    def change(clips):
        clips[2, 3, 4] = value
        return clips

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"features": lambda x: x.astype(np.int16)}, "int16 numbers, not float16"),
        ({"features": lambda x: x > 0}, "bool numbers, not float16"),
        ({"features": lambda x: x.astype(np.float32)}, "float32 numbers, not float16"),
        ({"features": with_value(np.nan)}, "NaN or infinite"),
        ({"features": with_value(-np.inf)}, "NaN or infinite"),
        ({"features": lambda x: x[:, :, :64], "meta": {"mels": 128}}, "64 mels, but .* names 128"),
        ({"features": lambda x: x[:, :, :64], "meta": {"frontend": {"mels": 128}}}, "64 mels"),
        ({"features": lambda x: x[:, :39], "meta": {"frames": 40}}, "39 frames, but .* names 40"),
        ({"features": lambda x: x[:3]}, "does not fit 4 cycles"),
        ({"split": ["Train", "train", "test", "test"]}, "the split 'Train', not one of"),
        ({"label": ["normal", "Crackle", "wheeze", "both"]}, "the label 'Crackle', not one of"),
        ({"label": ["normal", "", "wheeze", "both"]}, "the label '', not one of"),
        ({"1-1": ["Normal", "Normal", "Normal", "Rhonchi"]}, "the 1-1 'Rhonchi', not one of"),
        ({"cycle": [0, 0, 0, 1]}, "cycle 0 of a twice"),
        ({"end": [1.0, 0.0, 1.0, 1.0]}, "a start that is not a number before its end"),
        ({"end": ["1.0", "1_0", "1.0", "1.0"]}, "a start that is not a number before its end"),
        ({"meta": {"std": 0}}, "the std 0, which cannot be"),
        ({"meta": {"std": float("nan")}}, "the std nan, which cannot be"),
        ({"meta": {"mean": float("inf")}}, "the mean inf"),
        ({"meta": {"std": True}}, "lacks the numbers mean and std"),
        ({"meta": {"frontend": "fbank"}}, "another kind of value than expected for frontend"),
        ({"meta": {"fingerprint": 7}}, "another kind of value than expected for fingerprint"),
    ],
)  # fmt: skip
def test_a_given_cache_is_checked(given, change, problem):
    folder = given(**change)
    with pytest.raises(UserError, match=f"{folder}: .*{problem}.*; build it again"):
        cache.open_cache(folder)


def test_a_given_table_that_another_program_saved(given):
    folder = given()
    fingerprint = cache.open_cache(folder).meta["fingerprint"]
    text = (folder / "cycles.csv").read_text()
    (folder / "cycles.csv").write_bytes(text.encode("utf-16"))
    opened = cache.open_cache(folder)
    assert len(opened.cycles) == 4 and opened.meta["fingerprint"] != fingerprint


@pytest.mark.parametrize("name", ["features.npy", "cycles.csv"])
def test_a_flipped_bit_is_noticed(icbhi, name):
    """At once if the file's time has changed too, else where all of it is read again."""
    path = cache.cache_for(icbhi, FRONT, progress=False).path
    before, content = (path / name).stat(), bytearray((path / name).read_bytes())
    content[-3] ^= 1 if name == "features.npy" else 0
    content = content if name == "features.npy" else content.replace(b"101_", b"102_", 1)
    (path / name).write_bytes(content)
    problem = f"{path}: {name} has changed since it was written"
    with pytest.raises(UserError, match=problem):
        cache.open_cache(path)
    os.utime(path / name, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UserError, match=problem):
        cache.open_cache(path, reread=True)


def test_a_damaged_cache_is_computed_again(icbhi, capsys):
    whole = files(cache.cache_for(icbhi, FRONT, progress=False).path)
    path = cache.cache_for(icbhi, FRONT, progress=False).path
    assert capsys.readouterr().err == ""
    damaged(path, "features.npy", lambda text: text[:-2] + b"\0\x7e")  # a NaN
    assert files(cache.cache_for(icbhi, FRONT, progress=False).path) == whole
    assert "features.npy has changed since it was written" in capsys.readouterr().err


# Recordings that are odd


def test_odd_recordings_are_used_and_named(tmp_path, capsys):
    """Silence, a dead channel, and a cycle that ends after its recording."""
    synthetic.write_icbhi(tmp_path, patients=4, cycles=4)
    dataset = ICBHI.open(tmp_path)
    silent, half, short, *_ = dataset.audio_files().values()
    for path, channels in ((silent, [0]), (half, [1, 0]), (short, [1])):
        wave, rate = soundfile.read(path)
        cut = len(wave) - int(0.45 * rate) if path == short else len(wave)
        soundfile.write(path, np.outer(wave[:cut], channels), rate)
    built = cache.cache_for(dataset, FRONT, progress=False)
    remarks = built.meta["remarks"]
    assert remarks[silent.stem] == "digital silence" and remarks[half.stem] == "channel 2 is silent"
    # a synthetic recording ends 0.1 s after its last cycle
    assert remarks[short.stem] == "cycles cut at the end of the recording: 1 (by 0.350 s)"
    said = capsys.readouterr().err
    assert said.startswith("3 of ") and f"{silent.stem}: digital silence" in said
    last = built.cycles[built.cycles.recording == short.stem].end.max()
    assert last == pytest.approx(audio.length_seconds(short))
    assert np.isfinite(built.features).all()
    cache.cache_for(dataset, FRONT, progress=False)
    assert capsys.readouterr().err == ""  # said once


def test_clips_of_variable_length_fit_a_recording_that_is_cut(tmp_path):
    synthetic.write_icbhi(tmp_path, patients=2, cycles=4)
    dataset, front = ICBHI.open(tmp_path), Mfcc(n_mfcc=8)
    short = next(iter(dataset.audio_files().values()))
    wave, rate = soundfile.read(short)
    soundfile.write(short, wave[: len(wave) - int(0.45 * rate)], rate)
    built = cache.cache_for(dataset, front, progress=False)
    assert len(built.features) == built.cycles.frames.sum()


@pytest.mark.parametrize("late", [0.7, 20])
def test_a_cycle_too_far_past_the_end_is_an_error(tmp_path, late):
    synthetic.write_icbhi(tmp_path, patients=1, cycles=4)
    dataset = ICBHI.open(tmp_path)
    path = next(iter(dataset.audio_files().values()))
    wave, rate = soundfile.read(path)
    soundfile.write(path, wave[: max(rate, len(wave) - int(late * rate))], rate)
    with pytest.raises(UserError, match=f"{path}: annotated to .* but it ends at"):
        cache.cache_for(dataset, FRONT, progress=False)


def test_features_that_are_not_finite_are_not_stored(icbhi, monkeypatch):
    real = cache.recording_features

    def overflow(audio, cycles, frontend):
        features = real(audio, cycles, frontend)
        features[0, 0, 0] = np.inf
        return features

    monkeypatch.setattr(cache, "recording_features", overflow)
    with pytest.raises(UserError, match="(?s)problems.*its features are not finite; fetch it"):
        cache.cache_for(icbhi, FRONT, progress=False)
