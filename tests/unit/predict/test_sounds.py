"""Made-up sounds that are no lung sounds."""

import numpy as np
import pytest

from lib.predict.sounds import KINDS, LOUDNESS, made_up_sound


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_sound_other_seed_another(kind):
    wave = made_up_sound(kind, 1, 2.0)
    assert wave.dtype == np.float32 and wave.shape == (32000,)
    assert LOUDNESS[0] * 0.99 <= np.abs(wave).max() <= LOUDNESS[1] * 1.01
    np.testing.assert_array_equal(wave, made_up_sound(kind, 1, 2.0))
    other = made_up_sound(kind, 2, 2.0)
    assert abs(np.corrcoef(wave, other)[0, 1]) < 0.99
