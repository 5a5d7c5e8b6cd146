"""Lung-SRAD (arXiv 2606.11922, its code): DASS, blur inside it, Patch-Mix CL along both axes."""

from functools import partial

from lib.config import Experiment, override
from lib.experiments import declare, patchmix
from lib.experiments.sam import RADIUS

EXPERIMENTS: dict[str, Experiment] = {}
add = partial(declare, EXPERIMENTS)

# AST in the same setting beside it.
SRAD = override(
    patchmix.AST,
    name="srad",
    init="imagenet+audioset",
    normalise="clip",
    class_weights=False,
    batch_size=16,
    tau=0.2,
)
DASS = override(SRAD, model="dass", size="medium")
METHODS = {  # of a backbone
    "ce": {},
    "patchmix_ce": {"method": "patchmix_ce"},
    "patchmix_cl": {"method": "patchmix_cl"},
    "dual_axis": {"method": "dual_axis_cl"},
    "ce/rho=0.05": {"rho": RADIUS},
}
for _name, _changes in METHODS.items():
    _seen = {"save_frequency_response": _name in ("ce", "dual_axis")}
    add(SRAD, f"ast_srad/{_name}", **_changes, **_seen)
    add(DASS, f"dass/{_name}", **_changes, **_seen)
for _mix in ("t_patch", "f_patch"):  # one axis alone
    add(DASS, f"dass/patchmix_cl/mix={_mix}", method="patchmix_cl", mix=_mix)
# Two axes have two contrastive terms: one of the same weight, and stretches of columns and rows.
add(DASS, "dass/patchmix_cl/alpha=2", method="patchmix_cl", alpha=2.0)
add(DASS, "dass/dual_axis/contiguous=True", method="dual_axis_cl", contiguous=True)
BLURRED = add(DASS, "dass/blur", blur=1.0, save_frequency_response=True)
_full = add(BLURRED, "dass/srad", method="dual_axis_cl")
BLURS = {
    "blur=0.5": {"blur": 0.5},
    "blur_sigma=1": {"blur_sigma": 1.0},
    "blur_blocks=0,1": {"blur_blocks": "0,1"},
    "blur_blocks=18,19": {"blur_blocks": "18,19"},
    "blur_stage=1": {"blur_stage": 1, "blur_blocks": "0,1"},
    "blur_stage=3": {"blur_stage": 3, "blur_blocks": "0,1"},
    "blur_at=after": {"blur_at": "after"},
    "blur_when=training": {"blur_when": "training"},
}
for _name, _changes in BLURS.items():
    add(BLURRED, f"dass/blur/{_name}", **_changes, save_frequency_response=False)
SRAD_QUIRKS = {
    "train_projector=False": {"train_projector": False},
    "interpolated_frames=1024": {"interpolated_frames": 1024},
    "normalise=audioset": {"normalise": "audioset"},
}
for _name, _changes in SRAD_QUIRKS.items():
    add(_full, f"dass/srad/{_name}", **_changes, save_frequency_response=False)
# As the published code runs, which the published numbers are compared with.
_STRETCHED = {"interpolated_frames": 1024}
CODED: dict[str, str] = {}  # what follows the paper -> the same as its code runs
for _name, _changes in {
    "dass/ce": _STRETCHED,
    "dass/blur": _STRETCHED,
    "dass/srad": _STRETCHED | {"train_projector": False},
}.items():
    CODED[_name] = f"{_name}/" + ",".join(f"{key}={value}" for key, value in _changes.items())
    add(EXPERIMENTS[_name], CODED[_name], **_changes, save_frequency_response=False)
# From scratch on the mel pictures, for a GPU; data, normalisation and precision are AST-small's.
_shared = ("dataset", "normalise", "precision", "validation_split", "epochs", "size", "init")
_MEL = {key: getattr(patchmix.EXPERIMENTS["ast_small/ce@mel"], key) for key in _shared}
add(DASS, "dass_small/ce@mel", **_MEL)
add(_full, "dass_small/srad@mel", **_MEL, save_frequency_response=False)
# A CNN with weights that can be had anywhere; the contrastive loss as the others'.
_MN04 = override(patchmix.MN04, init="audioset", class_weights=False)
for _name, _changes in METHODS.items():
    _tau = {"tau": SRAD.tau} if "_cl" in _changes.get("method", "") else {}
    add(_MN04, f"mn04_srad/{_name}", **_changes, **_tau)
