"""The papers, one file each: facts, published numbers, experiments, tables and claims.

This module merges them into one registry. Start with `lib.papers.patchmix`.
"""

from collections.abc import Iterable

from lib.config import Experiment
from lib.errors import unknown
from lib.papers import lung_srad, patchmix, reliability, sam, sprsound, transfer
from lib.papers.published import Published
from lib.papers.table_row import Claim, Table, TableRow

PAPERS = {
    "Patch-Mix": patchmix,
    "SPRSound": sprsound,
    "Transfer": transfer,
    "SAM": sam,
    "Lung-SRAD": lung_srad,
    "Reliability": reliability,
}
EXPERIMENTS: dict[str, Experiment] = {}
PUBLISHED: dict[str, Published] = {}
GROUPS: dict[str, list[TableRow]] = {}  # runs that are trained together -> the rows they make
TABLES: dict[str, Table] = {}  # by the name of their files
NOTEBOOKS: dict[str, tuple[str, ...]] = {}  # number -> the groups that it shows
CLAIMS: tuple[Claim, ...] = ()
DEVIATIONS: list[tuple[str, str, str, str]] = []  # paper, published, our setting, alternatives
for _name, _paper in PAPERS.items():
    EXPERIMENTS |= _paper.EXPERIMENTS
    PUBLISHED |= _paper.PUBLISHED
    TABLES |= _paper.TABLES
    for _number, _groups in _paper.NOTEBOOKS.items():
        NOTEBOOKS[_number] = tuple(_groups)
        GROUPS |= _groups
    CLAIMS += _paper.CLAIMS
    DEVIATIONS += [(_name, *row) for row in _paper.DEVIATIONS]
TABLES["claims"] = Table("claims", (), "claims", "")
TABLES["deviations"] = Table("deviations", (), "deviations", "")

DEFAULT_NOTEBOOKS = tuple(patchmix.NOTEBOOKS)  # trained if none is named
# Rows whose validation-selected epoch the profile `paper` trains a second run for.
MAIN = frozenset({
    *("ast_in_as/ce", "ast_in_as/patchmix_cl"),
    *("ast_geo/wrs", "ast_geo/wrs_sam"),
    *("ast_in_as/ce/rho=0.05", "ast_in_as/patchmix_cl/rho=0.05"),
    *("dass/ce", "dass/srad"),
})  # fmt: skip


def get_experiment(name: str) -> Experiment:
    """An experiment by name; an unknown name is a `UserError` with the nearest ones."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def get_published(key: str) -> Published:
    """A published row by key; an unknown key is a `UserError` with the nearest ones."""
    if key not in PUBLISHED:
        raise unknown("published row", key, PUBLISHED)
    return PUBLISHED[key]


def groups_of(notebooks: Iterable[str]) -> list[str]:
    """The groups that some notebooks ("03", ...) show, each once; other notebooks have none."""
    return list(dict.fromkeys(name for each in notebooks for name in NOTEBOOKS.get(each, ())))
