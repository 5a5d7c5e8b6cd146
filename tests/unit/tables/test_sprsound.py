"""SPRSound's tables on hand-made records: every number recomputed by plain loops."""

import sys

import numpy as np
import pandas as pd
import pytest

from lib import files, papers, paths, rows
from lib.analysis import streaming_results
from lib.config import SELECTIONS, Experiment, override
from lib.data.sprsound import TASKS
from lib.evaluation.tasks import get_task
from lib.reports import metadata
from lib.runs import folder as runs_folder
from lib.runs import results as results_of
from lib.runs.results import COLUMNS, from_record
from lib.tables import format as tables_format
from lib.tables import sprsound, sprsound_variants, tuning, verify

PARTS = np.repeat(["inter", "intra"], [12, 20])
PATIENT = np.array([f"c{i // 4}" for i in range(32)])


def arrays(task, wrong, held="h", train=True):
    """Answers of a run whose first `wrong` clips of each set are "Normal", then all right."""
    classes = len(TASKS.get(task, TASKS["2-1"]))
    sets = {"test": 32, "validation": 16} | ({"train": 24} if train else {})
    found = {"test/part": PARTS}
    for name, size in sets.items():
        label = np.arange(size) % classes
        said = np.where(np.arange(size) < wrong, 0, label)
        found |= {
            f"{name}/label": label.astype(np.int8),
            f"{name}/cycle": np.array([f"{held}{i}" for i in range(size)]),
            f"{name}/patient": PATIENT[:size],
            f"{name}/device": np.full(size, "Yunting II"),
            **{f"{s}/{name}/logits": np.eye(classes, dtype=np.float32)[said] for s in SELECTIONS},
        }
    rng = np.random.default_rng(0)
    found["test/validation/embedding"] = rng.normal(size=(16, 8)).astype(np.float16)
    return found


def make(name, task, wrong, seed=1, **changes):
    experiment = Experiment(name, dataset="sprsound", task=task, lr=0.01 * (1 + wrong))
    experiment = override(experiment, save_weights=task.startswith("w"))
    folder = runs_folder.start_run(
        runs_folder.RunSpec(experiment, seed, "d" * 64, ""),
        {"name": "SPRSound", "note": ""},
        "none",
    )
    known = arrays(task, wrong, **changes)
    epochs = dict.fromkeys(SELECTIONS, 3)
    runs_folder.write_record(folder, [{"epoch": 1, "loss": 1.0}], known, epochs, {}, get_task(task))
    found = []
    for selection in SELECTIONS:
        row = {"experiment": name, "seed": seed, "selection": selection, "setting": "small"}
        row |= {"run": folder.name, "path": str(folder)}
        found.append(row | from_record(runs_folder.read_record(folder), selection))
    return found


def by_hand(task, label, said):
    """The challenge's Score of some answers, from counts."""
    names = TASKS[task]
    right, total = {"sp": 0, "se": 0}, {"sp": 0, "se": 0}
    for truth, answer in zip(label, said, strict=True):
        if names[truth] == "Poor Quality":
            continue
        side = "sp" if names[truth] == "Normal" else "se"
        total[side] += 1
        right[side] += truth == answer
    sp, se = (right[key] / total[key] for key in ("sp", "se"))
    hs = 2 * sp * se / (sp + se) if sp + se else 0
    return ((sp + se) / 2 + hs) / 2


def expected(task, wrong):
    """Mean of inter and intra of a run of `make`."""
    label = np.arange(32) % len(TASKS[task])
    said = np.where(np.arange(32) < wrong, 0, label)
    halves = [by_hand(task, label[at], said[at]) for at in map(PARTS.__eq__, set(PARTS))]
    return sum(halves) / 2


@pytest.fixture
def results():
    """Table III: CNN on all tasks, two seeds of task 21; SupCon + MixUp on task 11; no more."""
    lines = []
    for task, wrong in (("1-1", 4), ("1-2", 9), ("2-1", 14), ("2-2", 6)):
        lines += make(f"cnn2/ce@{task}", task, wrong)
    lines += make("cnn2/ce@2-1", "2-1", 7, seed=2)
    lines += make("resnet18_supcon/mixup@1-1", "1-1", 2)
    lines.append({"experiment": "resnet18/ce@1-1", "seed": 1, "selection": "test",
                  "status": "not run", "reason": "needs a GPU"})  # fmt: skip
    return pd.DataFrame(lines, columns=COLUMNS)


def test_records_of_sprsound_have_no_two_class_scores(results):
    one = results[results.status == "done"].iloc[0]
    assert one[["se_binary", "score_binary", "gap_binary"]].isna().all() and one.gap == 0
    assert one.score == pytest.approx(100 * expected("1-1", 4), abs=1e-3)


def test_table_3_by_hand(results):
    table = sprsound.benchmark(results).set_index("Topology")
    cnn = table.loc["CNN"]
    assert cnn["Task 12"] == f"{expected('1-2', 9):.3f} (1)"
    pair = [expected("2-1", wrong) for wrong in (14, 7)]
    assert cnn["Task 21"] == f"{np.mean(pair):.3f} ± {np.std(pair, ddof=1):.3f} (2)"
    assert cnn["Task 21, paper"] == "0.537" and cnn["Task 21, validation"] == cnn["Task 21"]
    assert cnn["Scored on"].startswith("paper: test2023") and "inter and intra" in cnn["Scored on"]
    assert set(table.Verdict[:-1]) == {"no verdict: another test set"}
    assert cnn["Ours was run with"] == "SPRSound; small"
    assert "needs a GPU" in table.loc["ResNet 18", "Ours was run with"]
    tune = table.loc["ResNet 18 + SupCon + MixUp + Tune"]
    assert tune["Task 11"] == "not run" and ".769" in tune.Note
    assert "does not say what Tune found" in tune["Ours was run with"]
    assert table.loc["always “Normal”", "Task 22"] == "0.250"


def test_table_3_by_task_has_every_choice_of_the_epoch(results):
    table = sprsound.details(results)
    row = table[(table.Topology == "CNN") & (table.Task == "Task 21")].iloc[0]
    assert row["Paper (test2023)"] == "0.537" and row["test2023"] == "not handed out"
    assert row.Test == row.Last == row.Validation and row.Gap == "+0.000"
    low, high = map(float, row["95% interval"].split(" to "))
    ours = np.mean([expected("2-1", wrong) for wrong in (14, 7)])
    assert low <= ours <= high and low < high
    assert row.Difference == f"{ours - 0.537:+.3f}"
    assert row.Runs.startswith("1: ") and "; 2: " in row.Runs and row.Status == "done"
    normal = table.iloc[-1]
    assert (normal.SP, normal.SE, normal.Test) == ("1.000", "0.000", "0.250")
    tune = table[table.Topology == "ResNet 18 + SupCon + MixUp + Tune"].iloc[0]
    assert "python -m lib.runs.tune 1-1 resnet18_supcon/mixup --profile paper" in tune.Status
    assert not table.isna().any().any()


def test_the_final_test_has_a_column_of_its_own(monkeypatch):
    parts = np.repeat(["inter", "intra", "2023"], [12, 12, 8])
    monkeypatch.setattr(sys.modules[__name__], "PARTS", parts)
    results = pd.DataFrame(make("cnn2/ce@1-1", "1-1", 18), columns=COLUMNS)
    label = np.arange(32) % 2
    said = np.where(np.arange(32) < 18, 0, label)
    places = [parts == name for name in ("inter", "intra", "2023")]
    inter, intra, last = (by_hand("1-1", label[at], said[at]) for at in places)
    row = sprsound.details(results).iloc[0]
    assert row.Test == row.Validation == f"{(inter + intra) / 2:.3f} (1)"
    assert row.test2023 == f"{last:.3f} (1)" == "1.000 (1)" and row.Test != row.test2023
    assert results.score.iloc[0] == pytest.approx(50 * (inter + intra), abs=1e-3)


def test_totals_by_hand(results):
    table = sprsound.totals(results).set_index("Topology")
    ours = 0.2 * expected("1-1", 4) + 0.3 * expected("1-2", 9) + 0.3 * expected("2-2", 6)
    ours += 0.2 * (expected("2-1", 14) + expected("2-1", 7)) / 2
    assert table.loc["CNN", "Test"] == f"{ours:.3f} (1/2)"  # seeds: two of task 21, else one
    assert table.loc["CNN", "Test + 0.1"] == f"{ours + 0.1:.3f} (1/2)"
    assert table.loc["CNN", "Ours was run with"] == "SPRSound; small"
    assert table.loc["as the abstract has it", "Paper + 0.1"] == "0.729"
    assert table.loc["ResNet 18 + SupCon + MixUp + Tune", "Paper + 0.1"] == "0.728"
    assert table.loc["ResNet 18 + SupCon + MixUp", "Test"] == "no Score: Task 12, Task 21, Task 22"
    assert table.loc["always “Normal”", "Test"] == "0.250"


def test_table_1_by_hand_and_what_was_not_kept(results):
    table = sprsound.mixup(results).set_index(["Topology", "Dataset"])
    label = np.arange(32) % 2
    said = np.where(np.arange(32) < 2, 0, label)
    for dataset, size in (("Train", 24), ("Valid", 16), ("Inter-Test", 12)):
        score = by_hand("1-1", label[:size], said[:size])
        assert table.loc[("+ MixUp", dataset), "Task 11"] == f"{score:.3f} (1)"
    assert table.loc[("+ MixUp", "Train"), "Task 11, paper"] == "0.950"
    assert table.loc[("Linear Classifier", "Train"), "Task 11"] == "not run"
    bare = pd.DataFrame(make("resnet18_supcon/mixup@1-2", "1-2", 3, train=False), columns=COLUMNS)
    table = sprsound.mixup(bare).set_index(["Topology", "Dataset"])
    assert table.loc[("+ MixUp", "Train"), "Task 12"] == "not kept"
    assert table.loc[("+ MixUp", "Valid"), "Task 12"].endswith("(1)")


@pytest.fixture
def faulty(results):
    lines = make("cnn2/ce@1-1/scale=minmax", "1-1", 10)
    lines += make("cnn2/ce@1-1/split_by=clip", "1-1", 6, held="other")
    return pd.concat([results, pd.DataFrame(lines, columns=COLUMNS)], ignore_index=True)


def test_faults_are_measured_against_the_row_without_them(faulty):
    table = sprsound_variants.faults(faulty).set_index("Variant")
    assert table.iloc[0]["Effect on test"] == "–"
    row = table.loc["scaled from smallest to largest, mean kept"]
    effect = expected("1-1", 10) - expected("1-1", 4)
    assert row["Effect on test"].startswith(f"{effect:+.3f} (") and " to " in row["Effect on test"]
    label = np.arange(16) % 2
    held = {n: by_hand("1-1", label, np.where(np.arange(16) < n, 0, label)) for n in (4, 10)}
    assert row["Effect on validation"].startswith(f"{held[10] - held[4]:+.3f} (")
    assert row.Promised == f"{held[10] - expected('1-1', 10):+.3f}"
    leak = table.loc["validation by random events: the same child on both sides"]
    assert leak["Effect on validation"].endswith("(other clips or seeds)")
    assert (table.loc["records of 15 s (submitted settings)", "Test"] == "not run").all()


@pytest.fixture
def heard():
    """A run of windows, and what its stream said of eight test records: one of inter is wrong."""
    lines = make("cnn2/mixup@1-1-windows", "1-1-windows", 5)
    truth = ["Normal", "Adventitious", "Poor Quality", "Normal"] * 2
    answer = ["Normal", "Normal", "Poor Quality", "Normal", *truth[4:]]
    records = pd.DataFrame({
        "run": lines[0]["run"], "record": [f"r{i}" for i in range(8)],
        "part": ["inter"] * 4 + ["intra"] * 4, "truth": truth, "answer": answer,
        "windows": ["Normal|Normal"] * 8,
    })  # fmt: skip
    return pd.DataFrame(lines, columns=COLUMNS), records


def test_table_2_by_part_and_level(heard):
    table = sprsound_variants.windows(*heard).set_index(["Level", "Task", "Part"])
    record = table.loc[("Record level (integrated)", "Task 21", "inter")]
    assert record["CNN + MixUp"] == "0.250 (1)"  # SP 1, SE 0
    assert record.Paper == "0.530"
    record = table.loc[("Record level (integrated)", "Task 21", "intra")]
    assert record["CNN + MixUp"] == "1.000 (1)"
    event = table.loc[("Event level", "Task 21", "intra"), "CNN + MixUp"]
    chosen = runs_folder.read_record(paths.runs_root() / heard[1].run[0])["selections"][
        "validation"
    ]
    assert event == f"{chosen['test']['parts']['intra']['score'] / 100:.3f} (1)"
    assert (table.loc[("Event level", "Task 22"), "CNN + MixUp"] == "not run: not asked for").all()


def test_tables_are_made_without_a_single_run():
    nothing = pd.DataFrame(columns=COLUMNS)
    for build in (sprsound.benchmark, sprsound.details, sprsound.totals,
                  sprsound.mixup, sprsound_variants.faults):  # fmt: skip
        table = build(nothing)
        assert not table.isna().any().any() and (table.map(len) > 0).all().all()
    table = sprsound_variants.windows(nothing, streaming_results.published())
    assert (table["CNN + MixUp"] == "not run: not asked for").all()


@pytest.fixture
def published(faulty, heard):
    """A published report of SPRSound's tables, its runs and results."""
    root = paths.reports_root()
    tables = {name: faulty for name in papers.NOTEBOOKS["08"]} | {"sprsound2": heard[0]}
    for name, table in tables.items():
        runs_folder.publish([paths.runs_root() / run for run in table.run.dropna().unique()])
        text = table.drop(columns="path").to_csv(index=False)
        files.write_text(root / "results" / f"{name}.csv", text)
    files.write_text(
        root / "tables" / f"{streaming_results.NAME}.csv", heard[1].to_csv(index=False)
    )
    made = [name for name in verify.TABLES if name.startswith("sprsound")]
    assert len(made) == 7
    trial = tables[next(iter(tables))].dropna(subset="run").iloc[0]
    said = tuning.scores(runs_folder.read_record(paths.runs_root() / trial.run))
    line = {"search": "s", "task": "1-1", "model": "cnn2/ce", "profile": "quick", "lr": "0.001"}
    line |= {name: str(value) for name, value in said.items()}
    lines = [line | {"trial": "0", "run": trial.run}, line | {"trial": "1", "run": "elsewhere"}]
    trials = pd.DataFrame(lines, columns=tuning.COLUMNS).fillna("")
    files.write_text(root / "tables" / f"{tuning.NAME}.csv", trials.to_csv(index=False))
    for name in made:
        text = tables_format.csv_text(verify.TABLES[name](tables, False))
        files.write_text(root / "tables" / f"{name}.csv", text)
    card = metadata.Card("08_x", "", "", "complete", "quick", "", "", "1", False, ())
    metadata.write_card(root, card)
    return root


def test_published_tables_verify_from_reports_alone(published, monkeypatch):
    monkeypatch.setenv("RUNS_ROOT", str(published / "nowhere"))
    assert verify.verify() == []
    stream = pd.read_csv(published / "tables/sprsound_table2.csv")
    assert "0.250 (1)" in set(stream["CNN + MixUp"])  # from the published records


def test_a_changed_trial_is_found(published):
    path = published / "tables" / f"{tuning.NAME}.csv"
    trials = tuning.published()
    score = trials.loc[0, "inter"]
    path.write_text(path.read_text().replace(f",{score},", ",12.5,", 1))
    (said, table) = verify.verify()
    run = trials.loc[0, "run"]
    assert said == f"tables/sprsound_trials.csv, {run}: inter: not what its record says"
    assert table == "tables/sprsound_tuned.csv: comes out otherwise from its runs"


@pytest.mark.parametrize(
    "name", ["sprsound_table3", "sprsound_faults", "sprsound_table2", "sprsound_tuned"]
)
def test_a_changed_table_is_found(published, name):
    path = published / "tables" / f"{name}.csv"
    path.write_text(path.read_text().replace("0.", "1.", 1))
    assert verify.verify() == [f"tables/{name}.csv: comes out otherwise from its runs"]


def test_the_overview_of_the_first_paper_builds_nothing_of_sprsound():
    assert not {"sprsound3", "transfer"} & set(rows.DEFAULT_TABLES)
    assert {"table1", "tsne"} <= set(rows.DEFAULT_TABLES)
    assert results_of.METRICS[:3] == ("sp", "se", "score")
