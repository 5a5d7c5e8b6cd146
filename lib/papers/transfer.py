"""ICBHI's four classes on both datasets (no paper: our own question).

Question: do Patch-Mix's methods help on SPRSound's children too, and what is left of a model that
was trained on one dataset and is tested on the other?
Command: ./run_all.sh laptop 09 (notebook 09_generalisation).
Cost: about 10 minutes on two cores.
Expect: within SPRSound more than always "normal" (50), across datasets about as much as that.
"""

from lib.config import override
from lib.papers import patchmix
from lib.papers.table_row import Experiments, TableRow, own_rows, tables

# --- FACTS ---

# A model must read both datasets: clips of 3 s, in the transfer rows normalised one by one.
_CLIPS = {"clip_seconds": 3.0, "time_mask": 60, "validation_split": 0.2}

# --- PUBLISHED: nothing ---

PUBLISHED: dict = {}

DEVIATIONS = ()

# --- EXPERIMENTS ---

EXPERIMENTS = Experiments()
_MN04 = override(patchmix.MN04, init="audioset", normalise="clip", **_CLIPS)
for _data, _other in (("icbhi", "sprsound"), ("sprsound", "icbhi")):
    _base = override(_MN04, dataset=_data, test_sets=(_other,))
    EXPERIMENTS.add(_base, f"mn04_as/ce@{_data}")
    EXPERIMENTS.add(_base, f"mn04_as/patchmix_cl@{_data}", method="patchmix_cl",
                    class_weights=False, budget="laptop")  # fmt: skip
# Patch-Mix's methods on SPRSound's events in ICBHI's classes, batches of equal classes.
_CHILDREN = {"dataset": "sprsound", "sampler": "balanced", "class_weights": False,
             "save_embeddings": False, **_CLIPS}  # fmt: skip
for _name in ("ce", "patchmix_ce", "patchmix_cl"):
    _method = patchmix.EXPERIMENTS[f"ast_in_as/{_name}"]
    EXPERIMENTS.add(_method, f"ast_in_as/{_name}@sprsound", **_CHILDREN)

# --- TABLES ---

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
    for name, method in (("Fine-tuning", "ce"), ("Patch-Mix CL", "patchmix_cl"))
    for tested in ("ICBHI", "SPRSound")
    for trained in ("ICBHI", "SPRSound")
]
NOTEBOOKS = {"09": {"children": CHILDREN, "transfer": TRANSFER}}
TABLES = {
    **tables("children", CHILDREN, children="transfer"),
    **tables("transfer", TRANSFER, transfer="transfer"),
}

# --- CLAIMS: none ---

CLAIMS = ()
