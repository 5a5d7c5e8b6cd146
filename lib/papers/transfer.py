"""ICBHI's four classes on both datasets (no paper: our own question).

Question: do Patch-Mix's methods help on SPRSound's children too, and what is left of a model that
was trained on one dataset and is tested on the other?
Command: ./run_all.sh laptop 09 (notebook 09_generalisation).
Cost: about 10 minutes on two cores.
Expect: within SPRSound more than always "normal" (50), across datasets about as much as that.
"""

from lib.config import override
from lib.papers import patchmix
from lib.papers.table_row import (
    Experiments,
    TableRow,
    own_rows,
    read_claims,
    tables,
)

# --- FACTS ---

# A model must read both datasets: clips of 3 s, in the transfer rows normalised one by one.
_CLIPS = {"clip_seconds": 3.0, "time_mask": 60, "validation_split": 0.2}

# --- PUBLISHED: nothing ---

PUBLISHED: dict = {}

DEVIATIONS = ()

# --- EXPERIMENTS ---

EXPERIMENTS = Experiments()
# mn04 sees batches of equal classes, or, under a linear probe, all clips once.
_MN04 = override(patchmix.MN04, init="audioset", normalise="clip", sampler="balanced",
                 class_weights=False, epochs=6, save_weights=True, budget="laptop",
                 **_CLIPS)  # fmt: skip
MN04_METHODS = {
    "Fine-tuning": ("ce", {"budget": "smoke"}),
    "+ MixUp": ("mixup", {"method": "mixup"}),
    "+ Patch-Mix CE": ("patchmix_ce", {"method": "patchmix_ce"}),
    "+ Patch-Mix CL": ("patchmix_cl", {"method": "patchmix_cl"}),
    "+ dual-axis Patch-Mix CL": ("dual_axis", {"method": "dual_axis_cl", "budget": "long"}),
    "+ SAM": ("sam", {"rho": 0.05, "budget": "long"}),
    "Class weights instead of balanced batches": (
        "class_weights", {"sampler": "shuffle", "class_weights": True, "budget": "long"}
    ),
    "SupCon, then a linear classifier": (
        "supcon_linear", {"init": "none", "init_from": "mn04_as/supcon@sprsound", "freeze": True,
                          "epochs": 4, "budget": "long"}
    ),
}  # fmt: skip
_PROBE = {"method": "probe", "save_weights": False, "normalise": "audioset", "sampler": "shuffle",
          "validation_split": 0.0, "laptop_seeds": 1, "budget": "smoke"}  # fmt: skip
for _data, _other in (("icbhi", "sprsound"), ("sprsound", "icbhi")):
    _base = override(_MN04, dataset=_data, test_sets=(_other,))
    EXPERIMENTS.add(_base, f"mn04_as/probe@{_data}", **_PROBE)
    for _name, _changes in MN04_METHODS.values():
        if _data == "sprsound" or _name in ("ce", "patchmix_cl"):
            EXPERIMENTS.add(_base, f"mn04_as/{_name}@{_data}", **_changes)
EXPERIMENTS.add(_base, "mn04_as/supcon@sprsound", method="supcon", tau=0.1, projector=128,
                test_sets=(), save_weights=True, budget="long")  # fmt: skip
# Patch-Mix's methods on SPRSound's events in ICBHI's classes, batches of equal classes.
_CHILDREN = {"dataset": "sprsound", "sampler": "balanced", "class_weights": False,
             "save_embeddings": False, **_CLIPS}  # fmt: skip
for _name in ("ce", "patchmix_ce", "patchmix_cl"):
    _method = patchmix.EXPERIMENTS[f"ast_in_as/{_name}"]
    EXPERIMENTS.add(_method, f"ast_in_as/{_name}@sprsound", **_CHILDREN)

# --- TABLES ---

METHODS = [
    TableRow(f"methods/{name}", {"method": text}, EXPERIMENTS[f"mn04_as/{name}@sprsound"])
    for text, (name, _) in {**MN04_METHODS, "Linear probe": ("probe", {})}.items()
]

CHILDREN = own_rows(EXPERIMENTS, "method", """
Fine-tuning  | ast_in_as/ce@sprsound
Patch-Mix CE | ast_in_as/patchmix_ce@sprsound
Patch-Mix CL | ast_in_as/patchmix_cl@sprsound
""")  # fmt: skip
TRANSFER = [
    TableRow(
        f"transfer/{method}/{trained}-{tested}".lower(),
        {"method": name, "trained": trained, "tested": tested},
        EXPERIMENTS[f"mn04_as/{method}@{trained.lower()}"],
    )
    for name, method in (
        ("Fine-tuning", "ce"),
        ("Patch-Mix CL", "patchmix_cl"),
        ("Linear probe", "probe"),
    )
    for tested in ("ICBHI", "SPRSound")
    for trained in ("ICBHI", "SPRSound")
]
NOTEBOOKS = {"09": {"methods": METHODS, "children": CHILDREN, "transfer": TRANSFER}}
TABLES = {
    **tables("methods", METHODS, methods="transfer"),
    **tables("children", CHILDREN, children="transfer"),
    **tables("transfer", TRANSFER, transfer="transfer", transfer_devices="by_device"),
}

# --- CLAIMS of our own ---

CLAIMS = read_claims("09", METHODS, """
fine-tuning beats a linear probe (mn04, SPRSound) | methods/ce | methods/probe
""")  # fmt: skip
