"""Models: (B, frames, mels) in; `features` gives z, `classifier` turns z into logits."""

from torch import nn

from lib.errors import unknown
from lib.models import ast, cnn, efficientat
from lib.settings import Experiment

MODELS = ("ast", *cnn.TIMM, "cnn6", "mn04")


def build(experiment: Experiment, frames: int, mels: int, n_classes: int = 4) -> nn.Module:
    """The model of an experiment, initialised at random from torch's global generator.

    Every model has `width`, `features(x) -> z (B, width)`, `classifier` (z -> logits) and
    `forward(x) = classifier(features(x))` for x (B, frames, mels). Pretrained weights are put in
    afterwards by `lib.weights.load`. Raises `UserError` for an unknown model or size.
    """
    e = experiment
    if e.model == "ast":
        return ast.AST(e.size, frames, mels, e.patch, e.stride, n_classes, e.pool)
    if e.model in cnn.TIMM:
        return cnn.TimmCNN(e.model, n_classes)
    if e.model == "cnn6":
        return cnn.CNN6(mels, n_classes)
    if e.model == "mn04":
        return efficientat.EfficientAT(n_classes)
    raise unknown("model", e.model, MODELS)
