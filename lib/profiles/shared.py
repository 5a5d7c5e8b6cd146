"""Rules that several profiles take, a system at a time."""

from lib import registry
from lib.experiments import sam, srad
from lib.profiles.profile import Match

HERE = {"dataset": "icbhi"}  # rows on third-party features keep their own settings

SPRSOUND = {"dataset": "sprsound"}
WHOLE = SPRSOUND | {"frontend": "fbank"}  # SPRSound in ICBHI's classes
ALONE = HERE | {"normalise": "clip"}  # ICBHI's way of transfer

# Mixing methods weight their cross-entropy too: without it such small models always answer normal.
SMALL: Match = {"validation_split": 0.2, "clip_seconds": 3.0, "class_weights": True}

# As published (AudioSet's mean, moving average) so few steps end in one answer for every clip.
STEADY: Match = {"normalise": "clip", "moving_average": 0.0}

# A very small AST from scratch that learns something real in minutes on a CPU: SPRSound's events.
CHILDREN_RULE = (
    WHOLE | {"model": "ast"},
    {"size": "nano", "stride": 16, "init": "none", "batch_size": 32, "lr": 1e-3, "epochs": 8}
    | STEADY,
)

# The geometry-aware recipe takes no class weights: its sampler does that, or nothing does. The
# block of zeros keeps its share of a clip.
GEOMETRY_RULES = (
    (HERE | {"optimizer": "adamw"}, {"class_weights": False}),
    (HERE | {"pad_frames": 1024}, {"pad_frames": 382}),
)
# Sweeps of the clip's length keep it.
LENGTHS = tuple(
    ({"name": f"{sam.FREE}/clip_seconds={value}"}, {"clip_seconds": value})
    for value in sam.SWEEPS["clip_seconds"]
)
SAM_SWEEPS = tuple(name for name in sam.EXPERIMENTS if name.startswith(f"{sam.FREE}/"))
SAM_EXTRAS = (
    *SAM_SWEEPS,
    *("ast_geo/wrs/pad_frames=0", "ast_geo/wrs_patchmix_cl", "ast_geo/wrs_patchmix_cl_sam"),
    "ast_in_as/ce/rho=0.05",
    *("mn04_as/ce/rho=0.05@mel", "ast_in_as/ce/rho=0.05@sprsound"),
)

# Lung-SRAD's recipe has batches of 16. Its DASS from scratch, on maps of 4 x 4 patches, costs four
# times an AST: fewer epochs, AST's too.
SRAD_EPOCHS = (HERE | {"batch_size": 16}, {"epochs": 3})
SRAD_RULES = (
    (HERE | {"model": "dass"}, {"size": "nano", "init": "none", "lr": 1e-3} | STEADY),
    (HERE | {"interpolated_frames": 1024}, {"interpolated_frames": 382}),
    (HERE | {"name": "dass/srad/normalise=audioset"}, {"normalise": "audioset"}),
    *(  # small ones have a block in these stages, not two
        (HERE | {"name": f"dass/blur/blur_stage={stage}"}, {"blur_blocks": "0"}) for stage in (1, 3)
    ),
)
SRAD_NEVER = (
    ({"name": "dass/blur/blur_blocks=18,19"}, "not applicable: a small DASS has 4 blocks"),
)
SRAD_QUICK = (
    *("dass/ce", "dass/blur", "dass/patchmix_cl", "dass/srad"),
    *("ast_srad/ce", "ast_srad/dual_axis"),
    *("mn04_srad/ce", "mn04_srad/patchmix_ce"),  # the same runs as those of Table 2
)
SRAD_TWICE = (*SRAD_QUICK, "dass/dual_axis", *(n for n in srad.EXPERIMENTS if "ast_srad/" in n))
SRAD_ONCE = tuple(name for name in srad.EXPERIMENTS if name not in SRAD_TWICE)
SRAD_SMOKE = ("dass/ce", "dass/srad", "ast_srad/dual_axis")
SRAD_SECONDS = (
    ({"model": "dass", "method": "dual_axis_cl", "interpolated_frames": 382}, 122),
    ({"model": "dass", "method": "dual_axis_cl"}, 95),
    ({"model": "dass", "method": "patchmix_cl"}, 66),
    ({"model": "dass"}, 41),
    ({"model": "ast", "method": "dual_axis_cl"}, 25),
    ({"model": "mn04", "method": "dual_axis_cl"}, 45),
)


def srad_left_out(run: tuple[str, ...], reason: str) -> tuple[tuple[Match, str], ...]:
    """Lung-SRAD's rows but for those that are `run`, or would be on a GPU."""
    names = (name for name in srad.EXPERIMENTS if name not in registry.GPU and name not in run)
    left = [({"name": name}, reason) for name in names]
    return *SRAD_NEVER, *left


EVENTS = (
    "1-1",
    "1-2",
    "1-1-windows",
    "1-2-windows",
)  # SPRSound's tasks whose clips are events, not records
