"""The published numbers of SPRSound's paper, cross-checked by sums typed apart and by its text."""

import pytest

from lib import paper_sprsound as paper
from lib.errors import UserError
from lib.evaluation.metrics import challenge_total

SUMS = {  # rows and the sum of each task's column, added up by hand from the print
    "s1": {"1-1": 5.446, "1-2": 5.237, "2-1": 4.865, "2-2": 4.276},
    "s2": {"2-1": 2.748, "2-2": 2.231},
    "s3": {"1-1": 4.465, "1-2": 3.528, "2-1": 3.593, "2-2": 2.767},
}


@pytest.mark.parametrize("name", SUMS)
def test_every_number_is_here(name):
    found = paper.table(name)
    for task, total in SUMS[name].items():
        column = [row.score for row in found if row.key.endswith(f"/{task}")]
        assert sum(column) == pytest.approx(total, abs=1e-9)
    assert len(found) == {"s1": 24, "s2": 8, "s3": 24}[name]
    assert all(row.source.startswith("Hu et al. 2023, Table I") for row in found)


def test_a_number_as_printed():
    row = paper.get("s3/resnet18_supcon_mixup/1-1")
    assert row.label == {"topology": "ResNet 18 + SupCon + MixUp", "task": "Task 11"}
    assert (row.score, row.source) == (0.769, "Hu et al. 2023, Table III")
    assert paper.get("s1/mixup/inter/2-2").label["dataset"] == "Inter-Test"
    assert paper.get("s2/record/intra/2-1").score == 0.548


def test_the_text_s_means_are_those_of_table_2():
    """Section IV.B: .835 and .680 for events, .539 and .436 for records."""
    said = {"event": (0.835, 0.680), "record": (0.539, 0.436)}
    for level, means in said.items():
        for task, mean in zip(("2-1", "2-2"), means, strict=True):
            pair = [paper.get(f"s2/{level}/{part}/{task}").score for part in ("intra", "inter")]
            assert sum(pair) / 2 == pytest.approx(mean, abs=5.1e-4)


def test_the_abstract_mixes_rows():
    tune = {t: paper.get(f"s3/resnet18_supcon_mixup_tune/{t}").score for t in paper.TASKS}
    untuned = paper.get("s3/resnet18_supcon_mixup/1-1").score
    assert tune | {"1-1": untuned} == paper.ABSTRACT
    assert challenge_total(paper.ABSTRACT, 0.1) == pytest.approx(paper.TOTAL, abs=5e-4)
    assert challenge_total(tune, 0.1) == pytest.approx(0.728, abs=1e-9)


def test_training_scores_of_table_1_are_not_over_95_percent_in_all_tasks():
    """The abstract says "over 95% training accuracies for the four tasks"; Table I does not."""
    for row in ("linear", "mixup"):
        assert min(paper.get(f"s1/{row}/train/{t}").score for t in paper.TASKS) < 0.95


def test_wrong_keys_name_the_nearest():
    with pytest.raises(UserError, match="s3/cnn/1-1"):
        paper.get("s3/cnn/t1")
    with pytest.raises(UserError, match="published table"):
        paper.table("s4")
