"""A rehearsal: what it runs, random weights in the published layouts, and the table of costs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from transformers import ASTConfig, ASTForAudioClassification

from lib import papers
from lib.config import Experiment, hashed_settings, override
from lib.evaluation.tasks import get_task
from lib.files import write_json, write_text
from lib.models import weights
from lib.models.build import build_model
from lib.models.pretrained import load_pretrained
from lib.papers.profiles import PAPER, REHEARSAL, REHEARSAL_GPU, apply_rules
from lib.papers.table_row import TableRow
from lib.rehearsal.costs import costs
from lib.rehearsal.weights import random_state, write_weights
from lib.runs import execute, local
from lib.runs.folder import RunSpec
from lib.runs.plan import NO_RESULT, PlannedRun, initial_weights_name

# Numbers that change neither cost nor code: see `lib.papers.profiles`.
NUMBERS = {"tau", "alpha", "beta", "spec_augment", "blur", "blur_sigma", "rho"}
SHORTER = {"epochs", "batch_size", "train_clips"}


def rehearsed(name):
    return apply_rules(REHEARSAL, papers.get_experiment(name))


@pytest.fixture
def run():
    return planned("ast_in_as/ce")


def planned(name):
    experiment = rehearsed(name)
    return PlannedRun(name, experiment, 1, ("test",), RunSpec(experiment, 1, "f", ""), None)


@pytest.mark.parametrize("profile", [REHEARSAL, REHEARSAL_GPU])
def test_everything_but_steps_and_numbers_is_as_published(profile):
    for experiment in papers.EXPERIMENTS.values():
        published, ours = apply_rules(PAPER, experiment), apply_rules(profile, experiment)
        first, second = hashed_settings(published), hashed_settings(ours)
        changed = {key for key in first | second if first.get(key) != second.get(key)}
        assert changed <= NUMBERS | SHORTER, experiment.name
        for key in NUMBERS:  # what turns a part off stays off
            assert (getattr(ours, key) == 0) == (getattr(published, key) == 0), experiment.name
        if profile == REHEARSAL_GPU:
            assert ours.batch_size == published.batch_size == ours.train_clips, experiment.name


def test_experiments_that_differ_in_a_number_are_rehearsed_as_one():
    same = [rehearsed(f"ast_in_as/patchmix_cl{end}") for end in ("", "/tau=0.2", "/alpha=2.0")]
    assert len({str(hashed_settings(each)) for each in same}) == 1
    other = rehearsed("ast_in_as/patchmix_cl/projector=128")  # another shape
    assert hashed_settings(other) != hashed_settings(same[0])


def test_a_cpu_measures_the_landscape_of_the_longest_clips_alone():
    every = [rehearsed(name) for name in papers.EXPERIMENTS]
    measured = {each.name for each in every if each.save_landscape}
    assert measured == {"ast_geo/wrs", "ast_geo/wrs_patchmix_cl"}


def test_there_is_a_clip_of_each_class():
    for each in (rehearsed(name) for name in papers.EXPERIMENTS):
        assert each.train_clips >= len(get_task(each.task).classes), each.name


def test_the_cost_is_projected_to_the_published_setting(run):
    folder = run.spec.folder
    log = "epoch 1 took 90.0 s, 80.0 s of it training\nepoch 2 took 30.0 s, 20.0 s of it training\n"
    write_text(folder / "log.txt", log)
    write_json(folder / "costs.json", {"memory_gb": 4.1, "share": 0.5})
    clips = {"train": 4, "validation": 0, "test": 10}
    write_json(folder / "result.json", {"parameters": 86_000_000, "clips": clips})
    row, total = costs([run, run]).to_dict("records")
    # Seeds, epochs, 2.5 s a training clip and 0.5 s a test clip of a whole core.
    hours = 5 * 50 * (4142 * 2.5 + 2756 * 0.5) / 3600
    assert row["step"] == 5 and row["batch"] == "2 of 8" and row["same"] == 0
    assert row["hours"] == total["hours"] == round(hours, 1)


def test_a_run_stands_for_all_experiments_that_it_is_rehearsed_for():
    names = ("ast_in_as/patchmix_cl", "ast_in_as/patchmix_cl/tau=0.2", "ast_in_as/ce")
    rows = costs([planned(name) for name in names]).to_dict("records")
    expected = [(names[0], 1), (names[2], 0), ("total", 1)]
    assert [(row["experiment"], row["same"]) for row in rows] == expected


def test_a_second_run_with_patients_held_out_is_named(run):
    held_out = replace(run, experiment=override(run.experiment, validation_split=0.2))
    row, _ = costs([held_out]).to_dict("records")
    assert row["experiment"] == "ast_in_as/ce, patients held out"


def test_runs_are_trained_one_after_another(run, monkeypatch):
    """On sixteen cores as many AST-base would need 70 GB, and would slow each other down."""
    context = SimpleNamespace(profile=REHEARSAL, cache=lambda *_: None)
    for name, value in (("open_context", context), ("plan_runs", [run]), ("pending_runs", [run])):
        monkeypatch.setattr(execute, name, lambda *_, value=value: value)

    def pool(cores):
        raise RuntimeError(f"{cores} core")

    monkeypatch.setattr(local, "LocalPool", pool)
    with pytest.raises(RuntimeError, match="^1 core"):
        execute.train_groups("rehearsal", "table1")


def test_a_run_that_is_not_there_says_why(run):
    row, _ = costs([replace(run, reason="no features")]).to_dict("records")
    assert row["problem"] == "no features"


def test_the_layout_of_the_hub_is_that_of_transformers(tmp_path):
    config = ASTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                       intermediate_size=128, num_labels=527)  # fmt: skip
    ASTForAudioClassification(config).save_pretrained(tmp_path)
    state = random_state(Experiment("nano", size="nano", init="imagenet+audioset"))
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118
    assert {key: list(value.shape) for key, value in state.items()} == shapes


PRETRAINED = {  # experiment of the profile -> parameters of its published file (millions)
    "resnet18_in/ce": 11.69, "efficientnet_b0_in/ce": 5.29, "cnn6_as/ce": 4.84, "mn04_as/ce": 0.98,
    "ast_in/ce": 87.6, "ast_in_as/ce": 87.3, "dass/ce": 49.0,
}  # fmt: skip


@pytest.mark.parametrize("name", PRETRAINED)
def test_random_weights_are_loaded_like_published_ones(name, tmp_path, monkeypatch):
    experiment = rehearsed(name)
    monkeypatch.setattr(papers, "GROUPS", {"one": [TableRow("one", {}, experiment)]})
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    write_weights(tmp_path, REHEARSAL, ["one"])
    assert initial_weights_name(experiment) == f"{experiment.init} ({NO_RESULT})"
    first = weights.find_file(experiment).read_bytes()
    write_weights(tmp_path, REHEARSAL, ["one"])
    assert weights.find_file(experiment).read_bytes() == first
    counted = [v for k, v in random_state(experiment).items() if "running" not in k]
    assert sum(v.numel() for v in counted) / 1e6 == pytest.approx(PRETRAINED[name], rel=0.02)
    torch.manual_seed(1)
    report = load_pretrained(build_model(experiment, 798, 128), experiment, 798, 128)
    new = {"classifier", "bn0", "trunk"}  # the trunk: its stem
    at_random = report[report.action == "initialised"].key
    assert {key.split(".")[0] for key in at_random} <= new and len(at_random) < 8


def test_no_published_weights_are_left_out():
    every = [rehearsed(name) for name in papers.EXPERIMENTS]
    needed = {weights.source_of(each) for each in every if not each.init_from}
    assert needed - {None} <= {weights.source_of(rehearsed(name)) for name in PRETRAINED} | {
        source for source in needed if source and source.package
    }
