"""Put pretrained weights into a model, with a report of what became of every key."""

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.config import Experiment
from lib.errors import UserError
from lib.models import ast, cnn, dass, efficientat, weights

# Renames the keys of a published state dict to those of our model; other keys keep their names.
RENAME = {
    "ast": ast.rename,
    "dass": dass.rename,
    "resnet18": cnn.rename,
    "efficientnet_b0": cnn.rename,
    "efficientnet_lite0": cnn.rename_lite,
    "cnn6": dict,
    "mn04": efficientat.rename,
}
DOS_FOLDER = 0x10  # attribute of a member of a zip archive
RGB_STEMS = ("trunk.conv1.weight", "trunk.conv_stem.weight")
SUMMED = (*RGB_STEMS, "vit.patch_embed.proj.weight", "patch_embed.0.weight")
COLUMNS = ["key", "action", "how", "shape_from", "shape_to"]


def load_pretrained(
    model: nn.Module, experiment: Experiment, frames: int, mels: int
) -> pd.DataFrame:
    """Load an experiment's pretrained weights into `model`; return what became of every key.

    Columns: key, action (loaded | resized | initialised | left out), how, shape_from (file),
    shape_to (model). With init none every key is "initialised". Raises `UserError` if the weights
    are missing or not readable, or if the file lacks a key or has it in another shape.
    """
    if experiment.init == "none":
        initial = model.state_dict().items()
        rows = [_row(key, "initialised", "at random", None, value) for key, value in initial]
        return pd.DataFrame(rows, columns=COLUMNS)
    path = weights.local_file(experiment)
    state = RENAME[experiment.model](_read_state(path))
    reasons = {key: reinitialised_reason(key, experiment) for key in model.state_dict()}
    fit = partial(adapt, experiment=experiment, frames=frames, mels=mels)
    return _load(model, path, state, reasons, fit)


def load_encoder(model: nn.Module, path: Path) -> pd.DataFrame:
    """Load the encoder that another run saved; the classifier stays new, a projector is left out.

    Returns a report as `load_pretrained` does. Raises `UserError` if the file does not fit.
    """
    heads = [key for key in model.state_dict() if key.startswith("classifier.")]
    reasons = dict.fromkeys(heads, "new classes")
    return _load(
        model, path, _read_state(path), reasons, lambda _, value: (value, "loaded", "from a run")
    )


def _load(
    model: nn.Module,
    path: Path,
    state: dict[str, Tensor],
    reasons: dict[str, str],
    fit: Callable[[str, Tensor], tuple[Tensor, str, str]],
) -> pd.DataFrame:
    """Load each key of the model that has no reason to stay at random, adapted by `fit`."""
    rows, fitted, initial = [], {}, model.state_dict()
    for key, value in initial.items():
        if reasons.get(key):
            rows.append(_row(key, "initialised", reasons[key], state.get(key), value))
            continue
        if key not in state:
            raise UserError(f"{path}: has no weights for {key}; is it the file of another model?")
        fitted[key], action, how = fit(key, state[key])
        rows.append(_row(key, action, how, state[key], value))
        if fitted[key].shape != value.shape:
            raise UserError(
                f"{path}: {key} has shape {_shape(state[key])}, the model needs {_shape(value)}; "
                "use the file of this very model and size"
            )
    model.load_state_dict(fitted, strict=False)
    left = [_row(k, "left out", "", v, None) for k, v in state.items() if k not in initial]
    return pd.DataFrame(rows + left, columns=COLUMNS)


def reinitialised_reason(key: str, experiment: Experiment) -> str:
    """Return why a key of the model stays at random although weights are loaded; "" if not."""
    # EfficientAT's head has two layers, and fine-tuning replaces the last one.
    if key.startswith("classifier.3." if experiment.model == "mn04" else "classifier."):
        return "new classes"
    if experiment.model == "cnn6" and key.startswith("bn0."):
        return "the published one is for 64 mel bins"
    if key in RGB_STEMS and experiment.stem == "random":
        return "stem = random, as published"
    return ""


def adapt(
    key: str, value: Tensor, experiment: Experiment, frames: int, mels: int
) -> tuple[Tensor, str, str]:
    """Return a published tensor in the shape of the model's key, the action and how it was done."""
    if key == "vit.pos_embed":
        rows = ast.AUDIOSET_ROWS if "audioset" in experiment.init else None
        target = ast.grid(frames, mels, experiment.patch, experiment.stride)
        return ast.resize_positions(value, rows, target, experiment.pos_embed)
    if key in SUMMED and value.shape[1] == 3:
        return value.sum(1, keepdim=True), "resized", "summed over the RGB channels"
    return value, "loaded", ""


def _read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict; code inside a file is never run."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _require_whole(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # every reader has its own errors for a damaged file
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not readable as weights ({line}); fetch it again") from error
    if isinstance(state, dict):
        state = state.get("model", state)  # PANNs wraps its state dict
    if not isinstance(state, dict):
        raise UserError(f"{path}: holds no weights with names; fetch it again")
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def _require_whole(path: Path) -> None:
    """Raise an error unless every member of a zip archive has its checksum: torch looks at none."""
    with open(path, "rb") as handle:
        if handle.read(4) != b"PK\x03\x04":  # torch's older format has none
            return
    with zipfile.ZipFile(path) as box:
        if damaged := box.testzip():
            raise zipfile.BadZipFile(f"{damaged} does not match its checksum")
        if any(member.external_attr & DOS_FOLDER for member in box.infolist()):
            raise zipfile.BadZipFile("it holds a folder")  # torch would return unset memory for it


def _row(key: str, action: str, how: str, source: Tensor | None, target: Tensor | None) -> tuple:
    return key, action, how, _shape(source), _shape(target)


def _shape(value: Tensor | None) -> str:
    return "" if value is None else " x ".join(map(str, value.shape)) or "scalar"
