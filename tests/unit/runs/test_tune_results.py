"""What searches found, here or published: never fewer trials than are known, never others'."""

import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import pandas as pd
import pytest

from lib import files, paths
from lib.config import override
from lib.data import Source
from lib.runs import folder as runs_folder
from lib.runs import tune_results, tune_trials
from lib.tables import tuning

CNN = {"hop": 256, "n_mfcc": 16, "n_fft": 1024, "c1": 4, "c2": 32, "l1": 128, "l2": 16}
SETTINGS = [CNN | {"lr": lr} for lr in (0.0012345678901234, 0.02)]


@pytest.fixture
def search(monkeypatch, tmp_path):
    """The search of the small CNN; data are only a name."""
    monkeypatch.setattr(
        tune_trials, "sprsound_source", lambda p: Source("sprsound", tmp_path, "x", "")
    )
    monkeypatch.setattr(tune_trials, "fingerprint", lambda source, front: f"data-{front.hop}")
    here = SimpleNamespace(folder=tmp_path / "pages")
    monkeypatch.setattr(tune_results.plan, "open_study", lambda profile: here)
    return tune_trials.plan("1-1", "cnn2/ce", "quick")


def make(search, settings, score, root=None):
    """The last run of a trial, complete: Scores on held-out patients and on the test."""
    one = tune_trials.wanted(search, settings)[-1]
    folder = (root or paths.runs_root()) / one.folder.name
    test = {"score": 40.0, "parts": {"inter": {"score": 30.0}, "intra": {"score": 50.0}}}
    chosen = {"validation": {"score": score}, "test": test}
    files.write_json(folder / "experiment.json", {"experiment": asdict(one.experiment)})
    files.write_text(folder / "result.json", json.dumps({"selections": {"validation": chosen}}))
    return folder.name


def tell(search, scores):
    """Finished trials in the search's own study, with their runs."""
    study = tune_trials.open_study(search)
    for settings, score in zip(SETTINGS, scores, strict=False):
        made = tune_trials.optuna.trial.create_trial(
            params=settings, distributions=search.space, value=score
        )
        study.add_trial(made)
        make(search, settings, score)


def test_nothing_yet_is_a_line_of_each_search(search):
    found = tune_results.found("quick")
    assert list(zip(found.task, found.model, strict=True)) == list(tune_results.SEARCHES)
    assert set(found.trial) == {"0"} and set(found.run) == {""} and set(found.score) == {""}
    said = tuning.tuned(found)["Best trial"]
    assert said.str.startswith("not run: python -m lib.runs.tune t").all()
    for command in said.str.removeprefix("not run: python -m lib.runs.tune "):
        task, model, _, profile = command.split()
        assert tune_trials.plan(task, model, profile).space  # each can be searched
    assert not paths.runs_root().exists()


def test_the_default_is_the_run_of_the_row(search):
    """Trial 0 has the settings of the registry: its run is the one that other tables show."""
    plans = [tune_trials.plan(*one) for one in tune_results.SEARCHES]
    first = override(plans[1].parent, lr=0.003)  # else the same as the classifier's
    plans.append(replace(plans[1], parent=first))
    for one in plans:
        made = tune_trials.wanted(one, tune_trials.defaults(one))
        own = [*([one.parent] if one.parent else []), one.experiment]
        identities = [tune_trials.identity(wanted.experiment) for wanted in made]
        assert identities == [tune_trials.identity(each) for each in own]
    name = make(search, tune_trials.defaults(search), 61.0, runs_folder.published_root())
    default = tune_results.found("quick").iloc[0]
    assert (default.run, default.score, default.inter) == (name, "61.0", "30.0")
    assert (default.lr, default.hop, default.l1, default.tau) == ("0.001", "128", "256", "")


def test_trials_that_are_here(search):
    tell(search, (62.5, 71.25))
    found = tune_results.found("quick")
    one = found[found.search == search.folder.name]
    assert one.trial.tolist() == ["0", "1", "2"] and one.score.tolist()[1:] == ["62.5", "71.25"]
    assert one.lr.tolist()[1:] == ["0.0012345678901234", "0.02"]
    assert set(one.test[1:]) == {"40.0"} and tuning.best(found).trial.tolist() == ["2"]
    for settings, line in zip(SETTINGS, one[1:].itertuples(), strict=True):
        assert line.run == tune_trials.wanted(search, settings)[-1].folder.name
    shown = tuning.trials(found, "1-1", "cnn2/ce")
    shares = tune_trials.importance(shown.assign(score=[1.0, 2.0]), search.space)
    assert set(shares.index) == set(search.space)


def test_where_only_published_files_are_the_trials_are_not_denied(search, monkeypatch):
    tell(search, (62.5, 71.25))
    kept = tune_results.keep("quick")
    local = tune_results.plan.open_study("quick").folder / "tables" / f"{tuning.NAME}.csv"
    path = paths.reports_root() / "tables" / local.name
    files.write_text(path, local.read_text())
    elsewhere = paths.runs_root() / "elsewhere"
    monkeypatch.setenv("RUNS_ROOT", str(elsewhere))
    again = tune_results.keep("quick")
    assert not elsewhere.exists() and local.read_text() == path.read_text()
    pd.testing.assert_frame_equal(again, kept, check_dtype=False)
    tell(search, (50.0,))  # one trial here, two published
    assert tuning.best(tune_results.found("quick")).score.tolist() == ["71.25"]
    strange = tuning.published().assign(search="cnn2.ce.1-1-00000000")
    files.write_text(path, strange.to_csv(index=False))  # of other data: not this search's
    assert tuning.best(tune_results.found("quick")).score.tolist() == ["50.0"]
