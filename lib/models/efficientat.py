"""EfficientAT's mn04: MobileNetV3-Large at 0.4 of its width, pretrained on AudioSet."""

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.ops.misc import SqueezeExcitation

from lib.models.base import Classifier

POOLED = (6, 12, 16)  # two in the middle, and the last


class EfficientAT(Classifier):
    """mn04 on (B, frames, mels); z = the last feature map averaged over frequency and time.

    The classifier is EfficientAT's "mlp" head (Linear, Hardswish, Dropout 0.2, Linear). As in
    EfficientAT's own fine-tuning its first layer comes from AudioSet, the last one is new.

    Named deviation: EfficientAT was trained on 32 kHz log-mels, (x + 4.5) / 5; here it gets the
    same 16 kHz fbank as every other model. Channels-last memory is for speed: 23 ms a clip of 8 s
    for forward and backward on one thread, against 38 ms (batches of 32, deterministic).

    Source: Schmid et al. 2023, "Efficient large-scale audio tagging via
    transformer-to-CNN knowledge distillation"; 983,599 parameters with 527 classes.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        # Sigmoid gates instead of the hard sigmoids of torchvision's MobileNetV3.
        gate = partial(SqueezeExcitation, scale_activation=nn.Sigmoid)
        block = partial(InvertedResidual, se_layer=gate)
        net = mobilenet_v3_large(width_mult=0.4, num_classes=n_classes, block=block)
        stem = nn.Conv2d(1, 8, kernel_size=3, stride=2, padding=1, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out")
        net.features[0][0] = stem
        self.trunk = net.features
        self.classifier = net.classifier
        self.width = net.classifier[0].in_features
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Tensor:
        """z (B, 384) of normalised fbanks (B, frames, mels)."""
        x = x.transpose(1, 2).unsqueeze(1)  # (B, 1, mels, frames)
        x = self.trunk(x)  # (B, 384, mels / 32, frames / 32)
        return x.mean(dim=(2, 3))  # (B, 384)

    def probe_features(self, x: Tensor) -> Tensor:
        """Mean and maximum over the maps of the layers `POOLED` (B, 896), for a linear probe."""
        x = x.transpose(1, 2).unsqueeze(1)
        pooled = []
        for number, layer in enumerate(self.trunk):
            x = layer(x)
            if number in POOLED:
                pooled += [x.mean(dim=(2, 3)), x.amax(dim=(2, 3))]
        return torch.cat(pooled, dim=1)


def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename EfficientAT's released state dict to this model's keys.

    Its squeeze-and-excitation layers are linear, torchvision's are 1x1 convolutions.
    """
    renamed = {}
    for key, value in state.items():
        if ".conc_se_layers.0." in key:
            key = key.replace(".conc_se_layers.0.", ".")
            value = value[:, :, None, None] if value.ndim == 2 else value
        key = f"trunk.{key.removeprefix('features.')}" if key.startswith("features.") else key
        # EfficientAT counts pooling and flattening as layers of the classifier. Its last layer,
        # classifier.5, has AudioSet's classes and keeps its name, which is no key of this model.
        key = key.replace("classifier.2.", "classifier.0.")
        renamed[key] = value
    return renamed
