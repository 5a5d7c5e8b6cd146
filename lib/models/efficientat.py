"""EfficientAT's mn04: MobileNetV3-Large at 0.4 of its width, pretrained on AudioSet."""

from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.ops.misc import SqueezeExcitation


class EfficientAT(nn.Module):
    """mn04 on (B, frames, mels); z = the last feature map averaged over frequency and time.

    The classifier is EfficientAT's "mlp" head (Linear, Hardswish, Dropout 0.2, Linear). As in
    EfficientAT's own fine-tuning its first layer comes from AudioSet, the last one is new.

    Named deviation: EfficientAT was trained on 32 kHz log-mels, (x + 4.5) / 5; here it gets the
    project's 16 kHz fbank as every other model does, normalised as the experiment says.

    Channels-last memory is a matter of speed: about 23 ms a clip of 8 s for forward and backward
    on one idle thread, against 38 ms otherwise (batches of 32, deterministic algorithms).

    Source: Schmid et al. 2023, "Efficient large-scale audio tagging via
    transformer-to-CNN knowledge distillation"; 983,599 parameters with 527 classes.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        # Sigmoid gates, where torchvision's MobileNetV3 has hard sigmoids.
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

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, n_classes)."""
        return self.classifier(self.features(x))


def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """EfficientAT's released state dict under this model's keys.

    Its squeeze-and-excitation layers are linear, torchvision's are 1x1 convolutions.
    """
    renamed = {}
    for key, value in state.items():
        if ".conc_se_layers.0." in key:
            key = key.replace(".conc_se_layers.0.", ".")
            value = value[:, :, None, None] if value.ndim == 2 else value
        key = f"trunk.{key.removeprefix('features.')}" if key.startswith("features.") else key
        # EfficientAT counts pooling and flattening as layers of the classifier. Its last layer,
        # classifier.5, keeps its name, which no key of ours has: those are AudioSet's classes.
        key = key.replace("classifier.2.", "classifier.0.")
        renamed[key] = value
    return renamed
