"""Put pretrained weights into a model, with a report of what became of every key."""

from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.config import Experiment
from lib.errors import UserError
from lib.models import ast, cnn, dass, efficientat, weights

# Renames the keys of a published state dict to ours; keys without a place here keep their names.
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
COLUMNS = ["key", "action", "how", "shape_from", "shape_to"]


def load_pretrained(
    model: nn.Module, experiment: Experiment, frames: int, mels: int
) -> pd.DataFrame:
    """Load an experiment's pretrained weights into `model`; return what became of every key.

    Columns: key, action (loaded | resized | initialised | left out), how, shape_from (file),
    shape_to (model). With init none every key is "initialised". Raises `UserError` if the weights
    cannot be had or read, or if a key of the file is missing or of another shape.
    """
    initial = model.state_dict()
    if experiment.init == "none":
        rows = [_row(key, "initialised", "at random", None, initial[key]) for key in initial]
        return pd.DataFrame(rows, columns=COLUMNS)
    path = weights.local_file(experiment)
    state = RENAME[experiment.model](_read_state(path))
    rows, adapted = [], {}
    for key, value in initial.items():
        reason = reinitialised_reason(key, experiment)
        if reason:
            rows.append(_row(key, "initialised", reason, state.get(key), value))
            continue
        if key not in state:
            raise UserError(f"{path}: has no weights for {key}; is it the file of another model?")
        adapted[key], action, how = adapt(key, state[key], experiment, frames, mels)
        rows.append(_row(key, action, how, state[key], value))
        if adapted[key].shape != value.shape:
            raise UserError(
                f"{path}: {key} has shape {_shape(state[key])}, the model needs {_shape(value)}; "
                "use the file of this very model and size"
            )
    model.load_state_dict(adapted, strict=False)
    return _report(rows, state, initial)


def load_encoder(model: nn.Module, path: Path) -> pd.DataFrame:
    """Load the encoder that another run saved; the classifier stays new, a projector is left out.

    Returns a report as `load_pretrained` does. Raises `UserError` if the file does not fit.
    """
    initial, state = model.state_dict(), _read_state(path)
    encoder = {k: v for k, v in state.items() if not k.startswith(("classifier.", "projector."))}
    rows = []
    for key, value in initial.items():
        if key.startswith("classifier."):
            rows.append(_row(key, "initialised", "new classes", None, value))
        elif key not in encoder or encoder[key].shape != value.shape:
            raise UserError(f"{path}: does not fit at {key}; is it the run of another model?")
        else:
            rows.append(_row(key, "loaded", "from the parent run", encoder[key], value))
    model.load_state_dict(encoder, strict=False)
    return _report(rows, state, encoder)


def reinitialised_reason(key: str, experiment: Experiment) -> str:
    """Why a key of the model starts at random although there are weights; "" if it does not."""
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
    """A published tensor in the shape of one key of the model, the action and how it was done."""
    if key == "vit.pos_embed":
        rows = ast.AUDIOSET_ROWS if "audioset" in experiment.init else None
        target = ast.grid(frames, mels, experiment.patch, experiment.stride)
        return ast.resize_positions(value, rows, target, experiment.pos_embed)
    if key in SUMMED and value.shape[1] == 3:
        return value.sum(1, keepdim=True), "resized", "summed over the RGB channels"
    return value, "loaded", ""


def _read_state(path: Path) -> dict[str, Tensor]:
    """A state dict; code inside a file is never run."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # every reader has its own errors for a damaged file
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not readable as weights ({line}); fetch it again") from error
    state = state.get("model", state)  # PANNs wraps its state dict
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def _report(
    rows: list[tuple], state: dict[str, Tensor], used: dict[str, Tensor]
) -> pd.DataFrame:
    left = [_row(k, "left out", "", v, None) for k, v in state.items() if k not in used]
    return pd.DataFrame(rows + left, columns=COLUMNS)


def _row(key: str, action: str, how: str, source: Tensor | None, target: Tensor | None) -> tuple:
    return key, action, how, _shape(source), _shape(target)


def _shape(value: Tensor | None) -> str:
    return "" if value is None else " x ".join(map(str, value.shape)) or "scalar"
