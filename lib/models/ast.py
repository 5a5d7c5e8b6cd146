"""The Audio Spectrogram Transformer on timm's distilled vision transformer."""

import torch
from timm.models.deit import VisionTransformerDistilled
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lib.errors import UserError, unknown
from lib.models.base import Classifier

SIZES = {  # width, depth, heads; nano and mini are ours, the others are DeiT's
    "nano": (32, 2, 2),
    "mini": (96, 4, 3),
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
}
EPSILON = 1e-6  # of DeiT's norms
AUDIOSET_ROWS = 12  # frequency rows of the AudioSet checkpoint's grid: 128 mels, stride 10


def grid(frames: int, mels: int, patch: int, stride: int) -> tuple[int, int]:
    """Return the patches in frequency and time (F, T): (12, 79), 948 tokens, for 798 x 128."""
    if min(frames, mels) < patch:
        raise UserError(
            f"a clip of {frames} frames x {mels} mels is below one patch ({patch} x {patch}); "
            "raise clip_seconds"
        )
    return (mels - patch) // stride + 1, (frames - patch) // stride + 1


class AST(Classifier):
    """AST on (B, frames, mels); z = mean of class and distillation token after the final norm.

    The classifier is LayerNorm and Linear. The geometry-aware AST has pool "all", the mean of all
    tokens, and head "linear", no norm. `embed` gives the patches before the positional embedding.
    Norms have DeiT's epsilon of 1e-6, as in the official code; transformers' has 1e-12.

    Source: Gong et al. 2021; Bae et al. 2023, section 3. Base has 85.9 M parameters at 8 s.
    """

    def __init__(
        self, size: str, frames: int, mels: int, patch: int, stride: int, n_classes: int,
        pool: str = "special", head: str = "norm",
    ) -> None:  # fmt: skip
        super().__init__()
        if size not in SIZES:
            raise unknown("size", size, SIZES)
        self.width, depth, heads = SIZES[size]
        self.pooled = 2 if pool == "special" else None  # z is the mean of the first tokens
        self.grid = rows, columns = grid(frames, mels, patch, stride)
        self.vit = VisionTransformerDistilled(
            img_size=(rows * patch, columns * patch),  # as many positions as there are tokens
            patch_size=patch, in_chans=1, num_classes=0,
            embed_dim=self.width, depth=depth, num_heads=heads,
        )  # fmt: skip
        self.vit.patch_embed.proj = nn.Conv2d(1, self.width, patch, stride)  # patches may overlap
        linear = nn.Linear(self.width, n_classes)
        norm = nn.LayerNorm(self.width)
        self.classifier = nn.Sequential(norm, linear) if head == "norm" else linear

    def embed(self, x: Tensor) -> Tensor:
        """Patch embeddings (B, width, F, T) of normalised fbanks (B, frames, mels)."""
        return self.vit.patch_embed.proj(x.transpose(1, 2).unsqueeze(1))  # (B, D, F, T)

    def encode(self, patches: Tensor) -> Tensor:
        """z (B, width) of patch embeddings (B, width, F, T)."""
        tokens = patches.flatten(2).transpose(1, 2)  # (B, F * T, D), time runs fastest
        special = torch.cat([self.vit.cls_token, self.vit.dist_token], dim=1)  # (1, 2, D)
        tokens = torch.cat([special.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.vit.norm(self.vit.blocks(tokens + self.vit.pos_embed))  # (B, 2 + F * T, D)
        return tokens[:, : self.pooled].mean(1)  # (B, D)


def resize_positions(
    positions: Tensor, rows: int | None, target: tuple[int, int], order: str
) -> tuple[Tensor, str, str]:
    """Resize a pretrained positional embedding (1, 2 + rows * columns, D) to a grid (F, T).

    rows: frequency rows of the pretrained grid; None if it is square. An axis is cut from the
    middle if the target is shorter, else interpolated linearly (Gong et al. 2021, 2.2).
    order "aligned" resizes to F x T; "official" to T x F, as the official code does, which then
    reads the result as F x T: frequency survives, time is destroyed.
    Returns the embedding (1, 2 + F * T, D), the action and how it was done.
    """
    special, plane = positions[:, :2], positions[:, 2:].transpose(1, 2)  # (1, D, rows * columns)
    rows = rows or round(plane.shape[2] ** 0.5)
    if plane.shape[2] % rows:
        raise UserError(f"a positional embedding of {plane.shape[2]} patches has no {rows} rows")
    plane = plane.unflatten(2, (rows, -1))  # (1, D, rows, columns)
    size = target if order == "aligned" else target[::-1]
    resized = _resize(_resize(plane, 3, size[1]), 2, size[0])
    how = f"{rows} x {plane.shape[3]} to {size[0]} x {size[1]}"
    how += "" if order == "aligned" else ", axes swapped as published"
    action = "loaded" if size == plane.shape[2:] else "resized"
    return torch.cat([special, resized.flatten(2).transpose(1, 2)], dim=1), action, how


def _resize(plane: Tensor, axis: int, length: int) -> Tensor:
    """Cut the middle of one axis of (1, D, rows, columns), or interpolate it linearly."""
    pretrained = plane.shape[axis]
    if length <= pretrained:
        return plane.narrow(axis, pretrained // 2 - length // 2, length)
    size = (length, plane.shape[3]) if axis == 2 else (plane.shape[2], length)
    return interpolate(plane, size=size, mode="bilinear")


TRANSFORMERS_NAMES = {
    "audio_spectrogram_transformer.": "",
    "embeddings.cls_token": "vit.cls_token",
    "embeddings.distillation_token": "vit.dist_token",
    "embeddings.position_embeddings": "vit.pos_embed",
    "embeddings.patch_embeddings.projection": "vit.patch_embed.proj",
    "encoder.layer.": "vit.blocks.",
    "attention.output.dense": "attn.proj",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}


def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename timm's DeiT, the authors' or the hub's AST state dict to this model's keys.

    Other keys keep their names.
    """
    state = {key.removeprefix("module.v."): value for key, value in state.items()}
    if "pos_embed" in state:
        return {f"vit.{key}": value for key, value in state.items()}
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        for old, new in TRANSFORMERS_NAMES.items():
            key = key.replace(old, new)
        if key.startswith("layernorm."):
            key = f"vit.norm.{key.removeprefix('layernorm.')}"
        renamed[key] = value
    for key in [key for key in renamed if ".attention.attention.query." in key]:
        qkv = [renamed.pop(key.replace("query", name)) for name in ("query", "key", "value")]
        renamed[key.replace("attention.attention.query", "attn.qkv")] = torch.cat(qkv)
    return renamed


def to_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename this model's keys, without those of its classifier, to the hub's: undo `rename`."""
    prefix, *names = TRANSFORMERS_NAMES.items()
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        for old, new in names:
            key = key.replace(new, old)
        key = prefix[0] + key.replace("vit.norm.", "layernorm.")
        if ".attn.qkv." in key:
            for name, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                renamed[key.replace("attn.qkv", f"attention.attention.{name}")] = third
        else:
            renamed[key] = value
    return renamed
