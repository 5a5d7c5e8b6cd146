"""Frequency response of known waves, and feature maps against the models' layers."""

import math

import numpy as np
import pytest
import torch

from lib.analysis import frequency_response
from lib.models.ast import AST
from lib.models.dass import DASS


@pytest.mark.parametrize(
    "height, width, down, across", [(12, 12, 2, 2), (12, 80, 2, 13), (40, 10, 8, 2), (9, 12, 2, 3)]
)
def test_a_wave_has_its_amplitude_at_its_frequency(height, width, down, across):
    """Mean 5 and a wave of amplitude 1, half of which is on this side of the transform.

    Third of the frequencies: 2 periods on the shorter axis, the nearest number on the other.
    """
    h, w = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    wave = torch.cos(2 * math.pi * (down * h / height + across * w / width) + 0.3)
    response = frequency_response.diagonal((5 + wave)[None, None])
    frequencies = frequency_response.frequencies((height, width))
    assert response.shape == frequencies.shape == (min(height, width) // 2 + 1,)
    assert frequencies[2] == pytest.approx(4 / min(height, width)) and response[0] == 0
    assert response[2] == pytest.approx(math.log(0.5 / 5), abs=1e-4)
    assert (response[[1, *range(3, len(response))]] < -7).all()


def test_diagonal_is_park_and_kims_on_square_maps():
    """Shifted transform, log amplitude, mean, half the diagonal, minus its first value."""
    maps = torch.randn(3, 4, 14, 14)
    shifted = np.fft.fftshift(np.fft.fft2(maps.double().numpy()), axes=(2, 3))
    half = np.log(np.abs(shifted) + 1e-6).mean((0, 1)).diagonal()[7:]
    np.testing.assert_allclose(frequency_response.diagonal(maps)[:7], half - half[0], atol=1e-5)


def test_maps_of_ast_are_tokens_on_its_grid():
    model = AST("nano", 98, 64, 16, 10, 4).eval()
    x = torch.randn(2, 98, 64)
    maps = frequency_response.feature_maps(model, x)
    rows, columns = model.grid
    assert list(maps) == ["patches", "block 0", "block 1"]
    torch.testing.assert_close(maps["patches"], model.embed(x))
    assert maps["block 1"].shape == (2, 32, rows, columns)
    with torch.no_grad():
        tokens = model.embed(x).flatten(2).transpose(1, 2)
        special = torch.cat([model.vit.cls_token, model.vit.dist_token], 1).expand(2, -1, -1)
        tokens = model.vit.blocks[0](torch.cat([special, tokens], 1) + model.vit.pos_embed)
    f, t = 3, 5
    torch.testing.assert_close(maps["block 0"][1, :, f, t], tokens[1, 2 + f * columns + t])


def test_maps_of_dass_are_its_blocks():
    model = DASS("nano", 98, 64, 4).eval()
    x = torch.randn(2, 98, 64)
    maps = frequency_response.feature_maps(model, x)
    names = ["patches", *(f"stage {stage} block 0" for stage in range(3))]
    assert len(maps) == 8 and list(maps)[:4] == names
    assert [tuple(m.shape[1:]) for m in maps.values()][2:4] == [(32, 8, 13), (64, 4, 7)]
    torch.testing.assert_close(maps["patches"], model.embed(x))
    with torch.no_grad():
        first = model.layers[0].blocks[0](model.embed(x))
    torch.testing.assert_close(maps["stage 0 block 0"], first)
    assert not any(block._forward_hooks for block in frequency_response.blocks(model).values())
