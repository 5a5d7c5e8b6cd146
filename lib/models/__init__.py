"""Models: (B, frames, mels) in; `features` gives z, `classifier` turns z into logits."""

from torch import Tensor, nn
from torch.nn.functional import normalize

from lib.config import Experiment
from lib.errors import UserError, unknown
from lib.models import ast, cnn, dass, efficientat
from lib.models.ss2d import Blur
from lib.models.projector import Projector

MODELS = ("ast", "dass", *cnn.TIMM, "cnn6", "cnn2", "mn04")


def build_model(experiment: Experiment, frames: int, mels: int, n_classes: int = 4) -> nn.Module:
    """The model of an experiment, initialised at random from torch's global generator.

    Every model has `width`, `features(x) -> z (B, width)`, `classifier` (z -> logits) and
    `forward(x) = classifier(features(x))` for x (B, frames, mels). Pretrained weights are put in
    afterwards by `lib.models.pretrained.load_pretrained`. Raises `UserError` for an unknown model or size, and
    for a blur where it has no place.
    """
    if experiment.blur and experiment.model != "dass":
        raise UserError(f"blur is for dass, not for {experiment.model}; set it to 0")
    model = _build(experiment, frames, mels, n_classes)
    if experiment.dropout:
        model.classifier = nn.Sequential(nn.Dropout(experiment.dropout), model.classifier)
    if experiment.freeze:
        model.requires_grad_(False)
        model.classifier = nn.Sequential(Unit(), nn.Linear(model.width, n_classes))
    return model


def _build(e: Experiment, frames: int, mels: int, n_classes: int) -> nn.Module:
    if e.model == "ast":
        return ast.AST(e.size, frames, mels, e.patch, e.stride, n_classes, e.pool, e.head)
    if e.model == "dass":
        return dass.DASS(e.size, frames, mels, n_classes, _blur(e))
    if e.model in cnn.TIMM:
        return cnn.TimmCNN(e.model, n_classes)
    if e.model == "cnn6":
        return cnn.CNN6(mels, n_classes)
    if e.model == "cnn2":
        return cnn.CNN2(e.size, frames, mels, n_classes)
    if e.model == "mn04":
        return efficientat.EfficientAT(n_classes)
    raise unknown("model", e.model, MODELS)


def _blur(e: Experiment) -> Blur | None:
    blocks = tuple(map(int, e.blur_blocks.split(",")))
    named = {"sigma": e.blur_sigma, "at": e.blur_at, "when": e.blur_when}
    return Blur(e.blur, e.blur_stage, blocks, **named) if e.blur else None


def add_projector(model: nn.Module, experiment: Experiment) -> None:
    """Give a model the head of its contrastive method, if it has one."""
    if experiment.method in ("patchmix_cl", "dual_axis_cl"):
        model.projector = Projector(model.width, experiment.projector)
        model.projector.requires_grad_(experiment.train_projector)
    if experiment.method == "supcon":
        head = nn.Linear(model.width, experiment.projector)
        model.projector = nn.Sequential(nn.Dropout(experiment.dropout), head)


class Unit(nn.Module):
    """Features scaled to length 1: what a linear layer on a contrastive embedding reads."""

    def forward(self, z: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        return normalize(z, dim=1)
