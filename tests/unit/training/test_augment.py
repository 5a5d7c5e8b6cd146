"""SpecAugment, Patch-Mix and the other augmentations against plain loops."""

import numpy as np
import pytest
import torch

from lib.features.frontends import Fbank, fbank, noise_power
from lib.training import augment


def plain_spec_augment(clip, bands, spans):
    """One clip (frames, mels), masked by hand: frequency first, then time with the new mean."""
    clip = clip.copy()
    mean = clip.mean()
    for start, width in bands:
        clip[:, start : start + width] = mean
    mean = clip.mean()
    for start, width in spans:
        clip[start : start + width] = mean
    return clip


def sample_masks(rng, batch, length, limit):
    width = rng.integers(0, min(limit, length), size=(batch, 2))
    start = rng.integers(0, length - width + 1)
    return [list(zip(s, w, strict=True)) for s, w in zip(start, width, strict=True)]


def masked(x, seed, *settings):
    rng = np.random.default_rng(seed)
    masks = augment.sample_spec_augment(rng, len(x), tuple(x.shape[1:]), *settings)
    return augment.spec_augment(x, masks)


def test_spec_augment_equals_a_plain_loop_and_leaves_its_input_alone():
    x = np.random.default_rng(0).normal(size=(5, 60, 32))
    rng = np.random.default_rng(7)
    applied = rng.random(5) < 0.6
    bands, spans = sample_masks(rng, 5, 32, 12), sample_masks(rng, 5, 60, 30)
    expected = [
        plain_spec_augment(clip, b, s) if a else clip
        for clip, b, s, a in zip(x, bands, spans, applied, strict=True)
    ]
    given = torch.from_numpy(x.copy())
    result = masked(given, 7, 0.6, 12, 30)
    assert 0 < applied.sum() < 5
    np.testing.assert_allclose(result, expected, atol=1e-12)
    np.testing.assert_array_equal(given, x)


def test_spec_augment_widths_stay_below_their_limits_and_probability_holds():
    x = torch.arange(800 * 20 * 10, dtype=torch.float64).reshape(800, 20, 10)
    y = masked(x, 3, 0.841, 3, 4)
    changed = (y != x).flatten(1).any(1)
    # Widths 0, 0, 0, 0 leave a clip as it is: 1/3^2 * 1/4^2 of the masked ones.
    assert changed.double().mean() == pytest.approx(0.841 * (1 - 1 / 144), abs=0.03)
    assert (y != x).all(dim=2).sum(1).max() <= 2 * 3  # two masks of at most 3 frames
    assert masked(torch.randn(3, 10, 8), 0, 1.0, 48, 160).shape == (3, 10, 8)  # shorter than a mask


@pytest.mark.parametrize("mix", ["patch", "t_patch", "f_patch"])
def test_patch_mix_equals_a_plain_loop(mix):
    x = torch.randn(6, 4, 3, 5)
    sampled = augment.sample_patch_mix(np.random.default_rng(2), 6, (3, 5), mix, 1.0)
    mixed = augment.mix_grid(x, sampled)
    for i, f, t in np.ndindex(6, 3, 5):
        source = sampled.index[i] if sampled.mask[f, t] else i
        assert torch.equal(mixed[i, :, f, t], x[source, :, f, t])


@pytest.mark.parametrize(
    ("mix", "units", "sums"),  # allowed foreign patches in each column, in each row
    [("patch", 948, None), ("t_patch", 79, (0, {0, 12})), ("f_patch", 12, (1, {0, 79}))],
)
def test_lam_is_the_share_that_stays(mix, units, sums):
    for seed in range(20):
        lam = np.random.default_rng(seed).beta(1.0, 1.0)
        rng = np.random.default_rng(seed)
        sampled = augment.sample_patch_mix(rng, 8, (12, 79), mix, 1.0)
        k = int(units * (1 - lam))  # paper: k = int(n (1 - lam)), then lam = 1 - k / n
        assert sampled.lam == pytest.approx(1 - k / units)
        assert sampled.mask.sum().item() == k * (948 // units)
        assert sorted(sampled.index.tolist()) == list(range(8))
        if sums:  # columns are times, rows are frequencies
            assert set(sampled.mask.sum(sums[0]).tolist()) <= sums[1]


@pytest.mark.parametrize(("mix", "axis", "units"), [("t_patch", 0, 79), ("f_patch", 1, 12)])
def test_contiguous_columns_or_rows(mix, axis, units):
    """As many lines as at random, side by side, and at both ends at times."""
    firsts, lasts = set(), set()
    for seed in range(200):
        random, contiguous = (
            augment.sample_patch_mix(np.random.default_rng(seed), 4, (12, 79), mix, 1.0, setting)
            for setting in (False, True)
        )
        assert contiguous.lam == random.lam and contiguous.mask.sum() == random.mask.sum()
        lines = contiguous.mask.all(axis).nonzero().flatten().tolist()
        assert not lines or lines == list(range(lines[0], lines[-1] + 1))
        assert len(lines) == round(units * (1 - contiguous.lam.item()))
        firsts |= set(lines[:1])
        lasts |= set(lines[-1:])
    assert 0 in firsts and units - 1 in lasts and len(firsts) > units // 2


def test_lam_follows_the_beta_distribution():
    rng, a = np.random.default_rng(0), 0.2
    lams = [augment.sample_patch_mix(rng, 2, (12, 79), "patch", a).lam for _ in range(2000)]
    assert np.mean(lams) == pytest.approx(0.5, abs=0.03)
    assert np.var(lams) == pytest.approx(1 / (4 * (2 * a + 1)), rel=0.05)  # of Beta(a, a)


def test_mix_at_the_input_replaces_squares_of_16():
    x = torch.randn(3, 40, 36)  # 3 x 3 patches, the last ones smaller
    assert augment.input_grid(40, 36) == (3, 3) and augment.input_grid(798, 128) == (8, 50)
    sampled = augment.sample_patch_mix(np.random.default_rng(5), 3, (3, 3), "patch", 1.0)
    mixed = augment.mix_input(x, sampled)
    assert 0 < sampled.mask.sum() < 9
    for i, frame, mel in np.ndindex(3, 40, 36):
        source = sampled.index[i] if sampled.mask[mel // 16, frame // 16] else i
        assert mixed[i, frame, mel] == x[source, frame, mel]


def test_crops_flips_and_mixup():
    rng = np.random.default_rng(0)
    crop = augment.sample_crop_flip(rng, 2000, 0.25)
    assert crop.flip.double().mean() == pytest.approx(0.25, abs=0.03)
    assert crop.position.min() >= 0 and crop.position.max() < 1
    x = torch.randn(3, 5, 2)
    flipped = augment.flip_time(x, torch.tensor([True, False, True]))
    assert torch.equal(flipped, torch.stack([x[0].flip(0), x[1], x[2].flip(0)]))
    mix = augment.sample_mixup(rng, 6, 1.0)
    assert sorted(mix.index.tolist()) == list(range(6)) and 0 <= mix.lam <= 1


def test_gain_is_that_of_the_samples_and_noise_adds_its_power():
    frontend = Fbank(clip_seconds=0.5)
    torch.manual_seed(0)
    samples = 0.1 * torch.randn(3, 8000)
    factor = torch.tensor([0.9, 1.1, 1.0])
    change = augment.GainNoise(2 * factor.log(), torch.tensor([False, False, True]))
    power = noise_power(frontend, 0.05)
    changed = augment.apply_gain_noise(fbank(samples, frontend), change, power)
    audible = power > 1e-9  # filters between two bins stay at Kaldi's floor
    louder = fbank(factor[:2, None] * samples[:2], frontend)
    torch.testing.assert_close(changed[:2][..., audible], louder[..., audible], atol=1e-3, rtol=0)
    expected = (fbank(samples[2:], frontend).exp() + power).log()
    torch.testing.assert_close(changed[2:], expected)
    noisy = fbank(samples[2:] + 0.05 * torch.randn(1, 8000), frontend)
    assert (changed[2:].exp().mean() / noisy.exp().mean()).item() == pytest.approx(1, abs=0.02)


def test_half_of_the_clips_are_changed_and_the_gain_is_uniform():
    change = augment.sample_gain_noise(np.random.default_rng(0), 4000, 0.1)
    factor = (change.gain / 2).exp()[change.gain != 0]
    assert len(factor) / 4000 == pytest.approx(0.5, abs=0.03)
    assert change.noisy.double().mean() == pytest.approx(0.5, abs=0.03)
    assert factor.min() >= 0.9 and factor.max() <= 1.1
    assert factor.mean().item() == pytest.approx(1, abs=0.01)
    assert factor.std().item() == pytest.approx(0.2 / 12**0.5, rel=0.05)


def test_each_clip_is_rolled_by_its_own_number_of_frames():
    x, frames = torch.randn(3, 5, 2), torch.tensor([0, 2, 4])
    rolled = augment.roll_time(x, frames)
    one_by_one = [clip.roll(shift, 0) for clip, shift in zip(x, frames.tolist(), strict=True)]
    assert torch.equal(rolled, torch.stack(one_by_one))
