"""Patch-Mix CL (Bae et al. 2023): Tables 1 to 3, Figure 2, and a small CNN beside them."""

from functools import partial

from lib.config import Experiment, override
from lib.experiments import declare

EXPERIMENTS: dict[str, Experiment] = {}
add = partial(declare, EXPERIMENTS)

# Table 1. AST: lr 5e-5, batch 8, 50 epochs pretrained and 200 from scratch; others: lr 1e-3, 128.
AST = Experiment("ast")
CNN = Experiment("cnn", lr=1e-3, batch_size=128, epochs=200)

CE = add(AST, "ast_in_as/ce", init="imagenet+audioset", save_embeddings=True)
add(AST, "ast_in/ce", init="imagenet")
add(AST, "ast/ce", epochs=200)
for _model in ("resnet18", "efficientnet_b0", "efficientnet_lite0"):
    add(CNN, f"{_model}/ce", model=_model)
    add(CNN, f"{_model}_in/ce/stem=summed", model=_model, init="imagenet", stem="summed")
for _model in ("resnet18", "efficientnet_b0"):
    add(CNN, f"{_model}_in/ce", model=_model, init="imagenet")
add(CNN, "cnn6/ce", model="cnn6")
add(CNN, "cnn6_as/ce", model="cnn6", init="audioset")

# Table 2. Patch-Mix's own cross-entropies are unweighted.
MIXED = override(CE, class_weights=False, save_embeddings=False)
add(MIXED, "ast_in_as/patchmix_ce", method="patchmix_ce")
add(MIXED, "ast_in_as/patchmix_ce/mix=t_patch", method="patchmix_ce", mix="t_patch")
CL = add(MIXED, "ast_in_as/patchmix_cl", method="patchmix_cl", save_embeddings=True)
LEAN = override(CL, save_embeddings=False)  # the t-SNE shows CE and CL alone
_VARIANTS = {
    "mix=t_patch": {"mix": "t_patch"},
    "negatives=diff_y": {"negatives": "diff_y"},
    "target=stop(h(z))": {"target": "stop(h(z))"},
    "target=z": {"target": "z"},
    "target=h(z)": {"target": "h(z)"},
    "pos_embed=aligned": {"pos_embed": "aligned"},
    "spec_augment=1": {"spec_augment": 1.0},
}
for _name, _changes in _VARIANTS.items():
    add(LEAN, f"ast_in_as/patchmix_cl/{_name}", **_changes)
add(CE, "ast_in_as/ce/pos_embed=aligned", pos_embed="aligned", save_embeddings=False)
add(CE, "ast_in_as/ce/spec_augment=1", spec_augment=1.0, save_embeddings=False)

# Figure 2. The paper's text gives no grid: this one is ours.
SWEEPS = {
    "tau": (0.02, 0.04, 0.06, 0.08, 0.1, 0.2),
    "alpha": (0.25, 0.5, 1.0, 2.0),
    "beta": (0.2, 0.5, 1.0, 2.0),
    "projector": (128, 256, 512, 768),
}
for _key, _values in SWEEPS.items():
    for _value in _values:
        if _value != getattr(CL, _key):
            add(LEAN, f"ast_in_as/patchmix_cl/{_key}={_value}", **{_key: _value})

# Table 3. Retrained without the two patients who stand on both sides of the official split.
add(CE, "ast_in_as/ce/split=patient_clean", split="patient_clean", save_embeddings=False)
add(LEAN, "ast_in_as/patchmix_cl/split=patient_clean", split="patient_clean")

# Ours: a small CNN with AudioSet weights that can be had anywhere; Patch-Mix acts on its input.
MN04 = Experiment(
    "mn04",
    model="mn04",
    lr=5e-4,
    batch_size=32,
    epochs=50,
    moving_average=0.0,
    normalise="dataset",
    mix_at="input",
)
# The official split entire from third-party mel pictures of at most 4 s: the row names it.
MEL = {
    "dataset": "icbhi_mel",
    "clip_seconds": 4.0,
    "epochs": 5,
    "time_mask": 80,
    "validation_split": 0.2,
}
for _suffix, _data in (("", {}), ("@mel", MEL)):
    add(MN04, f"mn04/ce{_suffix}", **_data)
    _base = override(MN04, init="audioset", **_data)
    add(_base, f"mn04_as/ce{_suffix}")
    _mixed = override(_base, class_weights=False)
    add(_mixed, f"mn04_as/patchmix_ce{_suffix}", method="patchmix_ce")
    add(_mixed, f"mn04_as/patchmix_cl{_suffix}", method="patchmix_cl")
# Published settings, from scratch, on the mel pictures: for a GPU (8 s clips, 50 epochs, not 200).
_gpu = {
    "dataset": "icbhi_mel",
    "normalise": "dataset",
    "epochs": 50,
    "precision": "bf16",
    "validation_split": 0.2,
}
add(CNN, "resnet18/ce@mel", model="resnet18", **_gpu)
add(AST, "ast_small/ce@mel", size="small", **_gpu)
add(LEAN, "ast_small/patchmix_cl@mel", size="small", **_gpu | {"init": "none"})
