"""Risk and coverage against a plain loop and by hand."""

import numpy as np
import pytest

from lib.evaluation import selective


def test_a_curve_of_a_loop():
    rng = np.random.default_rng(0)
    confidence, right = rng.random(200), rng.random(200) < 0.7
    answered, risk = selective.risk_coverage(confidence, right)
    order = sorted(range(200), key=lambda i: -confidence[i])
    for count in range(1, 201):
        expected = sum(not right[i] for i in order[:count]) / count
        assert risk[count - 1] == pytest.approx(expected, abs=1e-12)
    assert answered[0] == 1 / 200 and answered[-1] == 1 and risk[-1] == 1 - right.mean()
    assert selective.area_under_risk(confidence, right) == pytest.approx(risk.mean())


def test_equally_sure_clips_are_in_no_order():
    confidence = np.array([0.5, 0.9, 0.5, 0.5, 0.5])
    for right in ([0, 1, 0, 1, 1], [1, 1, 1, 0, 0]):
        _, risk = selective.risk_coverage(confidence, np.array(right))
        np.testing.assert_allclose(risk, [0, 0.25, 1 / 3, 0.375, 0.4])


def test_the_surest_half():
    confidence, right = np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, False, False, False])
    assert selective.risk_at(confidence, right, 0.5) == 0.5
    assert selective.risk_at(confidence, right, 0.0) == 0.0  # at least one clip
    assert selective.risk_at(confidence, right, 1.0) == 0.75


def test_a_perfect_order_has_the_smallest_area():
    right = np.array([True] * 6 + [False] * 2)
    best = selective.area_under_risk(np.arange(8, 0, -1.0), right)
    worst = selective.area_under_risk(np.arange(8.0), right)
    assert best == pytest.approx((1 / 7 + 2 / 8) / 8) and worst > 0.25 > best
