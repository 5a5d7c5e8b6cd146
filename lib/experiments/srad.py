"""Lung-SRAD (arXiv 2606.11922, its code): DASS, blur inside it, Patch-Mix CL along both axes."""

from functools import partial

from lib.experiments import declare, patchmix
from lib.experiments.geometry import RADIUS
from lib.settings import Experiment, override

EXPERIMENTS: dict[str, Experiment] = {}
add = partial(declare, EXPERIMENTS)

# AST in the same setting beside it.
SRAD = override(
    patchmix.AST,
    name="srad",
    init="imagenet+audioset",
    normalise="clip",
    class_weights=False,
    batch=16,
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
    _seen = {"keep_spectra": _name in ("ce", "dual_axis")}
    add(SRAD, f"ast_srad/{_name}", **_changes, **_seen)
    add(DASS, f"dass/{_name}", **_changes, **_seen)
for _mix in ("t_patch", "f_patch"):  # one axis alone
    add(DASS, f"dass/patchmix_cl/mix={_mix}", method="patchmix_cl", mix=_mix)
BLURRED = add(DASS, "dass/blur", blur=1.0, keep_spectra=True)
_full = add(BLURRED, "dass/srad", method="dual_axis_cl")
BLURS = {
    "blur=0.5": {"blur": 0.5},
    "blur_sigma=1": {"blur_sigma": 1.0},
    "blur_blocks=0,1": {"blur_blocks": "0,1"},
    "blur_blocks=18,19": {"blur_blocks": "18,19"},
    "blur_stage=1": {"blur_stage": 1, "blur_blocks": "0,1"},
    "blur_stage=3": {"blur_stage": 3, "blur_blocks": "0,1"},
}
for _name, _changes in BLURS.items():
    add(BLURRED, f"dass/blur/{_name}", **_changes, keep_spectra=False)
SRAD_QUIRKS = {
    "train_projector=False": {"train_projector": False},
    "stretch_to=1024": {"stretch_to": 1024},
    "normalise=audioset": {"normalise": "audioset"},
}
for _name, _changes in SRAD_QUIRKS.items():
    add(_full, f"dass/srad/{_name}", **_changes, keep_spectra=False)
_mn04 = patchmix.EXPERIMENTS["mn04_as/ce"]
add(_mn04, "mn04_as/dual_axis", method="dual_axis_cl", class_weights=False)
add(_mn04, "mn04_as/ce/rho=0.05", rho=RADIUS)
