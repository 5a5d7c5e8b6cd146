"""Every published number, typed once, with where it stands; nothing here was measured by us.

A key is `<table>/<row>`: t1, t2, t3 (4 classes) and t3b (2 classes) of Bae et al. 2023, sam (2
classes) of the geometry-aware AST, srad (4 classes) and srad2 (2 classes) of Lung-SRAD. A new
paper adds its rows to `ROWS`. Numbers are percent, "mean±std" as printed, or one number where no
spread was published. Where a printed Score is not the mean of Sp and Se, it stays as printed and
the row has a note.
"""

from dataclasses import dataclass

from lib.errors import unknown

PATCHMIX = "Bae et al. 2023"
METRICS = ("sp", "se", "score")
SEEDS = 5  # runs behind each "mean±std" (Bae et al. 2023, section 3.3)
TWO_SEEDS = ("srad/srad", "srad2/srad")  # Lung-SRAD's script of the full method names seeds 1 and 2


# Bae et al. 2023, section 3.1: ICBHI's official split.
CYCLES = {
    "train": {"normal": 2063, "crackle": 1215, "wheeze": 501, "both": 363},
    "test": {"normal": 1579, "crackle": 649, "wheeze": 385, "both": 143},
}
RECORDINGS = {"train": 539, "test": 381}
PATIENTS = {"train": 79, "test": 49}
FRAMES, MELS = 798, 128  # section 3.2
GRID = (12, 79)  # patches of a clip in the official code (frequency, time): 948 tokens


@dataclass(frozen=True)
class Published:
    """One printed row. `sp`, `se`, `score` in percent; `*_std` is None for a single number."""

    key: str
    label: dict[str, str]  # the printed columns
    sp: float
    sp_std: float | None
    se: float
    se_std: float | None
    score: float
    score_std: float | None
    source: str  # "Bae et al. 2023, Table 1"
    authors: bool  # whether the paper's authors ran it (the dagger); else they quote it
    note: str = ""

    @property
    def seeds(self) -> int:
        """Runs behind a "mean±std"."""
        return 2 if self.key in TWO_SEEDS else SEEDS


def _numbers(printed: str) -> dict[str, float | None]:
    """Sp, Se, Score and their spreads from a line such as `71.4±1.2 39.0 55.2`."""
    found = {}
    for metric, cell in zip(METRICS, printed.split(), strict=True):
        mean, _, std = cell.partition("±")
        found |= {metric: float(mean), f"{metric}_std": float(std) if std else None}
    return found


def _rows(table: str, source: str, columns: str, text: str) -> list[Published]:
    """Rows of one printed table: `key | printed columns | Sp Se Score | note`.

    A † after the key where the authors ran it.
    """
    rows = []
    for line in text.strip().splitlines():
        key, *cells, numbers, note = (cell.strip() for cell in line.split("|"))
        row = Published(
            key=f"{table}/{key.removesuffix('†')}",
            label=dict(zip(columns.split(), cells, strict=True)),
            **_numbers(numbers),
            source=source,
            authors=key.endswith("†"),
            note=note,
        )
        rows.append(row)
    return rows


TABLE_1 = """
efficientnet†    | EfficientNet          | -       | 70.92±3.61 28.93±3.05 49.93±0.59  |
resnet18†        | ResNet18              | -       | 70.68±3.28 30.14±3.98 50.41±0.60  |
bi_resnet        | bi-ResNet [13]        | -       | 69.20 31.12 50.16                 |
resnet_nl        | ResNet-NL [6]         | -       | 63.20 41.32 52.26                 |
resnet_att       | ResNet-Att [27]       | -       | 71.44 36.36 53.90                 |
bi_resnet_att    | bi-ResNet-Att [31]    | -       | 67.13 46.38 56.76                 |
cnn6             | CNN6 [15]             | -       | 76.72 31.12 53.92                 |
efficientnet_in† | EfficientNet          | IN      | 80.07±4.74 33.05±4.14 56.56±0.79  |
resnet18_in†     | ResNet18              | IN      | 76.63±1.87 31.06±2.45 53.84±1.26  |
resnest_in       | ResNeSt [14]          | IN      | 67.80 37.10 52.20                 | \
mean of printed Sp, Se: 52.45
resnet34_in      | ResNet34 [8]          | IN      | 71.40 39.00 55.20                 |
resnet50_in      | ResNet50 [9]          | IN      | 76.33 37.37 56.85                 |
cnn6_as          | CNN6 [15]             | AS      | 70.09 40.39 55.24                 |
ast†             | AST                   | -       | 72.61±14.90 30.58±7.97 49.60±1.75 | \
mean of printed Sp, Se: 51.60
ast_in†          | AST                   | IN      | 78.69±0.60 38.78±0.65 58.73±0.22  |
ast_in_as†       | AST                   | IN + AS | 77.14±3.35 41.97±2.21 59.55±0.88  |
"""

TABLE_2 = """
ce†                      | CE    | -       | -       | -          | \
77.14±3.35 41.97±2.21 59.55±0.88 |
ce_patch†                | CE    | Patch   | -       | -          | \
76.87±5.05 42.04±3.98 59.46±0.78 |
ce_t_patch†              | CE    | T-Patch | -       | -          | \
79.04±4.88 40.55±5.14 59.79±1.20 |
cl_patch_all_stop_z†     | MixCL | Patch   | ALL     | stop(z)    | \
81.66±3.83 43.07±2.80 62.37±0.61 | the authors' choice
cl_t_patch_all_stop_z†   | MixCL | T-Patch | ALL     | stop(z)    | \
78.22±7.96 44.79±6.17 61.51±1.15 |
cl_patch_diff_y_stop_z†  | MixCL | Patch   | Diff. y | stop(z)    | \
80.24±4.60 40.93±4.44 60.59±0.50 |
cl_patch_all_stop_h_z†   | MixCL | Patch   | ALL     | stop(h(z)) | \
78.07±2.41 43.54±1.75 60.81±0.41 |
cl_patch_all_z†          | MixCL | Patch   | ALL     | z          | \
82.17±5.52 40.87±4.02 61.52±1.37 |
cl_patch_all_h_z†        | MixCL | Patch   | ALL     | h(z)       | \
79.89±4.08 42.06±4.75 60.97±0.55 |
"""

TABLE_3 = """
lungbrn           | LungBRN [13]    | bi-ResNet     | -  | BioCAS‘19      | 69.20 31.12 50.16 |
se_sa             | SE+SA [7]       | ResNet18      | -  | INTERSPEECH‘20 | 81.25 17.84 49.55 |
lungrn_nl         | LungRN+NL [6]   | ResNet-NL     | -  | INTERSPEECH‘20 | 63.20 41.32 52.26 |
cnn_moe           | CNN-MoE [32]    | C-DNN         | -  | JBHI‘21        | 72.40 21.50 47.00 | \
mean of printed Sp, Se: 46.95
lungattn          | LungAttn [27]   | ResNet-Att    | -  | IPEM‘21        | 71.44 36.36 53.90 |
arsc_net          | ARSC-Net [31]   | bi-ResNet-Att | -  | BIBM‘21        | 67.13 46.38 56.76 |
respirenet        | RespireNet [8]  | ResNet34      | IN | EMBC‘21        | 71.40 39.00 55.20 |
respirenet_full   | RespireNet [8] (CBA+BRC+FT) | ResNet34 | IN | EMBC‘21 | 72.30 40.10 56.20 |
ren               | Ren et al. [33] | CNN8-Pt       | -  | ICASSP‘22      | 72.96 27.78 50.37 |
chang_cnn8        | Chang et al. [34] | CNN8-dilated | - | INTERSPEECH‘22 | 69.92 35.85 52.89 |
chang_resnet      | Chang et al. [34] | ResNet-dilated | - | INTERSPEECH‘22 | 50.22 51.83 51.02 |
wang_splice       | Wang et al. [14] (Splice) | ResNeSt | IN | ICASSP‘22    | 70.40 40.20 55.30 |
late_fusion       | Late-Fusion [35] | Inc-03 + VGG14 | IN | EMBC‘22      | 85.60 30.00 57.30 | \
mean of printed Sp, Se: 57.80
nguyen_stochnorm  | Nguyen et al. [9] (StochNorm) | ResNet50 | IN | TBME‘22 | 78.86 36.40 57.63 |
nguyen_cotuning   | Nguyen et al. [9] (CoTuning) | ResNet50 | IN | TBME‘22 | 79.34 37.24 58.29 | \
best Score before the paper
moummad           | Moummad et al. [15] | CNN6      | AS | arXiv‘22       | 70.09 40.39 55.24 |
moummad_scl       | Moummad et al. [15] (SCL) | CNN6 | AS | arXiv‘22      | 75.95 39.15 57.55 |
fine_tuning†      | Fine-tuning     | AST | IN + AS | INTERSPEECH‘23 | \
77.14±3.35 41.97±2.21 59.55±0.88 |
patchmix_cl†      | Patch-Mix CL    | AST | IN + AS | INTERSPEECH‘23 | \
81.66±3.83 43.07±2.80 62.37±0.61 |
"""

TABLE_3_TWO_CLASS = """
cnn_moe           | CNN-MoE [32]    | C-DNN         | -  | JBHI‘21        | 72.40 37.50 54.10 | \
mean of printed Sp, Se: 54.95
nguyen_stochnorm  | Nguyen et al. [9] (StochNorm) | ResNet50 | IN | TBME‘22 | 78.86 49.79 64.32 |
nguyen_cotuning   | Nguyen et al. [9] (CoTuning) | ResNet50 | IN | TBME‘22 | 79.34 50.14 64.74 | \
best Score before the paper
fine_tuning†      | Fine-tuning     | AST | IN + AS | INTERSPEECH‘23 | \
77.14±3.35 56.40±1.73 66.77±1.15 |
patchmix_cl†      | Patch-Mix CL    | AST | IN + AS | INTERSPEECH‘23 | \
81.66±3.83 55.77±2.83 68.71±0.59 |
"""

GEOMETRY_AWARE = """
sam†              | AST + WRS + SAM | AST | IN + AS | arXiv‘25       | 67.89 68.31 68.10 | \
one run, best epoch on the test set; any abnormal answer counts for Se
"""

LUNG_SRAD = """
fine_tuning†      | DASS fine-tuning | DASS | AS | arXiv‘26 | \
74.68±2.50 47.43±1.58 61.06±1.27 |
blur†             | DASS + spectral-aware regularisation | DASS | AS | arXiv‘26 | \
76.72±5.67 47.72±3.23 62.22±1.29 |
srad†             | Lung-SRAD | DASS | AS | arXiv‘26 | \
79.53±0.95 49.42±1.19 64.48±0.25 |
"""

LUNG_SRAD_TWO_CLASS = """
fine_tuning†      | DASS fine-tuning | DASS | AS | arXiv‘26 | \
73.74±3.38 61.72±2.94 68.20±2.05 | mean of printed Sp, Se: 67.73; in 4 classes Sp is 74.68
blur†             | DASS + spectral-aware regularisation | DASS | AS | arXiv‘26 | \
76.72±5.67 60.29±3.96 68.40±1.04 | mean of printed Sp, Se: 68.51
srad†             | Lung-SRAD | DASS | AS | arXiv‘26 | \
79.53±0.95 65.61±0.24 72.57±0.47 |
"""

SUMMARISED = "arXiv 2606.11922, Table 1, 2-class; Sp and Se by way of a summary"
COMPARISON = "method architecture pretrain venue"
ROWS = [
    *_rows("t1", f"{PATCHMIX}, Table 1", "architecture pretrain", TABLE_1),
    *_rows("t2", f"{PATCHMIX}, Table 2", "method mix negatives target", TABLE_2),
    *_rows("t3", f"{PATCHMIX}, Table 3, 4-class", COMPARISON, TABLE_3),
    *_rows("t3b", f"{PATCHMIX}, Table 3, 2-class", COMPARISON, TABLE_3_TWO_CLASS),
    *_rows("sam", "arXiv 2512.22564 and its code", COMPARISON, GEOMETRY_AWARE),
    *_rows("srad", "arXiv 2606.11922, Table 1, 4-class", COMPARISON, LUNG_SRAD),
    *_rows("srad2", SUMMARISED, COMPARISON, LUNG_SRAD_TWO_CLASS),
]
PUBLISHED = {row.key: row for row in ROWS}


def get(key: str) -> Published:
    """A published row by key; an unknown key is an error with the nearest ones."""
    if key not in PUBLISHED:
        raise unknown("published row", key, PUBLISHED)
    return PUBLISHED[key]


def table(name: str) -> list[Published]:
    """The rows of a printed table (t1, ..., srad2), in print order; UserError if unknown."""
    names = dict.fromkeys(key.split("/")[0] for key in PUBLISHED)
    if name not in names:
        raise unknown("published table", name, names)
    return [row for row in ROWS if row.key.split("/")[0] == name]


def printed(key: str, metric: str) -> str:
    """A number as the paper prints it: "62.37 ± 0.61", or "56.20" without a spread."""
    row = get(key)
    mean, std = getattr(row, metric), getattr(row, f"{metric}_std")
    return f"{mean:.2f}" if std is None else f"{mean:.2f} ± {std:.2f}"
