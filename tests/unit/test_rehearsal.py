"""The table of a rehearsal: what each experiment costs, and why one was not run."""

from dataclasses import replace

import pytest

from lib import papers, rehearsal
from lib.files import write_json, write_text
from lib.papers.profiles import REHEARSAL, apply_rules
from lib.runs.folder import RunSpec
from lib.runs.plan import PlannedRun


@pytest.fixture
def run():
    experiment = apply_rules(REHEARSAL, papers.get_experiment("ast_in_as/ce"))
    spec = RunSpec(experiment, 1, "f", "")
    return PlannedRun("ast_in_as/ce", experiment, 1, ("test",), spec, None)


def test_the_cost_is_projected_to_the_published_setting(run):
    folder = run.spec.folder
    write_text(folder / "log.txt", "epoch 1 took 30.0 s, 20.0 s of it training\n")
    write_json(folder / "costs.json", {"memory_gb": 4.1})
    clips = {"train": 4, "validation": 0, "test": 10}
    write_json(folder / "result.json", {"parameters": 86_000_000, "clips": clips})
    (row,) = rehearsal.costs([run, run]).to_dict("records")
    hours = (
        5 * 50 * (4142 * 5 + 2756 * 1) / 3600
    )  # seeds, epochs, 5 s a training clip, 1 s a test clip
    assert row["step"] == 10 and row["batch"] == "2 of 8" and row["hours"] == round(hours, 1)


def test_a_run_that_is_not_there_says_why(run):
    (row,) = rehearsal.costs([replace(run, reason="no features")]).to_dict("records")
    assert row["problem"] == "no features"
