"""A search killed in the middle goes on: no trial twice, what was under way from where it stood."""

import os
import runpy
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
from ray.cluster_utils import Cluster as Nodes

from lib import paths
from lib.config import override
from lib.data.synthetic_sprsound import write
from lib.features import cache
from lib.features.frontends import front_end
from lib.runs import folder, tune, tune_trials

# Three ranges of the real search; the front end stands, so that one store serves all trials.
SCRIPT = """
from dataclasses import replace
from lib import search, trials
from lib.settings import override
made = trials.plan("1-1", "cnn2/ce", "quick")
small = override(made.experiment, epochs=3, train_clips=0, batch_size=8)
space = {key: made.space[key] for key in ("lr", "c1", "l2")}
space |= {"c2": trials.CategoricalDistribution((8,)), "l1": trials.CategoricalDistribution((64,))}
made = replace(made, experiment=small, space=space)
if __name__ == "__main__":
    search.run(made, 3)
"""


@pytest.fixture
def ray(monkeypatch):
    """One Ray for the search that is killed and the one that goes on: starting takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_raylet_start_wait_time_s", "120")
        head = {"num_cpus": 2, "include_dashboard": False}
        nodes = Nodes(initialize_head=True, head_node_args=head)
        monkeypatch.setenv("RAY_ADDRESS", nodes.address)
        yield
        nodes.shutdown()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A tiny synthetic SPRSound where recordings are looked for, and its store."""
    root = tmp_path / "data"
    write(root / "sprsound", seed=0, patients=8)
    monkeypatch.setenv("DATA_ROOT", str(root))
    monkeypatch.setattr("lib.features.cache_build.cores", lambda: 1)
    (tmp_path / "go.py").write_text(SCRIPT)
    made = runpy.run_path(str(tmp_path / "go.py"))["made"]
    cache.store_for(made.source, front_end(made.experiment), progress=False)
    return made


def start(tmp_path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(paths.PROJECT), "OMP_NUM_THREADS": "1"}
    log = open(tmp_path / "log.txt", "a")  # noqa: SIM115
    return subprocess.Popen([sys.executable, str(tmp_path / "go.py")], env=environment, stdout=log,
                            stderr=subprocess.STDOUT, cwd=tmp_path)  # fmt: skip


def test_killed_and_taken_up_again(small, ray, tmp_path):
    first = start(tmp_path)
    until = time.monotonic() + 120
    while not list(paths.runs_root().glob("*/result.json")):
        assert first.poll() is None and time.monotonic() < until, (tmp_path / "log.txt").read_text()
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = {path: path.stat().st_mtime_ns for path in paths.runs_root().glob("*/result.json")}
    begun = {path.parent.name for path in paths.runs_root().glob("*/experiment.json")}
    assert 1 <= len(done) < 3

    assert start(tmp_path).wait(timeout=120) == 0, (tmp_path / "log.txt").read_text()
    found = pd.read_csv(small.folder / "trials.csv")
    assert found.trial.tolist() == [1, 2, 3] and found.run.nunique() == 3
    made = {path.parent.name for path in paths.runs_root().glob("*/experiment.json")}
    assert len(made) == 3 and begun <= made  # what was under way is among the three
    assert all(path.stat().st_mtime_ns == mtime for path, mtime in done.items())
    for name in made:
        log = (paths.runs_root() / name / "log.txt").read_text()
        assert [log.count(f"epoch {n} took") for n in (1, 2, 3)] == [1, 1, 1], name
    for row in found.to_dict("records"):
        one = tune_trials.wanted(small, row)[-1]
        assert one.hash8 == row["run"] and folder.find(one).name in made
        assert row["score"] == pytest.approx(tune_trials.score(one), abs=1e-4)

    before = (small.folder / "trials.csv").read_bytes()
    again = tune.run(small, 3)  # all are there: Ray is not even started
    assert len(again) == 3 and (small.folder / "trials.csv").read_bytes() == before


def test_what_was_under_way_is_asked_again_and_counts_once(small):
    study = tune_trials.open_study(small)
    asked = [study.ask(small.space) for _ in range(3)]
    study.tell(asked[0], 50.0)
    tune._ask_again(study)
    tune._ask_again(study)  # killed once more, before anything was asked
    assert [study.ask(small.space).params for _ in range(2)] == [one.params for one in asked[1:]]
    assert tune_trials.results(small).score.tolist() == [50.0]


@pytest.mark.parametrize("task", ["1-1", "2-2"])
def test_a_trial_of_the_tuned_row_is_made(small, task):
    """Table III's last row starts from a SupCon run: both are made, each with the trial's share."""
    made = tune_trials.plan(task, "resnet18_supcon/mixup", "quick")
    less = {"epochs": 1, "train_clips": 0, "batch_size": 8}
    made = replace(made, experiment=override(made.experiment, **less),
                   parent=override(made.parent, **less))  # fmt: skip
    settings = tune_trials.defaults(made) | {"lr": 0.01, "supcon_lr": 0.002, "tau": 0.5, "hop": 512}
    score = tune_trials.make(settings, made, {})["score"]
    first, last = tune_trials.wanted(made, settings)
    assert (first.folder / folder.WEIGHTS).exists() and not (last.folder / folder.WEIGHTS).exists()
    assert folder.read(last.folder)["weights"]["fingerprint"] == f"run-{first.hash8}"
    chosen = folder.read(last.folder)["selections"]["validation"]
    assert score == (chosen["validation"]["score"] if chosen else 0.0)
    assert folder.read(first.folder)["experiment"]["tau"] == 0.5


def test_the_command_prints_the_table(small, monkeypatch, capsys):
    monkeypatch.setattr(tune_trials, "plan", lambda task, model, profile: small)
    study = tune_trials.open_study(small)
    for score in (40.0, 60.0):
        study.tell(study.ask(small.space), score)
    tune.main(["1-1", "cnn2/ce", "--trials", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["trial", *small.space, "score", "run"]
    assert lines[1].split()[0] == "2" and str(small.folder) in lines[-1]
