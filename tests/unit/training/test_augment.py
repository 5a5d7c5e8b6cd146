"""SpecAugment and Patch-Mix against plain loops."""

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


def draws(rng, batch, length, widest):
    width = rng.integers(0, min(widest, length), size=(batch, 2))
    start = rng.integers(0, length - width + 1)
    return [list(zip(s, w, strict=True)) for s, w in zip(start, width, strict=True)]


def masked(x, seed, *settings):
    spans = augment.sample_spec_augment(
        np.random.default_rng(seed), len(x), tuple(x.shape[1:]), *settings
    )
    return augment.spec_augment(x, spans)


def test_spec_augment_equals_a_plain_loop():
    x = np.random.default_rng(0).normal(size=(5, 60, 32))
    rng = np.random.default_rng(7)
    chosen = rng.random(5) < 0.6
    bands, spans = draws(rng, 5, 32, 12), draws(rng, 5, 60, 30)
    expected = [
        plain_spec_augment(clip, b, s) if c else clip
        for clip, b, s, c in zip(x, bands, spans, chosen, strict=True)
    ]
    got = masked(torch.from_numpy(x), 7, 0.6, 12, 30)
    assert 0 < chosen.sum() < 5
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)


def test_spec_augment_never_writes_into_its_input():
    x = torch.randn(4, 50, 16)
    before = x.clone()
    masked(x, 1, 1.0, 8, 20)
    assert torch.equal(x, before)


def test_spec_augment_widths_stay_below_their_limits_and_probability_holds():
    x = torch.arange(800 * 20 * 10, dtype=torch.float64).reshape(800, 20, 10)
    y = masked(x, 3, 0.841, 3, 4)
    changed = (y != x).flatten(1).any(1)
    # Widths 0, 0, 0, 0 leave a clip as it is: 1/3^2 * 1/4^2 of the chosen ones.
    assert changed.double().mean() == pytest.approx(0.841 * (1 - 1 / 144), abs=0.03)
    full_rows = (y != x).all(dim=2).sum(1)
    assert full_rows.max() <= 2 * 3  # two masks of at most 3 frames


def test_spec_augment_takes_clips_shorter_than_the_mask():
    y = masked(torch.randn(3, 10, 8), 0, 1.0, 48, 160)
    assert y.shape == (3, 10, 8)


@pytest.mark.parametrize("mix", ["patch", "t_patch", "f_patch"])
def test_patch_mix_equals_a_plain_loop(mix):
    x = torch.randn(6, 4, 3, 5)
    mixed = augment.sample_patch_mix(np.random.default_rng(2), 6, (3, 5), mix, 1.0)
    got = augment.mix_grid(x, mixed)
    for i in range(6):
        for f in range(3):
            for t in range(5):
                source = mixed.index[i] if mixed.mask[f, t] else i
                assert torch.equal(got[i, :, f, t], x[source, :, f, t])


@pytest.mark.parametrize(("mix", "units"), [("patch", 12 * 79), ("t_patch", 79), ("f_patch", 12)])
def test_lam_is_the_share_that_was_kept(mix, units):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        lam = rng.beta(1.0, 1.0)
        mixed = augment.sample_patch_mix(np.random.default_rng(seed), 8, (12, 79), mix, 1.0)
        k = int(units * (1 - lam))  # spec: k = int(n (1 - lam)), then lam = 1 - k / n
        assert mixed.lam == pytest.approx(1 - k / units)
        assert mixed.mask.sum().item() == k * (948 // units)
        assert sorted(mixed.index.tolist()) == list(range(8))


@pytest.mark.parametrize(("mix", "axis", "length"), [("t_patch", 0, 12), ("f_patch", 1, 79)])
def test_columns_are_times_and_rows_are_frequencies(mix, axis, length):
    mixed = augment.sample_patch_mix(np.random.default_rng(0), 4, (12, 79), mix, 1.0)
    assert set(mixed.mask.sum(axis).tolist()) == {0, length}


@pytest.mark.parametrize(("mix", "axis", "units"), [("t_patch", 0, 79), ("f_patch", 1, 12)])
def test_one_stretch_of_columns_or_rows(mix, axis, units):
    """As many lines as at random, side by side, and at both ends at times."""
    firsts, lasts = set(), set()
    for seed in range(200):
        random, one = (
            augment.sample_patch_mix(np.random.default_rng(seed), 4, (12, 79), mix, 1.0, contiguous)
            for contiguous in (False, True)
        )
        assert one.lam == random.lam and one.mask.sum() == random.mask.sum()
        lines = one.mask.all(axis).nonzero().flatten().tolist()
        assert not lines or lines == list(range(lines[0], lines[-1] + 1))
        assert len(lines) == round(units * (1 - one.lam.item()))
        firsts.add(lines[0] if lines else None)
        lasts.add(lines[-1] if lines else None)
    assert {0} <= firsts and {units - 1} <= lasts and len(firsts) > units // 2


def test_lam_follows_the_beta_distribution():
    rng = np.random.default_rng(0)
    lams = [augment.sample_patch_mix(rng, 2, (12, 79), "patch", 0.2).lam for _ in range(2000)]
    a = 0.2  # variance of Beta(a, a) is 1 / (4 (2a + 1))
    assert np.mean(lams) == pytest.approx(0.5, abs=0.03)
    assert np.var(lams) == pytest.approx(1 / (4 * (2 * a + 1)), rel=0.05)


def test_mix_at_the_input_replaces_squares_of_16():
    x = torch.randn(3, 40, 36)  # 3 x 3 patches, the last ones smaller
    assert augment.input_grid(40, 36) == (3, 3)
    assert augment.input_grid(798, 128) == (8, 50)
    mixed = augment.sample_patch_mix(np.random.default_rng(5), 3, (3, 3), "patch", 1.0)
    got = augment.mix_input(x, mixed)
    assert 0 < mixed.mask.sum() < 9
    for i in range(3):
        for frame in range(40):
            for mel in range(36):
                foreign = mixed.mask[mel // 16, frame // 16]
                source = mixed.index[i] if foreign else i
                assert got[i, frame, mel] == x[source, frame, mel]


def test_views_and_pairs():
    rng = np.random.default_rng(0)
    view = augment.sample_crop_flip(rng, 2000, 0.25)
    assert view.flip.double().mean() == pytest.approx(0.25, abs=0.03)
    assert view.at.min() >= 0 and view.at.max() < 1
    x = torch.randn(3, 5, 2)
    flipped = augment.flip_time(x, torch.tensor([True, False, True]))
    assert torch.equal(flipped, torch.stack([x[0].flip(0), x[1], x[2].flip(0)]))
    pairs = augment.sample_mixup(rng, 6, 1.0)
    assert sorted(pairs.index.tolist()) == list(range(6)) and 0 <= pairs.lam <= 1


def test_gain_is_that_of_the_samples_and_noise_adds_its_power():
    front = Fbank(clip_seconds=0.5)
    torch.manual_seed(0)
    samples = 0.1 * torch.randn(3, 8000)
    factor = torch.tensor([0.9, 1.1, 1.0])
    wave = augment.GainNoise(2 * factor.log(), torch.tensor([False, False, True]))
    power = noise_power(front, 0.05)
    got = augment.apply_gain_noise(fbank(samples, front), wave, power)
    heard = power > 1e-9  # filters that lie between two bins stay at Kaldi's floor
    louder = fbank(factor[:2, None] * samples[:2], front)
    torch.testing.assert_close(got[:2][..., heard], louder[..., heard], atol=1e-3, rtol=0)
    expected = (fbank(samples[2:], front).exp() + power).log()
    torch.testing.assert_close(got[2:], expected)
    noisy = fbank(samples[2:] + 0.05 * torch.randn(1, 8000), front)
    assert (got[2:].exp().mean() / noisy.exp().mean()).item() == pytest.approx(1, abs=0.02)


def test_every_other_clip_is_changed_and_the_gain_is_uniform():
    rng = np.random.default_rng(0)
    wave = augment.sample_gain_noise(rng, 4000, 0.1)
    factor = (wave.gain / 2).exp()
    changed = factor[wave.gain != 0]
    assert len(changed) / 4000 == pytest.approx(0.5, abs=0.03)
    assert wave.noisy.double().mean() == pytest.approx(0.5, abs=0.03)
    assert changed.min() >= 0.9 and changed.max() <= 1.1
    assert changed.mean().item() == pytest.approx(1, abs=0.01)
    assert changed.std().item() == pytest.approx(0.2 / 12**0.5, rel=0.05)
