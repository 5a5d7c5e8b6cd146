"""SPRSound's tables on made-up records: every number recomputed by plain loops."""

import numpy as np
import pandas as pd
import pytest

from lib import files, paths
from lib.analysis.streaming import COLUMNS as STREAM_COLUMNS
from lib.evaluation.tasks import get_task
from lib.papers.sprsound import TABLE_1, TABLE_3, VARIANTS, WINDOWS
from lib.runs import folder
from lib.runs.tune import COLUMNS, TRIALS, trial_scores
from lib.tables import compare, sprsound, verify
from tests.unit.tables.conftest import clips, first_normal, publish, table_of

SUBSET = np.repeat(["inter", "intra", "test2023"], [12, 20, 8])


def by_hand(task, wrong, part=slice(None), count=32):
    """The challenge's Score of clips of which the first `wrong` are called normal, from counts."""
    names = get_task(task).classes
    label = np.arange(count) % len(names)
    right, total = {"sp": 0, "se": 0}, {"sp": 0, "se": 0}
    for truth, predicted in zip(label[part], first_normal(label, wrong)[part], strict=True):
        if names[truth] == "Poor Quality":
            continue
        side = "sp" if names[truth] == "Normal" else "se"
        total[side] += 1
        right[side] += truth == predicted
    sp, se = (right[key] / total[key] for key in ("sp", "se"))
    hs = 2 * sp * se / (sp + se) if sp + se else 0
    return ((sp + se) / 2 + hs) / 2


def mean_by_hand(task, wrong):
    """Mean over inter and intra."""
    return (by_hand(task, wrong, slice(0, 12)) + by_hand(task, wrong, slice(12, 32))) / 2


@pytest.fixture
def run(save_run):
    """A function that saves a run whose first `wrong` clips of each set are called normal."""

    def save(name, wrong, prefix="v", train=True, count=32, **settings):
        task = settings.setdefault("task", name.split("@")[1].split("/")[0])
        classes, settings["dataset"] = len(get_task(task).classes), "sprsound"
        sets = {"test": clips(count, classes, subset=SUBSET[:count])}
        sets["validation"] = clips(16, classes, prefix=prefix)
        if train:
            sets["train"] = clips(24, classes)
        sets = {key: (each, first_normal(each["label"], wrong)) for key, each in sets.items()}
        return save_run(name, sets, data="SPRSound", **settings)

    return save


@pytest.fixture
def results(run):
    """Table III: CNN on all tasks, two seeds of task 21; SupCon + MixUp on task 11; no more."""
    lines = [run(f"cnn2/ce@{t}", n) for t, n in (("1-1", 4), ("1-2", 9), ("2-1", 14), ("2-2", 6))]
    lines += [run("cnn2/ce@2-1", 7, seed=2), run("resnet18_supcon/mixup@1-1", 2)]
    not_run = {"experiment": "resnet18/ce@1-1", "seed": 1, "selection": "test"}
    return table_of(*lines, [not_run | {"status": "not run", "reason": "needs a GPU"}])


def test_table_3_by_hand(results):
    table = compare.compare("challenge", TABLE_3, results).set_index("Topology")
    cnn = table.loc["CNN"]
    assert cnn["Task 12, test2022"] == f"{mean_by_hand('1-2', 9):.3f} (1)"
    pair = [mean_by_hand("2-1", wrong) for wrong in (14, 7)]
    assert cnn["Task 21, test2022"] == f"{np.mean(pair):.3f} ± {np.std(pair, ddof=1):.3f} (2)"
    assert cnn["Task 21, paper"] == "0.537" and cnn["Task 21, test2023"] == "not saved"
    assert cnn.Setting.startswith("SPRSound; none; ast base, 50 epochs, ")
    assert "needs a GPU" in table.loc["ResNet 18"].Setting
    tuned = table.loc["ResNet 18 + SupCon + MixUp + Tune"]
    assert (tuned["Task 11, test2023"], tuned["Task 11, paper"]) == ("not run", "0.762")
    assert ".769" in tuned.Note and "what Tune found is not published" in tuned.Note
    assert table.loc["always “normal”", "Task 22, test2023"] == "0.250"


def test_table_3_in_detail_has_every_selection(results, run):
    line = compare.compare("challenge_details", TABLE_3, results).iloc[2]
    pair = [mean_by_hand("2-1", wrong) for wrong in (14, 7)]
    assert line["Paper Score"] == "0.537" and line.Test == line.Last == line.Validation
    assert line["Test-selection gain"] == "+0.000" and line.test2023 == "not saved"
    low, high = map(float, line["95% interval"].split(" to "))
    assert low <= np.mean(pair) <= high <= 1
    complete = table_of(run("cnn2/ce@1-1", 18, count=40))
    line = compare.compare("challenge_details", TABLE_3, complete).iloc[0]
    assert line.Test == f"{mean_by_hand('1-1', 18):.3f} (1)" != line.test2023
    assert line.test2023 == f"{by_hand('1-1', 18, slice(32, 40), 40):.3f} (1)" == "1.000 (1)"


def test_totals_by_hand(results):
    table = sprsound.totals(TABLE_3, results).set_index("Topology")
    ours = 0.2 * mean_by_hand("1-1", 4) + 0.3 * mean_by_hand("1-2", 9)
    ours += 0.3 * mean_by_hand("2-2", 6)
    ours += 0.2 * (mean_by_hand("2-1", 14) + mean_by_hand("2-1", 7)) / 2
    assert table.loc["CNN", "Test"] == f"{ours:.3f} (1/2)"  # two seeds of task 21, else one
    assert table.loc["CNN", "Test + 0.1"] == f"{ours + 0.1:.3f} (1/2)"
    assert table.loc["as the abstract has it", "Paper + 0.1"] == "0.729"
    assert table.loc["ResNet 18 + SupCon + MixUp + Tune", "Paper + 0.1"] == "0.728"
    assert table.loc["ResNet 18 + SupCon + MixUp", "Test"] == "no Score: Task 12, Task 21, Task 22"
    assert table.loc["always “normal”", "Test"] == "0.250"


def test_table_1_by_hand_and_sets_that_were_not_saved(results, run):
    table = sprsound.mixup(TABLE_1, results).set_index(["Topology", "Dataset"])
    for dataset, part, count in (("Train", slice(None), 24), ("Valid", slice(None), 16),
                                 ("Inter-Test", slice(0, 12), 32)):  # fmt: skip
        score = by_hand("1-1", 2, part, count)
        assert table.loc[("+ MixUp", dataset), "Task 11"] == f"{score:.3f} (1)"
    assert table.loc[("+ MixUp", "Train"), "Task 11, paper"] == "0.950"
    assert table.loc[("Linear Classifier", "Train"), "Task 11"] == "not run"
    bare = table_of(run("resnet18_supcon/mixup@1-2", 3, train=False))
    table = sprsound.mixup(TABLE_1, bare).set_index(["Topology", "Dataset"])
    assert table.loc[("+ MixUp", "Train"), "Task 12"] == "not saved"
    assert table.loc[("+ MixUp", "Valid"), "Task 12"].endswith("(1)")


@pytest.fixture
def varied(results, run):
    lines = run("cnn2/ce@1-1/scale=minmax", 10) + run("cnn2/ce@1-1/split_by=clip", 6, prefix="w")
    return pd.concat([results, table_of(lines)], ignore_index=True)


def test_variants_are_compared_with_the_first_row_of_their_task(varied):
    table = sprsound.variants(VARIANTS, varied).set_index("Variant")
    assert table.iloc[0]["Effect on test"] == "–"
    line = table.loc["scaled from smallest to largest, mean kept"]
    effect = mean_by_hand("1-1", 10) - mean_by_hand("1-1", 4)
    assert (
        line["Effect on test"].startswith(f"{effect:+.3f} (") and " to " in line["Effect on test"]
    )
    validation = {wrong: by_hand("1-1", wrong, count=16) for wrong in (4, 10)}
    effect = validation[10] - validation[4]
    assert line["Effect on validation"].startswith(f"{effect:+.3f} (")
    assert line["Validation optimism"] == f"{validation[10] - mean_by_hand('1-1', 10):+.3f}"
    other = table.loc["validation by random events: the same child on both sides"]
    assert other["Effect on validation"].endswith("(other clips or seeds)")
    missing = table.loc["records of 15 s (submitted settings)"]
    assert (missing.Test == "not run").all() and (missing["Validation optimism"] == "–").all()


@pytest.fixture
def windows(run):
    """A run of windows and eight test records classified as streams: one of inter is wrong."""
    lines = run("cnn2/mixup@1-1-windows", 5)
    truth = ["Normal", "Adventitious", "Poor Quality", "Normal"] * 2
    predicted = ["Normal", "Normal", "Poor Quality", "Normal", *truth[4:]]
    about = zip(
        [f"r{i}" for i in range(8)], ["inter"] * 4 + ["intra"] * 4, truth, predicted, strict=True
    )
    records = pd.DataFrame([(*each, "Normal|Normal") for each in about], columns=STREAM_COLUMNS)
    path = paths.runs_root() / lines[0]["run"] / folder.STREAM
    files.write_text(path, records.to_csv(index=False))
    return table_of(lines)


def test_table_2_by_subset_and_level(windows):
    table = sprsound.windows(WINDOWS, windows).set_index(["Level", "Task", "Subset"])
    record = table.loc[("Record level (integrated)", "Task 21", "inter")]
    assert record["CNN + MixUp"] == "0.250 (1)"  # SP 1, SE 0
    assert record.Paper == "0.530"
    record = table.loc[("Record level (integrated)", "Task 21", "intra")]
    assert record["CNN + MixUp"] == "1.000 (1)"
    event = table.loc[("Event level", "Task 21", "intra"), "CNN + MixUp"]
    assert event == f"{by_hand('1-1-windows', 5, slice(12, 32)):.3f} (1)"
    missing = table.loc[("Event level", "Task 22", "intra"), "CNN + MixUp"]
    assert missing == "not run: not part of this profile"


CNN = {"search": "cnn", "task": "1-1", "model": "cnn2/ce", "profile": "laptop"}
SUPCON = {"search": "sup", "task": "2-2", "model": "resnet18_supcon/mixup", "profile": "paper"}
BEST = {"hop": "512", "c1": "8", "score": "70.26"}
TUNED = pd.DataFrame(
    [
        CNN | {"trial": "0", "lr": "0.001", "hop": "128", "c1": "2", "score": "60.5"}
        | {"inter": "50.0", "intra": "40.0", "test": "45.0", "run": "cnn2.ce.1-1-s1-00000000"},
        CNN | {"trial": "1", "lr": "0.01", "hop": "64", "c1": "4", "score": "9.75", "run": ""},
        CNN | BEST | {"trial": "2", "lr": "0.0323456", "run": "x-01234567"}
        | {"inter": "61.0", "intra": "30.0", "test": "45.5"},
        CNN | BEST | {"trial": "3", "lr": "0.02", "run": "y-89abcdef"},
        SUPCON | {"trial": "0", "lr": "0.001", "tau": "0.1", "run": ""},
    ],
    columns=COLUMNS,
    dtype=object,
).fillna("")  # fmt: skip


def test_the_best_trial_beside_the_default():
    table = sprsound.tuned(TUNED)
    cnn = table[table.Model == "cnn2/ce"].set_index("Setting or Score")
    assert set(cnn.Trials) == {"3 finished, best: 2"}  # the first of equals; 9.75 < 70.26
    cells = {name: (line.Default, line["Best trial"]) for name, line in cnn.iterrows()}
    assert cells == {
        "lr": ("0.001", "0.03235"),
        "hop": ("128", "512"),
        "c1": ("2", "8"),
        "validation Score": ("0.605", "0.703"),
        "test Score, inter": ("0.500", "0.610"),
        "test Score, intra": ("0.400", "0.300"),
        "test Score, mean": ("0.450", "0.455"),
        "run": ("00000000", "01234567"),
    }
    (line,) = table[table.Task == "Task 22"].to_dict("records")
    assert line["Best trial"] == "not run: ./run_all.sh tune paper 2-2 resnet18_supcon/mixup"
    assert (line["Default"], line["Trials"]) == ("not run", "0 finished")


@pytest.mark.parametrize(
    ("run_name", "expected"), [("", "not saved"), ("x-01234567", "no epoch has Se > 5")]
)
def test_a_best_trial_without_test_scores_says_why(run_name, expected):
    trials = TUNED.assign(**dict.fromkeys(("inter", "intra", "test"), ""), run=run_name)
    table = sprsound.tuned(trials).set_index("Setting or Score")
    assert table.loc["test Score, inter", "Best trial"] == expected


def test_scores_of_the_duration_alone_as_text():
    scores = pd.DataFrame([{"task": "1-1", "cuts": [0.5], "sp": 80.0, "se": 60.0, "score": 70.25,
                            "low": 60.0, "high": 75.5, "inter": 71.0}])  # fmt: skip
    (line,) = sprsound.durations_alone(scores).to_dict("records")
    assert line == {
        **{"Task": "Task 11", "Cut at (s)": "0.50", "inter": "0.710", "Mean": "0.703"},
        **{"Sp": "0.800", "Se": "0.600", "95% interval": "0.600 to 0.755"},
    }


@pytest.fixture
def published(varied, windows):
    """A published search whose default is a run of Table III, and all tables of SPRSound."""
    record = folder.read_record(paths.runs_root() / varied.run[0])
    scores = {name: str(value) for name, value in trial_scores(record).items()}
    trials = TUNED[:2].assign(run=[varied.run[0], "elsewhere"], **scores)
    path = paths.reports_root() / "tables" / f"{TRIALS}.csv"
    files.write_text(path, trials.to_csv(index=False))
    groups = dict.fromkeys(("sprsound3", "sprsound1", "sprsound_variants"), varied)
    return publish(groups | {"sprsound2": windows})


def test_published_tables_verify_from_reports_alone(published):
    assert len(list(published.glob("tables/sprsound_*.csv"))) == 8
    assert verify.verify() == []
    table = pd.read_csv(published / "tables" / "sprsound_table2.csv")
    assert "0.250 (1)" in set(table["CNN + MixUp"])  # from the published records of the stream


def test_a_changed_trial_is_found(published):
    path = published / "tables" / f"{TRIALS}.csv"
    trials = pd.read_csv(path, dtype=str)
    trials.assign(inter="12.5").to_csv(path, index=False)
    line, table = verify.verify()
    expected = f"tables/sprsound_trials.csv, {trials.run[0]}: inter: not what its record says"
    assert line == expected and table.startswith("tables/sprsound_tuned.csv: differs")
