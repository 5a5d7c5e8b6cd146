"""The rows of each table: what is printed, which experiment makes it, which published row it meets.

The published rows and their labels stand in `lib.paper`; here they get their experiments, and rows
of our own follow them.
"""

from lib import paper_sprsound, rows_sam, rows_srad
from lib.errors import unknown
from lib.experiments.patchmix import CL, SWEEPS
from lib.row import Row, own, published

CL_NAME = "ast_in_as/patchmix_cl"


TABLE_1 = published(
    "t1",
    {
        "efficientnet": "efficientnet_b0/ce",
        "resnet18": "resnet18/ce",
        "cnn6": "cnn6/ce",
        "efficientnet_in": "efficientnet_b0_in/ce",
        "resnet18_in": "resnet18_in/ce",
        "cnn6_as": "cnn6_as/ce",
        "ast": "ast/ce",
        "ast_in": "ast_in/ce",
        "ast_in_as": "ast_in_as/ce",
    },
    needs=("init",),
    of=("ast_in", "ast_in_as"),
) + own(
    "architecture pretrain",
    """
    EfficientNet, stem summed           | IN | efficientnet_b0_in/ce/stem=summed
    ResNet18, stem summed               | IN | resnet18_in/ce/stem=summed
    EfficientNet-Lite0                  | -  | efficientnet_lite0/ce
    EfficientNet-Lite0, stem summed     | IN | efficientnet_lite0_in/ce/stem=summed
    EfficientAT mn04                    | -  | mn04/ce
    EfficientAT mn04                    | AS | mn04_as/ce
    EfficientAT mn04, mel pictures      | -  | mn04/ce@mel
    EfficientAT mn04, mel pictures      | AS | mn04_as/ce@mel
    ResNet18, mel pictures              | -  | resnet18/ce@mel
    AST-small, mel pictures             | -  | ast_small/ce@mel
    """,
)

_T2 = "method mix negatives target"
TABLE_2 = (
    published(
        "t2",
        {
            "ce": "ast_in_as/ce",
            "ce_patch": "ast_in_as/patchmix_ce",
            "ce_t_patch": "ast_in_as/patchmix_ce/mix=t_patch",
            "cl_patch_all_stop_z": CL_NAME,
            "cl_t_patch_all_stop_z": f"{CL_NAME}/mix=t_patch",
            "cl_patch_diff_y_stop_z": f"{CL_NAME}/negatives=diff_y",
            "cl_patch_all_stop_h_z": f"{CL_NAME}/target=stop(h(z))",
            "cl_patch_all_z": f"{CL_NAME}/target=z",
            "cl_patch_all_h_z": f"{CL_NAME}/target=h(z)",
        },
    )
    + own(
        _T2,
        """
        CE, positions aligned    | -     | -   | -       | ast_in_as/ce/pos_embed=aligned
        MixCL, positions aligned | Patch | ALL | stop(z) | ast_in_as/patchmix_cl/pos_embed=aligned
        """,
        needs=("init",),
    )
    + own(
        _T2,
        """
        CE, SpecAugment always      | -     | -   | -       | ast_in_as/ce/spec_augment=1
        MixCL, SpecAugment always   | Patch | ALL | stop(z) | ast_in_as/patchmix_cl/spec_augment=1
        CE, mn04 (AS)               | -     | -   | -       | mn04_as/ce
        CE, mn04 (AS)               | input | -   | -       | mn04_as/patchmix_ce
        MixCL, mn04 (AS)            | input | ALL | stop(z) | mn04_as/patchmix_cl
        CE, mn04 (AS), mel pictures | -     | -   | -       | mn04_as/ce@mel
        CE, mn04 (AS), mel pictures | input | -   | -       | mn04_as/patchmix_ce@mel
        MixCL, mn04 (AS), mel pictures   | input | ALL | stop(z) | mn04_as/patchmix_cl@mel
        CE, AST-small, mel pictures      | -     | -   | -       | ast_small/ce@mel
        MixCL, AST-small, mel pictures   | Patch | ALL | stop(z) | ast_small/patchmix_cl@mel
        """,
    )
)


def sweep(setting: str) -> list[Row]:
    """One panel of Figure 2: every value of a setting, the chosen one among them."""
    rows = []
    for value in SWEEPS[setting]:
        label = {"parameter": setting, "value": f"{value:g}"}
        same = value == getattr(CL, setting)
        experiment = CL_NAME if same else f"{CL_NAME}/{setting}={value}"
        rows.append(Row(f"f2/{setting}={value:g}", label, experiment))
    return rows


_OURS = {"fine_tuning": "ast_in_as/ce", "patchmix_cl": CL_NAME}
_CLEAN = own(
    "method architecture pretrain venue",
    """
    Fine-tuning, retrained without patients 156, 218 | AST | IN + AS | - \
| ast_in_as/ce/split=patient_clean
    Patch-Mix CL, retrained without patients 156, 218 | AST | IN + AS | - \
| ast_in_as/patchmix_cl/split=patient_clean
    """,
)

# Hu et al. 2023: a row for each number, so for each task. What Tune found is not published.
_SPRSOUND = {
    "cnn": "cnn2/ce",
    "cnn_mixup": "cnn2/mixup",
    "resnet18": "resnet18/ce",
    "resnet18_supcon": "resnet18_supcon/ce",
    "resnet18_supcon_mixup": "resnet18_supcon/mixup",
    "linear": "resnet18_supcon/ce",
    "mixup": "resnet18_supcon/mixup",
}


def _sprsound(table: str) -> list[Row]:
    rows = []
    for one in paper_sprsound.table(table):
        name, task = one.key.split("/")[1], one.key.split("/")[-1]
        experiment = f"{_SPRSOUND[name]}@{task}" if name in _SPRSOUND else None
        rows.append(Row(one.key, one.label, experiment, one.key))
    return rows


FAULTS = own(
    "variant task",
    """
    as it should be                                          | 1-1 | cnn2/ce@1-1
    validation by random events: the same child on both sides | 1-1 | cnn2/ce@1-1/split_by=clip
    validation resampled to equal classes | 1-1 | cnn2/ce@1-1/validation_resampled=True
    scaled from smallest to largest, mean kept               | 1-1 | cnn2/ce@1-1/scale=minmax
    events repeated to 3 s, no zeros that show their length  | 1-1 | cnn2/ce@1-1/pad=cyclic
    records of 3 s (training scripts)                        | 2-1 | cnn2/ce@2-1
    records of 3 s, the published 50 epochs in every profile | 2-1 | cnn2/ce@2-1/epochs=50
    records of 15 s (submitted settings)                     | 2-1 | cnn2/ce@2-1/clip_seconds=15
    records of 3 s (training scripts)                        | 2-2 | cnn2/ce@2-2
    records of 15 s (submitted settings)                     | 2-2 | cnn2/ce@2-2/clip_seconds=15
    """,
)
WINDOWS = own(
    "topology task",
    """
    CNN + MixUp                | 2-1 | cnn2/mixup@1-1-windows
    CNN + MixUp                | 2-2 | cnn2/mixup@1-2-windows
    ResNet 18 + SupCon + MixUp | 2-1 | resnet18_supcon/mixup@1-1-windows
    ResNet 18 + SupCon + MixUp | 2-2 | resnet18_supcon/mixup@1-2-windows
    """,
)
CHILDREN = own(
    "method",
    """
    Fine-tuning  | ast_in_as/ce@sprsound
    Patch-Mix CE | ast_in_as/patchmix_ce@sprsound
    Patch-Mix CL | ast_in_as/patchmix_cl@sprsound
    """,
)
TRANSFER = own(
    "method trained tested",
    "\n".join(
        f"{name} | {trained} | {tested} | mn04_as/{method}@{trained.lower()}{on}"
        for name, method in (("Fine-tuning", "ce"), ("Patch-Mix CL", "patchmix_cl"))
        for tested in ("ICBHI", "SPRSound")
        for trained in ("ICBHI", "SPRSound")
        for on in ("" if trained == tested else f"/on={tested.lower()}",)
    ),
)

SELECTION_RULE = [row for row in TABLE_2 if row.experiment in ("ast_in_as/ce", CL_NAME)]
MAIN_METHODS = {"Fine-tuning": "ast_in_as/ce", "Patch-Mix CL": CL_NAME}
TABLES = {
    "table1": TABLE_1,
    "table2": TABLE_2,
    "figure2": [row for setting in SWEEPS for row in sweep(setting)],
    "table3_4class": published("t3", _OURS) + _CLEAN,
    "table3_2class": published("t3b", _OURS) + _CLEAN,
    "tsne": own("method", "Fine-tuning | ast_in_as/ce\nPatch-Mix CL | ast_in_as/patchmix_cl"),
    "sprsound3": _sprsound("s3"),
    "sprsound1": _sprsound("s1"),
    "sprsound_faults": FAULTS,
    "sprsound2": WINDOWS,
    "sam": rows_sam.ALL,
    "srad": rows_srad.ALL,
    "children": CHILDREN,
    "transfer": TRANSFER,
}
# What the paper claims, as differences of Scores: claim, a, b; the paper's a - b is in lib.paper.
CLAIMS = (
    ("Patch-Mix CL beats fine-tuning", "t2/cl_patch_all_stop_z", "t2/ce"),
    ("Patch-Mix with Mixup's loss does not", "t2/ce_patch", "t2/ce"),
    ("stop-gradient on the target helps", "t2/cl_patch_all_stop_z", "t2/cl_patch_all_z"),
    ("all negatives beat those of other labels", "t2/cl_patch_all_stop_z",
     "t2/cl_patch_diff_y_stop_z"),
    ("AudioSet pretraining helps AST", "t1/ast_in_as", "t1/ast"),
    ("AudioSet pretraining helps (mn04)", "ours/mn04_as/ce", "ours/mn04/ce"),
    ("AudioSet pretraining helps (mn04, mel pictures)", "ours/mn04_as/ce@mel", "ours/mn04/ce@mel"),
    ("Patch-Mix CL beats fine-tuning (mn04)", "ours/mn04_as/patchmix_cl", "ours/mn04_as/ce"),
    ("Patch-Mix CL beats fine-tuning (mn04, mel pictures)", "ours/mn04_as/patchmix_cl@mel",
     "ours/mn04_as/ce@mel"),
)  # fmt: skip
NOTEBOOKS = {
    "03": ("table1",),
    "04": ("table2",),
    "05": ("figure2",),
    "06": ("table3_4class", "table3_2class"),
    "07": ("tsne",),
    "08": ("sprsound3", "sprsound1", "sprsound_faults", "sprsound2"),
    "09": ("children", "transfer"),
    "10": ("sam",),
    "11": ("srad",),
}
COSTS = ("10", "11", "20")  # the notebooks that show benchmarks
SEARCHES = "08"  # the notebook that shows what the searches found
LAST_DEFAULT = "07"  # the other systems' notebooks run when asked for by number, or by `all`
BOTH = ("icbhi", "sprsound")
DATASETS = {"08": ("sprsound",), "09": BOTH, "10": BOTH}  # of a notebook; else ICBHI alone
DEFAULT_TABLES = tuple(
    table for number, tables in NOTEBOOKS.items() if number <= LAST_DEFAULT for table in tables
)


def table(name: str) -> list[Row]:
    """The rows of a table by name; an unknown name is an error with the nearest ones."""
    if name not in TABLES:
        raise unknown("table", name, TABLES)
    return TABLES[name]
