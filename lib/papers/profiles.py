"""Profiles: the same experiments with settings that fit a machine. A profile only sets fields.

smoke: synthetic sounds, tiny models, minutes. laptop: small models on the recordings that are here.
paper: as published. Rules apply in order; each is (settings to match, settings to change).
"""

from dataclasses import dataclass, replace

from lib.config import Experiment, override
from lib.errors import unknown
from lib.papers import patchmix, sam
from lib.papers.sprsound import EVENT_TASKS, RECORD_TASKS

Settings = dict[str, object]
Rules = tuple[tuple[Settings, Settings], ...]


@dataclass(frozen=True)
class Profile:
    """How much of the published setting a run of the notebooks pays for."""

    name: str
    about: str
    seeds: tuple[int, ...]
    budgets: tuple[str, ...]  # of the experiments that it runs; "gpu" runs wherever a GPU is
    rules: Rules
    verdict: bool = False  # whether our numbers may be judged against the paper's
    synthetic: bool = False  # whether it never looks for real recordings
    needs_gpu: bool = False  # whether its runs would take months on a CPU
    side_by_side: bool = True  # whether the memory of a machine has room for a run on each core


ICBHI = {"dataset": "icbhi"}  # rows on third-party features keep their own settings
SPRSOUND = {"dataset": "sprsound"}
CHILDREN = SPRSOUND | {"frontend": "fbank"}  # SPRSound in ICBHI's classes

# Mixing methods weight their cross-entropy too: without it such small models always predict normal.
_SMALL = {"validation_split": 0.2, "clip_seconds": 3.0, "class_weights": True}
# With the published normalisation and weight averaging, this few steps collapse to one class.
_NO_COLLAPSE = {"normalise": "clip", "moving_average": 0.0}
_RECIPES: Rules = (
    # SAM's recipe has no class weights: its sampler balances, or nothing does. The block of zeros
    # keeps its share of a clip, as do Lung-SRAD's stretched frames.
    (ICBHI | {"optimizer": "adamw"}, {"class_weights": False}),
    (ICBHI | {"pad_frames": 1024}, {"pad_frames": 382}),
    (ICBHI | {"interpolated_frames": 1024}, {"interpolated_frames": 382}),
    (ICBHI | {"model": "dass"}, {"size": "nano", "init": "none", "lr": 1e-3} | _NO_COLLAPSE),
    (ICBHI | {"name": "dass/srad/normalise=audioset"}, {"normalise": "audioset"}),
    # A small DASS has one block in these stages, not two.
    (ICBHI | {"name": "dass/blur/blur_stage=1"}, {"blur_blocks": "0"}),
    (ICBHI | {"name": "dass/blur/blur_stage=3"}, {"blur_blocks": "0"}),
    (ICBHI | {"name": "ast/ce"}, {"save_embeddings": True}),  # the same run as ast_in_as/ce
)

SMOKE = Profile(
    name="smoke",
    about="tiny models on synthetic sounds; shows only that every part runs",
    seeds=(1,),
    budgets=("smoke", "synthetic"),
    synthetic=True,
    rules=(
        (ICBHI, _SMALL | {"clip_seconds": 2.0, "epochs": 1, "time_mask": 40, "train_clips": 96}),
        (ICBHI | {"model": "ast"},
         {"size": "nano", "stride": 16, "init": "none", "batch_size": 16, "lr": 1e-3}),
        *_RECIPES,
        (ICBHI | {"pad_frames": 382}, {"pad_frames": 254}),
        (ICBHI | {"model": "dass"}, {"train_clips": 32}),
        (ICBHI | {"model": "mn04"}, {"batch_size": 32, "lr": 5e-4}),
        (ICBHI | {"model": "mn04", "normalise": "clip"}, {"init": "none"}),  # trained for transfer
        (SPRSOUND, {"epochs": 1}),
        (SPRSOUND | {"model": "resnet18"}, {"train_clips": 64}),
        (CHILDREN, {"init": "none", "clip_seconds": 2.0, "time_mask": 40, "train_clips": 96}),
        (CHILDREN | {"model": "ast"},
         {"size": "nano", "stride": 16, "batch_size": 16, "lr": 1e-3}),
    ),
)  # fmt: skip

LAPTOP = Profile(
    name="laptop",
    about="small models on 3 s clips of ICBHI's single-channel recordings and on SPRSound; shows "
    "the way, not the claims",
    seeds=(1,),
    budgets=("smoke", "laptop"),
    rules=(
        (ICBHI, _SMALL | {"subset": "sc", "epochs": 4, "time_mask": 60}),
        # Lung-SRAD's recipe has batches of 16. Its DASS costs four times an AST: fewer epochs.
        (ICBHI | {"batch_size": 16}, {"epochs": 3}),
        (ICBHI | {"model": "ast"}, {"size": "mini", "stride": 16, "init": "none", "batch_size": 16,
                                    "lr": 5e-4} | _NO_COLLAPSE),
        *_RECIPES,
        (ICBHI | {"model": "resnet18"}, {"batch_size": 32, "epochs": 2}),
        (ICBHI | {"model": "mn04"}, {"batch_size": 32, "lr": 5e-4, "epochs": 3}),
        # Trained to be tested on SPRSound, too, so as it is there.
        (ICBHI | {"model": "mn04", "normalise": "clip"}, {"epochs": 6, "class_weights": False}),
        *(({"name": f"{sam.NO_ZEROS.name}/clip_seconds={value}"}, {"clip_seconds": value})
          for value in sam.SWEEPS["clip_seconds"]),  # a sweep of the clip's length keeps it
        (SPRSOUND | {"model": "cnn2"}, {"epochs": 8}),
        *((SPRSOUND | {"model": "cnn2", "task": task}, {"epochs": 3}) for task in EVENT_TASKS),
        ({"name": "cnn2/ce@2-1/epochs=50"}, {"epochs": 50}),
        (SPRSOUND | {"model": "resnet18"}, {"epochs": 4, "precision": "bf16"}),
        (SPRSOUND | {"model": "resnet18", "task": "1-1"}, {"epochs": 2}),
        (SPRSOUND | {"model": "resnet18", "task": "1-1-windows"}, {"epochs": 2}),
        (SPRSOUND | {"freeze": True}, {"epochs": 3}),
        # Those that are tested on ICBHI, too, are tested on its single-channel recordings.
        (CHILDREN | {"model": "mn04", "task": "icbhi4"}, {"subset": "sc"}),
        # A small AST from scratch that learns something real on a CPU.
        (CHILDREN | {"model": "ast"}, {"size": "mini", "stride": 16, "init": "none", "epochs": 12,
                                       "batch_size": 32, "lr": 1e-3} | _NO_COLLAPSE),
    ),
)  # fmt: skip

PAPER = Profile(
    name="paper",
    about="everything as published: official split, AST-base, 5 seeds; needs a GPU",
    seeds=(1, 2, 3, 4, 5),
    budgets=("smoke", "synthetic", "laptop", "long"),
    verdict=True,
    needs_gpu=True,
    rules=tuple((ICBHI | {"model": model}, {"precision": "bf16"}) for model in ("ast", "dass")),
)

# Numbers that are only multiplied, compared or sampled with: experiments that differ in one of them
# alone have the same cost and the same code, and are rehearsed as one run, which saves what any of
# them saves. A zero that turns a part off is no such number, and what changes a shape, a layer or a
# branch is kept.
_ONE_NUMBER: Rules = tuple(
    ({key: value}, {key: one, saved: True})
    for key, one, values, saved in (
        ("tau", 0.06, patchmix.SWEEPS["tau"], "save_embeddings"),
        ("alpha", 1.0, patchmix.SWEEPS["alpha"], "save_embeddings"),
        ("beta", 1.0, patchmix.SWEEPS["beta"], "save_embeddings"),
        ("spec_augment", 0.841, (1.0,), "save_embeddings"),
        ("rho", sam.RHO, sam.SWEEPS["rho"], "save_landscape"),
        ("blur", 1.0, (0.5,), "save_frequency_response"),
        ("blur_sigma", 3.0, (1.0,), "save_frequency_response"),
    )
    for value in values
    if value != one
)
REHEARSAL = replace(
    PAPER,
    name="rehearsal",
    about="every experiment at its real size for two steps, from random weights; NO RESULT",
    seeds=(1,),
    verdict=False,
    needs_gpu=False,
    side_by_side=False,
    rules=(
        *PAPER.rules,
        *_ONE_NUMBER,
        ({}, {"epochs": 1, "batch_size": 2, "train_clips": 4, "budget": "laptop"}),
        (SPRSOUND | {"frontend": "mfcc"}, {"batch_size": 32, "train_clips": 64}),
        (SPRSOUND | {"model": "mn04"}, {"batch_size": 32, "train_clips": 64}),  # up to 7 classes
        *(
            (SPRSOUND | {"task": task}, {"batch_size": 8, "train_clips": 16})
            for task in RECORD_TASKS
        ),  # there are few records
        # A Hessian of AST base takes 15 minutes: at the longest clips only, with and without a
        # projector. That of a model trained with SAM is the same code.
        ({"save_landscape": True, "pad_frames": 0}, {"save_landscape": False}),
        ({"save_landscape": True, "rho": sam.RHO}, {"save_landscape": False}),
    ),
)
REHEARSAL_GPU = replace(
    REHEARSAL,
    name="rehearsal-gpu",
    rules=(  # published batches, one step in each of two epochs: the first one compiles
        *PAPER.rules,
        *_ONE_NUMBER,
        ({}, {"epochs": 2, "budget": "laptop"}),
        *(({"batch_size": size}, {"train_clips": size}) for size in (8, 16, 32, 128)),
    ),
)

PROFILES = {profile.name: profile for profile in (SMOKE, LAPTOP, PAPER, REHEARSAL, REHEARSAL_GPU)}


def get_profile(name: str) -> Profile:
    """A profile by name; an unknown name is a `UserError` with the nearest ones."""
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]


def apply_rules(profile: Profile, experiment: Experiment) -> Experiment:
    """The experiment with the settings of this profile."""
    for match, changes in profile.rules:
        if all(getattr(experiment, key) == value for key, value in match.items()):
            experiment = override(experiment, **changes)
    return experiment


def seeds_of(profile: Profile, experiment: Experiment) -> tuple[int, ...]:
    """The seeds that a profile trains an experiment with."""
    own = experiment.laptop_seeds
    if profile.name != LAPTOP.name or not own:
        return profile.seeds
    return tuple(range(1, 1 + (1 if own == 1 else max(own, len(profile.seeds)))))


def skip_reason(profile: Profile, experiment: Experiment) -> str:
    """Why this profile leaves an experiment out, or ""."""
    if experiment.budget in (*profile.budgets, "gpu"):
        return ""
    too_long = experiment.budget == "long"
    return "takes too long for this profile" if too_long else "not part of this profile"
