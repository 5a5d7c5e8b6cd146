"""Geometry-aware AST (arXiv 2512.22564, its code): SAM, equal classes, and what it leaves open."""

from functools import partial

from lib.config import Experiment, override
from lib.experiments import declare, generalisation, patchmix

EXPERIMENTS: dict[str, Experiment] = {}
add = partial(declare, EXPERIMENTS)

# Mean of all tokens, one linear layer, clips filled up with zeros from 798 to 1,024 frames; WRS =
# batches of equal classes, with replacement.
GEOMETRY = override(
    patchmix.AST,
    name="geometry",
    init="imagenet+audioset",
    pool="all",
    head="linear",
    pos_embed="aligned",
    dropout=0.3,
    pad="cyclic",
    fade="none",
    pad_frames=1024,
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
_kept = {"save_landscape": True}
add(GEOMETRY, "ast_geo/ce")
add(_WRS, "ast_geo/wrs", **_kept, save_embeddings=True)
add(_WRS, "ast_geo/wrs_sam", **_kept, save_embeddings=True, rho=RADIUS)
add(_WRS, "ast_geo/wrs/pad_frames=0", **_kept, pad_frames=0)
FREE = "ast_geo/wrs_sam/pad_frames=0"
_free = add(_WRS, FREE, **_kept, rho=RADIUS, pad_frames=0)
add(_WRS_CL, "ast_geo/wrs_patchmix_cl", **_kept)
add(_WRS_CL, "ast_geo/wrs_patchmix_cl_sam", **_kept, rho=RADIUS)

# The cross with the main paper's own recipe, and with models and data that are here.
add(patchmix.LEAN, "ast_in_as/patchmix_cl/rho=0.05", rho=RADIUS)
add(patchmix.CE, "ast_in_as/ce/rho=0.05", rho=RADIUS, save_embeddings=False)
add(patchmix.EXPERIMENTS["mn04_as/ce@mel"], "mn04_as/ce/rho=0.05@mel", rho=RADIUS)
add(
    generalisation.EXPERIMENTS["ast_in_as/ce@sprsound"],
    "ast_in_as/ce/rho=0.05@sprsound",
    rho=RADIUS,
)

# What the paper leaves open. Without the block of zeros, so that one thing changes at a time.
SWEEPS = {
    "rho": (0.01, 0.02, 0.05, 0.1, 0.2),
    "clip_seconds": (4.0, 6.0, 8.0, 10.0),
    "pad": ("cyclic", "repeat", "zero"),
}
_swept = override(_free, save_landscape=False)
for _key, _values in SWEEPS.items():
    for _value in _values:
        if _key == "clip_seconds" or _value != getattr(_free, _key):  # profiles shorten the base
            _more = {"fade": "recording"} if _value == "repeat" else {}
            _same = {"save_landscape": _value == _free.clip_seconds}  # in `paper` it is the base
            add(_swept, f"{FREE}/{_key}={_value}", **{_key: _value}, **_more | _same)
add(_swept, f"{FREE}/adaptive", adaptive=True, rho=0.5)  # a larger ball, as its authors take
