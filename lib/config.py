"""What an experiment is: a frozen list of every choice that can change a number."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, get_args, get_origin

from lib.errors import UserError, unknown

SELECTIONS = ("test", "last", "validation")


@dataclass(frozen=True)
class Experiment:
    """One row of a table. The defaults are the published settings of Patch-Mix CL's paper."""

    name: str
    # data
    dataset: Literal["icbhi", "icbhi_mel", "sprsound"] = "icbhi"
    subset: Literal["all", "sc"] = "all"  # sc: single-channel recordings only
    split: Literal["official", "patient_clean"] = "official"  # clean: without patients 156, 218
    task: Literal["icbhi4", "1-1", "1-2", "2-1", "2-2", "1-1-windows", "1-2-windows"] = "icbhi4"
    validation_split: float = 0.0  # share of training patients held out
    split_by: Literal["patient", "clip"] = "patient"  # clip: same patient on both sides, published
    validation_resampled: bool = False  # validation scored on a resampled set, as published
    train_clips: int = 0  # 0 = all; else this many, class shares unchanged
    test_sets: tuple[str, ...] = ()  # further datasets that are scored at the selected epochs
    # front end
    frontend: Literal["fbank", "mfcc"] = "fbank"
    clip_seconds: float = 8.0
    pad: Literal["repeat", "cyclic", "zero"] = "repeat"  # repeat with fade-out; MFCC: zeros
    fade: Literal["recording", "cycle", "none"] = "recording"  # official code | paper's wording
    n_mfcc: int = 64  # of the MFCC, as the next three
    n_fft: int = 512
    hop: int = 128
    scale: Literal["zero_mean", "minmax"] = "zero_mean"  # the paper | the published code
    normalise: Literal["audioset", "dataset", "clip", "zscore"] = "audioset"  # zscore: not halved
    pad_frames: int = 0  # frames up to which zeros are added before normalising; 0 = none
    interpolated_frames: int = 0  # frames to which clips are stretched after masking; 0 = none
    # model
    model: str = "ast"
    size: str = "base"
    patch: int = 16
    stride: int = 10
    pool: Literal["special", "all"] = "special"  # mean of class and distillation, or all, tokens
    init: Literal["none", "imagenet", "audioset", "imagenet+audioset"] = "none"
    init_from: str = ""  # the experiment whose run of the same seed this one starts from
    stem: Literal["random", "summed"] = "random"  # 1-channel stem of ImageNet CNNs (official code)
    pos_embed: Literal["official", "aligned"] = "official"  # axes swapped, as published
    head: Literal["norm", "linear"] = "norm"  # norm: LayerNorm and Linear (AST)
    dropout: float = 0.0  # before the classifier
    freeze: bool = False  # train the classifier alone, on normalised features
    blur: float = 0.0  # strength of a Gaussian blur inside DASS's SS2D; 0 = none
    blur_stage: int = 2  # from 0
    blur_blocks: str = "2,3"  # of that stage, from 0
    blur_sigma: float = 3.0
    blur_at: Literal["before", "after"] = "before"  # the scan along the four paths
    blur_when: Literal["always", "training"] = "always"
    # method
    method: Literal[
        "ce", "patchmix_ce", "patchmix_cl", "dual_axis_cl", "mixup", "supcon", "probe"
    ] = "ce"  # probe: logistic regression on frozen features
    class_weights: bool = True  # 1/n weights of the cross-entropy on clean clips
    label_smoothing: float = 0.0
    mix: Literal["patch", "t_patch", "f_patch"] = "patch"  # t, f: columns or rows of the grid
    mix_at: Literal["tokens", "input"] = "tokens"
    contiguous: bool = False  # columns or rows replaced are one stretch, not random ones
    negatives: Literal["all", "diff_y"] = "all"
    target: Literal["stop(z)", "z", "stop(h(z))", "h(z)"] = "stop(z)"
    tau: float = 0.06
    alpha: float = 1.0
    beta: float = 1.0
    projector: int = 768
    train_projector: bool = True  # False: it stays as it was initialised
    base_tau: float = 0.07  # SupCon's loss is multiplied by tau / base_tau, as in its common code
    # 1 / class count or 1 / its square root, with replacement
    sampler: Literal["shuffle", "balanced", "root_balanced"] = "shuffle"
    flip: float = 0.0  # probability that a clip is reversed in time
    roll: bool = False  # each clip is rotated in time by a random number of frames
    spec_augment: float = 0.841  # probability; the official code's accident (1 >= randn())
    frequency_mask: int = 48  # widths are sampled below this many mel bins
    time_mask: int = 160  # and this many frames
    gain: float = 0.0  # every other clip louder or softer by up to this share
    noise: float = 0.0  # std of white noise in every other clip, added in mel power
    # optimisation
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"  # sgd: momentum 0.9
    rho: float = 0.0  # radius of sharpness-aware minimisation; 0 = the optimiser alone
    adaptive: bool = False  # SAM's ball scaled by the size of each weight (ASAM)
    schedule: Literal["cosine", "constant", "onecycle"] = "cosine"  # onecycle: lr by step
    lr: float = 5e-5
    weight_decay: float = 1e-6
    batch_size: int = 8
    epochs: int = 50
    moving_average: float = 0.5
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    # what is saved beside the numbers; changes none of them
    save_embeddings: bool = False
    save_train_predictions: bool = False
    save_weights: bool = False  # of the epoch selected on validation, else of the last one
    save_landscape: bool = False  # sharpness, slices of the loss, attention after the last epoch
    save_frequency_response: bool = False  # of every block after the last epoch
    # who runs it (see `lib.papers.profiles`); changes no number either
    budget: Literal["smoke", "synthetic", "laptop", "long", "gpu"] = "laptop"
    laptop_seeds: int = 0  # in the profile laptop 1 = one seed, n = at least n; 0 = as asked

    def __post_init__(self) -> None:
        object.__setattr__(self, "test_sets", tuple(self.test_sets))  # a list in JSON
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise unknown(key, getattr(self, key), allowed)
        for key in ("gain", "noise", "pad_frames", "interpolated_frames"):
            if self.frontend != "fbank" and getattr(self, key):
                raise UserError(f"{self.name}: {key} is for fbank; set it to 0")
        if self.epochs < 1 or self.batch_size < 2 or not 0 <= self.validation_split < 1:
            raise UserError(
                f"{self.name}: needs epochs >= 1, batch_size >= 2 and validation_split in [0, 1)"
            )


DEFAULTS = {setting.name: setting.default for setting in fields(Experiment)}
CHOICES: dict[str, tuple[str, ...]] = {
    setting.name: get_args(setting.type)
    for setting in fields(Experiment)
    if get_origin(setting.type) is Literal
}
# The run that `init_from` names is in a run's hash as the fingerprint of its weights.
NOT_HASHED = {"name", "init_from", "budget", "laptop_seeds"}
NOT_HASHED |= {key for key in DEFAULTS if key.startswith("save_")}


def override(experiment: Experiment, **changes: object) -> Experiment:
    """A copy with some settings changed; an unknown setting is an error with the nearest names."""
    for key in changes:
        if key not in DEFAULTS:
            raise unknown("setting", key, DEFAULTS)
    return replace(experiment, **changes)


def hashed_settings(experiment: Experiment) -> dict:
    """The settings that can change a number: what a run's hash covers, besides seed and data.

    Only those that differ from the defaults count, so that a setting that is added later, with the
    old behaviour as its default, leaves every run valid. A default is therefore never changed.
    """
    return {
        key: value
        for key, value in asdict(experiment).items()
        if key not in NOT_HASHED and value != DEFAULTS[key]
    }


# Settings that go without saying beside a number, by front end: as published with it.
MFCC_PUBLISHED = Experiment(
    "published",
    lr=1e-3,
    batch_size=32,
    validation_split=0.2,
    normalise="zscore",
    moving_average=0.0,
)
PUBLISHED = {"fbank": Experiment("published"), "mfcc": MFCC_PUBLISHED}
NAMED = {  # how another setting is named beside a number
    "subset": "{} only",
    "validation_split": "{:.0%} of patients held out",
    "train_clips": "{} training clips",
    "normalise": "normalised by {}",
    "pad_frames": "filled up to {} frames",
    "interpolated_frames": "stretched to {} frames",
    "time_mask": "time masks < {}",
    "moving_average": "averaging {:g}",
    "blur": "blur {:g}",
    "blur_stage": "in stage {}",
    "blur_blocks": "in blocks {}",
    "blur_sigma": "sigma {:g}",
    "blur_at": "{} the scan",
    "blur_when": "in {} only",
    "alpha": "alpha {:g}",
    "contiguous": "in one stretch",
    "train_projector": "projector not trained",
    "rho": "SAM rho {:g}",
    "precision": "{}",
}


MODEL_NAMES = {
    "ast": "AST {size}",
    "dass": "DASS {size}",
    "mn04": "EfficientAT mn04",
    "cnn2": "CNN {size}",
    "cnn6": "CNN6",
    "resnet18": "ResNet18",
    "efficientnet_b0": "EfficientNet-B0",
    "efficientnet_lite0": "EfficientNet-Lite0",
}
WEIGHT_NAMES = {
    "none": "from scratch",
    "imagenet": "ImageNet weights",
    "audioset": "AudioSet weights",
    "imagenet+audioset": "ImageNet and AudioSet weights",
}


def describe_model(e: Experiment) -> str:
    """What is trained: size and weights, such as "AST mini, from scratch"."""
    name = MODEL_NAMES.get(e.model, e.model).format(size=e.size)
    weights = f"after {e.init_from.split('@')[0]}" if e.init_from else WEIGHT_NAMES[e.init]
    return f"{'frozen ' * (e.freeze or e.method == 'probe')}{name}, {weights}"


def describe_settings(e: Experiment) -> str:
    """The settings a reader must know beside a number, in a few words."""
    usual = PUBLISHED[e.frontend]
    fbank, mixed = e.frontend == "fbank", e.method != "ce"

    def differs(key: str) -> bool:
        return getattr(e, key) != getattr(usual, key)

    if e.method == "probe":
        words = f"linear probe of a frozen {e.model}", f"{e.clip_seconds:g} s clips"
        return ", ".join(words + (f"{e.subset} only",) * (e.subset != "all"))
    words = (
        f"{e.model} {e.size}" if e.model in ("ast", "dass") else e.model,
        f"stride {e.stride}" if e.model == "ast" and differs("stride") else "",
        f"{e.epochs} epoch{'s' * (e.epochs > 1)}",
        f"{e.clip_seconds:g} s clips",
        f"lr {e.lr:g}" if fbank or differs("lr") else "",
        f"batch {e.batch_size}" if fbank or differs("batch_size") else "",
        "weighted CE" if fbank and mixed and e.class_weights else "",
        "unweighted CE" if fbank and not mixed and not e.class_weights else "",
        f"tau {e.tau:g}" if e.method.endswith("_cl") and differs("tau") else "",
        *(text.format(getattr(e, key)) for key, text in NAMED.items() if differs(key)),
    )
    return ", ".join(word for word in words if word)
