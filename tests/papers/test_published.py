"""The published numbers, cross-checked by sums typed apart from them and by the papers' texts."""

import re

import pytest

from lib import papers
from lib.errors import UserError
from lib.evaluation.metrics import challenge_total
from lib.papers import lung_srad, patchmix, sprsound
from lib.papers.published import METRICS, by_key, read_table

PRINTED = patchmix.PRINTED | lung_srad.PRINTED
# Rows, and sums of the means and of the stds, taken from the text of the papers by a script.
SUMS = {
    "t1": (16, (1160.05, 574.67, 865.11), (32.35, 24.45, 6.09)),
    "t2": (9, (713.30, 379.82, 546.57), (41.68, 35.26, 7.45)),
    "t3": (19, (1380.46, 697.50, 1038.54), (7.18, 5.01, 1.49)),
    "t3b": (5, (389.40, 249.60, 318.64), (7.18, 4.56, 1.74)),
    "srad": (3, (230.93, 144.57, 187.76), (9.12, 6.00, 2.81)),
    "srad2": (3, (229.99, 187.62, 209.17), (10.00, 7.14, 3.56)),
}
TASK_SUMS = {  # the sum of each task's column, added up by hand from the print, times 100
    "s1": (24, {"1-1": 544.6, "1-2": 523.7, "2-1": 486.5, "2-2": 427.6}),
    "s2": (8, {"2-1": 274.8, "2-2": 223.1}),
    "s3": (24, {"1-1": 446.5, "1-2": 352.8, "2-1": 359.3, "2-2": 276.7}),
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
SP_SE = [row for row in papers.PUBLISHED.values() if "sp" in row.values]
get = papers.get_published


@pytest.mark.parametrize("name", SUMS)
def test_every_row_of_a_table_is_here(name):
    rows = PRINTED[name]
    count, means, stds = SUMS[name]
    assert len(rows) == count
    for metric, mean, std in zip(METRICS, means, stds, strict=True):
        assert sum(row.values[metric][0] for row in rows) == pytest.approx(mean, abs=1e-6)
        assert sum(row.values[metric][1] or 0 for row in rows) == pytest.approx(std, abs=1e-6)


@pytest.mark.parametrize("name", TASK_SUMS)
def test_every_score_of_sprsounds_tables_is_here(name):
    count, sums = TASK_SUMS[name]
    rows = sprsound.PRINTED[name]
    assert len(rows) == count
    for task, total in sums.items():
        column = [row.score for row in rows if row.key.endswith(f"/{task}")]
        assert sum(column) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("row", SP_SE, ids=lambda row: row.key)
def test_score_is_the_mean_of_sp_and_se_except_where_noted(row):
    mean = (row.sp + row.se) / 2
    if row.key in NOT_THE_MEAN:
        assert mean == pytest.approx(NOT_THE_MEAN[row.key])
        assert abs(row.score - mean) > 0.04 and f"{mean + 1e-9:.2f}" in row.note
    else:
        assert abs(row.score - mean) <= 0.0101  # both were rounded
        assert "mean of" not in row.note


def test_rows_printed_in_two_tables_agree():
    for first, second in PRINTED_TWICE:
        assert get(first).values == get(second).values
    for row in PRINTED["t3b"]:
        four = get(row.key.replace("t3b", "t3"))
        assert row.sp == four.sp and row.se > four.se


def test_the_authors_rows_and_only_they_have_a_std():
    for row in SP_SE:
        assert row.authors == (row.score_std is not None) or row.note.startswith("one run"), row.key
    assert sum(row.authors for row in PRINTED["t1"]) == 7
    assert sum(row.authors for row in PRINTED["t3"]) == 2
    assert (get("t2/ce").seeds, get("srad/srad").seeds, get("srad/blur").seeds) == (5, 2, 5)


def test_rows_as_printed():
    row = get("t3/patchmix_cl")
    assert row.label["architecture"] == "AST" and row.label["venue"] == "INTERSPEECH‘23"
    assert row.values == {"sp": (81.66, 3.83), "se": (43.07, 2.80), "score": (62.37, 0.61)}
    assert row.source == "Bae et al. 2023, Table 3, 4-class"
    assert get("t1/resnet34_in").values["score"] == (55.20, None)
    row = get("s3/resnet18_supcon_mixup/1-1")
    assert row.label == {"topology": "ResNet 18 + SupCon + MixUp", "task": "Task 11"}
    assert (row.score, row.source) == (76.9, "Hu et al. 2023, Table III")
    assert get("s1/mixup/inter/2-2").label["dataset"] == "Inter-Test"
    assert get("s2/record/intra/2-1").score == 54.8


def test_what_the_texts_say():
    best_before = max(row.score for row in PRINTED["t3"] if not row.authors)
    assert get("t3/patchmix_cl").score - best_before == pytest.approx(4.08)  # abstract
    gain = get("t3/patchmix_cl").score - get("t3/fine_tuning").score
    assert gain == pytest.approx(2.82)  # section 4.3
    assert get("t3/fine_tuning").score - best_before == pytest.approx(1.26)  # section 5
    means = {"event": (83.5, 68.0), "record": (53.9, 43.6)}  # Hu et al., section IV.B
    for level, values in means.items():
        for task, mean in zip(("2-1", "2-2"), values, strict=True):
            pair = [get(f"s2/{level}/{subset}/{task}").score for subset in ("intra", "inter")]
            assert sum(pair) / 2 == pytest.approx(mean, abs=5.1e-2)


def test_the_abstract_of_hu_et_al_mixes_rows_and_overstates_training_scores():
    tune = {t: get(f"s3/resnet18_supcon_mixup_tune/{t}").score for t in sprsound.TASKS}
    untuned = get("s3/resnet18_supcon_mixup/1-1").score
    assert tune | {"1-1": untuned} == sprsound.ABSTRACT
    as_fractions = [{t: v / 100 for t, v in row.items()} for row in (sprsound.ABSTRACT, tune)]
    totals = [challenge_total(row, sprsound.RUNTIME_BONUS) for row in as_fractions]
    assert totals == pytest.approx([sprsound.TOTAL, 0.728], abs=5e-4)
    for row in ("linear", "mixup"):  # "over 95% training accuracies for the four tasks"
        assert min(get(f"s1/{row}/train/{t}").score for t in sprsound.TASKS) < 95


def test_keys_are_unique_and_a_wrong_one_names_the_nearest():
    assert len(papers.PUBLISHED) == 56 + 56
    for wrong, near in (("t1/ast_inas", "t1/ast_in_as"), ("s3/cnn/t1", "s3/cnn/1-1")):
        with pytest.raises(UserError, match=near):
            get(wrong)
    twice = read_table("x", "source", "a", "k | b | 1 2 3 |\nk | c | 1 2 3 |")
    with pytest.raises(AssertionError, match="share a key"):
        by_key(twice)


def test_the_dataset_has_the_size_that_the_text_says():
    assert [sum(cycles.values()) for cycles in patchmix.CYCLES.values()] == [4142, 2756]  # 6,898
    assert sum(patchmix.RECORDINGS.values()) == 920
    assert patchmix.PATIENTS == {"train": 79, "test": 49}


def test_deviations_name_settings_that_exist():
    settings = [setting for _, _, setting, _ in papers.DEVIATIONS]
    names = [match[1] for text in settings for match in re.finditer(r"(\w+) = ", text)]
    assert len(names) >= 14
    assert [name for name in names if not hasattr(patchmix.CE, name)] == []
