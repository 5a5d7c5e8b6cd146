"""The rows of the geometry-aware AST: its ablation, SAM in other recipes, and its open questions.

Its one published number counts any abnormal answer, so the rows stand in both countings, each
beside Bae et al.'s numbers in the same one.
"""

from lib.experiments.sam import FREE, SWEEPS
from lib.row import Row, own, published

_OURS = {
    "fine_tuning": "ast_in_as/ce",
    "patchmix_cl": "ast_in_as/patchmix_cl",
    "sam": "ast_geo/wrs_sam",
}


def _published(table: str) -> list[Row]:
    return [row for row in published(table, _OURS) if row.experiment]


ABLATION = own(
    "method architecture pretrain venue",
    """
    AST                                  | AST | IN + AS | - | ast_geo/ce
    AST + WRS                            | AST | IN + AS | - | ast_geo/wrs
    AST + WRS + SAM                      | AST | IN + AS | - | ast_geo/wrs_sam
    AST + WRS, no block of zeros         | AST | IN + AS | - | ast_geo/wrs/pad_frames=0
    AST + WRS + SAM, no block of zeros   | AST | IN + AS | - | ast_geo/wrs_sam/pad_frames=0
    AST + WRS + Patch-Mix CL             | AST | IN + AS | - | ast_geo/wrs_patchmix_cl
    AST + WRS + Patch-Mix CL + SAM       | AST | IN + AS | - | ast_geo/wrs_patchmix_cl_sam
    Fine-tuning + SAM                    | AST | IN + AS | - | ast_in_as/ce/rho=0.05
    Patch-Mix CL + SAM                   | AST | IN + AS | - | ast_in_as/patchmix_cl/rho=0.05
    Fine-tuning, mel pictures       | EfficientAT mn04 | AS | - | mn04_as/ce@mel
    Fine-tuning + SAM, mel pictures | EfficientAT mn04 | AS | - | mn04_as/ce/rho=0.05@mel
    """,
)
FOUR_CLASS = _published("t3") + ABLATION
TWO_CLASS = [
    *_published("t3b"),
    *_published("sam"),
    *(row for row in ABLATION if row.experiment != _OURS["sam"]),
]
CHILDREN = own(
    "method",
    """
    Fine-tuning, WRS       | ast_in_as/ce@sprsound
    Fine-tuning, WRS + SAM | ast_in_as/ce/rho=0.05@sprsound
    """,
)
# Plain training, and the same with SAM.
PAIRS = (
    ("AST + WRS", "ast_geo/wrs", "ast_geo/wrs_sam"),
    ("AST + WRS, no block of zeros", "ast_geo/wrs/pad_frames=0", FREE),
    ("AST + WRS + Patch-Mix CL", "ast_geo/wrs_patchmix_cl", "ast_geo/wrs_patchmix_cl_sam"),
    ("Fine-tuning", "ast_in_as/ce", "ast_in_as/ce/rho=0.05"),
    ("Patch-Mix CL", "ast_in_as/patchmix_cl", "ast_in_as/patchmix_cl/rho=0.05"),
    ("Fine-tuning, mn04, mel pictures", "mn04_as/ce@mel", "mn04_as/ce/rho=0.05@mel"),
    ("Fine-tuning, WRS, SPRSound", "ast_in_as/ce@sprsound", "ast_in_as/ce/rho=0.05@sprsound"),
)
SWEEP = [
    Row(
        f"sam/{setting}={value}",
        {"parameter": setting, "value": "repeat + fade" if value == "repeat" else str(value)},
        FREE if (setting, value) in (("rho", 0.05), ("pad", "cyclic"))
        else f"{FREE}/{setting}={value}",
    )
    for setting, values in SWEEPS.items()
    for value in values
] + own("parameter value", f"ASAM rho | 0.5 | {FREE}/adaptive")  # fmt: skip
EMBEDDED = {"AST + WRS": "ast_geo/wrs", "AST + WRS + SAM": "ast_geo/wrs_sam"}
ALL = FOUR_CLASS + SWEEP + CHILDREN  # the rows in two classes are the same runs
