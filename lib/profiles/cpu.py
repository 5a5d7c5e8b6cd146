"""As quick with two seeds, and SPRSound whole: hours of two cores."""

from dataclasses import replace

from lib.profiles.quick import QUICK
from lib.profiles.shared import (
    CHILDREN_RULE,
    EVENTS,
    LENGTHS,
    SAM_SWEEPS,
    SPRSOUND,
    SRAD_NEVER,
    SRAD_ONCE,
    WHOLE,
)

# Epochs are what fits: SPRSound's paper trains 50 and then 20.
CPU = replace(
    QUICK,
    name="cpu",
    about="as quick, but two seeds, and SPRSound's tables on all its clips with the epochs that "
    "two cores make in an hour, ResNet18 in bf16",
    seeds=(1, 2),
    one_seed=(*SAM_SWEEPS, "mn04_as/ce/rho=0.05@mel", *SRAD_ONCE),
    rules=(
        *(rule for rule in QUICK.rules if rule[0].get("dataset") == "icbhi"),
        *LENGTHS,
        (SPRSOUND | {"model": "cnn2"}, {"epochs": 8}),
        *((SPRSOUND | {"model": "cnn2", "task": labels}, {"epochs": 3}) for labels in EVENTS),
        (SPRSOUND | {"model": "resnet18"}, {"epochs": 4, "precision": "bf16"}),
        (SPRSOUND | {"model": "resnet18", "task": "1-1"}, {"epochs": 2}),
        (SPRSOUND | {"model": "resnet18", "task": "1-1-windows"}, {"epochs": 2}),
        (SPRSOUND | {"freeze": True}, {"epochs": 3}),
        ({"name": "cnn2/ce@2-1/epochs=50"}, {"epochs": 50}),
        (WHOLE | {"model": "mn04"}, {"epochs": 4, "train_clips": 2000, "class_weights": True}),
        CHILDREN_RULE,
    ),
    not_run=(
        *(rule for rule in QUICK.not_run if "model" in rule[0] and "dataset" not in rule[0]),
        *(
            (
                SPRSOUND | {"frontend": "mfcc", "task": labels},
                "tasks 12 and 22 cost as much again",
            )
            for labels in ("1-2", "2-2")
        ),
        (SPRSOUND | {"model": "resnet18", "task": "1-2-windows"}, "task 12 costs as much again"),
        *SRAD_NEVER,
        (SPRSOUND | {"clip_seconds": 15.0}, "costs hours more on a CPU"),
    ),
    seconds=(
        *(
            one
            for labels in ("1-1", "1-1-windows")
            for one in (
                (SPRSOUND | {"freeze": True, "task": labels}, 85),
                (SPRSOUND | {"method": "supcon", "task": labels}, 215),
            )
        ),
        (SPRSOUND | {"model": "resnet18", "task": "1-1"}, 115),
        (SPRSOUND | {"freeze": True}, 24),
        (SPRSOUND | {"method": "supcon"}, 78),
        (SPRSOUND | {"model": "resnet18"}, 35),
        *((SPRSOUND | {"model": "cnn2", "task": labels}, 45) for labels in ("1-1", "1-2")),
        *(
            (SPRSOUND | {"model": "cnn2", "task": labels}, 55)
            for labels in ("1-1-windows", "1-2-windows")
        ),
        (SPRSOUND | {"model": "cnn2"}, 15),
        *(one for one in QUICK.seconds if one[0].get("dataset") != "sprsound"),
    ),
)
