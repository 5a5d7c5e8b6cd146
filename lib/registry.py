"""The experiments, declared as data: a base and what differs.

Names say what differs. Which rows of which table they make stands in `lib.rows`.
"""

from lib.errors import unknown
from lib.settings import PUBLISHED, Experiment, override

EXPERIMENTS: dict[str, Experiment] = {}
SEEDS: dict[str, tuple[int, ...]] = {}  # rows with seeds of their own
GPU: set[str] = set()  # rows that are run only where there is one
MAIN: set[str] = set()  # rows whose "validation" selection the paper profile runs too


def _add(base: Experiment, name: str, **changes: object) -> Experiment:
    EXPERIMENTS[name] = override(base, name=name, **changes)
    return EXPERIMENTS[name]


# Table 1. AST: lr 5e-5, batch 8, 50 epochs pretrained and 200 from scratch; others: lr 1e-3, 128.
AST = Experiment("ast")
CNN = Experiment("cnn", lr=1e-3, batch=128, epochs=200)

CE = _add(AST, "ast_in_as/ce", init="imagenet+audioset", keep_embeddings=True)
_add(AST, "ast_in/ce", init="imagenet")
_add(AST, "ast/ce", epochs=200)
for _model in ("resnet18", "efficientnet_b0", "efficientnet_lite0"):
    _add(CNN, f"{_model}/ce", model=_model)
    _add(CNN, f"{_model}_in/ce/stem=summed", model=_model, init="imagenet", stem="summed")
for _model in ("resnet18", "efficientnet_b0"):
    _add(CNN, f"{_model}_in/ce", model=_model, init="imagenet")
_add(CNN, "cnn6/ce", model="cnn6")
_add(CNN, "cnn6_as/ce", model="cnn6", init="audioset")

# Table 2. Patch-Mix's own cross-entropies are unweighted.
MIXED = override(CE, class_weights=False, keep_embeddings=False)
_add(MIXED, "ast_in_as/patchmix_ce", method="patchmix_ce")
_add(MIXED, "ast_in_as/patchmix_ce/mix=t_patch", method="patchmix_ce", mix="t_patch")
CL = _add(MIXED, "ast_in_as/patchmix_cl", method="patchmix_cl", keep_embeddings=True)
_LEAN = override(CL, keep_embeddings=False)  # the t-SNE shows CE and CL alone
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
    _add(_LEAN, f"ast_in_as/patchmix_cl/{_name}", **_changes)
_add(CE, "ast_in_as/ce/pos_embed=aligned", pos_embed="aligned", keep_embeddings=False)
_add(CE, "ast_in_as/ce/spec_augment=1", spec_augment=1.0, keep_embeddings=False)

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
            _add(_LEAN, f"ast_in_as/patchmix_cl/{_key}={_value}", **{_key: _value})

# Table 3. Retrained without the two patients who stand on both sides of the official split.
_add(CE, "ast_in_as/ce/split=patient_clean", split="patient_clean", keep_embeddings=False)
_add(_LEAN, "ast_in_as/patchmix_cl/split=patient_clean", split="patient_clean")

# Ours: a small CNN with AudioSet weights that can be had anywhere; Patch-Mix acts on its input.
MN04 = Experiment(
    "mn04",
    model="mn04",
    lr=5e-4,
    batch=32,
    epochs=50,
    moving_average=0.0,
    normalise="store",
    mix_at="input",
)
# The official split entire from third-party mel pictures of at most 4 s: the row names it.
MEL = {
    "dataset": "icbhi_mel",
    "clip_seconds": 4.0,
    "epochs": 5,
    "time_mask": 80,
    "validation_patients": 0.2,
}
for _suffix, _data in (("", {}), ("@mel", MEL)):
    _add(MN04, f"mn04/ce{_suffix}", **_data)
    _base = override(MN04, init="audioset", **_data)
    _add(_base, f"mn04_as/ce{_suffix}")
    _mixed = override(_base, class_weights=False)
    _add(_mixed, f"mn04_as/patchmix_ce{_suffix}", method="patchmix_ce")
    _add(_mixed, f"mn04_as/patchmix_cl{_suffix}", method="patchmix_cl")
# Published settings, from scratch, on the mel pictures: for a GPU (8 s clips, 50 epochs, not 200).
_gpu = {"dataset": "icbhi_mel", "normalise": "store", "epochs": 50, "precision": "bf16"}
_add(CNN, "resnet18/ce@mel", model="resnet18", **_gpu)
_add(AST, "ast_small/ce@mel", size="small", **_gpu)
_add(_LEAN, "ast_small/patchmix_cl@mel", size="small", **_gpu | {"init": "none"})

# SPRSound (Hu et al. 2023): MFCC clips of 3 s, batches of equal classes, clips reversed at random.
# Adam and 50 epochs for rows whose optimiser the paper does not name.
SPRSOUND = override(
    PUBLISHED["mfcc"],
    name="sprsound",
    dataset="sprsound",
    features="mfcc",
    clip_seconds=3.0,
    model="resnet18",
    dropout=0.25,
    class_weights=False,
    sampler="balanced",
    flip=0.5,
    spec_augment=0.0,
    schedule="constant",
    weight_decay=1e-4,
)
TASKS = ("t11", "t12", "t21", "t22")
_CNN2 = {"model": "cnn2", "size": "2-64-256-32", "dropout": 0.0}
_FROZEN = {
    "freeze": True,
    "epochs": 20,
    "dropout": 0.0,
    "keep_train": True,
    "keep_weights": True,
}
_SUPCON = {"method": "supcon", "optimizer": "sgd", "tau": 0.1, "projector": 128}
_FAULTS = {  # of the published code, and what its zeros beside an event tell
    "validation_by=clip": {"validation_by": "clip"},
    "validation_draw=balanced": {"validation_draw": "balanced"},
    "scale=minmax": {"scale": "minmax"},
    "pad=cyclic": {"pad": "cyclic"},
}


def _add_sprsound(task: str) -> None:
    base = override(SPRSOUND, labels=task)
    _add(base, f"cnn2/ce@{task}", **_CNN2)
    _add(base, f"cnn2/mixup@{task}", method="mixup", **_CNN2)
    _add(base, f"resnet18/ce@{task}")
    _add(base, f"resnet18/supcon@{task}", **_SUPCON, keep_weights=True)
    linear = override(base, parent=f"resnet18/supcon@{task}", **_FROZEN)
    _add(linear, f"resnet18_supcon/ce@{task}")
    _add(linear, f"resnet18_supcon/mixup@{task}", method="mixup", keep_embeddings=True)


for _task in TASKS:
    _add_sprsound(_task)
for _fault, _changes in _FAULTS.items():
    _add(override(SPRSOUND, labels="t11"), f"cnn2/ce@t11/{_fault}", **_CNN2 | _changes)
for _task in ("t21", "t22"):  # the settings that were submitted to the challenge: records of 15 s
    _add(override(SPRSOUND, labels=_task), f"cnn2/ce@{_task}/clip_seconds=15", **_CNN2,
         clip_seconds=15.0)  # fmt: skip

# Whether more epochs are what profiles that shorten training lack: the published number of them.
_add(EXPERIMENTS["cnn2/ce@t21"], "cnn2/ce@t21/epochs=50")

# Table II: events as windows of 3 s with one more class, Poor Quality, heard by `lib.stream`.
for _task in ("w11", "w12"):
    _add_sprsound(_task)
    _add(EXPERIMENTS[f"cnn2/mixup@{_task}"], f"cnn2/mixup@{_task}", keep_weights=True)

# The geometry-aware AST (arXiv 2512.22564, its code): mean of all tokens, one linear layer, clips
# filled up with zeros from 798 to 1,024 frames; WRS = batches of equal classes, with replacement.
GEOMETRY = override(
    AST,
    name="geometry",
    init="imagenet+audioset",
    pool="all",
    head="linear",
    pos_embed="aligned",
    dropout=0.3,
    pad="cyclic",
    fade="none",
    pad_to=1024,
    gain=0.1,
    noise=1e-4,
    spec_augment=0.0,
    class_weights=False,
    label_smoothing=0.1,
    optimizer="adamw",
    schedule="constant",
    lr=1e-5,
    weight_decay=1e-4,
    epochs=20,
    moving_average=0.0,
)
RADIUS = 0.05
_WRS = override(GEOMETRY, sampler="balanced")
_WRS_CL = override(_WRS, method="patchmix_cl")
_kept = {"keep_geometry": True}
_add(GEOMETRY, "ast_geo/ce")
_add(_WRS, "ast_geo/wrs", **_kept, keep_embeddings=True)
_add(_WRS, "ast_geo/wrs_sam", **_kept, keep_embeddings=True, rho=RADIUS)
_add(_WRS, "ast_geo/wrs/pad_to=0", **_kept, pad_to=0)
FREE = "ast_geo/wrs_sam/pad_to=0"
_free = _add(_WRS, FREE, **_kept, rho=RADIUS, pad_to=0)
_add(_WRS_CL, "ast_geo/wrs_patchmix_cl", **_kept)
_add(_WRS_CL, "ast_geo/wrs_patchmix_cl_sam", **_kept, rho=RADIUS)
# The cross with the main paper's own recipe, and with models and data that are here.
_add(_LEAN, "ast_in_as/patchmix_cl/rho=0.05", rho=RADIUS)
_add(CE, "ast_in_as/ce/rho=0.05", rho=RADIUS, keep_embeddings=False)
_add(EXPERIMENTS["mn04_as/ce@mel"], "mn04_as/ce/rho=0.05@mel", rho=RADIUS)

# What the paper leaves open. Without the block of zeros, so that one thing changes at a time.
GEOMETRY_SWEEPS = {
    "rho": (0.01, 0.02, 0.05, 0.1, 0.2),
    "clip_seconds": (4.0, 6.0, 8.0, 10.0),
    "pad": ("cyclic", "repeat", "zero"),
}
_swept = override(_free, keep_geometry=False)
for _key, _values in GEOMETRY_SWEEPS.items():
    for _value in _values:
        if _key == "clip_seconds" or _value != getattr(_free, _key):  # profiles shorten the base
            _more = {"fade": "recording"} if _value == "repeat" else {}
            _same = {"keep_geometry": _value == _free.clip_seconds}  # in `paper` it is the base
            _add(_swept, f"{FREE}/{_key}={_value}", **{_key: _value}, **_more | _same)
_add(_swept, f"{FREE}/adaptive", adaptive=True, rho=0.5)  # a larger ball, as its authors take

# Generalisation: one data set's model on the other's recordings, in ICBHI's four classes. Clips are
# normalised one by one, so that the mean and the spread of neither data set matter.
_TRANSFER = {"clip_seconds": 3.0, "normalise": "clip", "time_mask": 60, "validation_patients": 0.2}
for _data, _other in (("icbhi", "sprsound"), ("sprsound", "icbhi")):
    _base = override(MN04, init="audioset", dataset=_data, keep_weights=True, **_TRANSFER)
    for _name, _changes in (("ce", {}), ("patchmix_cl", {"class_weights": False})):
        _made = _add(_base, f"mn04_as/{_name}@{_data}", method=_name, **_changes)
        _add(_made, f"{_made.name}/on={_other}", parent=_made.name, method="none", dataset=_other,
             keep_weights=False)  # fmt: skip

# Patch-Mix's methods on children: SPRSound's events in ICBHI's classes, batches of equal classes.
_CHILDREN = {
    "dataset": "sprsound",
    "clip_seconds": 3.0,
    "time_mask": 60,
    "validation_patients": 0.2,
    "sampler": "balanced",
    "class_weights": False,
    "keep_embeddings": False,
}
for _name in ("ce", "patchmix_ce", "patchmix_cl"):
    _add(EXPERIMENTS[f"ast_in_as/{_name}"], f"ast_in_as/{_name}@sprsound", **_CHILDREN)

_add(EXPERIMENTS["ast_in_as/ce@sprsound"], "ast_in_as/ce/rho=0.05@sprsound", rho=RADIUS)

# Lung-SRAD (arXiv 2606.11922, its code): DASS, a blur inside it, Patch-Mix CL along both axes; and
# the same on AST.
SRAD = override(
    AST,
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
    _add(SRAD, f"ast_srad/{_name}", **_changes, **_seen)
    _add(DASS, f"dass/{_name}", **_changes, **_seen)
for _mix in ("t_patch", "f_patch"):  # one axis alone
    _add(DASS, f"dass/patchmix_cl/mix={_mix}", method="patchmix_cl", mix=_mix)
BLURRED = _add(DASS, "dass/blur", blur=1.0, keep_spectra=True)
_full = _add(BLURRED, "dass/srad", method="dual_axis_cl")
BLURS = {
    "blur=0.5": {"blur": 0.5},
    "blur_sigma=1": {"blur_sigma": 1.0},
    "blur_blocks=0,1": {"blur_blocks": "0,1"},
    "blur_blocks=18,19": {"blur_blocks": "18,19"},
    "blur_stage=1": {"blur_stage": 1, "blur_blocks": "0,1"},
    "blur_stage=3": {"blur_stage": 3, "blur_blocks": "0,1"},
}
for _name, _changes in BLURS.items():
    _add(BLURRED, f"dass/blur/{_name}", **_changes, keep_spectra=False)
SRAD_QUIRKS = {
    "train_projector=False": {"train_projector": False},
    "stretch_to=1024": {"stretch_to": 1024},
    "normalise=audioset": {"normalise": "audioset"},
}
for _name, _changes in SRAD_QUIRKS.items():
    _add(_full, f"dass/srad/{_name}", **_changes, keep_spectra=False)
_mn04 = EXPERIMENTS["mn04_as/ce"]
_add(_mn04, "mn04_as/dual_axis", method="dual_axis_cl", class_weights=False)
_add(_mn04, "mn04_as/ce/rho=0.05", rho=RADIUS)

MAIN |= {"ast_in_as/ce", "ast_in_as/patchmix_cl", "ast_geo/wrs", "ast_geo/wrs_sam"}
MAIN |= {"ast_in_as/ce/rho=0.05", "ast_in_as/patchmix_cl/rho=0.05"}
MAIN |= {"dass/ce", "dass/srad"}
GPU |= {"resnet18/ce@mel", "ast_small/ce@mel", "ast_small/patchmix_cl@mel"}
SEEDS |= {name: (1, 2) for name in EXPERIMENTS if name.startswith("mn04") and "@mel" in name}


def get(name: str) -> Experiment:
    """An experiment by name; an unknown name is an error with the nearest ones."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]
