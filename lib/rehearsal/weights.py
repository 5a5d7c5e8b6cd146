"""Files of random weights in the published layouts, so that a rehearsal loads them too."""

from collections.abc import Callable
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from lib import files, papers
from lib.config import Experiment
from lib.models import ast, weights
from lib.models.build import build_model
from lib.papers.profiles import Profile, apply_rules
from lib.runs.plan import NO_RESULT, RANDOM_WEIGHTS

State = dict[str, Tensor]
CLASSES = 527  # of AudioSet
DEIT = {"tiny": "224", "small": "224", "base": "384"}  # the images' sizes
AST_HEAD = {"classifier.0.": "classifier.layernorm.", "classifier.1.": "classifier.dense."}
DASS_HUB = {
    **{f"patch_embed.{number}.": f"patch_embeddings.projection.{number}." for number in range(5)},
    **{"downsample.0.": "downsample.down.", "downsample.1.": "downsample.norm."},
    **{"x_proj_weight": "x_proj.weight", "dt_projs_weight": "dt_projs.weight"},
}
MN04 = {"trunk.": "features.", "fier.0.": "fier.2.", "fier.3.": "fier.5.",
        ".fc": ".conc_se_layers.0.fc"}  # fmt: skip
LINEAR = ("in_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight")  # 1x1 convolutions here


def write_weights(folder: Path, profile: Profile, groups: list[str]) -> None:
    """Write a file of random weights for each published one that these groups of rows need.

    Files that are there stay. Nothing is written for weights that a Python package brings.
    """
    files.write_text(folder / RANDOM_WEIGHTS, f"{NO_RESULT}\n")
    rows = [row.experiment for group in groups for row in papers.GROUPS[group] if row.experiment]
    for experiment in (apply_rules(profile, each) for each in rows):
        source = weights.source_of(experiment)
        if source and not source.package and not (folder / source.file).exists():
            torch.manual_seed(0)
            state = {key: value.contiguous() for key, value in random_state(experiment).items()}
            with files.atomic_write(folder / source.file) as path:
                if source.hub:
                    save_file(state, path)
                else:
                    torch.save({"model": state} if experiment.model == "cnn6" else state, path)


def random_state(experiment: Experiment) -> State:
    """Return a random state dict with names and shapes of the experiment's published weights."""
    if experiment.model == "ast" and experiment.init == "imagenet":
        size = experiment.size
        return timm.create_model(f"deit_{size}_distilled_patch16_{DEIT[size]}").state_dict()
    if experiment.model in LAYOUTS:
        bare = Experiment("published", model=experiment.model, size=experiment.size)
        mels = 64 if experiment.model == "cnn6" else 128
        return LAYOUTS[experiment.model](build_model(bare, 1024, mels, CLASSES).state_dict())
    return timm.create_model(experiment.model).state_dict()


def _ast(state: State) -> State:
    """The layout of the hub's AST: it splits query, key and value."""
    names = {ours: theirs for theirs, ours in ast.TRANSFORMERS_NAMES.items() if ours}
    published = {}
    for key, value in state.items():
        encoder = key.startswith("vit.")
        key = _replaced(key, {"vit.norm.": "layernorm.", **names, **AST_HEAD})
        key = f"audio_spectrogram_transformer.{key}" if encoder else key
        if "attn.qkv" in key:
            for name, part in zip(("query", "key", "value"), value.chunk(3), strict=True):
                published[key.replace("attn.qkv", f"attention.attention.{name}")] = part.clone()
        else:
            published[key] = value
    return published


def _dass(state: State) -> State:
    """The layout of the hub's DASS: linear layers, and the four paths in one axis."""
    published = {}
    for key, value in state.items():
        value = value.flatten(1) if key.endswith(LINEAR) else value
        value = value.flatten(0, 1) if key.endswith(("x_proj_weight", "dt_projs_weight")) else value
        head = key.startswith("classifier.")
        key = _replaced(key, DASS_HUB)
        published[key.replace("classifier.", "head.") if head else f"dass.{key}"] = value
    return published


def _cnn6(state: State) -> State:
    return {key.replace("classifier.", "fc_audioset."): value for key, value in state.items()}


def _mn04(state: State) -> State:
    """EfficientAT's layout: squeeze-and-excitation layers are linear."""
    return {
        _replaced(key, MN04): value.flatten(1) if ".fc" in key and value.ndim > 1 else value
        for key, value in state.items()
    }


LAYOUTS: dict[str, Callable[[State], State]] = {
    "ast": _ast, "dass": _dass, "cnn6": _cnn6, "mn04": _mn04
}  # fmt: skip


def _replaced(text: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        text = text.replace(old, new)
    return text
