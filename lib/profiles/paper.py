"""The published settings, unchanged but for the precision."""

from lib.profiles.profile import Profile
from lib.profiles.shared import HERE

PAPER = Profile(
    name="paper",
    about="everything as published: official split, AST-base, 5 seeds; needs a GPU",
    seeds=(1, 2, 3, 4, 5),
    verdict=True,
    needs_gpu=True,
    rules=tuple((HERE | {"model": name}, {"precision": "bf16"}) for name in ("ast", "dass")),
)
