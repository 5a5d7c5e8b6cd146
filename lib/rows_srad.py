"""The rows of Lung-SRAD: its table in both countings, ablations, quirks, methods by backbone."""

from dataclasses import replace

from lib.experiments.srad import CODED
from lib.row import Row, own, published

_AST = {"fine_tuning": "ast_in_as/ce", "patchmix_cl": "ast_in_as/patchmix_cl"}
_DASS = {"fine_tuning": "dass/ce", "blur": "dass/blur", "srad": "dass/srad"}
SAME_SETTING = own(
    "method architecture pretrain venue",
    """
    Fine-tuning, same setting             | AST | IN + AS | - | ast_srad/ce
    Dual-Axis Patch-Mix CL, same setting  | AST | IN + AS | - | ast_srad/dual_axis
    Fine-tuning, mel pictures             | DASS-small | - | - | dass_small/ce@mel
    Lung-SRAD, mel pictures               | DASS-small | - | - | dass_small/srad@mel
    """,
)


def _published(ast: str, dass: str) -> list[Row]:
    """Bae et al.'s two rows that are run here, Lung-SRAD's three, and AST in its setting.

    Lung-SRAD's are run as they read, and, to be judged, as its code runs them.
    """
    before = [row for row in published(ast, _AST) if row.experiment]
    own_rows = published(dass, _DASS)
    as_read = [replace(row, deviates="not as its code runs") for row in own_rows]
    as_coded = [
        replace(row, key=f"{row.key}/code", experiment=CODED[row.experiment],
                label=row.label | {"method": f"{row.label['method']}, as its code runs"})
        for row in own_rows
    ]  # fmt: skip
    return before + as_read + as_coded + SAME_SETTING


FOUR_CLASS = _published("t3", "srad")
TWO_CLASS = _published("t3b", "srad2")
AXIS = own(
    "contrast replaced",
    """
    no                  | -                        | dass/ce
    yes                 | random patches           | dass/patchmix_cl
    yes                 | columns: time            | dass/patchmix_cl/mix=t_patch
    yes                 | rows: frequency          | dass/patchmix_cl/mix=f_patch
    yes, alpha 2        | random patches           | dass/patchmix_cl/alpha=2
    both axes           | columns, rows            | dass/dual_axis
    both axes           | one stretch of each      | dass/dual_axis/contiguous=True
    both axes, and blur | columns, rows            | dass/srad
    """,
)
BLUR = own(
    "blur stage blocks sigma scan when",
    """
    none | - | -      | - | -      | -        | dass/ce
    1    | 2 | 2, 3   | 3 | before | always   | dass/blur
    0.5  | 2 | 2, 3   | 3 | before | always   | dass/blur/blur=0.5
    1    | 2 | 2, 3   | 1 | before | always   | dass/blur/blur_sigma=1
    1    | 2 | 0, 1   | 3 | before | always   | dass/blur/blur_blocks=0,1
    1    | 2 | 18, 19 | 3 | before | always   | dass/blur/blur_blocks=18,19
    1    | 1 | all    | 3 | before | always   | dass/blur/blur_stage=1
    1    | 3 | all    | 3 | before | always   | dass/blur/blur_stage=3
    1    | 2 | 2, 3   | 3 | after  | always   | dass/blur/blur_at=after
    1    | 2 | 2, 3   | 3 | before | training | dass/blur/blur_when=training
    """,
)
QUIRKS = own(
    "variant",
    f"""
    none of these                                   | dass/srad
    the projector stays as it was initialised       | dass/srad/train_projector=False
    8 s stretched from 798 to 1,024 frames          | dass/srad/interpolated_frames=1024
    both of these: as the code runs                 | {CODED["dass/srad"]}
    normalised by AudioSet's mean, not clip by clip | dass/srad/normalise=audioset
    """,
)
BACKBONES = own(
    "architecture method",
    "\n".join(
        f"{backbone} | {method} | {experiment}/{name}"
        for method, name in (
            ("Cross-entropy", "ce"),
            ("Patch-Mix CE", "patchmix_ce"),
            ("Patch-Mix CL", "patchmix_cl"),
            ("Dual-Axis Patch-Mix CL", "dual_axis"),
            ("Cross-entropy + SAM", "ce/rho=0.05"),
        )
        for backbone, experiment in (("AST", "ast_srad"), ("DASS", "dass"), ("mn04", "mn04_srad"))
    ),
)
_WANTED = FOUR_CLASS + AXIS + BLUR + QUIRKS + BACKBONES  # the rows in two classes are the same runs
ALL = list({row.experiment: row for row in reversed(_WANTED)}.values())[::-1]
# Whose layers are looked at: name -> experiment.
SPECTRA = {
    "AST": "ast_srad/ce",
    "AST, dual axis": "ast_srad/dual_axis",
    "DASS": "dass/ce",
    "DASS + blur": "dass/blur",
    "DASS, dual axis": "dass/dual_axis",
    "Lung-SRAD": "dass/srad",
}
