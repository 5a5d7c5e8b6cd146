"""Scores of the duration alone: by hand if it tells everything, and if it tells nothing."""

import pandas as pd
import pytest

from lib.analysis.length_baseline import length_scores
from lib.data.sprsound import TASKS


def events(seconds: float) -> pd.DataFrame:
    """Normal events of 1 s, others of `seconds`, except one in four of the inter subset."""
    rows = []
    for subset, count in (("train", 40), ("inter", 8), ("intra", 8)):
        for i in range(count):
            abnormal, start = i % 2, 0.1 * i
            duration = seconds if abnormal and (subset, i) != ("inter", 1) else 1.0
            rows.append({
                "split": "train" if subset == "train" else "test", "subset": subset,
                "patient": f"{subset}{i % 4}", "start": start, "end": start + duration,
                "1-1": TASKS["1-1"][abnormal], "1-2": TASKS["1-2"][2 * abnormal],
            })  # fmt: skip
    return pd.DataFrame(rows)


def test_a_duration_that_tells_all_classes_but_one():
    table = length_scores(events(2.0)).set_index("task")
    row = table.loc["1-1"]
    assert row.cuts == pytest.approx([1.5])
    # inter: SP 1, SE 3/4: AS .875, HS .857, Score .866; intra: 1
    numbers = [row.inter, row.intra, row.score, row.sp, row.se]
    assert numbers == pytest.approx([86.6, 100, 93.3, 100, 87.5], abs=0.05)
    assert 50 < row.low < 93.3 < row.high <= 100
    assert table.score["1-2"] == pytest.approx(row.score)


def test_a_duration_that_tells_nothing():
    """One class is predicted for all: the Score is .25 if it is Normal."""
    row = length_scores(events(1.0)).iloc[0]
    assert len(row.cuts) == 0 and row.score == pytest.approx(25)


def test_without_recordings_there_is_no_row():
    """A user may have ICBHI alone: page 08 says so, and does not fail."""
    assert length_scores(events(2.0)[:0]).empty
