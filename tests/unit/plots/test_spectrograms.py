"""Pictures of sounds: the mask stands where the tokens stand, and alt texts say what is seen."""

import numpy as np
import pytest

from lib.plots import spectrograms
from lib.plots.style import alt_text, to_png
from lib.training.augment import INPUT_PATCH

RNG = np.random.default_rng(0)


def test_waveform_names_its_cycles():
    fig = spectrograms.plot_waveform(RNG.normal(size=8000), 4000, "101", [(0.0, 1.5, "crackle")])
    assert "2.0 s at 4000 Hz" in alt_text(fig) and "crackle 0.0 to 1.5 s" in alt_text(fig)
    assert fig.axes[0].texts[0].get_text() == "crackle"
    assert fig.axes[1].get_ylim() == (0, 2000)


def test_silence_can_be_drawn():
    assert len(to_png(spectrograms.plot_waveform(np.zeros(4000, dtype=np.float32), 4000))) > 1000


def test_fbanks_share_one_scale_and_stand_upright():
    x, y = np.arange(600.0).reshape(30, 20), np.zeros((30, 20))
    fig = spectrograms.plot_fbanks({"a": x, "b": y})
    first, second = (ax.images[0] for ax in fig.axes[:2])
    assert first.get_clim() == second.get_clim()
    assert first.get_array().shape == (20, 30)  # mel bins up, time across
    assert first.origin == "lower"
    assert "a (30 frames x 20 mel bins)" in alt_text(fig)


def test_spec_augment_counts_what_was_masked():
    before = RNG.normal(size=(30, 20))
    after = before.copy()
    after[3:6] = after[:, 10:12] = 0.0
    assert "3 whole frames and 2 whole mel bins" in alt_text(
        spectrograms.plot_spec_augment(before, after)
    )
    assert f"{1 - 27 * 18 / 600:.0%}" in alt_text(spectrograms.plot_spec_augment(before, after))


@pytest.mark.parametrize(
    ("grid", "shape", "patch", "stride"),
    [((12, 79), (798, 128), 16, 10), ((8, 18), (298, 128), 16, 16)],
)
def test_a_pixel_belongs_to_the_patch_with_the_nearest_middle(grid, shape, patch, stride):
    mask = RNG.random(grid) < 0.5
    pixels = spectrograms._pixels(mask, shape, patch, stride)
    assert pixels.shape == shape
    for frame, mel in RNG.integers(0, shape, (200, 2)):
        rows = [abs(i * stride + patch / 2 - (mel + 0.5)) for i in range(grid[0])]
        columns = [abs(j * stride + patch / 2 - (frame + 0.5)) for j in range(grid[1])]
        assert pixels[frame, mel] == mask[np.argmin(rows), np.argmin(columns)]


def test_on_the_input_grid_the_picture_is_the_mix_itself():
    from torch import from_numpy

    from lib.training.augment import Mix, mix_input

    x, other = RNG.normal(size=(2, 64, 32)).astype(np.float32)
    mask = RNG.random((2, 4)) < 0.5
    mix = Mix(from_numpy(np.array([1, 0])), from_numpy(mask), 1 - mask.mean())
    expected = mix_input(from_numpy(np.stack([x, other])), mix)[0].numpy()
    fig = spectrograms.plot_patch_mix(x, other, mask, INPUT_PATCH, INPUT_PATCH, mix.lam)
    assert (fig.axes[3].images[0].get_array() == expected.T).all()


def test_patch_mix_says_how_much_is_foreign():
    mask = np.zeros((12, 79), dtype=bool)
    mask[:, :10] = True
    x = RNG.normal(size=(798, 128))
    fig = spectrograms.plot_patch_mix(x, -x, mask, 16, 10, 1 - mask.mean())
    assert "12 x 79 tokens: 120 of 948" in alt_text(fig) and "lambda is 0.87" in alt_text(fig)
    assert len(fig.axes) == 4
