"""Feature stores: built, resumed, rebuilt when needed and not otherwise, read, refused."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import torchaudio

from lib.data import audio, icbhi, source, sprsound, sprsound_source, synthetic, synthetic_sprsound
from lib.errors import UserError
from lib.features import cache, cache_build
from lib.features.frontends import Fbank, Mfcc, mfcc
from lib.paths import features_root

FRONT = Fbank(clip_seconds=0.5)
LABELLED = {"recording": "a", "cycle": 0, "start": 0.0, "end": 1.0, "split": "train"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Three patients' recordings; built one by one."""
    monkeypatch.setattr(cache_build, "available_cores", lambda: 1)
    synthetic.write(tmp_path / "made", patients=3, cycles=2)
    return tmp_path / "made"


def build(root: Path, front: Fbank = FRONT) -> cache.FeatureCache:
    return cache.cache_for(source(root), front, progress=False)


def contents(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.iterdir()}


def write_cache(path: Path, features: np.ndarray, cycles: pd.DataFrame, **meta) -> Path:
    path.mkdir()
    np.save(path / "features.npy", features)
    cycles.to_csv(path / "cycles.csv", index=False)
    (path / "meta.json").write_text(json.dumps({"mean": 0.0, "std": 1.0, "name": "x"} | meta))
    return path


def labelled(count: int, **columns) -> pd.DataFrame:
    return pd.DataFrame([LABELLED] * count).assign(label="normal", **columns)


def test_features_are_those_of_each_cycle(root):
    """Against one clip at a time through torchaudio's Kaldi port; float16 costs 0.004."""
    built = build(root)
    assert built.features.dtype == np.float16
    assert built.features.shape == (len(built.cycles), FRONT.frames, 128)
    paths = icbhi.audio_files(root)
    for row in range(0, len(built.cycles), 3):
        cycle = built.cycles.loc[row]
        wave = audio.recording_wave(paths[cycle.recording], FRONT)
        clip = torch.from_numpy(audio.cycle_clip(wave, cycle.start, cycle.end, FRONT))
        want = torchaudio.compliance.kaldi.fbank(
            clip[None], htk_compat=True, use_energy=False, window_type="hanning",
            num_mel_bins=128, dither=0.0,
        )  # fmt: skip
        assert np.abs(built.clip(row) - want.numpy()).max() < 0.01
    x = np.asarray(built.features, np.float64)
    assert abs(built.meta["mean"] - x.mean()) < 1e-4 and abs(built.meta["std"] - x.std()) < 1e-4


def test_cycles_and_meta(root):
    built = build(root)
    pd.testing.assert_frame_equal(built.cycles, icbhi.cycles(root))
    assert built.path.parent == features_root() and built.path.name.startswith("icbhi-")
    assert built.meta["note"].startswith("SYNTHETIC") and built.meta["kind"] == "synthetic"
    assert built.meta["front_end"]["clip_seconds"] == 0.5
    assert sorted(contents(built.path)) == ["cycles.csv", "features.npy", "meta.json"]


def test_threads_give_the_same_bytes(root, monkeypatch, tmp_path):
    alone = contents(build(root).path)
    monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / "other"))
    monkeypatch.setattr(cache_build, "available_cores", lambda: 2)
    assert contents(build(root).path) == alone


def test_only_recordings_with_audio(root):
    gone = next(iter(icbhi.audio_files(root).values()))
    gone.unlink()
    built = build(root)
    assert gone.stem not in set(built.cycles.recording) and len(built.cycles) > 0
    assert len(built.cycles) == len(built.features)


def test_rebuilt_when_an_input_or_setting_changes_and_not_otherwise(root, monkeypatch):
    first = build(root)
    calls = []
    real = cache_build._features
    monkeypatch.setattr(cache_build, "_features", lambda job: calls.append(job) or real(job))
    path = next(iter(icbhi.audio_files(root).values()))
    os.utime(path)  # touched, but the same bytes
    assert build(root).path == first.path and calls == []
    assert build(root, replace(FRONT, pad="zero")).path != first.path and calls
    annotation = path.with_suffix(".txt")
    text = annotation.read_text()
    annotation.write_text(text[:-2] + ("0" if text[-2] == "1" else "1") + "\n")
    changed = build(root)
    assert changed.meta["fingerprint"] != first.meta["fingerprint"]
    wave, rate = soundfile.read(path)
    soundfile.write(path, wave * 0.5, rate)
    assert build(root).meta["fingerprint"] != changed.meta["fingerprint"]


def test_an_interrupted_build_goes_on(root, monkeypatch, tmp_path):
    whole = contents(build(root).path)
    monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / "other"))
    real, calls = cache_build._features, []

    def third_fails(job):
        calls.append(job[0])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(job)

    monkeypatch.setattr(cache_build, "_features", third_fails)
    with pytest.raises(KeyboardInterrupt):
        build(root)
    (half,) = (tmp_path / "other").glob("icbhi-*")
    with pytest.raises(UserError, match="no finished feature store"):
        cache.open_cache(half)
    with open(half / "progress.txt", "a") as log:
        log.write(calls[2].stem)  # cut short: no end of line, so it does not count
    assert contents(build(root).path) == whole
    assert 1 <= len(calls) - len(set(calls)) < len(set(calls)) - 1


def test_a_name_cut_short_twice_is_no_recording(root, monkeypatch, tmp_path):
    whole = contents(build(root).path)
    monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / "other"))
    for cut in ("101_", "102_"):
        with monkeypatch.context() as patch:
            patch.setattr(cache_build, "_write", stops)
            with pytest.raises(KeyboardInterrupt):
                build(root)
        (log,) = (tmp_path / "other").glob("icbhi-*/progress.txt")
        with open(log, "a") as out:
            out.write(cut)
    assert contents(build(root).path) == whole


def stops(*_):
    raise KeyboardInterrupt


def test_what_could_not_be_synced_is_made_again(root, monkeypatch, tmp_path):
    """A disk or a server may say only then that it is full; asked again, it says no more."""
    whole = contents(build(root).path)
    monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / "other"))
    real, sync, answers = cache_build._write, os.fsync, [OSError(28, "No space left on device")]

    def full_once(descriptor):
        if answers:
            raise answers.pop()
        sync(descriptor)

    def then_full(*given):
        real(*given)
        monkeypatch.setattr(os, "fsync", full_once)

    with monkeypatch.context() as patch:
        patch.setattr(cache_build, "SYNC_SECONDS", 0)
        patch.setattr(cache_build, "_write", then_full)
        with pytest.raises(UserError, match="features.npy: no space left"):
            build(root)
    (log,) = (tmp_path / "other").glob("icbhi-*/progress.txt")
    assert log.read_text() == ""
    assert contents(build(root).path) == whole


def test_two_builders_without_locks_do_not_finish_one_another_s_store(root, monkeypatch):
    real = cache_build._write

    def other_begins(*given):
        (target,) = features_root().glob("icbhi-*/features.npy")
        target.unlink()
        target.write_bytes(b"another one's")
        real(*given)

    monkeypatch.setattr(cache_build, "_write", other_begins)
    with pytest.raises(UserError, match="another command builds it too"):
        build(root)
    assert not list(features_root().glob("icbhi-*/meta.json"))


def test_a_build_that_is_killed_goes_on(root, tmp_path, monkeypatch):
    whole = contents(build(root).path)
    monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / "other"))
    code = (
        "import sys, time; from pathlib import Path; from lib import store, store_build\n"
        "from lib.data import source; from lib.features.frontends import FrontEnd\n"
        "store_build.cores = lambda: 1; real = store_build._features\n"
        "store_build._features = lambda job: time.sleep(0.3) or real(job)\n"
        "store.store_for(source(Path(sys.argv[1])), FrontEnd(clip_seconds=0.5), progress=False)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(root)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        logs = list((tmp_path / "other").glob("icbhi-*/progress.txt"))
        if logs and logs[0].read_text().count("\n") >= 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert logs and not (logs[0].parent / "meta.json").exists()
    assert contents(build(root).path) == whole


def test_all_bad_recordings_are_told_and_the_good_ones_kept(root):
    first, second, *rest = icbhi.audio_files(root).values()
    first.write_bytes(first.read_bytes()[:-100])
    second.with_suffix(".txt").write_text("0\t1\t0\t0\n90\t91\t0\t0\n")
    with pytest.raises(UserError) as error:
        build(root)
    text = str(error.value)
    assert text.startswith("2 faults") and f"{first}: truncated" in text
    assert f"{second}: annotated to 91.000 s, but it ends at" in text
    (log,) = features_root().glob("icbhi-*/progress.txt")
    assert sorted(log.read_text().split()) == sorted(path.stem for path in rest)


def test_no_disk_space(root, monkeypatch):
    """At once for the whole file, or later for a recording's features; what is done is kept."""
    no_space = OSError(28, "No space left on device")
    real = cache_build._write

    def full(*given):
        raise no_space

    with monkeypatch.context() as patch:
        patch.setattr(cache_build, "_write_empty", full)
        with pytest.raises(UserError, match="features.npy: no space left"):
            build(root)
    (folder,) = features_root().glob("icbhi-*")
    assert contents(folder) == {}
    left = [real, real, full]
    monkeypatch.setattr(cache_build, "_write", lambda *given: left.pop(0)(*given))
    with pytest.raises(UserError, match="features.npy: no space left"):
        build(root)
    assert len((folder / "progress.txt").read_text().split()) == 2
    monkeypatch.setattr(cache_build, "_write", real)
    assert np.isfinite(build(root).features).all()


def test_ragged_store(tmp_path):
    flat = np.arange(40, dtype=np.float16).reshape(10, 4)
    cycles = labelled(3, offset=[0, 2, 5], frames=[2, 3, 3]).drop(columns="label")
    cycles = cycles.assign(**{"1-1": ["a", "b", "c"]})
    ragged = cache.open_cache(write_cache(tmp_path / "s", flat, cycles, mean=1.0, std=0.5))
    np.testing.assert_array_equal(ragged.clip(1), flat[2:5])


@pytest.fixture
def children(tmp_path, monkeypatch):
    """The recordings of four synthetic children, in SPRSound's layout."""
    monkeypatch.setattr(cache_build, "available_cores", lambda: 1)
    synthetic_sprsound.write(tmp_path / "made", patients=4)
    return sprsound_source(tmp_path / "made")


@pytest.mark.parametrize("unit", ["event", "record"])
def test_a_ragged_store_is_built_of_each_clip(children, unit):
    front = Mfcc(unit=unit)
    built = cache.cache_for(children, front, progress=False)
    table = (sprsound.events if unit == "event" else sprsound.records)(children.root)
    pd.testing.assert_frame_equal(built.cycles[list(table)], table)
    assert built.features.shape == (built.cycles.frames.sum(), 64)
    paths = sprsound.audio_files(children.root)
    for row in range(0, len(table), 5):
        cycle = table.loc[row]
        wave, rate = soundfile.read(paths[cycle.recording], dtype="float32")
        clip = torch.from_numpy(wave[round(cycle.start * rate) : round(cycle.end * rate)])
        want = mfcc(clip, front).numpy()
        np.testing.assert_allclose(built.clip(row), want, rtol=1e-3, atol=1e-3)
    x = np.asarray(built.features, np.float64)
    assert abs(built.meta["mean"] - x.mean()) < 1e-4 and abs(built.meta["std"] - x.std()) < 1e-4
    assert built.path.name.startswith("sprsound-") and built.meta["dataset"] == "sprsound"
    assert built.meta["name"] == "synthetic SPRSound" and built.meta["n_mfcc"] == 64
    cache.require_frontend(built, front)
    with pytest.raises(UserError, match="coefficients is 64, wanted 32"):
        cache.require_frontend(built, replace(front, n_mfcc=32))


def test_events_as_fixed_clips(children):
    """As ICBHI's cycles, in its four classes: every experiment on those runs on these."""
    built = cache.cache_for(children, FRONT, progress=False)
    assert built.features.shape == (len(built.cycles), FRONT.frames, 128)
    assert set(built.cycles.label) == {"normal", "crackle", "wheeze", "both"}
    assert {"part", "age", "gender"} <= set(built.cycles)
    assert set(built.cycles.part) == {"train", "inter", "intra"}
    path = sprsound.audio_files(children.root)[built.cycles.recording[5]]
    clip = audio.cycle_clip(
        audio.recording_wave(path, FRONT), *built.cycles.loc[5, ["start", "end"]], FRONT
    )
    want = torchaudio.compliance.kaldi.fbank(
        torch.from_numpy(clip)[None], htk_compat=True, use_energy=False, window_type="hanning",
        num_mel_bins=128, dither=0.0,
    )  # fmt: skip
    assert np.abs(built.clip(5) - want.numpy()).max() < 0.01


def test_an_interrupted_ragged_build_goes_on(children, monkeypatch, tmp_path):
    whole = contents(cache.cache_for(children, Mfcc(), progress=False).path)
    monkeypatch.setenv("FEATURES_ROOT", str(tmp_path / "other"))
    real, calls = cache_build._features, []

    def third_fails(job):
        calls.append(job[0])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(job)

    monkeypatch.setattr(cache_build, "_features", third_fails)
    with pytest.raises(KeyboardInterrupt):
        cache.cache_for(children, Mfcc(), progress=False)
    assert contents(cache.cache_for(children, Mfcc(), progress=False).path) == whole
    assert 1 <= len(calls) - len(set(calls)) < len(set(calls)) - 1


def test_a_store_of_one_part_keeps_its_name(tmp_path):
    """All parts are "2023": still text, not a number."""
    path = write_cache(tmp_path / "s", np.zeros((1, 2, 3)), labelled(1, part="2023"))
    assert cache.open_cache(path).cycles.part.tolist() == ["2023"]


@pytest.mark.parametrize(
    ("shape", "columns", "meta", "fault"),
    [
        ((2, 4, 3), {}, {}, r"features.npy \(2, 4, 3\) does not fit 3 cycles"),
        ((9, 3), {}, {}, "neither fixed nor ragged"),
        ((9, 3), {"offset": [0, 3, 8], "frames": 3}, {}, "does not fit"),
        ((9, 3), {"offset": [-1, 3, 6], "frames": 3}, {}, "does not fit"),
        ((3, 4, 3), {}, {"mean": None}, "lacks the numbers mean and std"),
        ((3, 4, 3), {}, {"std": "1"}, "lacks the numbers mean and std"),
    ],
)
def test_a_store_that_does_not_fit_is_refused(tmp_path, shape, columns, meta, fault):
    path = write_cache(tmp_path / "s", np.zeros(shape), labelled(3, **columns), **meta)
    with pytest.raises(UserError, match=f"{path}: .*{fault}"):
        cache.open_cache(path)


@pytest.mark.parametrize(
    ("drop", "fault"), [("split", "lacks the columns split"), ("label", "lacks a column of labels")]
)
def test_missing_columns_are_told(tmp_path, drop, fault):
    path = write_cache(tmp_path / "s", np.zeros((1, 2, 3)), labelled(1).drop(columns=drop))
    with pytest.raises(UserError, match=fault):
        cache.open_cache(path)


@pytest.mark.parametrize("name", ["meta.json", "cycles.csv", "features.npy"])
@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY{"])
def test_missing_and_broken_files_are_told(tmp_path, name, content):
    path = write_cache(tmp_path / "s", np.zeros((1, 2, 3)), labelled(1))
    (path / name).unlink()
    if content is not None:
        (path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{path}.*again"):
        cache.open_cache(path)


def test_a_fingerprint_is_made_when_it_is_missing(tmp_path):
    paths = [
        write_cache(tmp_path / name, np.full((1, 2, 3), value), labelled(1))
        for name, value in (("a", 1), ("b", 1), ("c", 2))
    ]
    a, b, c = (cache.open_cache(path).meta["fingerprint"] for path in paths)
    assert a == b != c and len(a) == 64
    given = write_cache(tmp_path / "d", np.zeros((1, 2, 3)), labelled(1), fingerprint="f")
    assert cache.open_cache(given).meta["fingerprint"] == "f"


def test_require_names_what_differs(root, tmp_path):
    built = build(root)
    cache.require_frontend(built, FRONT)
    with pytest.raises(UserError, match="pad is 'repeat', wanted 'zero'.*give another store"):
        cache.require_frontend(built, replace(FRONT, pad="zero"))
    foreign = write_cache(tmp_path / "s", np.zeros((1, 798, 128)), labelled(1))
    cache.require_frontend(cache.open_cache(foreign), Fbank())
    with pytest.raises(UserError, match="frames is 798, wanted 48"):
        cache.require_frontend(cache.open_cache(foreign), FRONT)


@pytest.mark.real
def test_real_store_opens_in_a_second_and_foreign_ones_too(real_root, tmp_path):
    script = real_root.parent / "icbhi_mel/build_store.py"
    if not script.exists():
        pytest.skip("no builder of a foreign store beside the recordings")
    out = tmp_path / "mel"
    subprocess.run([sys.executable, script, out, "--limit", "20"], check=True)
    foreign = cache.open_cache(out)
    cache.require_frontend(foreign, Fbank())
    assert foreign.features.shape == (20, 798, 128)
    assert "not like for like" in foreign.meta["note"]
    code = f"from lib.features.cache import open_store; open_store({str(out)!r})"
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert time.monotonic() - start < 2  # with Python's own start and pandas
