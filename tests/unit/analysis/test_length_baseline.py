"""What the length alone tells: by hand where it tells all, and where it tells nothing."""

import pandas as pd

from lib.analysis import length_baseline
from lib.data.sprsound import TASKS
from lib.plots import sprsound
from lib.plots.style import alt_text


def events(long: float) -> pd.DataFrame:
    """Normal events of 1 s, others of `long` seconds; of the inter part's one in four is odd."""
    rows = []
    for part, count in (("train", 40), ("inter", 8), ("intra", 8)):
        for i in range(count):
            odd = i % 2
            start = 0.1 * i
            length = long if odd and not (part == "inter" and i == 1) else 1.0
            rows.append({
                "split": "train" if part == "train" else "test", "part": part,
                "patient": f"{part}{i % 4}", "start": start, "end": start + length,
                "1-1": TASKS["1-1"][odd], "1-2": TASKS["1-2"][2 * odd],
            })  # fmt: skip
    return pd.DataFrame(rows)


def test_a_length_that_tells_all_but_one():
    row = length_baseline.length_scores(events(2.0)).set_index("Task").loc["Task 11"]
    assert row["Cut at (s)"] == "1.50"
    # inter: SP 1, SE 3/4: AS .875, HS .857, Score .866; intra: 1
    assert (row.inter, row.intra, row.Mean) == ("0.866", "1.000", "0.933")
    assert row.SP == "1.000" and row.SE == "0.875"
    low, high = map(float, row["95% interval"].split(" to "))
    assert 0.5 < low < 0.933 < high <= 1
    assert (length_baseline.length_scores(events(2.0)).Mean == "0.933").all()  # task 12 as well


def test_a_length_that_tells_nothing():
    """Everything is one answer: the Score of that is .25 where it is "Normal"."""
    row = length_baseline.length_scores(events(1.0)).iloc[0]
    assert row["Cut at (s)"] == "" and row.Mean == "0.250"


def test_the_picture_says_what_it_shows():
    fig = sprsound.lengths(events(2.0))
    assert len(fig.axes) == 3 and "inter, Adventitious: median 2.00 s of 4" in alt_text(fig)
