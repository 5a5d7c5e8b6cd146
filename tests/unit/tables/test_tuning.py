"""What searches found as a table: hand-made trials, every cell recomputed by hand."""

import pandas as pd
import pytest

from lib import files, paths
from lib.tables import tuning
from lib.tables.tuning import COLUMNS

CNN = {"search": "cnn", "task": "1-1", "model": "cnn2/ce", "profile": "quick"}
DEFAULT = {
    "lr": "0.001",
    "hop": "128",
    "c1": "2",
    "score": "60.5",
    "run": "cnn2.ce.1-1-s1-00000000",
}
SUPCON = {"search": "sup", "task": "2-2", "model": "resnet18_supcon/mixup", "profile": "cpu"}
BEST = {"hop": "512", "c1": "8", "score": "70.26"}
TRIALS = [
    CNN | DEFAULT | {"trial": "0", "inter": "50.0", "intra": "40.0", "test": "45.0"},
    CNN | {"trial": "1", "lr": "0.01", "hop": "64", "c1": "4", "score": "9.75", "run": ""},
    CNN | BEST | {"trial": "2", "lr": "0.0323456", "run": "x-01234567"}
    | {"inter": "61.0", "intra": "30.0", "test": "45.5"},
    CNN | BEST | {"trial": "3", "lr": "0.02", "run": "y-89abcdef"},
    SUPCON | {"trial": "0", "lr": "0.001", "tau": "0.1", "run": ""},
]  # fmt: skip


@pytest.fixture
def found():
    return pd.DataFrame(TRIALS, columns=COLUMNS).fillna("")


def test_the_best_trial_beside_the_default(found):
    table = tuning.tuned(found)
    cnn = table[table.Model == "cnn2/ce"].set_index("Setting or Score")
    assert set(cnn.Trials) == {"3 finished, best: 2"}  # the first of equals; 9.75 < 70.26
    pairs = {name: (line.Default, line["Best trial"]) for name, line in cnn.iterrows()}
    assert pairs == {
        "lr": ("0.001", "0.03235"),
        "hop": ("128", "512"),
        "c1": ("2", "8"),
        "validation Score": ("0.605", "0.703"),
        "test Score, inter": ("0.500", "0.610"),
        "test Score, intra": ("0.400", "0.300"),
        "test Score, mean": ("0.450", "0.455"),
        "run": ("00000000", "01234567"),
    }
    assert not table.isna().any().any()


def test_without_a_trial_the_command_is_named(found):
    (line,) = tuning.tuned(found)[lambda table: table.Task == "Task 22"].to_dict("records")
    command = "python -m lib.runs.tune 2-2 resnet18_supcon/mixup --profile cpu"
    assert line["Best trial"] == f"not run: {command}" and line["Default"] == "not run"
    assert line["Trials"] == "0 finished" and line["Setting or Score"] == "test Score, mean"


def test_a_best_trial_without_scores_says_why(found):
    gone = found.assign(**dict.fromkeys(("inter", "intra", "test"), ""))
    for run, said in (("", "not kept"), ("x-01234567", "no epoch has Se > 5")):
        table = tuning.tuned(gone.assign(run=run)).set_index("Setting or Score")
        assert table.loc["test Score, inter", "Best trial"] == said


def test_trials_as_numbers_for_the_pictures(found):
    table = tuning.trials(found, "1-1", "cnn2/ce")
    assert table.columns.tolist() == ["trial", "lr", "hop", "c1", "score", "run"]
    assert table.trial.tolist() == [1, 2, 3] and table.lr.tolist() == [0.01, 0.0323456, 0.02]
    assert table.hop.tolist() == [64, 512, 512] and table.score.tolist() == [9.75, 70.26, 70.26]
    assert tuning.trials(found, "2-2", "resnet18_supcon/mixup").empty


def test_scores_of_a_record():
    def one(score):
        return {"score": score}

    parts = {"inter": one(30.0), "intra": one(50.0), "2023": one(90.0)}
    chosen = {"validation": one(70.0), "test": one(40.0) | {"parts": parts}}
    record = {"selections": {"validation": chosen, "test": None, "last": None}}
    expected = {"score": 70.0, "inter": 30.0, "intra": 50.0, "test": 40.0}
    assert tuning.scores(record) == expected
    assert tuning.scores({"selections": {"validation": None}}) == {}


def test_published_trials_are_read_as_they_were_written(found):
    assert tuning.published().empty
    path = paths.reports_root() / "tables" / f"{tuning.NAME}.csv"
    files.write_text(path, found.to_csv(index=False))
    pd.testing.assert_frame_equal(tuning.published(), found, check_dtype=False)
