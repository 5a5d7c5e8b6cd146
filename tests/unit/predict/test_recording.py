"""Recordings that are refused with a sentence, windows and cycles."""

import numpy as np
import pytest
import soundfile

from lib.errors import UserError
from lib.features.frontends import Fbank
from lib.predict.recording import (
    BATCH,
    clipped_share,
    read_cycles,
    read_recording,
    sound_files,
    windows,
)

FRONT = Fbank(clip_seconds=1.0)


def noise(seconds=2.0, rate=8000, loudness=0.05):
    return loudness * np.random.default_rng(0).standard_normal(round(seconds * rate))


def hum():
    return np.sin(2 * np.pi * 100 * np.arange(16000) / 8000) + noise(loudness=0.01)


def write(path, wave, rate=8000, **settings):
    soundfile.write(path, wave, rate, **settings)
    return path


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("rate", [4000, 8000, 22050, 44100])
def test_any_rate_mono_or_stereo(tmp_path, suffix, rate):
    wave = noise(rate=rate)
    stereo = np.stack([wave, 0.5 * wave], axis=1)
    one = read_recording(write(tmp_path / f"mono{suffix}", 0.75 * wave, rate), FRONT)
    two = read_recording(write(tmp_path / f"stereo{suffix}", stereo, rate), FRONT)
    assert (one.channels, two.channels, two.native_rate) == (1, 2, rate)
    assert one.seconds == pytest.approx(2.0, abs=1e-3)
    np.testing.assert_allclose(one.wave, two.wave, atol=1e-4)  # 16 bits


@pytest.mark.parametrize(
    "wave, problem",
    [
        (np.zeros(16000), "silence"),
        (np.full(16000, 0.5), "silence"),  # an offset is no sound
        (noise(loudness=1e-5), "silence"),
        (noise(0.49), "0.49 s is too short"),
        (np.clip(hum(), -0.9, 0.9), "clipped"),
        (np.clip(hum(), -2.0, 0.9), "clipped"),
    ],
)
def test_a_refusal_names_the_file_and_the_reason(tmp_path, wave, problem):
    path = write(tmp_path / "odd.wav", wave, subtype="FLOAT")
    with pytest.raises(UserError, match=problem) as error:
        read_recording(path, FRONT)
    assert str(error.value).startswith(str(path))


def test_clipping_is_counted_in_the_worst_channel():
    loud = np.zeros(1000)
    loud[:500] = np.sin(np.arange(500) / 10)
    loud[700:730], loud[800:802] = -1.0, 1.0  # two samples in a row are no flat top
    channels = np.stack([loud, np.sin(np.arange(1000) / 10)], axis=1)
    assert clipped_share(channels) == pytest.approx(0.03)
    assert clipped_share(np.clip(2 * channels, -1, 1)) > 0.3


def test_windows_cover_the_recording():
    table = windows(7.5, 3.0, 1.0)
    assert table.start.tolist() == [0, 1, 2, 3, 4, 4.5] and table.end.iloc[-1] == 7.5
    assert windows(7.0, 3.0, 1.0).start.tolist() == [0, 1, 2, 3, 4]
    assert windows(2.0, 3.0, 1.0).to_numpy().tolist() == [[0, 2]]
    with pytest.raises(UserError, match="--step"):
        windows(1000.0, 3.0, 1e-4)


def test_cycles_are_read_as_icbhi_writes_them(tmp_path):
    path = tmp_path / "cycles.txt"
    path.write_text("0.036\t1.5\t0\t1\n1.5 2.02\n")
    assert read_cycles(path, 2.0).to_numpy().tolist() == [[0.036, 1.5], [1.5, 2.0]]
    for text, problem in {
        "start end\n": "does not begin with start and end",
        "1\n": "does not begin with start and end",
        "2 1\n": "not before its end",
        "1 9\n": "ends after the recording",
        "\n": "holds no cycle",
    }.items():
        path.write_text(text)
        with pytest.raises(UserError, match=problem):
            read_cycles(path, 2.0)


def test_batches_hold_faded_and_repeated_parts(tmp_path):
    recording = read_recording(write(tmp_path / "a.wav", noise(60.0)), FRONT)
    parts = windows(60.0, 1.0, 1.0)
    batches = list(recording.batches(parts))
    assert [len(batch) for batch in batches] == [BATCH, 60 - BATCH]
    first, last = batches[0][0], batches[-1][-1]
    assert first[0] == 0 and last[-1] == 0  # the recording's ends are faded
    np.testing.assert_array_equal(batches[0][1][:15000], recording.wave[16000:31000])


def test_a_folder_gives_its_sounds_and_without_any_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no .wav or .flac"):
        sound_files(tmp_path)
    paths = [write(tmp_path / name, noise()) for name in ("b.WAV", "a.wav")]
    assert sound_files(tmp_path) == sorted(paths)
    assert sound_files(paths[0]) == [paths[0]]
