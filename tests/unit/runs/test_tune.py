"""Searches: what a trial is, resuming after a kill, and the table of trials."""

import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from types import SimpleNamespace

import pandas as pd
import pytest
from optuna.trial import TrialState, create_trial
from ray.cluster_utils import Cluster as Nodes

from lib import files, paths
from lib.config import hashed_settings, override
from lib.data import SPRSound, synthetic
from lib.errors import UserError
from lib.features import cache
from lib.features.frontends import frontend_for
from lib.papers import get_experiment, profiles
from lib.runs import folder, tune
from lib.runs.folder import RunSpec

# Three ranges of the real search; the frontend is fixed, so that one cache serves all trials.
SCRIPT = """
from pathlib import Path
from lib.config import override
from lib.data import SPRSound
from lib.papers import get_experiment
from lib.runs import tune
less = {"epochs": 3, "train_clips": 0, "batch_size": 8}
experiment = override(get_experiment("cnn2/ce@1-1"), **less, **tune.UNSAVED)
space = tune.LR | tune._choices(c1=(2, 4, 6, 8), c2=(8,), l1=(64,), l2=(8, 16, 32, 64))
search = tune.Search(experiment, None, SPRSound.open(Path("sprsound").absolute()), space)
if __name__ == "__main__":
    tune.run_search(search, 3)
"""
SETTINGS = {"lr": 0.01, "hop": 256, "n_mfcc": 16, "n_fft": 1024}
CNN = SETTINGS | {"c1": 4, "c2": 32, "l1": 128, "l2": 16}
SUPCON = SETTINGS | {"supcon_lr": 0.001, "tau": 0.5}
TWO = [CNN | {"lr": lr} for lr in (0.0012345678901234, 0.02)]


@pytest.fixture
def ray(monkeypatch):
    """One Ray for the search that is killed and the one that resumes: starting takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        head = {"num_cpus": 2, "include_dashboard": False}
        nodes = Nodes(initialize_head=True, head_node_args=head)
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        yield
        nodes.shutdown()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A search on a tiny synthetic SPRSound, its features computed."""
    monkeypatch.chdir(tmp_path)
    synthetic.write_sprsound(tmp_path / "sprsound", seed=0, patients=8)
    monkeypatch.setattr(cache, "available_cores", lambda: 1)
    (tmp_path / "script.py").write_text(SCRIPT)
    search = runpy.run_path(str(tmp_path / "script.py"))["search"]
    cache.cache_for(search.dataset, frontend_for(search.experiment), progress=False)
    return search


@pytest.fixture
def plan_search(monkeypatch, tmp_path):
    """`tune.plan_search` without recordings: data are only a name."""
    monkeypatch.setattr(tune, "data_fingerprint", lambda _, frontend: f"data-{frontend.hop}")
    dataset = SPRSound(tmp_path, "official", "")

    def open_context(profile: str) -> SimpleNamespace:
        profile = profiles.get_profile(profile)
        return SimpleNamespace(folder=tmp_path / "pages", sprsound=dataset, profile=profile)

    monkeypatch.setattr(tune, "open_context", open_context)
    return tune.plan_search


def start(tmp_path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(paths.PROJECT), "OMP_NUM_THREADS": "1"}
    log = open(tmp_path / "log.txt", "a")  # noqa: SIM115
    command = [sys.executable, str(tmp_path / "script.py")]
    how = {"env": environment, "stdout": log, "stderr": subprocess.STDOUT, "cwd": tmp_path}
    return subprocess.Popen(command, **how)


def test_a_killed_search_resumes(small, ray, tmp_path):
    runs_root = paths.runs_root()
    first = start(tmp_path)
    until = time.monotonic() + 300
    while not list(runs_root.glob("*/result.json")):
        assert first.poll() is None and time.monotonic() < until, (tmp_path / "log.txt").read_text()
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = {path: path.stat().st_mtime_ns for path in runs_root.glob("*/result.json")}
    started = {path.parent.name for path in runs_root.glob("*/experiment.json")}
    assert 1 <= len(done) < 3

    assert start(tmp_path).wait(timeout=300) == 0, (tmp_path / "log.txt").read_text()
    trials = small.trials()
    assert trials.trial.tolist() == [0, 1, 2, 3] and trials.run.nunique() == 3
    runs = {path.parent.name for path in runs_root.glob("*/experiment.json")}
    assert len(runs) == 3 and started <= runs  # those that were under way are among the three
    assert all(path.stat().st_mtime_ns == mtime for path, mtime in done.items())
    for name in runs:
        log = (runs_root / name / "log.txt").read_text()
        assert [log.count(f"epoch {n} took") for n in (1, 2, 3)] == [1, 1, 1], name
    finished = small.study().get_trials(states=(TrialState.COMPLETE,))
    for trial, row in zip(finished, trials[1:].itertuples(), strict=True):
        assert small.specs(trial.params)[-1].folder.name == row.run and row.run in runs
        scores = tune.trial_scores(folder.read_record(runs_root / row.run))
        assert trial.value == scores.get("score", 0.0) == row.score
    again = tune.run_search(small, 3)  # all are finished: Ray is not even started
    pd.testing.assert_frame_equal(again, trials)
    assert tune.trial_scores({"selections": {"validation": None}}) == {}  # counts as Score 0


def test_unfinished_trials_are_suggested_again_and_count_once(small):
    study = small.study()
    asked = [study.ask(small.space) for _ in range(3)]
    study.tell(asked[0], 50.0)
    tune.enqueue_unfinished(study)
    tune.enqueue_unfinished(study)  # killed once more, before anything was suggested
    again = [study.ask(small.space).params for _ in range(2)]
    assert again == [trial.params for trial in asked[1:]]
    assert small.trials().score.tolist()[1:] == [50.0]


def test_a_trial_that_starts_from_supcon_is_trained(small):
    """Table III's last row starts from a SupCon run: both are trained with the trial's settings."""
    less = {"epochs": 1, "batch_size": 8}
    names = ("resnet18_supcon/mixup@2-2", "resnet18/supcon@2-2")
    stages = [override(get_experiment(name), **less) for name in names]
    search = tune.Search(override(stages[0], **tune.UNSAVED), stages[1], small.dataset, tune.LR)
    settings = search.default_settings() | {"lr": 0.01, "supcon_lr": 0.002, "tau": 0.5, "hop": 512}
    score = tune.train_trial(settings, search, {})["score"]
    first, last = (spec.folder for spec in search.specs(settings))
    assert (first / folder.WEIGHTS).exists() and not (last / folder.WEIGHTS).exists()
    assert folder.read_record(first)["experiment"]["tau"] == 0.5
    assert folder.read_spec(last).weights == f"run-{first.name[-8:]}"
    assert score == tune.trial_scores(folder.read_record(last)).get("score", 0.0)


def test_ranges_are_the_published_ones(plan_search):
    space = plan_search("1-2", "cnn2/mixup").space
    ends = {key: (min(d.choices), max(d.choices)) for key, d in space.items() if key != "lr"}
    assert (space["lr"].low, space["lr"].high, space["lr"].log) == (1e-4, 1e-1, True)
    assert ends == {"hop": (64, 512), "n_mfcc": (8, 64), "n_fft": (256, 1024), "c1": (2, 8),
                    "c2": (8, 64), "l1": (64, 512), "l2": (8, 64)}  # fmt: skip
    supcon = plan_search("2-2", "resnet18_supcon/mixup").space
    assert (supcon["supcon_lr"].low, supcon["supcon_lr"].high) == (1e-4, 1e-2)
    assert (supcon["tau"].low, supcon["tau"].high) == (0.1, 0.9) and "c1" not in supcon
    for name, error in (("mn04_as/ce", "only SPRSound's"), ("cnn3/ce", "unknown experiment")):
        with pytest.raises(UserError, match=error):
            plan_search("icbhi" if name.startswith("mn") else "1-1", name)


def test_the_runs_of_a_trial(plan_search):
    search = plan_search("1-2", "cnn2/mixup", "paper")
    changes = SETTINGS | {"size": "4-32-128-16", "save_weights": False}
    expected = override(get_experiment("cnn2/mixup@1-2"), **changes)
    assert search.specs(CNN) == [RunSpec(expected, 1, "data-256", "")]
    search = plan_search("2-1", "resnet18_supcon/mixup", "paper")
    first, last = search.specs(SUPCON)
    assert (first.experiment.lr, first.experiment.tau, last.experiment.lr) == (0.001, 0.5, 0.01)
    assert first.experiment.method == "supcon" and first.experiment.save_weights
    for spec in (first, last):
        assert (spec.experiment.hop, spec.experiment.n_mfcc, spec.data) == (256, 16, "data-256")
        assert spec.experiment.validation_split == 0.2
    assert last.weights == f"run-{first.hash8}"
    other = search.specs(SUPCON | {"supcon_lr": 0.002})[1]
    assert other.hash8 != last.hash8  # starts from another run: another run


def test_a_search_is_named_by_what_decides_its_trials(plan_search):
    names = [("1-1", "cnn2/ce"), ("1-2", "cnn2/ce"), ("1-1", "cnn2/mixup")]
    searches = [plan_search(*name) for name in names] + [plan_search("1-1", "cnn2/ce", "paper")]
    assert len({search.folder for search in searches}) == 4
    assert plan_search("1-1", "cnn2/ce").folder == searches[0].folder


def test_the_default_settings_give_the_runs_of_the_experiment(plan_search):
    for name in tune.SEARCHES:
        search = plan_search(*name)
        stages = [*([search.pretraining] if search.pretraining else []), search.experiment]
        specs = search.specs(search.default_settings())
        assert [hashed_settings(s.experiment) for s in specs] == [*map(hashed_settings, stages)]


def write_record(spec: RunSpec, score: float, root=None) -> str:
    """A complete record with Scores on validation patients and on the test set."""
    path = (root or paths.runs_root()) / spec.folder.name
    test = {"score": 40.0, "subsets": {"inter": {"score": 30.0}, "intra": {"score": 50.0}}}
    selected = {"validation": {"score": score}, "test": test}
    started = {"experiment": asdict(spec.experiment), "seed": spec.seed}
    started |= {key: {"fingerprint": getattr(spec, key)} for key in ("data", "weights")}
    files.write_json(path / "experiment.json", started)
    files.write_json(path / "result.json", {"selections": {"validation": selected}})
    return path.name


def add_trials(search: tune.Search, scores: list[float]) -> None:
    """Finished trials in the search's study, with their runs."""
    study = search.study()
    for settings, score in zip(TWO, scores, strict=False):
        study.add_trial(create_trial(params=settings, distributions=search.space, value=score))
        write_record(search.specs(settings)[-1], score)


def test_the_table_of_trials(plan_search):
    before = tune.collect_trials("laptop")
    assert list(zip(before.task, before.model, strict=True)) == list(tune.SEARCHES)
    assert set(before.trial) == {"0"} and set(before.run) == set(before.score) == {""}
    assert not paths.runs_root().exists()
    search = plan_search("1-1", "cnn2/ce")
    default = search.specs(search.default_settings())[-1]
    name = write_record(default, 61.0, folder.published_root())
    add_trials(search, [62.5, 71.25])
    table = tune.collect_trials("laptop")
    trials = table[table.search == search.folder.name]
    assert trials.trial.tolist() == ["0", "1", "2"]
    assert trials.score.tolist() == ["61.0", "62.5", "71.25"] and set(trials.test) == {"40.0"}
    assert trials.lr.tolist() == ["0.001", "0.0012345678901234", "0.02"]
    runs = [search.specs(settings)[-1].folder.name for settings in TWO]
    assert trials.run.tolist() == [name, *runs] and set(trials.inter) == {"30.0"}
    assert tune.best_records(table) == {paths.runs_root() / runs[1]}
    study = tune.study_of(table, "1-1", "cnn2/ce")
    assert [trial.params for trial in study.trials] == TWO
    assert [trial.value for trial in study.trials] == [62.5, 71.25]
    assert tune.study_of(table, *tune.SEARCHES[1]).trials == []


def test_published_trials_are_used_if_there_are_more(plan_search, monkeypatch, tmp_path):
    search = plan_search("1-1", "cnn2/ce")
    add_trials(search, [62.5, 71.25])
    published = paths.reports_root() / "tables"
    saved = tune.collect_trials("laptop")
    shutil.copytree(tmp_path / "pages" / "tables", published)
    monkeypatch.setenv("RUNS_ROOT", str(tmp_path / "elsewhere"))
    pd.testing.assert_frame_equal(tune.collect_trials("laptop"), saved)
    assert not (tmp_path / "elsewhere").exists()
    add_trials(search, [50.0])  # one trial here, two published
    assert "71.25" in set(tune.collect_trials("laptop").score)
    other = tune.published_trials().assign(search="cnn2.ce.1-1-00000000")  # trials on other data
    files.write_text(published / f"{tune.TRIALS}.csv", other.to_csv(index=False))
    assert set(tune.collect_trials("laptop").score) == {"", "50.0"}
