"""Spatial-frequency response: how much of each frequency the maps of a network's layers hold."""

import torch
from torch import Tensor, nn

from lib.models.ast import AST

PATCHES = "patches"  # name of the embedded patches, before any block
FLOOR = 1e-6  # added to amplitudes before the logarithm, as Park and Kim do


def frequencies(shape: tuple[int, int]) -> Tensor:
    """Return the normalised frequencies (n,) of a map (H, W), n = min(H, W) // 2 + 1.

    0 is the map's mean, 1 changes sign at each step.
    """
    return torch.arange(min(shape) // 2 + 1) / (min(shape) / 2)


def diagonal(maps: Tensor) -> Tensor:
    """Return log amplitude at equal frequencies down and across, minus that at 0.

    maps (B, D, H, W) -> (n,), the mean over maps and channels. The longer axis takes its nearest
    frequency. Source: Park and Kim 2022, Figure 2 and their code: half the transform's diagonal.
    """
    height, width = maps.shape[2:]
    normalised = frequencies((height, width))
    rows, columns = (
        (normalised * size / 2).round().long().clamp(max=size // 2) for size in (height, width)
    )
    amplitudes = log_amplitude(maps)[rows, columns]  # (n,)
    return amplitudes - amplitudes[0]


def log_amplitude(maps: Tensor) -> Tensor:
    """Return the mean over maps and channels of log(|F| + 1e-6): (B, D, H, W) -> (H, W)."""
    return (torch.fft.fft2(maps.float()).abs() + FLOOR).log().mean((0, 1))


@torch.no_grad()
def feature_maps(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return the embedded patches and the output of each block of an AST or DASS: (B, D, F, T).

    x: normalised fbanks (B, frames, mels). An AST's tokens are laid back on its grid, without the
    special ones. The model runs in the mode it is in.
    """
    patches = model.embed(x)
    maps, handles = {PATCHES: patches}, []
    for name, block in blocks(model).items():

        def save(block: nn.Module, inputs: tuple, output: Tensor, name: str = name) -> None:
            maps[name] = _tokens_to_map(output, model.grid) if isinstance(model, AST) else output

        handles.append(block.register_forward_hook(save))
    try:
        model.encode(patches)
    finally:
        for handle in handles:
            handle.remove()
    return maps


def blocks(model: nn.Module) -> dict[str, nn.Module]:
    """Return the blocks of an AST or DASS in their order."""
    if isinstance(model, AST):
        return {f"block {i}": block for i, block in enumerate(model.vit.blocks)}
    return {
        f"stage {stage} block {i}": block
        for stage, layer in enumerate(model.layers)
        for i, block in enumerate(layer.blocks)
    }


def _tokens_to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, 2 + F * T, D) -> (B, D, F, T)."""
    return tokens[:, 2:].transpose(1, 2).unflatten(2, grid)
