"""The model of an experiment, with its projection head."""

from torch import Tensor, nn
from torch.nn.functional import normalize

from lib.config import Experiment
from lib.errors import UserError, unknown
from lib.models import ast, cnn, dass, efficientat
from lib.models.projector import Projector
from lib.models.ss2d import Blur

MODELS = ("ast", "dass", *cnn.TIMM, "cnn6", "cnn2", "mn04")


def build_model(experiment: Experiment, frames: int, mels: int, n_classes: int = 4) -> nn.Module:
    """Return the model of an experiment, initialised at random from torch's global generator.

    Every model has `width`, `features(x) -> z (B, width)`, `classifier` (z -> logits) and
    `forward(x) = classifier(features(x))` for x (B, frames, mels). Pretrained weights are loaded
    afterwards (`lib.models.pretrained`). Raises `UserError` for an unknown model or size, and for a
    blur in a model other than DASS.
    """
    if experiment.blur and experiment.model != "dass":
        raise UserError(f"blur is for dass, not for {experiment.model}; set it to 0")
    model = _build_backbone(experiment, frames, mels, n_classes)
    if experiment.dropout:
        model.classifier = nn.Sequential(nn.Dropout(experiment.dropout), model.classifier)
    if experiment.freeze:
        model.requires_grad_(False)
        model.classifier = nn.Sequential(UnitLength(), nn.Linear(model.width, n_classes))
    return model


def _build_backbone(e: Experiment, frames: int, mels: int, n_classes: int) -> nn.Module:
    if e.model == "ast":
        return ast.AST(e.size, frames, mels, e.patch, e.stride, n_classes, e.pool, e.head)
    if e.model == "dass":
        blocks = tuple(map(int, e.blur_blocks.split(",")))
        named = {"sigma": e.blur_sigma, "at": e.blur_at, "when": e.blur_when}
        blur = Blur(e.blur, e.blur_stage, blocks, **named) if e.blur else None
        return dass.DASS(e.size, frames, mels, n_classes, blur)
    if e.model in cnn.TIMM:
        return cnn.TimmCNN(e.model, n_classes)
    if e.model == "cnn6":
        return cnn.CNN6(mels, n_classes)
    if e.model == "cnn2":
        return cnn.CNN2(e.size, frames, mels, n_classes)
    if e.model == "mn04":
        return efficientat.EfficientAT(n_classes)
    raise unknown("model", e.model, MODELS)


def add_projector(model: nn.Module, experiment: Experiment) -> None:
    """Add the projection head of a contrastive method to the model; other methods have none."""
    if experiment.method in ("patchmix_cl", "dual_axis_cl"):
        model.projector = Projector(model.width, experiment.projector)
        model.projector.requires_grad_(experiment.train_projector)
    if experiment.method == "supcon":
        head = nn.Linear(model.width, experiment.projector)
        model.projector = nn.Sequential(nn.Dropout(experiment.dropout), head)


class UnitLength(nn.Module):
    """Scale features to length 1, as a linear layer on a contrastive embedding expects."""

    def forward(self, z: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        return normalize(z, dim=1)
