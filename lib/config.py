"""What an experiment is: a frozen list of every choice that can change a number."""

from dataclasses import asdict, dataclass, fields, replace

from lib.errors import UserError, unknown

SELECTIONS = ("test", "last", "validation")


@dataclass(frozen=True)
class Experiment:
    """One row of a table. The defaults are the published settings of Patch-Mix CL's paper."""

    name: str
    # data
    dataset: str = "icbhi"  # icbhi | icbhi_mel | sprsound
    subset: str = "all"  # all | sc (single-channel recordings only)
    split: str = "official"  # official | patient_clean (train set without patients 156 and 218)
    task: str = "icbhi4"  # icbhi4, or SPRSound's 1-1 ... 2-2, 1-1-windows, 1-2-windows
    validation_split: float = 0.0  # share of training patients held out
    split_by: str = "patient"  # patient | clip: the published leak, same patient on both sides
    validation_resampled: bool = False  # validation scored on a resampled set, as published
    train_clips: int = 0  # 0 = all; else this many, class shares unchanged
    test_sets: tuple[str, ...] = ()  # further datasets that are scored at the selected epochs
    # front end
    frontend: str = "fbank"  # fbank | mfcc
    clip_seconds: float = 8.0
    pad: str = "repeat"  # repeat (with fade-out) | cyclic | zero; of MFCC cyclic, else zeros
    fade: str = "recording"  # recording (official code) | cycle (the paper's wording) | none
    n_mfcc: int = 64  # of the MFCC, as the next three
    n_fft: int = 512
    hop: int = 128
    scale: str = "zero_mean"  # zero_mean (the paper) | minmax (the published code)
    normalise: str = "audioset"  # audioset | dataset | clip | zscore (clip, not halved)
    pad_frames: int = 0  # frames up to which zeros are added before normalising; 0 = none
    interpolated_frames: int = 0  # frames to which clips are stretched before normalising; 0 = none
    # model
    model: str = "ast"
    size: str = "base"
    patch: int = 16
    stride: int = 10
    pool: str = "special"  # special (class and distillation token) | all (mean of all tokens)
    init: str = "none"  # none | imagenet | audioset | imagenet+audioset
    init_from: str = ""  # the experiment whose run of the same seed this one starts from
    stem: str = "random"  # random (official code) | summed: the 1-channel stem of ImageNet CNNs
    pos_embed: str = "official"  # official (axes swapped, as published) | aligned
    head: str = "norm"  # norm (AST: LayerNorm, Linear) | linear
    dropout: float = 0.0  # before the classifier
    freeze: bool = False  # train the classifier alone, on normalised features
    blur: float = 0.0  # strength of a Gaussian blur inside DASS's SS2D; 0 = none
    blur_stage: int = 2  # from 0
    blur_blocks: str = "2,3"  # of that stage, from 0
    blur_sigma: float = 3.0
    blur_at: str = "before"  # before | after: the scan along the four paths
    blur_when: str = "always"  # always | training
    # method
    method: str = "ce"  # see CHOICES
    class_weights: bool = True  # 1/n weights of the cross-entropy on clean clips
    label_smoothing: float = 0.0
    mix: str = "patch"  # patch | t_patch | f_patch: columns or rows of the grid
    mix_at: str = "tokens"  # tokens | input
    contiguous: bool = False  # columns or rows replaced are one stretch, not random ones
    negatives: str = "all"  # all | diff_y
    target: str = "stop(z)"  # stop(z) | z | stop(h(z)) | h(z)
    tau: float = 0.06
    alpha: float = 1.0
    beta: float = 1.0
    projector: int = 768
    train_projector: bool = True  # False: it stays as it was initialised
    base_tau: float = 0.07  # SupCon's loss is multiplied by tau / base_tau, as in its common code
    sampler: str = "shuffle"  # shuffle | balanced (1 / class count, with replacement)
    flip: float = 0.0  # probability that a clip is reversed in time
    spec_augment: float = 0.841  # probability; the official code's accident (1 >= randn())
    frequency_mask: int = 48  # widths are drawn below this many mel bins
    time_mask: int = 160  # and this many frames
    gain: float = 0.0  # every other clip louder or softer by up to this share
    noise: float = 0.0  # std of white noise in every other clip, added in mel power
    # optimisation
    optimizer: str = "adam"  # adam | adamw | sgd (momentum 0.9)
    rho: float = 0.0  # radius of sharpness-aware minimisation; 0 = the optimiser alone
    adaptive: bool = False  # SAM's ball scaled by the size of each weight (ASAM)
    schedule: str = "cosine"  # cosine | constant
    lr: float = 5e-5
    weight_decay: float = 1e-6
    batch_size: int = 8
    epochs: int = 50
    moving_average: float = 0.5
    precision: str = "fp32"  # fp32 | bf16 | fp16
    # what is saved beside the numbers; changes none of them
    save_embeddings: bool = False
    save_train_predictions: bool = False
    save_weights: bool = False  # of the epoch selected on validation, else of the last one
    save_landscape: bool = False  # sharpness, slices of the loss, attention after the last epoch
    save_frequency_response: bool = False  # of every block after the last epoch
    # who runs it; changes no number either
    budget: str = "laptop"  # smoke | synthetic | laptop | long | gpu: see `lib.papers.profiles`
    laptop_seeds: int = 0  # seeds in the profile laptop, whatever is asked for; 0 = as asked

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


CHOICES = {
    "dataset": ("icbhi", "icbhi_mel", "sprsound"),
    "subset": ("all", "sc"),
    "split": ("official", "patient_clean"),
    "task": ("icbhi4", "1-1", "1-2", "2-1", "2-2", "1-1-windows", "1-2-windows"),
    "split_by": ("patient", "clip"),
    "frontend": ("fbank", "mfcc"),
    "scale": ("zero_mean", "minmax"),
    "sampler": ("shuffle", "balanced"),
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("cosine", "constant"),
    "pad": ("repeat", "cyclic", "zero"),
    "fade": ("recording", "cycle", "none"),
    "normalise": ("audioset", "dataset", "clip", "zscore"),
    "pool": ("special", "all"),
    "init": ("none", "imagenet", "audioset", "imagenet+audioset"),
    "stem": ("random", "summed"),
    "pos_embed": ("official", "aligned"),
    "head": ("norm", "linear"),
    "blur_at": ("before", "after"),
    "blur_when": ("always", "training"),
    "method": ("ce", "patchmix_ce", "patchmix_cl", "dual_axis_cl", "mixup", "supcon"),
    "mix": ("patch", "t_patch", "f_patch"),
    "mix_at": ("tokens", "input"),
    "negatives": ("all", "diff_y"),
    "target": ("stop(z)", "z", "stop(h(z))", "h(z)"),
    "precision": ("fp32", "bf16", "fp16"),
    "budget": ("smoke", "synthetic", "laptop", "long", "gpu"),
}
# The run that `init_from` names is in a run's hash as the fingerprint of its weights.
NOT_HASHED = (
    *("name", "init_from", "budget", "laptop_seeds"),
    *("save_embeddings", "save_train_predictions", "save_weights"),
    *("save_landscape", "save_frequency_response"),
)


def override(experiment: Experiment, **changes: object) -> Experiment:
    """A copy with some settings changed; an unknown setting is an error with the nearest names."""
    known = [field.name for field in fields(Experiment)]
    for key in changes:
        if key not in known:
            raise unknown("setting", key, known)
    return replace(experiment, **changes)


def hashed_settings(experiment: Experiment) -> dict:
    """The settings that can change a number: what a run's hash covers, besides seed and data.

    Only those that differ from the defaults count, so that a setting that is added later, with the
    old behaviour as its default, leaves every run valid. A default is therefore never changed.
    """
    defaults = {field.name: field.default for field in fields(Experiment)}
    return {
        key: value
        for key, value in asdict(experiment).items()
        if key not in NOT_HASHED and value != defaults[key]
    }


def variant(
    experiments: dict[str, Experiment], base: Experiment, name: str, **changes: object
) -> Experiment:
    """A new experiment: `base` with a name and some settings changed; added to `experiments`."""
    experiments[name] = override(base, name=name, **changes)
    return experiments[name]


# The published settings: Bae et al. 2023 for filter banks, Hu et al. 2023 for MFCC.
MFCC_PUBLISHED = Experiment(
    "published",
    lr=1e-3,
    batch_size=32,
    validation_split=0.2,
    normalise="zscore",
    moving_average=0.0,
)
PUBLISHED = {"fbank": Experiment("published"), "mfcc": MFCC_PUBLISHED}

# How a setting that differs from the published one is named beside a number.
NAMED = {
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


def describe_settings(experiment: Experiment) -> str:
    """The settings a reader must know beside a number, in a few words.

    On MFCC what is published for SPRSound goes without saying, learning rate and batch too.
    """
    published = PUBLISHED[experiment.frontend]
    sized, mixed = experiment.model in ("ast", "dass"), experiment.method != "ce"
    words = [f"{experiment.model} {experiment.size}" if sized else experiment.model]
    if experiment.model == "ast" and experiment.stride != published.stride:
        words.append(f"stride {experiment.stride}")
    words += [
        f"{experiment.epochs} epoch{'s' * (experiment.epochs > 1)}",
        f"{experiment.clip_seconds:g} s clips",
    ]
    for key, word in (("lr", "lr {:g}"), ("batch_size", "batch {}")):
        if experiment.frontend == "fbank" or getattr(experiment, key) != getattr(published, key):
            words.append(word.format(getattr(experiment, key)))
    if mixed == experiment.class_weights and experiment.frontend == "fbank":
        words.append("weighted CE" if mixed else "unweighted CE")
    if experiment.method in ("patchmix_cl", "dual_axis_cl") and experiment.tau != published.tau:
        words.append(f"tau {experiment.tau:g}")
    words += [
        text.format(getattr(experiment, key))
        for key, text in NAMED.items()
        if getattr(experiment, key) != getattr(published, key)
    ]
    return ", ".join(words)
