"""Experiments, rows, tables and profiles: facts of the papers, and what each profile changes."""

from dataclasses import replace

import pytest

from lib import papers
from lib.config import Experiment, describe_settings, hashed_settings, override
from lib.errors import UserError
from lib.features.frontends import frontend_for
from lib.models import build
from lib.papers import lung_srad, patchmix, sam, sprsound, transfer
from lib.papers.profiles import (
    LAPTOP,
    PAPER,
    PROFILES,
    SMOKE,
    apply_rules,
    get_profile,
    seeds_of,
    skip_reason,
)
from lib.papers.table_row import Experiments, own_rows, published_rows

get = papers.get_experiment


def differing(a, b):
    """The settings in which two experiments differ."""
    first, second = hashed_settings(a), hashed_settings(b)
    return {key for key in first | second if first.get(key) != second.get(key)}


def facts_of(experiment, facts):
    return {key: getattr(experiment, key) for key in facts}


def test_rows_are_unique_and_carry_registered_experiments():
    for name, rows in papers.GROUPS.items():
        keys = [row.key for row in rows]
        assert len(keys) == len(set(keys)), name
        for row in rows:
            assert row.experiment is None or get(row.experiment.name) is row.experiment
            if row.published:
                printed = row.published.label
                if row.key.endswith("/code"):
                    printed = printed | {"method": f"{printed['method']}, as its code runs"}
                assert row.label == printed
            if row.published and row.published.authors and "tune" not in row.key:
                assert row.experiment, row.key  # all rows that the authors ran are run
    for table in papers.TABLES.values():
        assert not table.results or table.results in papers.GROUPS


def test_every_group_is_shown_by_a_notebook_and_every_experiment_makes_a_row():
    shown = {group for groups in papers.NOTEBOOKS.values() for group in groups}
    assert shown == set(papers.GROUPS)
    used = {
        row.experiment.name for rows in papers.GROUPS.values() for row in rows if row.experiment
    }
    starts = {e.init_from for e in papers.EXPERIMENTS.values() if e.name in used}
    windows = {name for name in papers.EXPERIMENTS if name.endswith("windows")}
    assert set(papers.EXPERIMENTS) - used - starts <= windows


def test_names_say_what_differs():
    for name, experiment in papers.EXPERIMENTS.items():
        assert experiment.name == name
    vary = Experiments()
    vary.vary(Experiment("x"), "blur_blocks=0,1,blur=0.5", "contiguous=True", "epochs=3", lr=1.0)
    first, second, third = vary.values()
    assert (first.blur_blocks, first.blur, first.lr) == ("0,1", 0.5, 1.0)
    assert second.contiguous is True and third.epochs == 3 and third.name == "x/epochs=3"
    bases = {"ast_in_as/patchmix_cl/": patchmix.CL, "dass/blur/": lung_srad.BLURRED,
             "dass/srad/": lung_srad.FULL, "cnn2/ce@1-1/": get("cnn2/ce@1-1")}  # fmt: skip
    for prefix, base in bases.items():
        for name in (name for name in papers.EXPERIMENTS if name.startswith(prefix)):
            if "@" in name.removeprefix(prefix) or "@sprsound" in name:
                continue
            named = {
                one.split("=")[0] for one in name.removeprefix(prefix).split(",") if "=" in one
            }
            assert differing(get(name), base) - {"blur_blocks"} == named - {"blur_blocks"}, name


def test_published_settings_of_patchmix():
    facts = {"lr": 5e-5, "weight_decay": 1e-6, "batch_size": 8, "epochs": 50, "tau": 0.06,
             "alpha": 1.0, "beta": 1.0, "projector": 768, "target": "stop(z)", "negatives": "all",
             "mix": "patch", "moving_average": 0.5, "class_weights": False}  # fmt: skip
    assert facts_of(patchmix.CL, facts) == facts
    assert patchmix.CE.class_weights and get("ast/ce").epochs == 200
    resnet = get("resnet18/ce")
    assert (resnet.lr, resnet.batch_size, resnet.epochs) == (1e-3, 128, 200)
    for setting in patchmix.SWEEPS:
        rows = [row for row in patchmix.FIGURE_2 if row.label["parameter"] == setting]
        assert [row.experiment for row in rows].count(patchmix.CL) == 1


def test_the_geometry_aware_recipe_is_the_published_one():
    facts = {
        "optimizer": "adamw", "lr": 1e-5, "weight_decay": 1e-4, "schedule": "constant",
        "rho": 0.05, "adaptive": False, "label_smoothing": 0.1, "epochs": 20, "batch_size": 8,
        "sampler": "balanced", "class_weights": False, "pool": "all", "head": "linear",
        "dropout": 0.3, "clip_seconds": 8.0, "pad": "cyclic", "fade": "none", "pad_frames": 1024,
        "gain": 0.1, "noise": 1e-4, "spec_augment": 0.0, "moving_average": 0.0,
        "normalise": "audioset", "init": "imagenet+audioset", "method": "ce",
    }  # fmt: skip
    assert facts_of(sam.WRS_SAM, facts) == facts
    assert frontend_for(sam.WRS_SAM).frames == 798
    for name, plain, flat in sam.PAIRS:
        assert differing(plain, flat) == {"rho"} and (plain.rho, flat.rho) == (0, 0.05), name
    repeated = get(f"{sam.NO_ZEROS.name}/pad=repeat")
    assert (repeated.pad, repeated.fade) == ("repeat", "recording")  # as the main paper's clips


def test_lung_srad_is_the_published_recipe():
    full = lung_srad.FULL
    facts = {
        "model": "dass", "size": "medium", "init": "imagenet+audioset", "optimizer": "adam",
        "lr": 5e-5, "weight_decay": 1e-6, "batch_size": 16, "epochs": 50, "schedule": "cosine",
        "moving_average": 0.5, "class_weights": False, "spec_augment": 0.841, "tau": 0.2,
        "alpha": 1.0, "beta": 1.0, "projector": 768, "target": "stop(z)", "normalise": "clip",
        "blur": 1.0, "blur_stage": 2, "blur_blocks": "2,3", "blur_sigma": 3.0,
        "method": "dual_axis_cl", "train_projector": True, "interpolated_frames": 0,
    }  # fmt: skip
    assert facts_of(full, facts) == facts
    plain = override(full, method="ce", blur=0.0)
    assert not differing(plain, get("dass/ce"))
    assert not differing(override(plain, blur=1.0), get("dass/blur"))
    assert not differing(override(plain, model="ast", size="base"), get("ast_srad/ce"))
    assert differing(get("dass/patchmix_cl"), get("dass/patchmix_cl/alpha=2")) == {"alpha"}


def test_lung_srad_is_judged_as_its_code_runs():
    rows = [row for row in lung_srad.FOUR_CLASS if row.published]
    judged = [row for row in rows if row.published.key.startswith("srad/")]
    keys = ["srad/fine_tuning", "srad/blur", "srad/srad"]
    assert [row.published.key for row in judged] == 2 * keys
    for row, coded in zip(judged[:3], judged[3:], strict=True):
        assert row.deviates and not coded.deviates
        quirks = {"interpolated_frames"} | ({"train_projector"} & {"train_projector"}
                                            if row.published.key == keys[2] else set())  # fmt: skip
        assert differing(row.experiment, coded.experiment) == quirks


def test_backbones_and_methods_cross():
    methods = {"Cross-entropy": "ce", "Patch-Mix CE": "patchmix_ce", "Patch-Mix CL": "patchmix_cl",
               "Dual-Axis Patch-Mix CL": "dual_axis_cl", "Cross-entropy + SAM": "ce"}  # fmt: skip
    for row in lung_srad.BACKBONES:
        e = row.experiment
        assert row.label["architecture"].lower() == e.model
        assert e.method == methods[row.label["method"]]
        assert e.rho == (0.05 if "SAM" in row.label["method"] else 0)
        assert e.blur == 0 and not e.class_weights and (e.tau == 0.2 or "cl" not in e.method)


def test_rows_of_sprsound_are_run_by_task():
    named = {row.key: row.experiment for row in sprsound.TABLE_3}
    assert named["s3/cnn/1-2"].name == "cnn2/ce@1-2"
    assert named["s3/resnet18_supcon_mixup/2-1"].name == "resnet18_supcon/mixup@2-1"
    assert [key for key, e in named.items() if e is None] == [
        f"s3/resnet18_supcon_mixup_tune/{task}" for task in sprsound.TASKS
    ]
    for row in sprsound.TABLE_1 + sprsound.TABLE_3:
        assert row.experiment is None or row.experiment.task == row.key.split("/")[-1]
    frozen = get("resnet18_supcon/mixup@2-1")
    assert frozen.freeze and get(frozen.init_from).method == "supcon"


def test_transfer_reads_the_other_dataset_with_the_same_front_end():
    for row in transfer.TRANSFER:
        e = row.experiment
        assert e.dataset == row.label["trained"].lower()
        assert row.label["tested"].lower() in (e.dataset, *e.test_sets)
        for profile in PROFILES.values():
            applied = apply_rules(profile, e)
            other = apply_rules(profile, override(e, dataset=e.test_sets[0], test_sets=()))
            assert frontend_for(applied) == frontend_for(other)


def test_seeds_are_the_profiles_except_in_rows_with_their_own():
    plain, mel = get("cnn2/ce@1-1"), get("mn04_as/ce@mel")
    sweep = get(f"{sam.NO_ZEROS.name}/rho=0.1")
    assert seeds_of(LAPTOP, plain) == seeds_of(LAPTOP, sweep) == (1,)
    assert seeds_of(LAPTOP, mel) == (1, 2)
    three = replace(LAPTOP, seeds=(1, 2, 3))  # --seeds 3
    assert seeds_of(three, plain) == seeds_of(three, mel) == (1, 2, 3)
    assert seeds_of(three, sweep) == (1,)
    assert all(seeds_of(PAPER, e) == (1, 2, 3, 4, 5) for e in (plain, sweep, mel))


def test_a_profile_says_what_it_leaves_out():
    assert skip_reason(LAPTOP, get("cnn6/ce")) == "takes too long for this profile"
    assert skip_reason(SMOKE, get("dass/blur")) == "not part of this profile"
    assert skip_reason(SMOKE, get("cnn2/ce@1-2")) == ""
    assert not any(skip_reason(PAPER, e) for e in papers.EXPERIMENTS.values())
    assert not skip_reason(LAPTOP, get("resnet18/ce@mel"))  # runs wherever a GPU is


def test_profiles_change_only_what_they_name():
    small = apply_rules(LAPTOP, patchmix.CL)
    assert (small.size, small.stride, small.clip_seconds, small.subset) == ("mini", 16, 3.0, "sc")
    assert (small.init, small.class_weights, small.method) == ("none", True, "patchmix_cl")
    assert apply_rules(PAPER, patchmix.CL) == override(patchmix.CL, precision="bf16")
    mel = get("mn04_as/ce@mel")
    assert all(apply_rules(PROFILES[name], mel) == mel for name in ("smoke", "laptop", "paper"))
    for value in sam.SWEEPS["clip_seconds"]:
        swept = get(f"{sam.NO_ZEROS.name}/clip_seconds={value}")
        assert apply_rules(LAPTOP, swept).clip_seconds == value
    padded = apply_rules(LAPTOP, sam.WRS_SAM)
    assert not padded.class_weights and padded.rho == 0.05
    share = frontend_for(padded).frames / padded.pad_frames
    assert share == pytest.approx(798 / 1024, abs=0.002)  # the zeros keep their share of a clip


def test_the_laptop_runs_lung_srad_small():
    for name in (n for n in papers.EXPERIMENTS if n.startswith(("dass/", "ast_srad/"))):
        e = apply_rules(LAPTOP, get(name))
        assert (e.epochs, e.class_weights, e.init) == (3, True, "none")
        assert e.normalise == ("audioset" if "normalise" in name else "clip")
        assert e.size == ("nano" if e.model == "dass" else "mini")
        share = e.interpolated_frames / frontend_for(e).frames
        assert not e.interpolated_frames or share == pytest.approx(1024 / 798, abs=0.002)
        if not skip_reason(LAPTOP, e):
            build.build_model(e, 40, 32)  # a small model has the blocks that are blurred


@pytest.mark.parametrize("saved", ["save_landscape", "save_frequency_response"])
def test_rows_that_are_one_run_agree_on_what_it_saves(saved):
    """A run is trained once, for whichever row asks first; what it saves is not in its hash."""
    for profile in PROFILES.values():
        applied = [apply_rules(profile, e) for e in papers.EXPERIMENTS.values()]
        applied = [e for e in applied if not skip_reason(profile, e)]
        saving = {str(hashed_settings(e)) for e in applied if getattr(e, saved)}
        for e in applied:
            assert getattr(e, saved) or str(hashed_settings(e)) not in saving, e.name


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: get("ast_in_as/patchmix_cx"), "ast_in_as/patchmix_cl"),
        (lambda: get_profile("lapto"), "laptop"),
        (lambda: override(Experiment("x"), taus=1), "tau"),
        (lambda: override(Experiment("x"), target="stop(y)"), "stop\\(z\\)"),
        (lambda: own_rows(patchmix.EXPERIMENTS, "a", "row | ast_in_as/cx"), "ast_in_as/ce"),
        (lambda: published_rows([], patchmix.EXPERIMENTS, {"x": "ast_in_as/cx"}), "ast_in_as/ce"),
        (lambda: Experiments().vary(Experiment("x"), "taus=1"), "tau"),
        (lambda: Experiment("x", batch_size=1), "batch_size >= 2"),
        (lambda: override(get("cnn2/ce@1-1"), gain=0.1), "gain is for fbank"),
        (lambda: override(get("cnn2/ce@1-1"), pad_frames=400), "pad_frames is for fbank"),
    ],
)
def test_wrong_names_and_settings_are_refused(call, hint):
    with pytest.raises(UserError, match=hint):
        call()


def test_settings_in_words_name_what_differs_from_the_published_ones():
    text = describe_settings(apply_rules(LAPTOP, patchmix.CL))
    for part in ("ast mini", "stride 16", "4 epochs", "3 s clips", "weighted CE", "sc only"):
        assert part in text
    assert describe_settings(patchmix.CE) == "ast base, 50 epochs, 8 s clips, lr 5e-05, batch 8"


def test_rows_of_claims_are_shown_on_a_page():
    shown = [row for rows in papers.GROUPS.values() for row in rows]
    methods = {row.key for row in transfer.METHODS}
    for claim in papers.CLAIMS:
        assert claim.a in shown and claim.b in shown and claim.page in papers.NOTEBOOKS, claim.text
        assert set(claim.stand_in) <= methods, claim.text
