"""Registry, rows and profiles: names, facts of the paper, and what each profile changes."""

import pytest

from lib import models, paper, paper_sprsound, profiles, registry, rows, rows_sam, rows_srad
from lib.config import Experiment, hashed_settings, override
from lib.errors import UserError
from lib.experiments import patchmix, sam, srad
from lib.features.frontends import front_end


def published(key):
    return (paper_sprsound if key in paper_sprsound.PUBLISHED else paper).get(key)


def test_every_row_has_an_experiment_or_is_quoted():
    for name, table in rows.TABLES.items():
        keys = [row.key for row in table]
        assert len(keys) == len(set(keys)), name
        for row in table:
            assert row.experiment is None or registry.get(row.experiment)
            if row.paper:
                printed = published(row.paper).label
                if row.key.endswith("/code"):
                    printed = printed | {"method": f"{printed['method']}, as its code runs"}
                assert row.label == printed


def test_all_rows_of_the_authors_are_run():
    for table in rows.TABLES.values():
        for row in table:
            if row.paper in paper.PUBLISHED and paper.get(row.paper).authors:
                assert row.experiment, row.key


def test_rows_of_sprsound_are_run_by_task():
    named = {row.key: row.experiment for row in rows.table("sprsound3")}
    assert named["s3/cnn/1-2"] == "cnn2/ce@1-2"
    assert named["s3/resnet18_supcon/2-1"] == "resnet18_supcon/ce@2-1"
    assert named["s3/resnet18_supcon_mixup/2-1"] == "resnet18_supcon/mixup@2-1"
    left = [key for key, experiment in named.items() if experiment is None]
    assert len(left) == 4 and all("tune" in key for key in left)
    for row in rows.table("sprsound3") + rows.table("sprsound1"):
        if row.experiment:
            assert registry.get(row.experiment).labels == row.key.split("/")[-1]


def test_models_are_taken_to_the_other_data_as_they_are():
    """Same model and front end on both sides of a transfer, in every profile; nothing is learnt."""
    children = [e for e in registry.EXPERIMENTS.values() if e.method == "none"]
    assert len(children) == 4
    for profile in profiles.PROFILES.values():
        for child in children:
            parent = profiles.apply(profile, registry.get(child.parent))
            child = profiles.apply(profile, child)
            assert parent.save_weights and {child.dataset, parent.dataset} == {"icbhi", "sprsound"}
            for key in ("model", "size", "init", "normalise", "validation_split", "task"):
                assert getattr(child, key) == getattr(parent, key), (profile.name, child.name, key)
            assert front_end(child) == front_end(parent)


def test_a_row_takes_the_profile_s_seeds_unless_it_has_its_own():
    mel, ours = registry.get("mn04_as/ce@mel"), registry.get("cnn2/ce@1-1")
    assert profiles.seeds(profiles.QUICK, mel) == (1, 2)
    assert profiles.seeds(profiles.QUICK, ours) == (1,)
    dear = registry.get(f"{sam.FREE}/rho=0.1")
    assert profiles.seeds(profiles.CPU, ours) == (1, 2)
    assert profiles.seeds(profiles.CPU, dear) == (1,)
    assert profiles.seeds(profiles.PAPER, dear) == (1, 2, 3, 4, 5)
    assert profiles.seeds(profiles.CPU, ours) == (1, 2)
    assert profiles.seeds(profiles.PAPER, ours) == (1, 2, 3, 4, 5)
    assert profiles.seeds(profiles.PAPER, patchmix.CE) == (1, 2, 3, 4, 5)


def test_what_quick_leaves_out_of_sprsound_says_why():
    for name in (
        "resnet18/ce@1-1",
        "resnet18_supcon/mixup@1-2-windows",
        "cnn2/ce@2-1/clip_seconds=15",
    ):
        assert "too much" in profiles.why_not(profiles.QUICK, registry.get(name))
    for name in ("resnet18/ce@2-1", "cnn2/ce@1-1", "mn04_as/ce@sprsound", "mn04_as/ce@mel"):
        assert profiles.why_not(profiles.QUICK, registry.get(name)) == ""
    for name, experiment in registry.EXPERIMENTS.items():
        if experiment.dataset == "sprsound" and not profiles.why_not(profiles.QUICK, experiment):
            assert profiles.seconds(profiles.QUICK, experiment), name


def test_published_settings_of_the_main_method():
    e = registry.get("ast_in_as/patchmix_cl")
    assert (e.lr, e.weight_decay, e.batch_size, e.epochs) == (5e-5, 1e-6, 8, 50)
    assert (e.tau, e.alpha, e.beta, e.projector) == (0.06, 1.0, 1.0, 768)
    assert (e.target, e.negatives, e.mix, e.moving_average) == ("stop(z)", "all", "patch", 0.5)
    assert not e.class_weights and registry.get("ast_in_as/ce").class_weights
    resnet = registry.get("resnet18/ce")
    assert (resnet.lr, resnet.batch, resnet.epochs) == (1e-3, 128, 200)
    assert registry.get("ast/ce").epochs == 200


def test_names_say_what_differs():
    base = hashed_settings(patchmix.CL)
    for name, experiment in registry.EXPERIMENTS.items():
        assert experiment.name == name
        if name.startswith("ast_in_as/patchmix_cl/"):
            key = name.split("/", 2)[2].split("=")[0]
            changed = hashed_settings(experiment)
            different = {k for k in base.keys() | changed.keys() if base.get(k) != changed.get(k)}
            assert different == {key}


def test_figure_2_contains_the_chosen_values_once():
    values = {s: [r.experiment for r in rows.sweep(s)] for s in patchmix.SWEEPS}
    assert all(v.count(rows.CL_NAME) == 1 for v in values.values())


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: registry.get("ast_in_as/patchmix_cx"), "ast_in_as/patchmix_cl"),
        (lambda: rows.table("table11"), "table1"),
        (lambda: profiles.get("quik"), "quick"),
        (lambda: override(Experiment("x"), taus=1), "tau"),
        (lambda: override(Experiment("x"), target="stop(y)"), "stop\\(z\\)"),
    ],
)
def test_unknown_names_come_with_the_nearest(call, hint):
    with pytest.raises(UserError, match=hint):
        call()


def test_profiles_change_only_what_they_name():
    cl = registry.get("ast_in_as/patchmix_cl")
    quick = profiles.apply(profiles.QUICK, cl)
    assert (quick.size, quick.stride, quick.clip_seconds, quick.subset) == ("mini", 16, 3.0, "sc")
    assert (quick.init, quick.class_weights, quick.method) == ("none", True, "patchmix_cl")
    assert profiles.apply(profiles.PAPER, cl) == override(cl, precision="bf16")
    mel = registry.get("mn04_as/ce@mel")
    for profile in profiles.PROFILES.values():
        assert profiles.apply(profile, mel) == mel


def test_experiments_that_make_no_sense_are_refused():
    with pytest.raises(UserError, match="batch >= 2"):
        Experiment("x", batch_size=1)


def test_the_geometry_aware_recipe_is_the_published_one():
    recipe = registry.get("ast_geo/wrs_sam")
    facts = {
        "optimizer": "adamw", "lr": 1e-5, "weight_decay": 1e-4, "schedule": "constant",
        "rho": 0.05, "adaptive": False, "label_smoothing": 0.1, "epochs": 20, "batch_size": 8,
        "sampler": "balanced", "class_weights": False, "pool": "all", "head": "linear",
        "dropout": 0.3, "clip_seconds": 8.0, "pad": "cyclic", "fade": "none", "pad_frames": 1024,
        "gain": 0.1, "noise": 1e-4, "spec_augment": 0.0, "moving_average": 0.0,
        "normalise": "audioset", "init": "imagenet+audioset", "method": "ce",
    }  # fmt: skip
    assert {key: getattr(recipe, key) for key in facts} == facts
    assert (front_end(recipe).frames, recipe.pad_frames) == (798, 1024)


def test_each_pair_differs_in_the_radius_alone():
    for name, plain, flat in rows_sam.PAIRS:
        pair = [registry.get(one) for one in (plain, flat)]
        assert pair[0].rho == 0 and pair[1].rho == 0.05, name
        assert hashed_settings(override(pair[1], rho=0.0)) == hashed_settings(pair[0]), name


def test_sweeps_of_the_clip_keep_it_in_every_profile_that_runs_them():
    for value in sam.SWEEPS["clip_seconds"]:
        swept = registry.get(f"{sam.FREE}/clip_seconds={value}")
        assert profiles.why_not(profiles.QUICK, swept)
        assert profiles.apply(profiles.CPU, swept).clip_seconds == value
    repeated = registry.get(f"{sam.FREE}/pad=repeat")
    assert (repeated.pad, repeated.fade) == ("repeat", "recording")  # as the main paper's clips


def test_the_geometry_aware_rows_are_unweighted_and_keep_their_share_of_zeros():
    for profile in (profiles.QUICK, profiles.CPU):
        one = profiles.apply(profile, registry.get("ast_geo/wrs_sam"))
        assert not one.class_weights and one.rho == 0.05
        assert front_end(one).frames / one.pad_frames == pytest.approx(798 / 1024, abs=0.002)
        plain = profiles.apply(profile, registry.get("ast_geo/wrs"))
        assert profiles.seconds(profile, one) == 2 * profiles.seconds(profile, plain)


def test_dear_rows_on_given_features_are_left_out_too():
    assert profiles.why_not(profiles.QUICK, registry.get("mn04_as/ce/rho=0.05@mel"))
    assert not profiles.why_not(profiles.CPU, registry.get("mn04_as/ce/rho=0.05@mel"))
    assert not profiles.why_not(profiles.QUICK, registry.get("mn04_as/ce@mel"))


def test_lung_srad_is_the_published_recipe():
    full = registry.get("dass/srad")
    facts = {
        "model": "dass", "size": "medium", "init": "imagenet+audioset", "optimizer": "adam",
        "lr": 5e-5, "weight_decay": 1e-6, "batch_size": 16, "epochs": 50, "schedule": "cosine",
        "moving_average": 0.5, "class_weights": False, "spec_augment": 0.841, "tau": 0.2,
        "alpha": 1.0, "beta": 1.0, "projector": 768, "target": "stop(z)", "normalise": "clip",
        "blur": 1.0, "blur_stage": 2, "blur_blocks": "2,3", "blur_sigma": 3.0,
        "method": "dual_axis_cl", "train_projector": True, "interpolated_frames": 0,
    }  # fmt: skip
    assert {key: getattr(full, key) for key in facts} == facts
    plain = override(full, method="ce", blur=0.0)
    assert hashed_settings(plain) == hashed_settings(registry.get("dass/ce"))
    assert hashed_settings(override(plain, blur=1.0)) == hashed_settings(registry.get("dass/blur"))
    ast = override(plain, model="ast", size="base")
    assert hashed_settings(ast) == hashed_settings(registry.get("ast_srad/ce"))
    assert {"dass/ce", "dass/srad"} <= registry.MAIN


def test_names_of_lung_srad_say_what_differs():
    for base, names in (("dass/blur", srad.BLURS), ("dass/srad", srad.SRAD_QUIRKS)):
        known = hashed_settings(registry.get(base))
        for name in names:
            changed = hashed_settings(registry.get(f"{base}/{name}"))
            different = {k for k in known | changed if known.get(k) != changed.get(k)}
            assert different - {"blur_blocks"} <= {name.split("=")[0]} and different, name


def test_lung_srad_is_judged_as_its_code_runs():
    judged = [row for row in rows_srad.FOUR_CLASS if row.paper and row.paper.startswith("srad/")]
    assert [row.paper for row in judged] == 2 * ["srad/fine_tuning", "srad/blur", "srad/srad"]
    for row, coded in zip(judged[:3], judged[3:], strict=True):
        assert row.deviates and not coded.deviates
        before, after = (hashed_settings(registry.get(one.experiment)) for one in (row, coded))
        quirks = {"interpolated_frames": 1024}
        quirks |= {"train_projector": False} if row.paper == "srad/srad" else {}
        assert after == before | quirks


def test_one_axis_more_is_one_contrastive_term_more():
    one, two = (registry.get(f"dass/{name}") for name in ("patchmix_cl", "patchmix_cl/alpha=2"))
    assert (one.alpha, two.alpha) == (1, 2) and hashed_settings(two) == hashed_settings(one) | {
        "alpha": 2.0
    }


def test_backbones_and_methods_cross():
    for row in rows_srad.BACKBONES:
        e = registry.get(row.experiment)
        assert {"AST": "ast", "DASS": "dass", "mn04": "mn04"}[row.label["architecture"]] == e.model
        method = {"Cross-entropy": "ce", "Patch-Mix CE": "patchmix_ce",
                  "Patch-Mix CL": "patchmix_cl", "Dual-Axis Patch-Mix CL": "dual_axis_cl",
                  "Cross-entropy + SAM": "ce"}[row.label["method"]]  # fmt: skip
        assert e.method == method and e.rho == (0.05 if "SAM" in row.label["method"] else 0)
        assert e.blur == 0 and not e.class_weights
        assert e.tau == 0.2 or "cl" not in e.method


SRAD = [name for name in registry.EXPERIMENTS if name.startswith(("dass/", "ast_srad/"))]


def test_profiles_run_lung_srad_small():
    for profile in (profiles.QUICK, profiles.CPU):
        for name in SRAD:
            e = profiles.apply(profile, registry.get(name))
            assert (e.epochs, e.class_weights, e.init) == (3, True, "none")
            assert e.normalise == ("audioset" if "normalise" in name else "clip")
            assert e.size == ("nano" if e.model == "dass" else "mini")
            share = e.interpolated_frames / front_end(e).frames
            assert not e.interpolated_frames or share == pytest.approx(1024 / 798, abs=0.002)
            assert profiles.why_not(profile, e) or profiles.seconds(profile, e)
            if not profiles.why_not(profile, e):
                models.build(e, 40, 32)  # a small model has the blocks that are blurred


def test_profiles_say_what_they_leave_out_of_lung_srad():
    def left_out(profile):
        return {name for name in SRAD if profiles.why_not(profile, registry.get(name))}

    quick = [profiles.apply(profiles.QUICK, registry.get(name)) for name in SRAD]
    quick = [e for e in quick if e.name not in left_out(profiles.QUICK)]
    assert {e.name for e in quick} == {
        "dass/ce", "dass/blur", "dass/patchmix_cl", "dass/srad",
        "ast_srad/ce", "ast_srad/dual_axis",
    }  # fmt: skip
    assert sum(profiles.seconds(profiles.QUICK, e) for e in quick) < 2 * 8 * 60
    never = {"dass/blur/blur_blocks=18,19"}
    assert left_out(profiles.CPU) == never
    assert len(SRAD) - len(left_out(profiles.SMOKE)) == 3
    seeds = {name: profiles.seeds(profiles.CPU, registry.get(name)) for name in SRAD}
    assert seeds["dass/srad"] == (1, 2) and seeds["dass/patchmix_cl/mix=f_patch"] == (1,)


@pytest.mark.parametrize("keep", ["save_landscape", "save_frequency_response"])
def test_rows_that_are_one_run_agree_on_what_it_keeps(keep):
    """A run is made once, for whichever row asks last; what it keeps is not in its hash."""
    for profile in profiles.PROFILES.values():
        kept = {}
        for name, experiment in registry.EXPERIMENTS.items():
            applied = profiles.apply(profile, experiment)
            if getattr(applied, keep) and not profiles.why_not(profile, applied):
                kept[str(hashed_settings(applied))] = name
        for name, experiment in registry.EXPERIMENTS.items():
            applied = profiles.apply(profile, experiment)
            same = kept.get(str(hashed_settings(applied)))
            if same and not profiles.why_not(profile, applied):
                assert getattr(applied, keep), (profile.name, name, same)


def test_changes_of_the_samples_are_for_filter_banks():
    for key, value in {
        "gain": 0.1,
        "noise": 1e-4,
        "pad_frames": 400,
        "interpolated_frames": 400,
    }.items():
        with pytest.raises(UserError, match=f"{key} is for fbank"):
            override(registry.get("cnn2/ce@1-1"), **{key: value})
