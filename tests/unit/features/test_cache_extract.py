"""What a store holds of a recording: where its clips lie, and clips of both kinds."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from lib.data import audio
from lib.errors import UserError
from lib.features import cache_extract
from lib.features.frontends import Fbank, Mfcc, fbank, mfcc

FRONT = Mfcc(n_mfcc=8, mels=20)
TABLE = pd.DataFrame(
    {"recording": ["a", "a", "b"], "start": [0.0, 0.5, 0.1], "end": [0.4, 2.0, 0.102]}
)


@pytest.fixture
def path(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16000)
    soundfile.write(tmp_path / "a.wav", noise, 8000)
    return tmp_path / "a.wav"


def test_ragged_clips_lie_one_behind_the_other():
    table, shape = cache_extract.placed(TABLE, FRONT)
    assert table.frames.tolist() == [1 + 3200 // 128, 1 + 12000 // 128, 1]
    assert table.offset.tolist() == [0, 26, 120] and shape == (121, 8)
    groups = dict(list(table.groupby("recording")))
    assert cache_extract.rows(groups["a"]) == slice(0, 120)
    assert cache_extract.rows(groups["b"]) == slice(120, 121)


def test_fixed_clips_are_the_rows_of_the_table():
    table, shape = cache_extract.placed(TABLE, Fbank(clip_seconds=1.0))
    assert table is TABLE and shape == (3, 98, 128)
    assert cache_extract.rows(table.loc[1:2]) == slice(1, 3)


def test_mfcc_of_each_clip_scaled_by_itself(path):
    times = [[0.0, 0.4], [0.5, 2.0]]
    got = cache_extract.features(path, times, FRONT)
    wave, _ = audio.read(path)
    parts = [torch.from_numpy(wave[a:b]) for a, b in ((0, 3200), (4000, 16000))]
    want = np.concatenate([mfcc(part, FRONT).numpy() for part in parts])
    assert got.dtype == np.float16 and got.shape == (120, 8)
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)


def test_a_recording_at_another_rate_has_as_many_frames(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 88200)
    soundfile.write(tmp_path / "b.wav", noise, 44100)
    got = cache_extract.features(tmp_path / "b.wav", [[0.0, 2.0]], FRONT)
    assert len(got) == FRONT.stored(16000)


def test_fbank_of_each_clip(path):
    front = Fbank(clip_seconds=0.5)
    got = cache_extract.features(path, [[0.0, 0.4]], front)
    clip = audio.cycle_clip(audio.recording_wave(path, front), 0.0, 0.4, front)
    want = fbank(torch.from_numpy(clip)[None], front).numpy()
    np.testing.assert_allclose(got, want, rtol=1e-3)


@pytest.mark.parametrize("front", [FRONT, Fbank(clip_seconds=0.5)])
def test_what_lies_past_the_end_is_told(path, front):
    with pytest.raises(UserError, match="annotated to 2.020 s, but it ends at 2.000 s"):
        cache_extract.features(path, [[0.0, 1.0], [1.0, 2.02]], front)
    with pytest.raises(UserError, match="lies past the end"):
        cache_extract.features(path, [[2.001, 2.005]], front)


def test_what_meta_says():
    assert cache_extract.described(FRONT) == {"n_mfcc": 8, "hop_ms": 16.0}
    fixed = cache_extract.described(Fbank())
    assert fixed == {"frames": 798, "mels": 128, "hop_ms": 10, "clip_seconds": 8.0}
