"""Where an AST looks: attention over a spectrogram's patches, of the last block and rolled out.

A map says from which patches z was read, not what was found there nor whether it mattered.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.functional import fold

from lib.analysis.landscape import eval_mode
from lib.models.ast import AST


@torch.no_grad()
def attention_maps(model: AST, x: Tensor) -> dict[str, Tensor]:
    """Attention maps "last" and "rollout", each (B, F, T) with sum 1, of clips x (B, frames, mels).

    Both are read by the tokens that make z, on average: class and distillation token, or all.
    "last": the last block's attention, mean over heads. "rollout": attention and the residual
    connection, half each, multiplied over all blocks (Abnar & Zuidema 2020, section 3). Row 0 of F
    are the lowest mels. Takes memory for a (B, heads, N, N) matrix, N = 2 + F * T. In eval mode.
    """
    with _recorded(model) as blocks:
        model(x)
    reader = torch.zeros_like(blocks[0][0, 0])  # (N,)
    reader[: model.pooled] = 1
    reader = (reader / reader.sum())[None, None]  # (1, 1, N)
    flow = reader
    for attention in reversed(blocks):  # from z down to the patches
        flow = (flow @ attention + flow) / 2  # (B, 1, N), still with sum 1
    return {"last": _map(reader @ blocks[-1], model.grid), "rollout": _map(flow, model.grid)}


@contextmanager
def _recorded(model: AST) -> Iterator[list[Tensor]]:
    """Each block's attention (B, N, N), mean over heads; rows are who reads.

    timm's fused kernel keeps none, so the blocks compute it in the open for a while.
    """
    parts, found = [block.attn for block in model.vit.blocks], []
    fused = [part.fused_attn for part in parts]
    hooks = [
        part.attn_drop.register_forward_hook(
            lambda _, __, attention: found.append(attention.mean(1))
        )
        for part in parts
    ]
    try:
        with eval_mode(model):
            for part in parts:
                part.fused_attn = False
            yield found
    finally:
        for part, before, hook in zip(parts, fused, hooks, strict=True):
            part.fused_attn = before
            hook.remove()


def _map(read: Tensor, grid: tuple[int, int]) -> Tensor:
    """What was read of each patch (B, F, T), with sum 1, of all tokens' shares (B, 1, N)."""
    patches = read[:, 0, 2:]  # (B, F * T), time runs fastest
    return (patches / patches.sum(1, keepdim=True)).unflatten(1, grid)


def to_spectrogram(found: Tensor, frames: int, mels: int, patch: int, stride: int) -> Tensor:
    """A map (F, T) spread over its spectrogram (frames, mels), to be drawn on top of it.

    A pixel has the mean of the patches that cover it, NaN where there is none: at stride 10 the
    last frames and mels.
    """
    kernel = {"output_size": (mels, frames), "kernel_size": patch, "stride": stride}
    columns = found.reshape(1, 1, -1).expand(1, patch * patch, -1)  # (1, patch ^ 2, F * T)
    total = fold(columns, **kernel)[0, 0]  # (mels, frames)
    cover = fold(torch.ones_like(columns), **kernel)[0, 0]
    return (total / cover).T
