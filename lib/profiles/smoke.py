"""Tiny models on synthetic sounds, in minutes: for the tests."""

from lib.experiments import sam
from lib.profiles.profile import Profile
from lib.profiles.shared import (
    ALONE,
    EVENTS,
    GEOMETRY_RULES,
    HERE,
    SAM_EXTRAS,
    SMALL,
    SPRSOUND,
    SRAD_RULES,
    SRAD_SMOKE,
    WHOLE,
    srad_left_out,
)

SMOKE = Profile(
    name="smoke",
    about="tiny models on synthetic sounds; shows only that every part runs",
    seeds=(1,),
    verdict=False,
    synthetic=True,
    rules=(
        (HERE, SMALL | {"clip_seconds": 2.0, "epochs": 1, "time_mask": 40, "train_clips": 96}),
        (
            HERE | {"model": "ast"},
            {"size": "nano", "stride": 16, "init": "none", "batch_size": 16, "lr": 1e-3},
        ),
        *GEOMETRY_RULES,
        (HERE | {"pad_frames": 382}, {"pad_frames": 254}),
        *SRAD_RULES,
        (HERE | {"name": "ast/ce"}, {"save_embeddings": True}),  # the same run as ast_in_as/ce
        (HERE | {"model": "mn04"}, {"batch_size": 32, "lr": 5e-4}),
        (ALONE | {"model": "mn04"}, {"init": "none"}),
        (SPRSOUND, {"epochs": 1}),
        (SPRSOUND | {"model": "resnet18"}, {"train_clips": 64}),
        (WHOLE, {"init": "none", "clip_seconds": 2.0, "time_mask": 40, "train_clips": 96}),
        (WHOLE | {"model": "mn04"}, {"class_weights": True}),
        (WHOLE | {"model": "ast"}, {"size": "nano", "stride": 16, "batch_size": 16, "lr": 1e-3}),
    ),
    not_run=(
        ({"model": "efficientnet_b0"}, "costs too much for the smoke profile"),
        ({"model": "efficientnet_lite0"}, "costs too much for the smoke profile"),
        ({"model": "cnn6"}, "costs too much for the smoke profile"),
        (HERE | {"model": "resnet18"}, "costs too much for the smoke profile"),
        *(
            (SPRSOUND | {"model": "resnet18", "task": labels}, "costs too much for smoke")
            for labels in (*EVENTS, "2-1")
        ),
        (SPRSOUND | {"model": "cnn2", "task": "1-1-windows"}, "costs too much for smoke"),
        *(
            (SPRSOUND | {"method": "mixup", "task": labels}, "costs too much for smoke")
            for labels in ("1-1", "2-1")
        ),
        *(
            ({"name": f"mn04_as/patchmix_cl@{data}"}, "costs too much for smoke")
            for data in ("icbhi", "icbhi/on=sprsound", "sprsound", "sprsound/on=icbhi")
        ),
        *(({"name": name}, "costs too much for smoke") for name in SAM_EXTRAS),
        *srad_left_out(SRAD_SMOKE, "costs too much for smoke"),
        *(({"name": name}, "costs too much for smoke") for name in ("ast_geo/ce", sam.FREE)),
        (SPRSOUND | {"validation_resampled": True}, "costs too much for smoke"),
        (SPRSOUND | {"scale": "minmax"}, "costs too much for smoke"),
        (SPRSOUND | {"clip_seconds": 15.0}, "costs too much for the smoke profile"),
        ({"name": "cnn2/ce@2-1/epochs=50"}, "costs too much for the smoke profile"),
    ),
    seconds=(({}, 3),),
)
