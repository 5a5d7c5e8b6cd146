"""Small models on what recordings there are: half an hour of two cores."""

from lib.profiles.profile import Profile
from lib.profiles.shared import (
    ALONE,
    CHILDREN_RULE,
    EVENTS,
    GEOMETRY_RULES,
    HERE,
    SAM_EXTRAS,
    SMALL,
    SPRSOUND,
    SRAD_EPOCHS,
    SRAD_QUICK,
    SRAD_RULES,
    SRAD_SECONDS,
    STEADY,
    WHOLE,
    srad_left_out,
)

QUICK = Profile(
    name="quick",
    about="small models on 3 s clips of the single-channel recordings; shows the way, not the "
    "claims",
    seeds=(1,),
    verdict=False,
    rules=(
        (HERE, SMALL | {"subset": "sc", "epochs": 4, "time_mask": 60}),
        SRAD_EPOCHS,
        (
            HERE | {"model": "ast"},
            {"size": "mini", "stride": 16, "init": "none", "batch_size": 16, "lr": 5e-4} | STEADY,
        ),
        *GEOMETRY_RULES,
        *SRAD_RULES,
        (HERE | {"name": "ast/ce"}, {"save_embeddings": True}),  # the same run as ast_in_as/ce
        (HERE | {"model": "resnet18"}, {"batch_size": 32, "epochs": 2}),
        (HERE | {"model": "mn04"}, {"batch_size": 32, "lr": 5e-4, "epochs": 3}),
        (SPRSOUND | {"model": "cnn2"}, {"epochs": 4}),
        *(
            (SPRSOUND | {"model": "cnn2", "task": labels}, {"epochs": 2, "train_clips": 2000})
            for labels in EVENTS
        ),
        (SPRSOUND | {"model": "resnet18"}, {"epochs": 2, "train_clips": 320}),
        (WHOLE | {"model": "mn04"}, {"epochs": 2, "train_clips": 600, "class_weights": True}),
        CHILDREN_RULE,
    ),
    not_run=(
        ({"model": "efficientnet_b0"}, "costs too much for the quick profile"),
        ({"model": "efficientnet_lite0"}, "costs too much for the quick profile"),
        ({"model": "cnn6"}, "costs too much for the quick profile"),
        *(({"name": name}, "costs too much for the quick profile") for name in SAM_EXTRAS),
        *srad_left_out(SRAD_QUICK, "costs too much for the quick profile"),
        *(
            (SPRSOUND | {"model": "resnet18", "task": labels}, "costs too much for quick: events")
            for labels in EVENTS
        ),
        *(
            (SPRSOUND | {"frontend": "mfcc", "task": labels}, "costs too much for quick")
            for labels in ("1-2", "2-2", "1-2-windows")
        ),
        (SPRSOUND | {"clip_seconds": 15.0}, "costs too much for the quick profile"),
        ({"name": "cnn2/ce@2-1/epochs=50"}, "costs too much for the quick profile"),
    ),
    seconds=(
        (SPRSOUND | {"method": "none"}, 6),
        (HERE | {"method": "none"}, 3),
        *((SPRSOUND | {"model": "cnn2", "task": labels}, 15) for labels in EVENTS),
        (SPRSOUND | {"model": "cnn2"}, 16),
        (SPRSOUND | {"freeze": True}, 16),
        (SPRSOUND | {"method": "supcon"}, 30),
        (SPRSOUND | {"model": "resnet18"}, 20),
        (WHOLE | {"model": "ast", "method": "patchmix_cl"}, 18),
        (WHOLE | {"model": "ast"}, 14),
        (WHOLE | {"method": "patchmix_cl"}, 26),
        (WHOLE, 17),
        *SRAD_SECONDS,
        (ALONE | {"model": "mn04", "method": "patchmix_cl"}, 23),
        (ALONE | {"model": "mn04"}, 14),
        ({"model": "ast", "method": "patchmix_cl"}, 17),
        ({"model": "ast"}, 9),
        ({"model": "resnet18"}, 90),
        ({"model": "mn04", "method": "patchmix_cl"}, 30),
        ({"model": "mn04"}, 15),
    ),
)
