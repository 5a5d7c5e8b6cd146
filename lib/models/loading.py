"""How pretrained weights get into a model, with a report of every key."""

from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.config import Experiment
from lib.errors import UserError
from lib.models import pretrained, weights

COLUMNS = ["key", "action", "how", "shape_from", "shape_to"]


def take_over(model: nn.Module, parent: Path) -> pd.DataFrame:
    """Put a parent run's encoder into `model`; its classifier and projector stay new.

    The report is that of `load`. Raises `UserError` if the file does not fit the model.
    """
    own, state = model.state_dict(), _read(parent)
    encoder = {k: v for k, v in state.items() if not k.startswith(("classifier.", "projector."))}
    rows = []
    for key, value in own.items():
        if key.startswith("classifier."):
            rows.append(_row(key, "initialised", "new classes", None, value))
        elif key not in encoder or encoder[key].shape != value.shape:
            raise UserError(f"{parent}: does not fit at {key}; is it the run of another model?")
        else:
            rows.append(_row(key, "loaded", "from the parent run", encoder[key], value))
    model.load_state_dict(encoder, strict=False)
    left = [_row(k, "left out", "", v, None) for k, v in state.items() if k not in encoder]
    return pd.DataFrame(rows + left, columns=COLUMNS)


def load(model: nn.Module, experiment: Experiment, frames: int, mels: int) -> pd.DataFrame:
    """Put an experiment's pretrained weights into `model`; report what became of every key.

    Columns: key, action (loaded | resized | initialised | left out), how, shape_from (file),
    shape_to (model). With init none every key is "initialised". Raises `UserError` if the weights
    cannot be had or read, or if a key of the file is missing or of another shape.
    """
    own = model.state_dict()
    if experiment.init == "none":
        rows = [_row(key, "initialised", "at random", None, own[key]) for key in own]
        return pd.DataFrame(rows, columns=COLUMNS)
    path = weights.local(experiment)
    state = pretrained.RENAME[experiment.model](_read(path))
    rows, new = [], {}
    for key, value in own.items():
        reason = pretrained.fresh(key, experiment)
        if reason:
            rows.append(_row(key, "initialised", reason, state.get(key), value))
            continue
        if key not in state:
            raise UserError(f"{path}: has no weights for {key}; is it the file of another model?")
        new[key], action, how = pretrained.fit(key, state[key], experiment, frames, mels)
        rows.append(_row(key, action, how, state[key], value))
        if new[key].shape != value.shape:
            raise UserError(
                f"{path}: {key} has shape {_shape(state[key])}, the model needs {_shape(value)}; "
                "use the file of this very model and size"
            )
    left = [_row(k, "left out", "", v, None) for k, v in state.items() if k not in own]
    model.load_state_dict(new, strict=False)
    return pd.DataFrame(rows + left, columns=COLUMNS)


def _read(path: Path) -> dict[str, Tensor]:
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


def _shape(value: Tensor | None) -> str:
    return "" if value is None else " x ".join(map(str, value.shape)) or "scalar"


def _row(key: str, action: str, how: str, source: Tensor | None, target: Tensor | None) -> tuple:
    return key, action, how, _shape(source), _shape(target)
