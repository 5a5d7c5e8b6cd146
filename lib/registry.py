"""The experiments of each table, declared as data: a base and what differs.

Names say what differs. A row ties what is printed to the experiment that makes our number and to
the published one it stands beside (a key of `lib.paper`).
"""

from dataclasses import dataclass

from lib.errors import unknown
from lib.settings import Experiment, override


@dataclass(frozen=True)
class Row:
    """One printed row."""

    key: str
    label: dict[str, str]  # the printed columns
    experiment: str | None = None  # None: quoted by the paper from elsewhere
    paper: str | None = None  # None: a row of our own
    needs: tuple[str, ...] = ()  # settings without which, as published, the row means nothing
    note: str = ""

    @property
    def ours(self) -> bool:
        """Whether nobody has published this row."""
        return self.paper is None


EXPERIMENTS: dict[str, Experiment] = {}
SEEDS: dict[str, tuple[int, ...]] = {}  # rows with seeds of their own
GPU: set[str] = set()  # rows that are run only where there is one
MAIN: set[str] = set()  # rows whose "validation" selection the paper profile runs too


def _add(base: Experiment, name: str, **changes: object) -> Experiment:
    EXPERIMENTS[name] = override(base, name=name, **changes)
    return EXPERIMENTS[name]


# Table 1. AST: lr 5e-5, batch 8, 50 epochs pretrained and 200 from scratch; others: lr 1e-3, 128.
AST = Experiment("ast", keep_embeddings=True)
CNN = Experiment("cnn", lr=1e-3, batch=128, epochs=200)

CE = _add(AST, "ast_in_as/ce", init="imagenet+audioset")
_add(AST, "ast_in/ce", init="imagenet")
_add(AST, "ast/ce", epochs=200)
for _model in ("resnet18", "efficientnet_b0", "efficientnet_lite0"):
    _add(CNN, f"{_model}/ce", model=_model)
    _add(CNN, f"{_model}_in/ce", model=_model, init="imagenet")
    _add(CNN, f"{_model}_in/ce/stem=summed", model=_model, init="imagenet", stem="summed")
_add(CNN, "cnn6/ce", model="cnn6")
_add(CNN, "cnn6_as/ce", model="cnn6", init="audioset")

# Table 2. Patch-Mix's own cross-entropies are unweighted.
MIXED = override(CE, class_weights=False)
_add(MIXED, "ast_in_as/patchmix_ce", method="patchmix_ce")
_add(MIXED, "ast_in_as/patchmix_ce/mix=t_patch", method="patchmix_ce", mix="t_patch")
CL = _add(MIXED, "ast_in_as/patchmix_cl", method="patchmix_cl")
_LEAN = override(CL, keep_embeddings=False)  # features for the t-SNE are kept for CE and CL alone
_VARIANTS = {
    "mix=t_patch": {"mix": "t_patch"},
    "negatives=diff_y": {"negatives": "diff_y"},
    "target=stop(h(z))": {"target": "stop(h(z))"},
    "target=z": {"target": "z"},
    "target=h(z)": {"target": "h(z)"},
    "pos_embed=aligned": {"pos_embed": "aligned"},
    "spec_augment=1": {"spec_augment": 1.0},
}
for _name, _changes in _VARIANTS.items():
    _add(_LEAN, f"ast_in_as/patchmix_cl/{_name}", **_changes)
_add(CE, "ast_in_as/ce/pos_embed=aligned", pos_embed="aligned", keep_embeddings=False)
_add(CE, "ast_in_as/ce/spec_augment=1", spec_augment=1.0, keep_embeddings=False)

# Figure 2. The paper's text gives no grid: this one is ours.
SWEEPS = {
    "tau": (0.02, 0.04, 0.06, 0.08, 0.1, 0.2),
    "alpha": (0.25, 0.5, 1.0, 2.0),
    "beta": (0.2, 0.5, 1.0, 2.0),
    "projector": (128, 256, 512, 768),
}
for _key, _values in SWEEPS.items():
    for _value in _values:
        if _value != getattr(CL, _key):
            _add(_LEAN, f"ast_in_as/patchmix_cl/{_key}={_value}", **{_key: _value})

# Table 3. Retrained without the two patients who stand on both sides of the official split.
_add(CE, "ast_in_as/ce/split=patient_clean", split="patient_clean", keep_embeddings=False)
_add(_LEAN, "ast_in_as/patchmix_cl/split=patient_clean", split="patient_clean")

# Ours: a small CNN with AudioSet weights that can be had anywhere; Patch-Mix acts on its input.
MN04 = Experiment(
    "mn04",
    model="mn04",
    lr=5e-4,
    batch=32,
    epochs=50,
    moving_average=0.0,
    normalise="store",
    mix_at="input",
)
# The official split entire from third-party mel pictures of at most 4 s: the row names it.
MEL = {
    "dataset": "icbhi_mel",
    "clip_seconds": 4.0,
    "epochs": 5,
    "time_mask": 80,
    "validation_patients": 0.2,
}
for _suffix, _data in (("", {}), ("@mel", MEL)):
    _add(MN04, f"mn04/ce{_suffix}", **_data)
    _base = override(MN04, init="audioset", **_data)
    _add(_base, f"mn04_as/ce{_suffix}")
    _mixed = override(_base, class_weights=False)
    _add(_mixed, f"mn04_as/patchmix_ce{_suffix}", method="patchmix_ce")
    _add(_mixed, f"mn04_as/patchmix_cl{_suffix}", method="patchmix_cl")
# Published settings, from scratch, on the mel pictures: for a GPU (8 s clips, 50 epochs, not 200).
_gpu = {"dataset": "icbhi_mel", "normalise": "store", "epochs": 50, "precision": "bf16"}
_add(CNN, "resnet18/ce@mel", model="resnet18", **_gpu)
_add(AST, "ast_small/ce@mel", size="small", keep_embeddings=False, **_gpu)
_add(_LEAN, "ast_small/patchmix_cl@mel", size="small", **_gpu | {"init": "none"})

MAIN |= {"ast_in_as/ce", "ast_in_as/patchmix_cl"}
GPU |= {"resnet18/ce@mel", "ast_small/ce@mel", "ast_small/patchmix_cl@mel"}
SEEDS |= {name: (1, 2) for name in EXPERIMENTS if name.startswith("mn04") and "@mel" in name}


# Tables. The keys of published rows are those of `lib.paper`.
def _row(key: str, label: tuple, names: tuple, experiment: str | None = None, **more) -> Row:
    return Row(key, dict(zip(names, label, strict=True)), experiment, **more)


def _published(names: tuple, *rows: tuple) -> list[Row]:
    """Rows of the paper: (key, label, experiment[, needs])."""
    return [
        _row(key, label, names, experiment, paper=key, needs=tuple(needs))
        for key, label, experiment, *needs in rows
    ]


def _own(names: tuple, *rows: tuple) -> list[Row]:
    """Rows of our own: (label, experiment[, needs])."""
    return [
        _row(f"ours/{experiment}", label, names, experiment, needs=tuple(needs))
        for label, experiment, *needs in rows
    ]


_T1 = ("architecture", "pretrain")
MEL_NOTE = "third-party mel pictures, official split"
TABLE_1 = _published(
    _T1,
    ("t1/efficientnet", ("EfficientNet (B0)", "-"), "efficientnet_b0/ce"),
    ("t1/resnet18", ("ResNet18", "-"), "resnet18/ce"),
    ("t1/bi_resnet", ("bi-ResNet", "-"), None),
    ("t1/resnet_nl", ("ResNet-NL", "-"), None),
    ("t1/resnet_att", ("ResNet-Att", "-"), None),
    ("t1/bi_resnet_att", ("bi-ResNet-Att", "-"), None),
    ("t1/cnn6", ("CNN6", "-"), "cnn6/ce"),
    ("t1/efficientnet_in", ("EfficientNet (B0)", "IN"), "efficientnet_b0_in/ce"),
    ("t1/resnet18_in", ("ResNet18", "IN"), "resnet18_in/ce"),
    ("t1/resnest_in", ("ResNeSt", "IN"), None),
    ("t1/resnet34_in", ("ResNet34", "IN"), None),
    ("t1/resnet50_in", ("ResNet50", "IN"), None),
    ("t1/cnn6_as", ("CNN6", "AS"), "cnn6_as/ce"),
    ("t1/ast", ("AST", "-"), "ast/ce"),
    ("t1/ast_in", ("AST", "IN"), "ast_in/ce", "init"),
    ("t1/ast_in_as", ("AST", "IN + AS"), "ast_in_as/ce", "init"),
) + _own(
    _T1,
    (("EfficientNet (B0), stem summed", "IN"), "efficientnet_b0_in/ce/stem=summed"),
    (("ResNet18, stem summed", "IN"), "resnet18_in/ce/stem=summed"),
    (("EfficientNet-Lite0", "-"), "efficientnet_lite0/ce"),
    (("EfficientNet-Lite0", "IN"), "efficientnet_lite0_in/ce/stem=summed"),
    (("EfficientAT mn04", "-"), "mn04/ce"),
    (("EfficientAT mn04", "AS"), "mn04_as/ce"),
    (("EfficientAT mn04 (mel pictures)", "-"), "mn04/ce@mel"),
    (("EfficientAT mn04 (mel pictures)", "AS"), "mn04_as/ce@mel"),
    (("ResNet18 (mel pictures)", "-"), "resnet18/ce@mel"),
    (("AST-small (mel pictures)", "-"), "ast_small/ce@mel"),
)

_T2 = ("method", "mix", "negatives", "target")
_CL = "ast_in_as/patchmix_cl"
TABLE_2 = _published(
    _T2,
    ("t2/ce", ("CE", "-", "-", "-"), "ast_in_as/ce"),
    ("t2/ce_patch", ("CE", "Patch", "-", "-"), "ast_in_as/patchmix_ce"),
    ("t2/ce_t_patch", ("CE", "T-Patch", "-", "-"), "ast_in_as/patchmix_ce/mix=t_patch"),
    ("t2/cl_patch_all_stop_z", ("CL", "Patch", "ALL", "stop(z)"), _CL),
    ("t2/cl_t_patch_all_stop_z", ("CL", "T-Patch", "ALL", "stop(z)"), f"{_CL}/mix=t_patch"),
    (
        "t2/cl_patch_diff_y_stop_z",
        ("CL", "Patch", "Diff. y", "stop(z)"),
        f"{_CL}/negatives=diff_y",
    ),
    (
        "t2/cl_patch_all_stop_h_z",
        ("CL", "Patch", "ALL", "stop(h(z))"),
        f"{_CL}/target=stop(h(z))",
    ),
    ("t2/cl_patch_all_z", ("CL", "Patch", "ALL", "z"), f"{_CL}/target=z"),
    ("t2/cl_patch_all_h_z", ("CL", "Patch", "ALL", "h(z)"), f"{_CL}/target=h(z)"),
) + _own(
    _T2,
    (("CE, positions aligned", "-", "-", "-"), "ast_in_as/ce/pos_embed=aligned", "init"),
    (
        ("CL, positions aligned", "Patch", "ALL", "stop(z)"),
        f"{_CL}/pos_embed=aligned",
        "init",
    ),
    (("CE, SpecAugment always", "-", "-", "-"), "ast_in_as/ce/spec_augment=1"),
    (("CL, SpecAugment always", "Patch", "ALL", "stop(z)"), f"{_CL}/spec_augment=1"),
    (("CE, EfficientAT mn04 (AS)", "-", "-", "-"), "mn04_as/ce"),
    (("CE, EfficientAT mn04 (AS)", "input", "-", "-"), "mn04_as/patchmix_ce"),
    (("CL, EfficientAT mn04 (AS)", "input", "ALL", "stop(z)"), "mn04_as/patchmix_cl"),
    (("CE, mn04 (AS), mel pictures", "-", "-", "-"), "mn04_as/ce@mel"),
    (("CE, mn04 (AS), mel pictures", "input", "-", "-"), "mn04_as/patchmix_ce@mel"),
    (("CL, mn04 (AS), mel pictures", "input", "ALL", "stop(z)"), "mn04_as/patchmix_cl@mel"),
    (("CE, AST-small, mel pictures", "-", "-", "-"), "ast_small/ce@mel"),
    (("CL, AST-small, mel pictures", "Patch", "ALL", "stop(z)"), "ast_small/patchmix_cl@mel"),
)


def sweep(setting: str) -> list[Row]:
    """One panel of Figure 2: the rows of all values of a setting, the chosen one among them."""
    chosen = getattr(CL, setting)
    return [
        _row(
            f"f2/{setting}={value}",
            (setting, f"{value:g}"),
            ("setting", "value"),
            _CL if value == chosen else f"{_CL}/{setting}={value}",
        )
        for value in SWEEPS[setting]
    ]


_T3 = ("method", "architecture", "pretrain")
_T3_OURS = (
    ("finetuning", ("Fine-tuning", "AST", "IN + AS"), "ast_in_as/ce"),
    ("patchmix_cl", ("Patch-Mix CL", "AST", "IN + AS"), _CL),
)
_CLEAN = _own(
    _T3,
    (
        ("Fine-tuning, retrained without patients 156, 218", "AST", "IN + AS"),
        "ast_in_as/ce/split=patient_clean",
    ),
    (
        ("Patch-Mix CL, retrained without patients 156, 218", "AST", "IN + AS"),
        f"{_CL}/split=patient_clean",
    ),
)
TABLES = {
    "table1": TABLE_1,
    "table2": TABLE_2,
    "figure2": [row for setting in SWEEPS for row in sweep(setting)],
    "table3": [],
    "tsne": _own(("method",), (("Fine-tuning",), "ast_in_as/ce"), (("Patch-Mix CL",), _CL)),
}
NOTEBOOKS = {
    "03": ("table1",),
    "04": ("table2",),
    "05": ("figure2",),
    "06": ("table3",),
    "07": ("tsne",),
}


def get(name: str) -> Experiment:
    """An experiment by name; an unknown name is an error with the nearest ones."""
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def table(name: str) -> list[Row]:
    """The rows of a table by name; an unknown name is an error with the nearest ones."""
    if name not in TABLES:
        raise unknown("table", name, TABLES)
    return TABLES[name]
