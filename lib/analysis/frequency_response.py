"""Spectral response: how much of each spatial frequency the maps of a network's layers hold."""

import torch
from torch import Tensor, nn

from lib.models.ast import AST

PATCHES = "patches"  # before any block
FLOOR = 1e-6  # added to amplitudes before the logarithm, as Park and Kim do


def frequencies(shape: tuple[int, int]) -> Tensor:
    """Normalised frequencies (n,) of a map (H, W): 0 is its mean, 1 changes sign at each step.

    There are as many as the shorter axis has, n = min(H, W) // 2 + 1.
    """
    return torch.arange(min(shape) // 2 + 1) / (min(shape) / 2)


def diagonal(maps: Tensor) -> Tensor:
    """Log amplitude at equal frequencies down and across, less that at 0: (B, D, H, W) -> (n,).

    A mean over maps and channels. The longer axis takes its nearest frequency.
    Source: Park and Kim 2022, Figure 2 and their code: half the diagonal of the transform.
    """
    height, width = maps.shape[2:]
    at = frequencies((height, width))
    rows, columns = (
        (at * size / 2).round().long().clamp(max=size // 2) for size in (height, width)
    )
    line = log_amplitude(maps)[rows, columns]  # (n,)
    return line - line[0]


def log_amplitude(maps: Tensor) -> Tensor:
    """Mean over maps and channels of log(|F| + 1e-6): (B, D, H, W) -> (H, W), frequency 0 first."""
    return (torch.fft.fft2(maps.float()).abs() + FLOOR).log().mean((0, 1))


@torch.no_grad()
def feature_maps(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The embedded patches and what each block of an AST or DASS gives out: maps (B, D, F, T).

    x: normalised fbanks (B, frames, mels). Names: PATCHES, then the blocks'. An AST's tokens are
    laid back on its grid, the special ones left out. The model runs in the mode it is in.
    """
    patches = model.embed(x)
    maps, handles = {PATCHES: patches}, []
    for name, block in blocks(model).items():

        def keep(block: nn.Module, given: tuple, output: Tensor, name: str = name) -> None:
            maps[name] = _tokens_to_map(output, model.grid) if isinstance(model, AST) else output

        handles.append(block.register_forward_hook(keep))
    try:
        model.encode(patches)
    finally:
        for handle in handles:
            handle.remove()
    return maps


def blocks(model: nn.Module) -> dict[str, nn.Module]:
    """The blocks of an AST or DASS in their order."""
    if isinstance(model, AST):
        return {f"block {at}": block for at, block in enumerate(model.vit.blocks)}
    return {
        f"stage {stage} block {at}": block
        for stage, layer in enumerate(model.layers)
        for at, block in enumerate(layer.blocks)
    }


def _tokens_to_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, 2 + F * T, D) -> (B, D, F, T)."""
    return tokens[:, 2:].transpose(1, 2).unflatten(2, grid)
