"""Profiles: the same experiments at three prices. A profile only sets fields.

Rules apply in order; each is (settings to match, settings to change). `seconds` is what an epoch of
a run was measured to cost on one CPU core, another run on the other, for the estimate that is
printed before a table is run.
"""

from dataclasses import dataclass, field, replace

from lib import registry
from lib.errors import unknown
from lib.settings import Experiment, override

Match = dict[str, object]


@dataclass(frozen=True)
class Profile:
    """How much of the published setting a run of all notebooks pays for."""

    name: str
    about: str
    seeds: tuple[int, ...]
    verdict: bool  # whether our numbers may be judged against the paper's
    synthetic: bool = False  # whether it never looks for real recordings
    needs_gpu: bool = False  # whether its runs would take months on a CPU
    rules: tuple[tuple[Match, Match], ...] = ()
    not_run: tuple[tuple[Match, str], ...] = ()
    seconds: tuple[tuple[Match, float], ...] = field(default=(), repr=False)
    one_seed: tuple[str, ...] = ()  # rows that take the first seed alone


HERE = {"dataset": "icbhi"}  # rows on third-party features keep their own settings

SPRSOUND = {"dataset": "sprsound"}
WHOLE = SPRSOUND | {"features": "fbank"}  # SPRSound in ICBHI's classes
ALONE = HERE | {"normalise": "clip"}  # ICBHI's way of transfer

MEL_SECONDS = (
    ({"model": "mn04", "method": "patchmix_cl"}, 190),
    ({"model": "mn04"}, 100),
)

PAPER = Profile(
    name="paper",
    about="everything as published: official split, AST-base, 5 seeds; needs a GPU",
    seeds=(1, 2, 3, 4, 5),
    verdict=True,
    needs_gpu=True,
    rules=tuple((HERE | {"model": name}, {"precision": "bf16"}) for name in ("ast", "dass")),
)

# Mixing methods weight their cross-entropy too: without it such small models always answer normal.
SMALL: Match = {"validation_patients": 0.2, "clip_seconds": 3.0, "class_weights": True}

# As published (AudioSet's mean, moving average) so few steps end in one answer for every clip.
STEADY: Match = {"normalise": "clip", "moving_average": 0.0}

# A very small AST from scratch that learns something real in minutes on a CPU: SPRSound's events.
CHILDREN_RULE = (
    WHOLE | {"model": "ast"},
    {"size": "nano", "stride": 16, "init": "none", "batch": 32, "lr": 1e-3, "epochs": 8} | STEADY,
)

# The geometry-aware recipe takes no class weights: its sampler does that, or nothing does. The
# block of zeros keeps its share of a clip.
GEOMETRY_RULES = (
    (HERE | {"optimizer": "adamw"}, {"class_weights": False}),
    (HERE | {"pad_to": 1024}, {"pad_to": 382}),
)
# Sweeps of the clip's length keep it.
LENGTHS = tuple(
    ({"name": f"{registry.FREE}/clip_seconds={value}"}, {"clip_seconds": value})
    for value in registry.GEOMETRY_SWEEPS["clip_seconds"]
)
SAM_SWEEPS = tuple(name for name in registry.EXPERIMENTS if name.startswith(f"{registry.FREE}/"))
SAM_EXTRAS = (
    *SAM_SWEEPS,
    *("ast_geo/wrs/pad_to=0", "ast_geo/wrs_patchmix_cl", "ast_geo/wrs_patchmix_cl_sam"),
    "ast_in_as/ce/rho=0.05",
    *("mn04_as/ce/rho=0.05@mel", "ast_in_as/ce/rho=0.05@sprsound"),
)

# Lung-SRAD's recipe has batches of 16. Its DASS from scratch, on maps of 4 x 4 patches, costs four
# times an AST: fewer epochs, AST's too.
SRAD_EPOCHS = (HERE | {"batch": 16}, {"epochs": 3})
SRAD_RULES = (
    (HERE | {"model": "dass"}, {"size": "nano", "init": "none", "lr": 1e-3} | STEADY),
    (HERE | {"stretch_to": 1024}, {"stretch_to": 382}),
    *(  # small ones have a block in these stages, not two
        (HERE | {"name": f"dass/blur/blur_stage={stage}"}, {"blur_blocks": "0"}) for stage in (1, 3)
    ),
)
SRAD_NEVER = (
    ({"name": "dass/srad/normalise=audioset"}, "every clip is normalised by itself here"),
    ({"name": "dass/blur/blur_blocks=18,19"}, "not applicable: a small DASS has 4 blocks"),
)
SRAD_EXTRAS = tuple(
    name
    for name in registry.EXPERIMENTS
    if name.startswith(("dass/", "ast_srad/"))
    or name in ("mn04_as/dual_axis", "mn04_as/ce/rho=0.05")
)
SRAD_QUICK = (
    *("dass/ce", "dass/blur", "dass/patchmix_cl", "dass/srad"),
    *("ast_srad/ce", "ast_srad/dual_axis"),
)
SRAD_TWICE = (*SRAD_QUICK, "dass/dual_axis")
SRAD_ONCE = tuple(  # what two cores make in 40 minutes, with the above on two seeds
    name for name in SRAD_EXTRAS if not name.startswith("ast_srad/") and name not in SRAD_TWICE
)
SRAD_SMOKE = ("dass/ce", "dass/srad", "ast_srad/dual_axis")
SRAD_SECONDS = (
    ({"model": "dass", "method": "dual_axis_cl"}, 95),
    ({"model": "dass", "method": "patchmix_cl"}, 66),
    ({"model": "dass"}, 41),
    ({"model": "ast", "method": "dual_axis_cl"}, 25),
    ({"model": "mn04", "method": "dual_axis_cl"}, 45),
)


def _srad_left_out(run: tuple[str, ...], reason: str) -> tuple[tuple[Match, str], ...]:
    """Lung-SRAD's rows but for those that are `run`."""
    left = [({"name": name}, reason) for name in SRAD_EXTRAS if name not in run]
    return *SRAD_NEVER, *left


EVENTS = ("t11", "t12", "w11", "w12")  # SPRSound's tasks whose clips are events, not records

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
            {"size": "mini", "stride": 16, "init": "none", "batch": 16, "lr": 5e-4} | STEADY,
        ),
        *GEOMETRY_RULES,
        *SRAD_RULES,
        (HERE | {"name": "ast/ce"}, {"keep_embeddings": True}),  # the same run as ast_in_as/ce
        (HERE | {"model": "resnet18"}, {"batch": 32, "epochs": 2}),
        (HERE | {"model": "mn04"}, {"batch": 32, "lr": 5e-4, "epochs": 3}),
        (SPRSOUND | {"model": "cnn2"}, {"epochs": 4}),
        *(
            (SPRSOUND | {"model": "cnn2", "labels": labels}, {"epochs": 2, "train_clips": 2000})
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
        *_srad_left_out(SRAD_QUICK, "costs too much for the quick profile"),
        *(
            (SPRSOUND | {"model": "resnet18", "labels": labels}, "costs too much for quick: events")
            for labels in EVENTS
        ),
        *(
            (SPRSOUND | {"features": "mfcc", "labels": labels}, "costs too much for quick")
            for labels in ("t12", "t22", "w12")
        ),
        (SPRSOUND | {"clip_seconds": 15.0}, "costs too much for the quick profile"),
        ({"name": "cnn2/ce@t21/epochs=50"}, "costs too much for the quick profile"),
    ),
    seconds=(
        (SPRSOUND | {"method": "none"}, 6),
        (HERE | {"method": "none"}, 3),
        *((SPRSOUND | {"model": "cnn2", "labels": labels}, 15) for labels in EVENTS),
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
        *((SPRSOUND | {"model": "cnn2", "labels": labels}, {"epochs": 3}) for labels in EVENTS),
        (SPRSOUND | {"model": "resnet18"}, {"epochs": 4, "precision": "bf16"}),
        (SPRSOUND | {"model": "resnet18", "labels": "t11"}, {"epochs": 2}),
        (SPRSOUND | {"model": "resnet18", "labels": "w11"}, {"epochs": 2}),
        (SPRSOUND | {"freeze": True}, {"epochs": 3}),
        ({"name": "cnn2/ce@t21/epochs=50"}, {"epochs": 50}),
        (WHOLE | {"model": "mn04"}, {"epochs": 4, "train_clips": 2000, "class_weights": True}),
        CHILDREN_RULE,
    ),
    not_run=(
        *(rule for rule in QUICK.not_run if "model" in rule[0] and "dataset" not in rule[0]),
        *(
            (
                SPRSOUND | {"features": "mfcc", "labels": labels},
                "tasks 12 and 22 cost as much again",
            )
            for labels in ("t12", "t22")
        ),
        (SPRSOUND | {"model": "resnet18", "labels": "w12"}, "task 12 costs as much again"),
        *SRAD_NEVER,
        (SPRSOUND | {"clip_seconds": 15.0}, "costs hours more on a CPU"),
    ),
    seconds=(
        *(
            one
            for labels in ("t11", "w11")
            for one in (
                (SPRSOUND | {"freeze": True, "labels": labels}, 85),
                (SPRSOUND | {"method": "supcon", "labels": labels}, 215),
            )
        ),
        (SPRSOUND | {"model": "resnet18", "labels": "t11"}, 115),
        (SPRSOUND | {"freeze": True}, 24),
        (SPRSOUND | {"method": "supcon"}, 78),
        (SPRSOUND | {"model": "resnet18"}, 35),
        *((SPRSOUND | {"model": "cnn2", "labels": labels}, 45) for labels in ("t11", "t12")),
        *((SPRSOUND | {"model": "cnn2", "labels": labels}, 55) for labels in ("w11", "w12")),
        (SPRSOUND | {"model": "cnn2"}, 15),
        *(one for one in QUICK.seconds if one[0].get("dataset") != "sprsound"),
    ),
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
            {"size": "nano", "stride": 16, "init": "none", "batch": 16, "lr": 1e-3},
        ),
        *GEOMETRY_RULES,
        (HERE | {"pad_to": 382}, {"pad_to": 254}),
        *SRAD_RULES,
        (HERE | {"name": "ast/ce"}, {"keep_embeddings": True}),  # the same run as ast_in_as/ce
        (HERE | {"model": "mn04"}, {"batch": 32, "lr": 5e-4}),
        (ALONE | {"model": "mn04"}, {"init": "none"}),
        (SPRSOUND, {"epochs": 1}),
        (SPRSOUND | {"model": "resnet18"}, {"train_clips": 64}),
        (WHOLE, {"init": "none", "clip_seconds": 2.0, "time_mask": 40, "train_clips": 96}),
        (WHOLE | {"model": "mn04"}, {"class_weights": True}),
        (WHOLE | {"model": "ast"}, {"size": "nano", "stride": 16, "batch": 16, "lr": 1e-3}),
    ),
    not_run=(
        ({"model": "efficientnet_b0"}, "costs too much for the smoke profile"),
        ({"model": "efficientnet_lite0"}, "costs too much for the smoke profile"),
        ({"model": "cnn6"}, "costs too much for the smoke profile"),
        (HERE | {"model": "resnet18"}, "costs too much for the smoke profile"),
        *(
            (SPRSOUND | {"model": "resnet18", "labels": labels}, "costs too much for smoke")
            for labels in (*EVENTS, "t21")
        ),
        (SPRSOUND | {"model": "cnn2", "labels": "w11"}, "costs too much for smoke"),
        *(
            (SPRSOUND | {"method": "mixup", "labels": labels}, "costs too much for smoke")
            for labels in ("t11", "t21")
        ),
        *(
            ({"name": f"mn04_as/patchmix_cl@{data}"}, "costs too much for smoke")
            for data in ("icbhi", "icbhi/on=sprsound", "sprsound", "sprsound/on=icbhi")
        ),
        *(({"name": name}, "costs too much for smoke") for name in SAM_EXTRAS),
        *_srad_left_out(SRAD_SMOKE, "costs too much for smoke"),
        *(({"name": name}, "costs too much for smoke") for name in ("ast_geo/ce", registry.FREE)),
        (SPRSOUND | {"validation_draw": "balanced"}, "costs too much for smoke"),
        (SPRSOUND | {"scale": "minmax"}, "costs too much for smoke"),
        (SPRSOUND | {"clip_seconds": 15.0}, "costs too much for the smoke profile"),
        ({"name": "cnn2/ce@t21/epochs=50"}, "costs too much for the smoke profile"),
    ),
    seconds=(({}, 3),),
)

PROFILES = {profile.name: profile for profile in (QUICK, CPU, PAPER, SMOKE)}


def get(name: str) -> Profile:
    """A profile by name; an unknown name is an error with the nearest ones."""
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]


def apply(profile: Profile, experiment: Experiment) -> Experiment:
    """The experiment at this profile's price."""
    for match, changes in profile.rules:
        if matches(experiment, match):
            experiment = override(experiment, **changes)
    return experiment


def why_not(profile: Profile, experiment: Experiment) -> str:
    """Why this profile leaves the experiment out, or ""."""
    for match, reason in profile.not_run:
        if matches(experiment, match):
            return reason
    return ""


def seeds(profile: Profile, experiment: Experiment) -> tuple[int, ...]:
    """The seeds of a row: the profile's, unless it has its own; or the profile's first alone."""
    if experiment.name in profile.one_seed:
        return profile.seeds[:1]
    return registry.SEEDS.get(experiment.name, profile.seeds)


def seconds(profile: Profile, experiment: Experiment) -> float | None:
    """Measured seconds that a run takes on one CPU core, or None where nobody measured it."""
    for match, cost in MEL_SECONDS if experiment.dataset == "icbhi_mel" else profile.seconds:
        if matches(experiment, match):
            return cost * experiment.epochs * (2 if experiment.rho else 1)  # SAM: two passes
    return None


def matches(experiment: Experiment, match: Match) -> bool:
    """Whether the experiment has all these settings."""
    return all(getattr(experiment, key) == value for key, value in match.items())
