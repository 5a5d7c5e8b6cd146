"""The published numbers, cross-checked by sums typed apart from them."""

import pytest

from lib import paper
from lib.errors import UserError

# Rows, and sums of the means and of the spreads, taken from the text of the paper by a script.
SUMS = {
    "t1": (16, (1160.05, 574.67, 865.11), (32.35, 24.45, 6.09)),
    "t2": (9, (713.30, 379.82, 546.57), (41.68, 35.26, 7.45)),
    "t3": (19, (1380.46, 697.50, 1038.54), (7.18, 5.01, 1.49)),
    "t3b": (5, (389.40, 249.60, 318.64), (7.18, 4.56, 1.74)),
    "srad": (3, (230.93, 144.57, 187.76), (9.12, 6.00, 2.81)),
    "srad2": (3, (229.99, 187.62, 209.17), (10.00, 7.14, 3.56)),
}
NOT_THE_MEAN = {  # row: mean of the printed Sp and Se
    "t1/ast": 51.595,
    "t1/resnest_in": 52.45,
    "t3/late_fusion": 57.80,
    "t3/cnn_moe": 46.95,
    "t3b/cnn_moe": 54.95,
    "srad2/fine_tuning": 67.73,
    "srad2/blur": 68.505,
}
PRINTED_TWICE = [
    ("t1/ast_in_as", "t2/ce"),
    ("t1/ast_in_as", "t3/fine_tuning"),
    ("t2/cl_patch_all_stop_z", "t3/patchmix_cl"),
    ("t1/bi_resnet", "t3/lungbrn"),
    ("t1/resnet_nl", "t3/lungrn_nl"),
    ("t1/resnet_att", "t3/lungattn"),
    ("t1/bi_resnet_att", "t3/arsc_net"),
    ("t1/resnet34_in", "t3/respirenet"),
    ("t1/cnn6_as", "t3/moummad"),
]


@pytest.mark.parametrize("name", SUMS)
def test_every_row_is_here_with_its_printed_numbers(name):
    rows = paper.table(name)
    count, means, spreads = SUMS[name]
    assert len(rows) == count
    for metric, mean, spread in zip(paper.METRICS, means, spreads, strict=True):
        assert sum(getattr(row, metric) for row in rows) == pytest.approx(mean, abs=1e-6)
        stds = [getattr(row, f"{metric}_std") or 0 for row in rows]
        assert sum(stds) == pytest.approx(spread, abs=1e-6)


@pytest.mark.parametrize("row", paper.ROWS, ids=lambda row: row.key)
def test_score_is_the_mean_of_sp_and_se_except_where_noted(row):
    mean = (row.sp + row.se) / 2
    if row.key in NOT_THE_MEAN:
        assert mean == pytest.approx(NOT_THE_MEAN[row.key])
        assert abs(row.score - mean) > 0.04 and f"{mean + 1e-9:.2f}" in row.note
    else:
        assert abs(row.score - mean) <= 0.0101  # both were rounded
        assert "mean of" not in row.note


@pytest.mark.parametrize(("first", "second"), PRINTED_TWICE)
def test_rows_printed_in_two_tables_agree(first, second):
    for metric in paper.METRICS:
        assert paper.printed(first, metric) == paper.printed(second, metric)


def test_two_classes_share_specificity_with_four():
    for row in paper.table("t3b"):
        assert row.sp == paper.get(row.key.replace("t3b", "t3")).sp
        assert row.se > paper.get(row.key.replace("t3b", "t3")).se


def test_the_authors_rows_and_only_they_have_a_spread():
    for row in paper.ROWS:
        spread = row.score_std is not None
        assert row.authors == spread or row.note.startswith("one run"), row.key
    assert sum(row.authors for row in paper.table("t1")) == 7
    assert sum(row.authors for row in paper.table("t3")) == 2


def test_a_row_as_printed():
    row = paper.get("t3/patchmix_cl")
    assert row.label["architecture"] == "AST" and row.label["venue"] == "INTERSPEECH‘23"
    assert (row.sp, row.sp_std, row.se, row.se_std) == (81.66, 3.83, 43.07, 2.80)
    assert row.source == "Bae et al. 2023, Table 3, 4-class"
    assert paper.printed("t3/patchmix_cl", "score") == "62.37 ± 0.61"
    assert paper.printed("t1/resnet34_in", "score") == "55.20"


def test_claims_of_the_text():
    best_before = max(row.score for row in paper.table("t3") if not row.authors)
    ours = paper.get("t3/patchmix_cl").score
    assert ours - best_before == pytest.approx(4.08)  # abstract
    assert ours - paper.get("t3/fine_tuning").score == pytest.approx(2.82)  # section 4.3
    assert paper.get("t3/fine_tuning").score - best_before == pytest.approx(1.26)  # section 5


def test_keys_are_unique_and_a_wrong_one_names_the_nearest():
    assert len(paper.PUBLISHED) == len(paper.ROWS) == 56
    with pytest.raises(UserError, match="t1/ast_in_as"):
        paper.get("t1/ast_inas")
    with pytest.raises(UserError, match="published table"):
        paper.table("t4")


def test_the_data_set_has_the_size_the_text_says():
    assert [sum(cycles.values()) for cycles in paper.CYCLES.values()] == [4142, 2756]  # 6,898
    assert [*paper.CYCLES["train"].values()] == [2063, 1215, 501, 363]
    assert [*paper.CYCLES["test"].values()] == [1579, 649, 385, 143]
    assert sum(paper.RECORDINGS.values()) == 920
    assert paper.PATIENTS == {"train": 79, "test": 49}
