"""DASS, the distilled audio state-space model: VMamba on a spectrogram, in plain PyTorch."""

import re
from collections import OrderedDict

import torch
from timm.layers import DropPath, Mlp, trunc_normal_
from torch import Tensor, nn

from lib.errors import UserError, unknown
from lib.models.base import Classifier
from lib.models.ss2d import PATHS, SS2D, Blur, norm2d

SIZES = {  # width of the first stage (doubled at each), blocks of the stages, drop path
    "nano": (16, (1, 1, 4, 1), 0.1),  # nano and mini are ours
    "mini": (32, (2, 2, 4, 2), 0.1),
    "small": (96, (2, 2, 8, 2), 0.2),
    "medium": (96, (2, 2, 20, 2), 0.3),
}


class DASS(Classifier):
    """DASS on (B, frames, mels); z = mean over the last map after its norm.

    `embed` gives the stem's map, patches of 4 x 4 in frequency and time. There are no positions:
    weights fit any length of clip. The stages are named as on the Hugging Face hub. The classifier
    is Linear. Small has 30 M parameters, medium 49 M, with 527 classes.

    Source: Bhati et al. 2024; Liu et al. 2024.
    """

    def __init__(
        self, size: str, frames: int, mels: int, n_classes: int, blur: Blur | None = None
    ) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown("size", size, SIZES)
        first, depths, drop_path = SIZES[size]
        dims = [first * 2**stage for stage in range(len(depths))]
        if blur and max(blur.blocks) >= dict(enumerate(depths)).get(blur.stage, 0):
            raise UserError(
                f"dass {size}: no block {max(blur.blocks)} in stage {blur.stage} to blur; its "
                f"stages, from 0, have {depths} blocks, from 0"
            )
        self.width = dims[-1]
        self.grid = -(-mels // 4), -(-frames // 4)  # two convolutions of stride 2, rounded up
        self.patch_embed = nn.Sequential(
            *(nn.Conv2d(1, first // 2, 3, 2, 1), norm2d(first // 2), nn.GELU()),
            *(nn.Conv2d(first // 2, first, 3, 2, 1), norm2d(first)),
        )
        rates = torch.linspace(0, drop_path, sum(depths)).split(depths)
        self.layers = nn.Sequential()
        for stage, dim in enumerate(dims):
            blurred = blur.blocks if blur and blur.stage == stage else ()
            blocks = [
                Block(dim, rate, blur if i in blurred else None)
                for i, rate in enumerate(rates[stage].tolist())
            ]
            layers = OrderedDict(blocks=nn.Sequential(*blocks))
            if dim != dims[-1]:
                down = nn.Conv2d(dim, 2 * dim, 3, 2, 1)
                layers["downsample"] = nn.Sequential(down, norm2d(2 * dim))
            self.layers.append(nn.Sequential(layers))
        self.norm = norm2d(self.width)
        self.classifier = nn.Linear(self.width, n_classes)
        self.apply(_initialise)
        self.to(memory_format=torch.channels_last)

    def embed(self, x: Tensor) -> Tensor:
        """The stem's map (B, D, F, T) of normalised fbanks (B, frames, mels)."""
        return self.patch_embed(x.transpose(1, 2).unsqueeze(1))

    def encode(self, patches: Tensor) -> Tensor:
        """z (B, width) of a map (B, D, F, T)."""
        return self.norm(self.layers(patches)).mean((2, 3))


class Block(nn.Module):
    """SS2D and an MLP, each after a norm and with a residual path: (B, D, H, W) -> the same."""

    def __init__(self, dim: int, drop_path: float, blur: Blur | None) -> None:
        super().__init__()
        self.norm = norm2d(dim)
        self.op = SS2D(dim, blur)
        self.drop_path = DropPath(drop_path)
        self.norm2 = norm2d(dim)
        self.mlp = Mlp(dim, 4 * dim, use_conv=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, H, W) -> (B, D, H, W)."""
        x = x + self.drop_path(self.op(self.norm(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def _initialise(layer: nn.Module) -> None:
    """Initialise VMamba's linear layers, which are 1x1 convolutions here."""
    if isinstance(layer, nn.Linear) or getattr(layer, "kernel_size", None) == (1, 1):
        trunc_normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


PUBLISHED_NAMES = {  # the authors' files first, then the names that differ on the hub
    r"^(module\.v|dass|vmamba)\.": "",
    r"^patch_embed\.2\.": "patch_embed.1.",
    r"^patch_embed\.5\.": "patch_embed.3.",
    r"^patch_embed\.7\.": "patch_embed.4.",
    r"\.downsample\.1\.": ".downsample.0.",
    r"\.downsample\.3\.": ".downsample.1.",
    r"^classifier\.norm\.": "norm.",
    r"^patch_embeddings\.projection\.": "patch_embed.",
    r"\.downsample\.down\.": ".downsample.0.",
    r"\.downsample\.norm\.": ".downsample.1.",
    r"\.(x_proj|dt_projs)\.weight$": r".\1_weight",
}


def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename VMamba's, DASS's or the hub's state dict to this model's keys; heads keep theirs.

    Linear layers become 1x1 convolutions, and the four paths get an axis of their own.
    """
    renamed = {}
    for key, value in state.items():
        for pattern, name in PUBLISHED_NAMES.items():
            key = re.sub(pattern, name, key)
        if key.endswith(("in_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")):
            value = value.reshape(*value.shape[:2], 1, 1)
        if key.endswith(("x_proj_weight", "dt_projs_weight")):
            value = value.reshape(PATHS, -1, value.shape[-1])
        renamed[key] = value
    return renamed
