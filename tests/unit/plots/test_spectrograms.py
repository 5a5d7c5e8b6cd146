"""Plots of sounds: masks lie where their tokens lie, and alt texts have the numbers."""

import io

import numpy as np
import pytest
from PIL import Image
from torch import from_numpy

from lib.plots import spectrograms
from lib.plots.style import alt_text, to_png
from lib.training.augment import INPUT_PATCH, PatchMix, mix_input

RNG = np.random.default_rng(0)


def test_a_waveform_names_its_cycles():
    cycles = [(0.0, 1.5, "crackle")]
    fig = spectrograms.plot_waveform(RNG.normal(size=8000), 4000, "101", cycles)
    assert "2.0 s at 4000 Hz" in alt_text(fig) and "crackle 0.0 to 1.5 s" in alt_text(fig)
    assert fig.axes[0].texts[0].get_text() == "crackle"
    assert fig.axes[1].get_ylim() == (0, 2000)


@pytest.mark.parametrize("samples", [4000, 10])
def test_silence_and_very_short_sounds_can_be_drawn(samples):
    fig = spectrograms.plot_waveform(np.zeros(samples, dtype=np.float32), 4000)
    assert len(to_png(fig)) > 1000


def test_fbanks_share_one_scale_with_low_mels_at_the_bottom():
    x, y = np.arange(600.0).reshape(30, 20), np.zeros((30, 20))
    fig = spectrograms.plot_fbanks({"a": x, "b": y})
    first, second = (ax.images[0] for ax in fig.axes[:2])
    assert first.get_clim() == second.get_clim()
    assert first.get_array().shape == (20, 30)  # mel bins up, time across
    assert first.origin == "lower"
    assert "a (30 frames x 20 mel bins)" in alt_text(fig)


def test_spec_augment_counts_what_is_masked():
    before = RNG.normal(size=(30, 20))
    after = before.copy()
    after[3:6] = after[:, 10:12] = 0.0
    alt = alt_text(spectrograms.plot_spec_augment(before, after))
    assert "3 whole frames and 2 whole mel bins" in alt and f"{1 - 27 * 18 / 600:.0%}" in alt


@pytest.mark.parametrize(
    ("grid", "shape", "patch", "stride"),
    [((12, 79), (798, 128), 16, 10), ((8, 18), (298, 128), 16, 16)],
)
def test_a_pixel_belongs_to_the_patch_with_the_nearest_centre(grid, shape, patch, stride):
    mask = RNG.random(grid) < 0.5
    pixels = spectrograms._spread_mask(mask, shape, patch, stride)
    assert pixels.shape == shape
    for frame, mel in RNG.integers(0, shape, (200, 2)):
        rows = [abs(i * stride + patch / 2 - (mel + 0.5)) for i in range(grid[0])]
        columns = [abs(j * stride + patch / 2 - (frame + 0.5)) for j in range(grid[1])]
        assert pixels[frame, mel] == mask[np.argmin(rows), np.argmin(columns)]


def test_on_the_input_grid_the_plot_shows_the_mix_itself():
    x, other = RNG.normal(size=(2, 64, 32)).astype(np.float32)
    mask = RNG.random((2, 4)) < 0.5
    mix = PatchMix(from_numpy(np.array([1, 0])), from_numpy(mask), 1 - mask.mean())
    expected = mix_input(from_numpy(np.stack([x, other])), mix)[0].numpy()
    fig = spectrograms.plot_patch_mix(x, other, mask, INPUT_PATCH, INPUT_PATCH, mix.lam)
    assert (fig.axes[3].images[0].get_array() == expected.T).all()


def test_patch_mix_says_how_much_comes_from_the_other_clip():
    mask = np.zeros((12, 79), dtype=bool)
    mask[:, :10] = True
    x = RNG.normal(size=(798, 128))
    fig = spectrograms.plot_patch_mix(x, -x, mask, 16, 10, 1 - mask.mean())
    assert "12 x 79 tokens: 120 of 948" in alt_text(fig) and "lambda is 0.87" in alt_text(fig)
    assert len(fig.axes) == 4


def test_attention_lies_over_the_spectrogram():
    spectrogram, attention = RNG.normal(size=(300, 128)), RNG.uniform(1, 3, (300, 128))
    attention[150, 20], attention[298:] = 9.0, np.nan
    maps = {"last": attention, "rollout": np.ones((300, 128))}
    fig = spectrograms.plot_attention(spectrogram, maps, "101, crackle")
    _, last, rollout = fig.axes
    assert [len(ax.images) for ax in fig.axes] == [1, 2, 2]
    for ax in fig.axes:
        np.testing.assert_array_equal(ax.images[0].get_array(), spectrogram.T)
        for image in ax.images:
            assert image.origin == "lower" and image.get_extent() == [0, 3.0, 0, 128]
    opacity = last.images[1].get_alpha()
    assert opacity.shape == (128, 300) and (opacity[:, 298:] == 0).all()
    assert np.unravel_index(opacity.argmax(), opacity.shape) == (20, 150)
    assert opacity[:, :298].min() == 0 and 0.5 < opacity.max() < 1
    mean = np.nanmean(attention)
    assert last.get_title() == f"last, {1 / mean:.2f} to {9 / mean:.2f} times the mean"
    assert rollout.get_title() == "rollout, 1.00 to 1.00 times the mean"
    highest = f"last is highest, {9 / mean:.2f} times its mean, at 1.50 s and mel bin 20"
    alt = alt_text(fig)
    assert highest in alt and alt.startswith("101, crackle: spectrogram of 3.0 s")


def test_a_spectrogram_as_a_picture_shows_the_tone_where_it_is():
    wave = np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)
    image = Image.open(io.BytesIO(spectrograms.spectrogram_png(wave, 8000, 2000)))
    brightness = np.asarray(image.convert("L"), float).mean(axis=1)
    assert 1 - brightness.argmax() / len(brightness) == pytest.approx(500 / 2000, abs=0.02)
    assert spectrograms.spectrogram_png(np.zeros(8000), 8000, 2000)
