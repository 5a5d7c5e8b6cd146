"""The experiments of all systems, and what holds for rows of several.

They are declared in `lib.experiments`; names say what differs. Which rows of which table they make
stands in `lib.rows`.
"""

from lib.config import Experiment
from lib.errors import unknown
from lib.experiments import generalisation, patchmix, sam, sprsound, srad

EXPERIMENTS: dict[str, Experiment] = {
    name: experiment
    for system in (patchmix, sprsound, generalisation, sam, srad)
    for name, experiment in system.EXPERIMENTS.items()
}
# Rows with seeds of their own.
SEEDS = {name: (1, 2) for name in EXPERIMENTS if name.startswith("mn04") and "@mel" in name}
# Rows that are run only where there is a GPU.
GPU = {
    *("resnet18/ce@mel", "ast_small/ce@mel", "ast_small/patchmix_cl@mel"),
    *("dass_small/ce@mel", "dass_small/srad@mel"),
}
# Rows whose "validation" selection the paper profile runs too.
MAIN = {
    *("ast_in_as/ce", "ast_in_as/patchmix_cl"),
    *("ast_geo/wrs", "ast_geo/wrs_sam"),
    *("ast_in_as/ce/rho=0.05", "ast_in_as/patchmix_cl/rho=0.05"),
    *("dass/ce", "dass/srad"),
}


def get(name: str) -> Experiment:
    """An experiment by name; an unknown name is an error with the nearest ones."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]
