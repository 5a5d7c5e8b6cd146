"""SupCon, MixUp and ResNet18 on SPRSound (Hu et al. 2023): four tasks, and windows of 3 s."""

from functools import partial

from lib.config import PUBLISHED, Experiment, override
from lib.experiments import declare

EXPERIMENTS: dict[str, Experiment] = {}
add = partial(declare, EXPERIMENTS)

# SPRSound (Hu et al. 2023): MFCC clips of 3 s, batches of equal classes, clips reversed at random.
# Adam and 50 epochs for rows whose optimiser the paper does not name.
SPRSOUND = override(
    PUBLISHED["mfcc"],
    name="sprsound",
    dataset="sprsound",
    frontend="mfcc",
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
TASKS = ("1-1", "1-2", "2-1", "2-2")
_CNN2 = {"model": "cnn2", "size": "2-64-256-32", "dropout": 0.0}
_FROZEN = {
    "freeze": True,
    "epochs": 20,
    "dropout": 0.0,
    "save_train_predictions": True,
    "save_weights": True,
}
_SUPCON = {"method": "supcon", "optimizer": "sgd", "tau": 0.1, "projector": 128}
_FAULTS = {  # of the published code, and what its zeros beside an event tell
    "split_by=clip": {"split_by": "clip"},
    "validation_resampled=True": {"validation_resampled": True},
    "scale=minmax": {"scale": "minmax"},
    "pad=cyclic": {"pad": "cyclic"},
}


def _add_sprsound(task: str) -> None:
    base = override(SPRSOUND, task=task)
    add(base, f"cnn2/ce@{task}", **_CNN2)
    add(base, f"cnn2/mixup@{task}", method="mixup", **_CNN2)
    add(base, f"resnet18/ce@{task}")
    add(base, f"resnet18/supcon@{task}", **_SUPCON, save_weights=True)
    linear = override(base, init_from=f"resnet18/supcon@{task}", **_FROZEN)
    add(linear, f"resnet18_supcon/ce@{task}")
    add(linear, f"resnet18_supcon/mixup@{task}", method="mixup", save_embeddings=True)


for _task in TASKS:
    _add_sprsound(_task)
for _fault, _changes in _FAULTS.items():
    add(override(SPRSOUND, task="1-1"), f"cnn2/ce@1-1/{_fault}", **_CNN2 | _changes)
for _task in ("2-1", "2-2"):  # the settings that were submitted to the challenge: records of 15 s
    add(override(SPRSOUND, task=_task), f"cnn2/ce@{_task}/clip_seconds=15", **_CNN2,
         clip_seconds=15.0)  # fmt: skip

# Whether more epochs are what profiles that shorten training lack: the published number of them.
add(EXPERIMENTS["cnn2/ce@2-1"], "cnn2/ce@2-1/epochs=50")

# Table II: events as windows of 3 s with one more class, Poor Quality, heard by `lib.analysis.streaming`.
for _task in ("1-1-windows", "1-2-windows"):
    _add_sprsound(_task)
    add(EXPERIMENTS[f"cnn2/mixup@{_task}"], f"cnn2/mixup@{_task}", save_weights=True)
