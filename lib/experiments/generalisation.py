"""Between data sets: ICBHI's methods on SPRSound, and models taken from one to the other."""

from functools import partial

from lib.config import Experiment, override
from lib.experiments import declare, patchmix

EXPERIMENTS: dict[str, Experiment] = {}
add = partial(declare, EXPERIMENTS)

# One data set's model on the other's recordings, in ICBHI's four classes. Clips are
# normalised one by one, so that the mean and the spread of neither data set matter.
_TRANSFER = {"clip_seconds": 3.0, "normalise": "clip", "time_mask": 60, "validation_split": 0.2}
for _data, _other in (("icbhi", "sprsound"), ("sprsound", "icbhi")):
    _base = override(patchmix.MN04, init="audioset", dataset=_data, save_weights=True, **_TRANSFER)
    for _name, _changes in (("ce", {}), ("patchmix_cl", {"class_weights": False})):
        _made = add(_base, f"mn04_as/{_name}@{_data}", method=_name, **_changes)
        add(_made, f"{_made.name}/on={_other}", init_from=_made.name, method="none", dataset=_other,
             save_weights=False)  # fmt: skip

# Patch-Mix's methods on children: SPRSound's events in ICBHI's classes, batches of equal classes.
_CHILDREN = {
    "dataset": "sprsound",
    "clip_seconds": 3.0,
    "time_mask": 60,
    "validation_split": 0.2,
    "sampler": "balanced",
    "class_weights": False,
    "save_embeddings": False,
}
for _name in ("ce", "patchmix_ce", "patchmix_cl"):
    add(patchmix.EXPERIMENTS[f"ast_in_as/{_name}"], f"ast_in_as/{_name}@sprsound", **_CHILDREN)
