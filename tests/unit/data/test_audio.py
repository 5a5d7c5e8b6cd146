"""Reading sound files, good and bad; clips against a loop and torchaudio's transforms."""

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from lib.data import audio
from lib.errors import UserError
from lib.features.frontends import Fbank

RNG = np.random.default_rng(0)


def noise(samples: int) -> np.ndarray:
    return RNG.uniform(-0.5, 0.5, samples).astype(np.float32)


@pytest.mark.parametrize(
    ("suffix", "subtype", "step"),
    [
        (".wav", "PCM_U8", 2**-7),
        (".wav", "PCM_16", 2**-15),
        (".wav", "PCM_24", 2**-23),
        (".flac", "PCM_16", 2**-15),
        (".flac", "PCM_24", 2**-23),
        (".wav", "FLOAT", 1e-9),
    ],
)
@pytest.mark.parametrize("rate", [4000, 44100])
def test_read_every_format(tmp_path, suffix, subtype, step, rate):
    wave = noise(500)
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, wave, rate, subtype=subtype)
    got, got_rate = audio.read(path)
    assert got_rate == rate and got.dtype == np.float32 and got.shape == (500,)
    assert np.abs(got - wave).max() <= step


def test_stereo_is_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([[0.5, 0.25], [-0.5, 0.0]]), 8000)
    got, _ = audio.read(tmp_path / "a.wav")
    np.testing.assert_allclose(got, [0.375, -0.25], atol=1e-4)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_told(tmp_path, suffix, share):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, noise(20000), 8000)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=f"a{suffix}: .*fetch it"):
        audio.read(path)


@pytest.mark.parametrize(
    ("samples", "fault"),
    [(np.zeros(0), "holds no sound"), (np.array([0, np.nan]), "NaN"), ([np.inf, 0], "infinite")],
)
def test_no_samples_and_nan(tmp_path, samples, fault):
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(UserError, match=f"a.wav: .*{fault}"):
        audio.read(tmp_path / "a.wav")


def test_what_is_no_sound_or_not_there(tmp_path):
    (tmp_path / "a.wav").write_text("<html>not found</html>")
    with pytest.raises(UserError, match="a.wav: not a readable sound file"):
        audio.read(tmp_path / "a.wav")
    with pytest.raises(UserError, match="b.wav: not found"):
        audio.read(tmp_path / "b.wav")


def test_a_wav_of_open_length_with_a_chunk_after_it(tmp_path):
    """Chunks before and after the sound, of odd length, are no truncation."""
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(100), 8000)
    body = path.read_bytes()
    path.write_bytes(body[:12] + b"LIST\x03\x00\x00\x00abc\x00" + body[12:] + b"note\x02\0\0\0hi")
    assert len(audio.read(path)[0]) == 100


def test_a_rate_that_no_sound_has_is_told(tmp_path):
    """2 Hz can be resampled to 16,000 Hz, and is a damaged header all the same."""
    soundfile.write(tmp_path / "a.wav", noise(1000), 2)
    with pytest.raises(UserError, match="a.wav: its rate of 2 Hz is too odd for a sound"):
        audio.read(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [4000, 8000, 10000, 44100])
def test_resample_keeps_a_tone(rate):
    t = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    got = audio.resample(tone, rate, 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert got.shape == (16000,)
    np.testing.assert_allclose(got[500:-500], expected[500:-500], atol=5e-3)


def test_fade_equals_torchaudio():
    wave = noise(5000)
    before = wave.copy()
    for rise, fall in ((1000, 1000), (0, 1000), (1000, 0)):
        want = torchaudio.transforms.Fade(rise, fall, "linear")(torch.from_numpy(wave))
        np.testing.assert_allclose(audio.fade(wave, rise, fall), want, atol=1e-7)
    assert (wave == before).all()
    assert audio.fade(wave[:10], 1000, 1000)[[0, -1]].tolist() == [0, 0]  # shorter than a fade


@pytest.mark.parametrize("samples", [3, 1500, 3999, 4000, 4001, 9000])
@pytest.mark.parametrize("pad", ["repeat", "cyclic", "zero"])
def test_cut_or_repeat_against_a_loop(samples, pad):
    wave = noise(samples)
    want = np.zeros(4000)
    for i in range(4000):
        if i < samples or pad != "zero":
            want[i] = wave[i % samples]
        if samples <= 4000 and pad == "repeat" and i >= 3000:
            want[i] *= (3999 - i) / 999
    got = audio.cut_or_repeat(wave, 4000, pad)
    assert got.shape == (4000,) and got.dtype == np.float32
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_recording_and_cycle_of_the_official_front_end(tmp_path):
    """By hand: resample, fade 1,000 samples of the recording, slice at int(seconds * rate)."""
    wave = np.full(32000, 0.5, np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 16000, subtype="FLOAT")
    front = Fbank(clip_seconds=0.5)
    whole = audio.recording_wave(tmp_path / "a.wav", front)
    assert whole[0] == whole[-1] == 0
    np.testing.assert_allclose(whole[[500, 999, 1000, -501]], [0.25025, 0.5, 0.5, 0.25025], 1e-5)
    clip = audio.cycle_clip(whole, 0.0, 0.30004, front)  # 4,800 of 8,000 samples
    assert clip.shape == (8000,)
    np.testing.assert_array_equal(clip[:4800], whole[:4800])
    np.testing.assert_array_equal(clip[4800:7000], whole[:2200])
    assert clip[-1] == 0


def test_fade_of_each_cycle(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(32000, 0.5, np.float32), 16000, subtype="FLOAT")
    front = Fbank(clip_seconds=0.5, fade="cycle", pad="cyclic")
    whole = audio.recording_wave(tmp_path / "a.wav", front)
    assert (whole == 0.5).all()
    clip = audio.cycle_clip(whole, 1.0, 1.25, front)
    assert clip[[0, 3999, 4000, 7999]].tolist() == [0, 0, 0, 0] and clip[2000] == 0.5


def test_a_cycle_past_the_end():
    front = Fbank(clip_seconds=0.5)
    wave = noise(16000)
    assert audio.cycle_clip(wave, 0.9, 1.4, front).shape == (8000,)  # what is there
    with pytest.raises(UserError, match="from 1.0 to 1.4 s lies past the end .* 1.000 s"):
        audio.cycle_clip(wave, 1.0, 1.4, front)


def test_no_fade_leaves_the_samples_of_a_cycle_as_they_are(tmp_path):
    wave = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 16000, subtype="FLOAT")
    front = Fbank(clip_seconds=0.5, fade="none", pad="cyclic")
    whole = audio.recording_wave(tmp_path / "a.wav", front)
    np.testing.assert_array_equal(whole, wave)
    clip = audio.cycle_clip(whole, 0.1, 0.4, front)
    np.testing.assert_array_equal(clip, np.concatenate([wave[1600:6400], wave[1600:4800]]))


# Headers that promise too much or too little


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000])
def test_a_wav_through_a_pipe_holds_all_its_samples(tmp_path, length):
    """Its header was written before the length was known, as by sox and ffmpeg."""
    path, wave = tmp_path / "a.wav", noise(1000)
    soundfile.write(path, wave, 8000, subtype="PCM_16")
    body = bytearray(path.read_bytes())
    at = body.index(b"data") + 4
    body[at : at + 4] = length.to_bytes(4, "little")
    body[4:8] = min(length + 36, 0xFFFFFFFF).to_bytes(4, "little")
    path.write_bytes(body)
    got, _ = audio.read(path)
    assert np.abs(got - wave).max() <= 2**-15
    assert audio.length_seconds(path) == 1000 / 8000


def promise(path, samples: int) -> None:
    """Write another number of samples (36 bits) into the header of a FLAC file."""
    body = bytearray(path.read_bytes())
    word = int.from_bytes(body[21:26], "big") >> 36 << 36 | samples
    body[21:26] = word.to_bytes(5, "big")
    path.write_bytes(body)


def test_what_a_flac_header_promises_is_not_reserved(tmp_path):
    path, wave = tmp_path / "a.flac", noise(1000)
    soundfile.write(path, wave, 8000, subtype="PCM_16")
    promise(path, 2**36 - 1)
    with pytest.raises(UserError, match="a.flac: (truncated|not a readable sound file)"):
        audio.read(path)
    promise(path, 0)  # unknown: written through a pipe
    assert np.abs(audio.read(path)[0] - wave).max() <= 2**-15
    assert audio.length_seconds(path) == 1000 / 8000


def test_a_recording_that_would_fill_the_memory_is_told(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.flac", np.zeros(3000), 8000)
    monkeypatch.setattr(audio, "BLOCK", 1000)
    monkeypatch.setattr(audio, "MAX_SAMPLES", 2500)
    with pytest.raises(UserError, match="a.flac: longer than 2,500 samples; cut it"):
        audio.read(tmp_path / "a.flac")


@pytest.mark.parametrize("rate", [16001, 44099, 15999, 7, 2**31 - 1])
def test_a_rate_that_would_fill_the_memory_is_told(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", noise(100_000), rate)
    with pytest.raises(UserError, match=f"a.wav: its rate of {rate} Hz is too odd"):
        audio.read_at(tmp_path / "a.wav", 16000)


@pytest.mark.parametrize("rate", [4000, 8000, 10000, 11025, 22050, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("target", [8000, 16000, 32000])
def test_every_usual_rate_can_be_resampled(rate, target):
    got = audio.resample(noise(rate // 10), rate, target)
    assert len(got) == -(-(rate // 10) * target // rate)


def test_the_filter_is_computed_in_float64():
    """As in the official code, whose transform rounds it afterwards; the function does not."""
    wave = noise(44100)
    got, tensor = audio.resample(wave, 44100, 16000), torch.from_numpy(wave)
    expected = torchaudio.transforms.Resample(44100, 16000)(tensor).numpy()
    np.testing.assert_array_equal(got, expected)
    assert (got != torchaudio.functional.resample(tensor, 44100, 16000).numpy()).any()


# Samples that are no sound


@pytest.mark.parametrize(
    ("samples", "problem"),
    [([0.1, 1e30], "up to 1e.30"), ([0.1, -32768.0], "up to 3.28e.04"), ([np.nan, 1], "NaN")],
)
def test_absurd_samples_are_told(tmp_path, samples, problem):
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(UserError, match=f"a.wav: holds .*{problem}"):
        audio.read(tmp_path / "a.wav")


def test_a_little_beyond_one_is_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", [0.1, -1.7], 8000, subtype="FLOAT")
    assert audio.read(tmp_path / "a.wav")[0][1] == np.float32(-1.7)


def test_silence_is_described(tmp_path):
    wave = noise(100)
    for samples, expected in (
        (np.zeros(100), "digital silence"),
        (np.full((100, 2), 0.25), "digital silence"),
        (wave, ""),
        (np.stack([wave, 0 * wave], axis=1), "channel 2 is silent"),
        (np.stack([0 * wave, wave, 0 * wave], axis=1), "channel 1 is silent, channel 3 is silent"),
    ):
        soundfile.write(tmp_path / "a.wav", samples, 8000)
        assert audio.describe_silence(tmp_path / "a.wav") == expected


def test_what_may_not_be_read_is_told(tmp_path):
    (tmp_path / "a.wav").mkdir()
    for read in (audio.read, audio.length_seconds):
        with pytest.raises(UserError, match="a.wav: cannot be read .*; mend its permissions"):
            read(tmp_path / "a.wav")
