"""Patch-Mix contrastive learning with AST (Bae et al., INTERSPEECH 2023, arXiv 2305.14032).

Question: does a contrastive loss on mixed patches beat fine-tuning on ICBHI 2017, and which mix,
negatives, target and hyper-parameters does it need?
Command: ./run_all.sh laptop 03 04 05 06 07 (notebooks 03_table1 to 07_tsne).
Cost: about 20 minutes on two cores; as published, 50 to 200 epochs of AST-base, a GPU.
Expect: users of the official code report 58.46 to 60.19 for Patch-Mix CL, not 62.37 from one seed.
"""

from lib.config import Experiment, override
from lib.papers.published import by_key, read_table
from lib.papers.table_row import (
    Experiments,
    TableRow,
    own_rows,
    published_rows,
    read_claims,
    sweep_rows,
    tables,
)

# --- FACTS (section 3) ---

SOURCE = "Bae et al. 2023"
CYCLES = {  # ICBHI's official split
    "train": {"normal": 2063, "crackle": 1215, "wheeze": 501, "both": 363},
    "test": {"normal": 1579, "crackle": 649, "wheeze": 385, "both": 143},
}
RECORDINGS = {"train": 539, "test": 381}
PATIENTS = {"train": 79, "test": 49}
FRAMES, MELS = 798, 128
GRID = (12, 79)  # patches of a clip in the official code (frequency, time): 948 tokens

# --- PUBLISHED: numbers as printed ---

_TABLE_1 = """
efficientnet†    | EfficientNet       | -       | 70.92±3.61 28.93±3.05 49.93±0.59
resnet18†        | ResNet18           | -       | 70.68±3.28 30.14±3.98 50.41±0.60
bi_resnet        | bi-ResNet [13]     | -       | 69.20 31.12 50.16
resnet_nl        | ResNet-NL [6]      | -       | 63.20 41.32 52.26
resnet_att       | ResNet-Att [27]    | -       | 71.44 36.36 53.90
bi_resnet_att    | bi-ResNet-Att [31] | -       | 67.13 46.38 56.76
cnn6             | CNN6 [15]          | -       | 76.72 31.12 53.92
efficientnet_in† | EfficientNet       | IN      | 80.07±4.74 33.05±4.14 56.56±0.79
resnet18_in†     | ResNet18           | IN      | 76.63±1.87 31.06±2.45 53.84±1.26
resnest_in       | ResNeSt [14]       | IN      | 67.80 37.10 52.20
resnet34_in      | ResNet34 [8]       | IN      | 71.40 39.00 55.20
resnet50_in      | ResNet50 [9]       | IN      | 76.33 37.37 56.85
cnn6_as          | CNN6 [15]          | AS      | 70.09 40.39 55.24
ast†             | AST                | -       | 72.61±14.90 30.58±7.97 49.60±1.75
ast_in†          | AST                | IN      | 78.69±0.60 38.78±0.65 58.73±0.22
ast_in_as†       | AST                | IN + AS | 77.14±3.35 41.97±2.21 59.55±0.88
"""

_TABLE_2 = """
ce†                     | CE    | -       | -       | -          | 77.14±3.35 41.97±2.21 59.55±0.88
ce_patch†               | CE    | Patch   | -       | -          | 76.87±5.05 42.04±3.98 59.46±0.78
ce_t_patch†             | CE    | T-Patch | -       | -          | 79.04±4.88 40.55±5.14 59.79±1.20
cl_patch_all_stop_z†    | MixCL | Patch   | ALL     | stop(z) | 81.66±3.83 43.07±2.80 62.37±0.61 \
| the authors' choice
cl_t_patch_all_stop_z†  | MixCL | T-Patch | ALL     | stop(z)    | 78.22±7.96 44.79±6.17 61.51±1.15
cl_patch_diff_y_stop_z† | MixCL | Patch   | Diff. y | stop(z)    | 80.24±4.60 40.93±4.44 60.59±0.50
cl_patch_all_stop_h_z†  | MixCL | Patch   | ALL     | stop(h(z)) | 78.07±2.41 43.54±1.75 60.81±0.41
cl_patch_all_z†         | MixCL | Patch   | ALL     | z          | 82.17±5.52 40.87±4.02 61.52±1.37
cl_patch_all_h_z†       | MixCL | Patch   | ALL     | h(z)       | 79.89±4.08 42.06±4.75 60.97±0.55
"""

_TABLE_3 = """
lungbrn | LungBRN [13] | bi-ResNet | - | BioCAS‘19 | 69.20 31.12 50.16
se_sa | SE+SA [7] | ResNet18 | - | INTERSPEECH‘20 | 81.25 17.84 49.55
lungrn_nl | LungRN+NL [6] | ResNet-NL | - | INTERSPEECH‘20 | 63.20 41.32 52.26
cnn_moe | CNN-MoE [32] | C-DNN | - | JBHI‘21 | 72.40 21.50 47.00
lungattn | LungAttn [27] | ResNet-Att | - | IPEM‘21 | 71.44 36.36 53.90
arsc_net | ARSC-Net [31] | bi-ResNet-Att | - | BIBM‘21 | 67.13 46.38 56.76
respirenet | RespireNet [8] | ResNet34 | IN | EMBC‘21 | 71.40 39.00 55.20
respirenet_full | RespireNet [8] (CBA+BRC+FT) | ResNet34 | IN | EMBC‘21 | 72.30 40.10 56.20
ren | Ren et al. [33] | CNN8-Pt | - | ICASSP‘22 | 72.96 27.78 50.37
chang_cnn8 | Chang et al. [34] | CNN8-dilated | - | INTERSPEECH‘22 | 69.92 35.85 52.89
chang_resnet | Chang et al. [34] | ResNet-dilated | - | INTERSPEECH‘22 | 50.22 51.83 51.02
wang_splice | Wang et al. [14] (Splice) | ResNeSt | IN | ICASSP‘22 | 70.40 40.20 55.30
late_fusion | Late-Fusion [35] | Inc-03 + VGG14 | IN | EMBC‘22 | 85.60 30.00 57.30
nguyen_stochnorm | Nguyen et al. [9] (StochNorm) | ResNet50 | IN | TBME‘22 | 78.86 36.40 57.63
nguyen_cotuning | Nguyen et al. [9] (CoTuning) | ResNet50 | IN | TBME‘22 | 79.34 37.24 58.29 \
| best Score before the paper
moummad | Moummad et al. [15] | CNN6 | AS | arXiv‘22 | 70.09 40.39 55.24
moummad_scl | Moummad et al. [15] (SCL) | CNN6 | AS | arXiv‘22 | 75.95 39.15 57.55
fine_tuning† | Fine-tuning | AST | IN + AS | INTERSPEECH‘23 | 77.14±3.35 41.97±2.21 59.55±0.88
patchmix_cl† | Patch-Mix CL | AST | IN + AS | INTERSPEECH‘23 | 81.66±3.83 43.07±2.80 62.37±0.61
"""

_TABLE_3_TWO_CLASS = """
cnn_moe | CNN-MoE [32] | C-DNN | - | JBHI‘21 | 72.40 37.50 54.10
nguyen_stochnorm | Nguyen et al. [9] (StochNorm) | ResNet50 | IN | TBME‘22 | 78.86 49.79 64.32
nguyen_cotuning | Nguyen et al. [9] (CoTuning) | ResNet50 | IN | TBME‘22 | 79.34 50.14 64.74 \
| best Score before the paper
fine_tuning† | Fine-tuning | AST | IN + AS | INTERSPEECH‘23 | 77.14±3.35 56.40±1.73 66.77±1.15
patchmix_cl† | Patch-Mix CL | AST | IN + AS | INTERSPEECH‘23 | 81.66±3.83 55.77±2.83 68.71±0.59
"""

COMPARISON = "method architecture pretrain venue"
PRINTED = {
    "t1": read_table("t1", f"{SOURCE}, Table 1", "architecture pretrain", _TABLE_1),
    "t2": read_table("t2", f"{SOURCE}, Table 2", "method mix negatives target", _TABLE_2),
    "t3": read_table("t3", f"{SOURCE}, Table 3, 4-class", COMPARISON, _TABLE_3),
    "t3b": read_table("t3b", f"{SOURCE}, Table 3, 2-class", COMPARISON, _TABLE_3_TWO_CLASS),
}
PUBLISHED = by_key(*PRINTED.values())

# --- DEVIATIONS: what was published | our setting for it | alternatives ---

DEVIATIONS = (
    (
        "the two axes of AST's positional grid are swapped (official code)",
        "pos_embed = official",
        "aligned",
    ),
    ("SpecAugment with probability 0.841, by accident", "spec_augment = 0.841", "any"),
    ("the 1-channel stem of ImageNet CNNs is random", "stem = random", "summed"),
    ("recordings are faded, not cycles", "fade = recording", "cycle"),
    (
        "weights are averaged with those before each step",
        "moving_average = 0.5, as half the step (exact for Adam)",
        "0",
    ),
    ("the epoch is the best on the test set", "selection test", "last, validation beside it"),
    ("half precision (fp16)", "precision = fp32; bf16 in the profile paper (a deviation)", "fp16"),
    (
        "two encoder passes a step",
        "one pass, the same mathematics (tested in float64); two if batch norm ties clips",
        "none",
    ),
    ("patients 156 and 218 are in both splits", "split = official", "patient_clean"),
    (
        "the class token of an AST from scratch starts with a spread of 0.02",
        "1e-6, as in today's timm (a deviation; no pretrained row has it)",
        "none",
    ),
)

# --- EXPERIMENTS ---

EXPERIMENTS = Experiments()

# Table 1. AST: lr 5e-5, batch 8, 50 epochs pretrained and 200 from scratch; others: lr 1e-3, 128.
AST = Experiment("ast", budget="smoke")
CNN = Experiment("cnn", lr=1e-3, batch_size=128, epochs=200, budget="long")
CE = EXPERIMENTS.add(AST, "ast_in_as/ce", init="imagenet+audioset", save_embeddings=True)
EXPERIMENTS.add(AST, "ast_in/ce", init="imagenet")
EXPERIMENTS.add(AST, "ast/ce", epochs=200)
for _model in ("resnet18", "efficientnet_b0", "efficientnet_lite0"):
    _cnn = override(CNN, model=_model, budget="laptop" if _model == "resnet18" else "long")
    EXPERIMENTS.add(_cnn, f"{_model}/ce")
    EXPERIMENTS.add(_cnn, f"{_model}_in/ce/stem=summed", init="imagenet", stem="summed")
    if _model != "efficientnet_lite0":
        EXPERIMENTS.add(_cnn, f"{_model}_in/ce", init="imagenet")
EXPERIMENTS.add(CNN, "cnn6/ce", model="cnn6")
EXPERIMENTS.add(CNN, "cnn6_as/ce", model="cnn6", init="audioset")

# Table 2 and, retrained without the patients of both sides of the split, Table 3. Patch-Mix's own
# cross-entropies are unweighted. Page 07 shows the embeddings of CE and CL alone.
_MIXED = override(CE, class_weights=False, save_embeddings=False)
_CE = EXPERIMENTS.add(_MIXED, "ast_in_as/patchmix_ce", method="patchmix_ce")
CL = EXPERIMENTS.add(_MIXED, "ast_in_as/patchmix_cl", method="patchmix_cl", save_embeddings=True)
CL_PLAIN = override(CL, save_embeddings=False)
_OURS = ("pos_embed=aligned", "spec_augment=1", "split=patient_clean")
EXPERIMENTS.vary(_CE, "mix=t_patch")
EXPERIMENTS.vary(CL_PLAIN, "mix=t_patch", "negatives=diff_y", "target=stop(h(z))", "target=z",
                 "target=h(z)", *_OURS)  # fmt: skip
EXPERIMENTS.vary(CE, *_OURS, save_embeddings=False)

# Figure 2. The paper's text gives no grid: this one is ours.
SWEEPS = {
    "tau": (0.02, 0.04, 0.06, 0.08, 0.1, 0.2),
    "alpha": (0.25, 0.5, 1.0, 2.0),
    "beta": (0.2, 0.5, 1.0, 2.0),
    "projector": (128, 256, 512, 768),
}
for _key, _values in SWEEPS.items():
    _others = [value for value in _values if value != getattr(CL, _key)]
    EXPERIMENTS.vary(CL_PLAIN, *(f"{_key}={value}" for value in _others))

# Ours: a small CNN with AudioSet weights that can be had anywhere; Patch-Mix acts on its input.
MN04 = Experiment("mn04", model="mn04", lr=5e-4, batch_size=32, epochs=50, moving_average=0.0,
                  normalise="dataset", mix_at="input", budget="smoke")  # fmt: skip
# The whole official split from third-party mel pictures of at most 4 s: the rows name them.
_MEL = {"dataset": "icbhi_mel", "clip_seconds": 4.0, "epochs": 5, "time_mask": 80,
        "validation_split": 0.2, "laptop_seeds": 2}  # fmt: skip
for _at, _data in (("", {}), ("@mel", _MEL)):
    EXPERIMENTS.add(MN04, f"mn04/ce{_at}", **_data)
    _as = EXPERIMENTS.add(MN04, f"mn04_as/ce{_at}", init="audioset", **_data)
    for _method in ("patchmix_ce", "patchmix_cl"):
        EXPERIMENTS.add(_as, f"mn04_as/{_method}{_at}", method=_method, class_weights=False)
# Published settings, from scratch, on the mel pictures: for a GPU (8 s clips, 50 epochs, not 200).
MEL_GPU = {"dataset": "icbhi_mel", "normalise": "dataset", "epochs": 50, "precision": "bf16",
           "validation_split": 0.2, "budget": "gpu"}  # fmt: skip
EXPERIMENTS.add(CNN, "resnet18/ce@mel", model="resnet18", **MEL_GPU)
EXPERIMENTS.add(AST, "ast_small/ce@mel", size="small", **MEL_GPU)
EXPERIMENTS.add(CL_PLAIN, "ast_small/patchmix_cl@mel", size="small", init="none", **MEL_GPU)

# --- TABLES ---

# A row about pretraining means nothing without the weights.
TABLE_1 = published_rows(PRINTED["t1"], EXPERIMENTS, needs=("init",), names={
    "efficientnet": "efficientnet_b0/ce", "efficientnet_in": "efficientnet_b0_in/ce",
    "resnet18": "resnet18/ce", "resnet18_in": "resnet18_in/ce",
    "cnn6": "cnn6/ce", "cnn6_as": "cnn6_as/ce",
    "ast": "ast/ce", "ast_in": "ast_in/ce", "ast_in_as": "ast_in_as/ce",
})  # fmt: skip
TABLE_1 += own_rows(EXPERIMENTS, "architecture pretrain", """
EfficientNet, stem summed       | IN | efficientnet_b0_in/ce/stem=summed
ResNet18, stem summed           | IN | resnet18_in/ce/stem=summed
EfficientNet-Lite0              | -  | efficientnet_lite0/ce
EfficientNet-Lite0, stem summed | IN | efficientnet_lite0_in/ce/stem=summed
EfficientAT mn04                | -  | mn04/ce
EfficientAT mn04                | AS | mn04_as/ce
EfficientAT mn04, mel pictures  | -  | mn04/ce@mel
EfficientAT mn04, mel pictures  | AS | mn04_as/ce@mel
ResNet18, mel pictures          | -  | resnet18/ce@mel
AST-small, mel pictures         | -  | ast_small/ce@mel
""")  # fmt: skip
_VARIANT = "method mix negatives target"
TABLE_2 = published_rows(PRINTED["t2"], EXPERIMENTS, {
    "ce": "ast_in_as/ce",
    "ce_patch": "ast_in_as/patchmix_ce", "ce_t_patch": "ast_in_as/patchmix_ce/mix=t_patch",
    "cl_patch_all_stop_z": "ast_in_as/patchmix_cl",
    "cl_t_patch_all_stop_z": "ast_in_as/patchmix_cl/mix=t_patch",
    "cl_patch_diff_y_stop_z": "ast_in_as/patchmix_cl/negatives=diff_y",
    "cl_patch_all_stop_h_z": "ast_in_as/patchmix_cl/target=stop(h(z))",
    "cl_patch_all_z": "ast_in_as/patchmix_cl/target=z",
    "cl_patch_all_h_z": "ast_in_as/patchmix_cl/target=h(z)",
})  # fmt: skip
TABLE_2 += own_rows(EXPERIMENTS, _VARIANT, needs=("init",), text="""
CE, positions aligned    | -     | -   | -       | ast_in_as/ce/pos_embed=aligned
MixCL, positions aligned | Patch | ALL | stop(z) | ast_in_as/patchmix_cl/pos_embed=aligned
""")  # fmt: skip
TABLE_2 += own_rows(EXPERIMENTS, _VARIANT, """
CE, SpecAugment always         | -     | -   | -       | ast_in_as/ce/spec_augment=1
MixCL, SpecAugment always      | Patch | ALL | stop(z) | ast_in_as/patchmix_cl/spec_augment=1
CE, mn04 (AS)                  | -     | -   | -       | mn04_as/ce
CE, mn04 (AS)                  | input | -   | -       | mn04_as/patchmix_ce
MixCL, mn04 (AS)               | input | ALL | stop(z) | mn04_as/patchmix_cl
CE, mn04 (AS), mel pictures    | -     | -   | -       | mn04_as/ce@mel
CE, mn04 (AS), mel pictures    | input | -   | -       | mn04_as/patchmix_ce@mel
MixCL, mn04 (AS), mel pictures | input | ALL | stop(z) | mn04_as/patchmix_cl@mel
CE, AST-small, mel pictures    | -     | -   | -       | ast_small/ce@mel
MixCL, AST-small, mel pictures | Patch | ALL | stop(z) | ast_small/patchmix_cl@mel
""")  # fmt: skip
FIGURE_2 = sweep_rows("f2", CL, SWEEPS, EXPERIMENTS, "{:g}".format)
MAIN_METHODS = {"Fine-tuning": CE, "Patch-Mix CL": CL}
MAIN_ROWS = {"fine_tuning": CE.name, "patchmix_cl": CL.name}  # of Table 3
_WITHOUT = "retrained without patients 156, 218 | AST | IN + AS | -"
_CLEAN = own_rows(EXPERIMENTS, COMPARISON, f"""
Fine-tuning, {_WITHOUT} | ast_in_as/ce/split=patient_clean
Patch-Mix CL, {_WITHOUT} | ast_in_as/patchmix_cl/split=patient_clean
""")  # fmt: skip
TABLE_3 = published_rows(PRINTED["t3"], EXPERIMENTS, MAIN_ROWS) + _CLEAN
TABLE_3_TWO_CLASS = published_rows(PRINTED["t3b"], EXPERIMENTS, MAIN_ROWS) + _CLEAN
TSNE = [TableRow(f"ours/{e.name}", {"method": name}, e) for name, e in MAIN_METHODS.items()]
NOTEBOOKS = {"03": {"table1": TABLE_1}, "04": {"table2": TABLE_2}, "05": {"figure2": FIGURE_2},
             "06": {"table3_4class": TABLE_3}, "07": {"tsne": TSNE}}  # fmt: skip
_RULES = [row for row in TABLE_2 if row.experiment in (CE, CL)]
TABLES = {
    **tables("table1", TABLE_1, table1="headline", table1_selections="selections",
             table1_details="details"),
    **tables("table2", TABLE_2, table2="headline", table2_selections="selections",
             table2_details="details"),
    **tables("table2", _RULES, table2_rules="selection_rule"),
    **tables("figure2", FIGURE_2, figure2="selections"),
    **tables("table3_4class", TABLE_3, table3_4class="headline", table3_selections="selections",
             table3_4class_details="details"),
    **tables("table3_4class", TABLE_3_TWO_CLASS, two_class=True, table3_2class="headline",
             table3_2class_details="details"),
    **tables("table3_4class", TSNE, table3_differences="method_differences"),
    **tables("tsne", TSNE, tsne="neighbours"),
}  # fmt: skip

# --- CLAIMS: text | row a | row b | the same with mn04 on SPRSound, on page 09 ---

CLAIMS = read_claims("04", TABLE_2, """
Patch-Mix CL beats fine-tuning | t2/cl_patch_all_stop_z | t2/ce | methods/patchmix_cl methods/ce
Patch-Mix with Mixup's loss beats fine-tuning | t2/ce_patch | t2/ce \
| methods/patchmix_ce methods/ce
stop-gradient on the target helps | t2/cl_patch_all_stop_z | t2/cl_patch_all_z
all negatives beat those of other labels | t2/cl_patch_all_stop_z | t2/cl_patch_diff_y_stop_z
""") + read_claims("03", TABLE_1, """
AudioSet pretraining helps AST | t1/ast_in_as | t1/ast
""")  # fmt: skip
