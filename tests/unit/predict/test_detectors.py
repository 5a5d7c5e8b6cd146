"""The detector of lung sounds and the distance, on points whose answers are known."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib.predict import detectors, package
from lib.predict.detectors import SHAPES, shape_numbers


def points(rng, n, at=0.0, width=6):
    return list(
        rng.standard_normal((n, width + SHAPES)) * ([3.0] + [1.0] * (width + SHAPES - 1)) + at
    )


def tables(rng):
    """Training recordings around 0, another dataset around 1, made-up sounds around -8."""
    roles = np.repeat(["train", "validation"], [80, 40])
    real = pd.DataFrame(
        {"dataset": np.repeat(["sprsound", "icbhi"], 120), "role": [*roles, *roles]}
    )
    real["descriptor"] = points(rng, 120) + points(rng, 120, 1.0)
    made_up = pd.DataFrame({"kind": "tone", "role": roles, "descriptor": points(rng, 120, -8.0)})
    return real, made_up


def test_thresholds_are_those_of_held_out_recordings():
    rng = np.random.default_rng(0)
    real, made_up = tables(rng)
    found = package.fit_detectors(real, made_up, "sprsound")
    own = real[(real.role == "validation") & (real.dataset == "sprsound")]
    assert np.mean([found.is_far(x) for x in own.descriptor]) == pytest.approx(0.05, abs=0.02)
    assert all(found.is_far(x) for x in points(rng, 20, 9.0))
    assert all(found.is_refused(x) for x in points(rng, 20, -8.0))
    refused = np.mean([found.is_refused(x) for x in real[real.role == "validation"].descriptor])
    assert refused == found.settings["lung_sound"]["refused"] <= 0.05
    assert found.settings["lung_sound"]["caught"] >= 0.99


def test_sounds_that_cannot_be_told_apart_refuse_no_more_than_allowed():
    rng = np.random.default_rng(0)
    real, made_up = tables(rng)
    made_up["descriptor"] = points(rng, 120)
    found = package.fit_detectors(real, made_up, "sprsound")
    held_out = real[real.role == "validation"]
    refused = np.mean([found.is_refused(x) for x in held_out.descriptor])
    assert 0 < refused <= 0.05
    assert found.settings["lung_sound"]["caught"] < 0.5


def test_distance_is_the_mean_to_the_five_nearest_in_whitened_components():
    real, made_up = tables(np.random.default_rng(0))
    found = package.fit_detectors(real, made_up, "sprsound")
    train = np.stack(real[(real.role == "train") & (real.dataset == "sprsound")].descriptor)
    train, x = train[:, :-SHAPES], np.arange(6 + SHAPES, dtype=float)
    # With as many components as dimensions, whitened distance is that of Mahalanobis.
    inverse = np.linalg.inv(np.cov(train.T))
    difference = train - x[:-SHAPES]
    expected = np.sort(np.sqrt(np.einsum("nd,de,ne->n", difference, inverse, difference)))[:5]
    assert found.distance(x) == pytest.approx(expected.mean(), rel=2e-3)  # neighbours: float16


def test_no_gain_changes_the_numbers_of_the_shape():
    fbanks = torch.from_numpy(np.random.default_rng(0).normal(-6, 2, (3, 98, 128))).float()
    numbers = shape_numbers(fbanks)
    assert numbers.shape == (3, SHAPES) and torch.isfinite(numbers).all()
    torch.testing.assert_close(shape_numbers(fbanks + 3), numbers, atol=2e-3, rtol=1e-3)
    # A steady tone: one bin has nearly all power, the spectrum is far from flat.
    tone = torch.full((1, 98, 128), -15.0)
    tone[:, :, 20] = 0
    steady = shape_numbers(tone)[0]
    assert steady[2] > -0.01 and steady[0] < numbers[:, 0].min() and steady[3] == 0


def test_breath_and_rattle_are_told_apart_by_the_envelope():
    seconds = torch.arange(298) / 100
    slow, fast = (
        shape_numbers((torch.sin(2 * np.pi * hz * seconds)[None, :, None]).expand(1, 298, 128))[0]
        for hz in (0.5, 20.0)
    )
    first = 5  # numbers before the shares of `ENVELOPE_HZ`
    assert slow[first : first + 4].argmax() == 0 and fast[first : first + 4].argmax() == 3
    assert len(detectors.ENVELOPE_HZ) == 4
