"""How a published state dict becomes the state of our models, key by key."""

from torch import Tensor

from lib.config import Experiment
from lib.models import ast, cnn, dass, efficientat

# A published state dict under our keys; what has no place with us keeps a name of its own.
RENAME = {
    "ast": ast.rename,
    "dass": dass.rename,
    "resnet18": cnn.rename,
    "efficientnet_b0": cnn.rename,
    "efficientnet_lite0": cnn.rename_lite,
    "cnn6": dict,
    "mn04": efficientat.rename,
}
RGB_STEMS = ("trunk.conv1.weight", "trunk.conv_stem.weight")
SUMMED = (*RGB_STEMS, "vit.patch_embed.proj.weight", "patch_embed.0.weight")


def fresh(key: str, experiment: Experiment) -> str:
    """Why a key of the model starts at random although there are weights; empty if it does not."""
    # EfficientAT's head has two layers, and fine-tuning replaces the last one.
    if key.startswith("classifier.3." if experiment.model == "mn04" else "classifier."):
        return "new classes"
    if experiment.model == "cnn6" and key.startswith("bn0."):
        return "the published one is for 64 mel bins"
    if key in RGB_STEMS and experiment.stem == "random":
        return "stem = random, as published"
    return ""


def fit(
    key: str, value: Tensor, experiment: Experiment, frames: int, mels: int
) -> tuple[Tensor, str, str]:
    """A published tensor made ready for one key of the model; the action and how it was done."""
    if key == "vit.pos_embed":
        rows = ast.AUDIOSET_ROWS if "audioset" in experiment.init else None
        target = ast.grid(frames, mels, experiment.patch, experiment.stride)
        return ast.resize_positions(value, rows, target, experiment.pos_embed)
    if key in SUMMED and value.shape[1] == 3:
        return value.sum(1, keepdim=True), "resized", "summed over the RGB channels"
    return value, "loaded", ""
