"""What a trial is: its runs, its score, and which settings mattered."""

import json

import numpy as np
import pandas as pd
import pytest

from lib import registry
from lib.config import override
from lib.data import Source
from lib.errors import UserError
from lib.runs import folder, tune_trials


@pytest.fixture
def plan(monkeypatch, tmp_path):
    monkeypatch.setattr(
        tune_trials, "sprsound_source", lambda p: Source("sprsound", tmp_path, "x", "")
    )
    monkeypatch.setattr(tune_trials, "fingerprint", lambda source, front: f"data-{front.hop}")
    return tune_trials.plan


SETTINGS = {"lr": 0.01, "hop": 256, "n_mfcc": 16, "n_fft": 1024}
CNN = SETTINGS | {"c1": 4, "c2": 32, "l1": 128, "l2": 16}


def test_ranges_are_the_published_ones(plan):
    space = plan("1-2", "cnn2/mixup").space
    ends = {key: (min(one.choices), max(one.choices)) for key, one in space.items() if key != "lr"}
    assert (space["lr"].low, space["lr"].high, space["lr"].log) == (1e-4, 1e-1, True)
    assert ends == {"hop": (64, 512), "n_mfcc": (8, 64), "n_fft": (256, 1024), "c1": (2, 8),
                    "c2": (8, 64), "l1": (64, 512), "l2": (8, 64)}  # fmt: skip
    two = plan("2-2", "resnet18_supcon/mixup").space
    assert (two["supcon_lr"].low, two["supcon_lr"].high) == (1e-4, 1e-2)
    assert (two["tau"].low, two["tau"].high) == (0.1, 0.9) and "c1" not in two


def test_a_trial_of_the_small_cnn_is_one_run(plan):
    (one,) = tune_trials.wanted(plan("1-2", "cnn2/mixup", "paper"), CNN)
    base = registry.get("cnn2/mixup@1-2")
    changes = SETTINGS | {"size": "4-32-128-16", "save_weights": False}
    assert one == folder.Wanted(override(base, **changes), 1, "data-256", "")


def test_a_trial_on_supcon_is_two_runs_of_one_front_end(plan):
    search = plan("2-1", "resnet18_supcon/mixup", "paper")
    first, last = tune_trials.wanted(search, SETTINGS | {"supcon_lr": 0.001, "tau": 0.5})
    assert (first.experiment.lr, first.experiment.tau, last.experiment.lr) == (0.001, 0.5, 0.01)
    assert first.experiment.method == "supcon" and first.experiment.save_weights
    for one in (first, last):
        assert (one.experiment.hop, one.experiment.n_mfcc, one.data) == (256, 16, "data-256")
        assert one.experiment.validation_split == 0.2
    assert last.weights == f"run-{first.hash8}"
    other = tune_trials.wanted(search, SETTINGS | {"supcon_lr": 0.002, "tau": 0.5})
    assert other[1].hash8 != last.hash8  # another parent, another run


def test_a_search_is_found_by_what_decides_its_trials(plan):
    one = plan("1-1", "cnn2/ce")
    assert plan("1-1", "cnn2/ce").folder == one.folder
    others = [plan("1-2", "cnn2/ce"), plan("1-1", "cnn2/mixup"), plan("1-1", "cnn2/ce", "paper")]
    assert len({one.folder, *(other.folder for other in others)}) == 4


def test_only_what_can_be_tuned(plan):
    with pytest.raises(UserError, match="only SPRSound's experiments"):
        plan("icbhi", "mn04_as/ce")
    with pytest.raises(UserError, match="unknown experiment"):
        plan("1-1", "cnn3/ce")


def test_scores_are_those_of_held_out_patients(plan):
    (one,) = tune_trials.wanted(plan("1-1", "cnn2/ce"), CNN)
    assert tune_trials.score(one) == 0.0  # no run, or one that failed
    one.folder.mkdir(parents=True)
    (one.folder / "experiment.json").write_text("{}")
    chosen = {"test": {"score": 99.0}, "validation": {"score": 61.5}}
    selections = {"validation": chosen, "last": chosen, "test": chosen}
    (one.folder / "result.json").write_text(json.dumps({"selections": selections}))
    assert tune_trials.score(one) == 61.5


def test_no_epoch_that_qualifies_is_the_worst_score(plan):
    (one,) = tune_trials.wanted(plan("1-1", "cnn2/ce"), CNN)
    one.folder.mkdir(parents=True)
    (one.folder / "experiment.json").write_text("{}")
    (one.folder / "result.json").write_text(json.dumps({"selections": {"validation": None}}))
    assert tune_trials.score(one) == 0.0


def test_the_setting_that_decides_is_the_important_one(plan):
    space = plan("1-1", "cnn2/ce").space
    rng = np.random.default_rng(0)
    rows = []
    for number in range(40):
        row = {key: rng.choice(one.choices) for key, one in space.items() if key != "lr"}
        row = {key: int(value) for key, value in row.items()} | {"lr": 10 ** rng.uniform(-4, -1)}
        score = 70 - 0.05 * row["hop"] + rng.normal(0, 0.5)
        rows.append({"trial": number, **row, "score": score, "run": "x"})
    shares = tune_trials.importance(pd.DataFrame(rows), space)
    assert shares.index[0] == "hop" and shares["hop"] > 0.8
    assert set(shares.index) == set(space) and shares.is_monotonic_decreasing
    assert tune_trials.importance(pd.DataFrame(rows[:1]), space).empty
    alike = pd.DataFrame(rows).assign(score=1.0)
    assert tune_trials.importance(alike, space).empty


def test_nothing_yet_is_an_empty_table(plan):
    search = plan("1-1", "cnn2/ce")
    found = tune_trials.results(search)
    assert list(found) == ["trial", *search.space, "score", "run"] and found.empty
    assert not search.folder.exists()
