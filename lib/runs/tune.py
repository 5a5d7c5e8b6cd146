"""Hyperparameter search: Optuna suggests settings, Ray Tune trains trials side by side.

As Hu et al. 2023, III.B ("Bayesian optimization", here Optuna's tree-structured Parzen estimator):
frontend, learning rates and layer sizes are tuned on the Score of validation patients. A trial is a
run like any other, or two if the model starts from a SupCon run. study.db in the search's folder
survives a kill: the same command resumes trials at their last checkpoint and trains none twice.
"""

import json
import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from lib import files, paths
from lib.config import Experiment, hashed_settings, override
from lib.data import Dataset
from lib.errors import UserError
from lib.features.cache import FeatureCache, cache_for, data_fingerprint
from lib.features.frontends import clip_frames, frontend_for
from lib.models import weights
from lib.papers import get_experiment
from lib.papers.profiles import apply_rules
from lib.papers.sprsound import SEARCHES
from lib.runs import folder, local
from lib.runs import ray as runs_ray
from lib.runs.folder import RunSpec
from lib.runs.plan import open_context


def _choices(**values: tuple[int, ...]) -> dict[str, BaseDistribution]:
    return {name: CategoricalDistribution(choices) for name, choices in values.items()}


# Ranges of the published code; powers of two in between, as the paper says. It names no range of
# the FFT's length: ours. c1, c2, l1, l2: filters and hidden widths of the small CNN.
LR = {"lr": FloatDistribution(1e-4, 1e-1, log=True)}
FRONTEND = _choices(hop=(64, 128, 256, 512), n_mfcc=(8, 16, 32, 64), n_fft=(256, 512, 1024))
LAYERS = _choices(c1=(2, 4, 6, 8), c2=(8, 16, 32, 64), l1=(64, 128, 256, 512), l2=(8, 16, 32, 64))
SUPCON = {"supcon_lr": FloatDistribution(1e-4, 1e-2, log=True), "tau": FloatDistribution(0.1, 0.9)}
SETTINGS = (*LR, *FRONTEND, *LAYERS, *SUPCON)
SCORES = ("score", "inter", "intra", "test")  # of validation patients; of the test set
COLUMNS = [*("search", "task", "model", "profile", "trial"), *SETTINGS, *SCORES, "run"]
TRIALS = "sprsound_trials"  # table of the trials of all searches
STUDY = "study"
RANDOM_TRIALS = 4  # before the estimator has something to go by
optuna.logging.set_verbosity(optuna.logging.WARNING)
UNSAVED = {"save_embeddings": False, "save_train_predictions": False, "save_weights": False}


@dataclass(frozen=True)
class Search:
    """What is tuned, on which recordings, and within which ranges."""

    experiment: Experiment
    pretraining: Experiment | None  # the SupCon run that it starts from, tuned with it
    dataset: Dataset
    space: dict[str, BaseDistribution]
    seed: int = 1

    @property
    def folder(self) -> Path:
        """The search's folder, named by all that decides what its trials are."""
        stages = [self.experiment, *([self.pretraining] if self.pretraining else [])]
        settings = [hashed_settings(stage) for stage in stages]
        ranges = {name: repr(distribution) for name, distribution in self.space.items()}
        data = data_fingerprint(self.dataset, frontend_for(self.experiment))
        hash8 = files.digest([settings, ranges, self.seed, data])[:8]
        return paths.runs_root() / "search" / f"{folder.slug(self.experiment.name)}-{hash8}"

    def default_settings(self) -> dict:
        """The settings of the experiment itself: a trial with them is the experiment's own run."""
        settings = {name: getattr(self.experiment, name) for name in (*LR, *FRONTEND)}
        if "c1" in self.space:
            settings |= zip(LAYERS, map(int, self.experiment.size.split("-")), strict=True)
        if self.pretraining:
            settings |= {"supcon_lr": self.pretraining.lr, "tau": self.pretraining.tau}
        return settings

    def specs(self, settings: dict) -> list[RunSpec]:
        """The runs of a trial in training order; the last one is scored."""
        frontend = {name: settings[name] for name in FRONTEND if name in settings}
        layers = "-".join(str(settings[name]) for name in LAYERS if name in settings)
        size = {"size": layers} if layers else {}
        stages = [override(self.experiment, lr=settings["lr"], **frontend, **size)]
        if self.pretraining:
            supcon = {"lr": settings["supcon_lr"], "tau": settings["tau"], "save_weights": True}
            stages.insert(0, override(self.pretraining, **frontend, **supcon))
        data, specs = data_fingerprint(self.dataset, frontend_for(stages[-1])), []
        for stage in stages:
            initial = folder.weights_fingerprint(specs[-1]) if specs else weights.fingerprint(stage)
            specs.append(RunSpec(stage, self.seed, data, initial))
        return specs

    def storage(self) -> optuna.storages.RDBStorage:
        """The database of the study."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return optuna.storages.RDBStorage(f"sqlite:///{self.folder.absolute()}/study.db")

    def study(self) -> optuna.Study:
        """All trials of the search."""
        return optuna.create_study(
            storage=self.storage(), study_name=STUDY, direction="maximize", load_if_exists=True
        )

    def trials(self) -> pd.DataFrame:
        """The finished trials: trial, each setting, `SCORES` (percent) and run, nan if unknown.

        Trials count from 1; trial 0 has the default settings, and a run only if it was trained.
        """
        lines = [{"trial": 0, **self.default_settings()}]
        if (self.folder / "study.db").exists():
            finished = self.study().get_trials(states=(TrialState.COMPLETE,))
            for number, trial in enumerate(finished, 1):
                lines.append({"trial": number, **trial.params, "score": round(trial.value, 4)})
        for line in lines:
            if path := folder.find_run(self.specs(line)[-1]):
                line |= trial_scores(folder.read_record(path)) | {"run": path.name}
        return pd.DataFrame(lines, columns=["trial", *self.space, *SCORES, "run"])


def plan_search(task: str, model: str, profile: str = "laptop") -> Search:
    """The search for an experiment, such as 1-1 and cnn2/ce, with a profile's settings.

    Besides frontend and learning rate, it tunes the small CNN's layers, and SupCon's learning rate
    and temperature if the experiment starts from such a run.
    """
    context = open_context(profile)
    experiment = apply_rules(context.profile, get_experiment(f"{model}@{task}"))
    if experiment.frontend != "mfcc" or not experiment.validation_split:
        raise UserError(f"{model}@{task}: only SPRSound's experiments with validation patients")
    pretraining = None
    if experiment.init_from:
        pretraining = apply_rules(context.profile, get_experiment(experiment.init_from))
        pretraining = override(pretraining, validation_split=experiment.validation_split)
    layers = LAYERS if experiment.model == "cnn2" else {}
    space = LR | FRONTEND | layers | (SUPCON if pretraining else {})
    return Search(override(experiment, **UNSAVED), pretraining, context.sprsound, space)


def run(task: str, model: str, trials: int = 8, profile: str = "laptop") -> pd.DataFrame:
    """Train until a search has so many finished trials; returns `Search.trials`, best first.

    Expect 8 trials of the small CNN on two cores in about ten minutes with the laptop profile: each
    new frontend computes its features first (a minute, 10 to 300 MB).
    """
    table = run_search(plan_search(task, model, profile), trials)
    return table.sort_values("score", ascending=False)


def run_search(search: Search, trials: int) -> pd.DataFrame:
    """The same for a search; returns `Search.trials`, or raises `UserError` if some stopped."""
    with files.file_lock(search.folder / ".lock"):
        study = search.study()
        enqueue_unfinished(study)
        missing = trials - len(study.get_trials(states=(TrialState.COMPLETE,)))
        problems = _train_trials(search, len(study.trials), missing) if missing > 0 else []
    if problems:
        text = "trials stopped, the same command resumes them"
        raise UserError(f"{len(problems)} {text}: {problems[0]}")
    return search.trials()


def enqueue_unfinished(study: optuna.Study) -> None:
    """Suggest the trials that a killed search was training again, before any other."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _train_trials(search: Search, previous: int, count: int) -> list[str]:
    """Let Ray Tune train `count` more trials; returns why some stopped."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the runs write their own logs
    ray = runs_ray.connect()
    from ray import tune
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    available, resources = ray.cluster_resources(), {"cpu": 1}
    if available.get("GPU", 0):
        resources["gpu"] = local.gpu_share(search.experiment)
    seed = 1000 * search.seed + previous  # else resuming would sample the first trials again
    sampler = optuna.samplers.TPESampler(n_startup_trials=RANDOM_TRIALS, seed=seed)
    stored = {"storage": search.storage(), "study_name": STUDY}
    suggest = OptunaSearch(search.space, metric="score", mode="max", sampler=sampler, **stored)
    limited = ConcurrencyLimiter(suggest, max_concurrent=int(available["CPU"]))
    trainable = partial(train_trial, search=search, environment=runs_ray.folders())
    ray_folder = search.folder.absolute() / "ray"
    shutil.rmtree(ray_folder, ignore_errors=True)
    try:
        results = tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(search_alg=limited, num_samples=count),
            run_config=tune.RunConfig(storage_path=str(ray_folder), verbose=0),
        ).fit()
        return [str(error).strip().splitlines()[-1] for error in results.errors]
    finally:
        ray.shutdown()


def train_trial(settings: dict, search: Search, environment: dict[str, str]) -> dict[str, float]:
    """Train the runs of a trial, on features that are computed if they are new; {"score": percent}.

    environment: where the folders are, for a worker on another machine. The score is 0 if a run
    failed by itself or no epoch qualifies.
    """
    os.environ.update(environment)
    specs = search.specs(settings)
    cache = cache_for(search.dataset, frontend_for(specs[-1].experiment), progress=False)
    for spec in specs:
        _train_run(spec, cache)
        if folder.failure_reason(spec):
            return {"score": 0.0}
    return {"score": trial_scores(folder.read_record(specs[-1].folder)).get("score", 0.0)}


def _train_run(spec: RunSpec, cache: FeatureCache) -> None:
    """Train a run unless it is finished or failed by itself; raises `UserError` if it stopped."""
    record = folder.find_run(spec)
    finished = record and (not spec.experiment.save_weights or (record / folder.WEIGHTS).exists())
    if finished or folder.failure_reason(spec):
        return
    data = {"name": cache.meta["name"], "note": cache.meta.get("note", "")}
    initial = f"the run {spec.experiment.init_from}" if spec.experiment.init_from else "none"
    path = folder.start_run(spec, data, initial).absolute()
    words = local.worker_arguments(path, cache.path, clip_frames(spec.experiment))
    environment = {} if os.environ.get("CUDA_VISIBLE_DEVICES") else local.ONE_THREAD
    code = local.start_process(words, path / "log.txt", environment).wait()
    if code and not folder.failure_reason(spec):
        raise UserError(f"{path.name}: stopped; see its log.txt")


def trial_scores(record: dict) -> dict[str, float]:
    """`SCORES` (percent) of a record's validation-selected epoch; {} if none qualifies."""
    selected = record["selections"]["validation"]
    if selected is None:
        return {}
    scores = {"score": selected["validation"], **selected["test"].get("subsets", {})}
    scores["test"] = selected["test"]
    return {name: scores[name]["score"] for name in SCORES if name in scores}


def collect_trials(profile: str) -> pd.DataFrame:
    """One row for each finished trial of each of `SEARCHES`; trial 0 has the default settings.

    All is text (`COLUMNS`), as in the file that this saves in tables/ for `lib.tables.verify`. If
    more trials of a search were published than exist locally, the published ones are used.
    """
    published, tables = published_trials(), []
    for task, model in SEARCHES:
        search = plan_search(task, model, profile)
        about = {"search": search.folder.name, "task": task, "model": model, "profile": profile}
        table = search.trials().assign(**about).reindex(columns=COLUMNS).astype(object)
        table = table.where(table.notna(), "").astype(str)
        tables.append(max(table, published[published.search == search.folder.name], key=len))
    table = pd.concat(tables, ignore_index=True)
    path = open_context(profile).folder / "tables" / f"{TRIALS}.csv"
    files.write_text(path, table.to_csv(index=False))
    return table


def published_trials() -> pd.DataFrame:
    """The published table of trials; no rows if none were published."""
    path = paths.reports_root() / "tables" / f"{TRIALS}.csv"
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def best_records(trials: pd.DataFrame) -> set[Path]:
    """The records of the best trial of each search in `collect_trials`, as far as they are here."""
    trained = trials[(trials.run != "") & (trials.trial != "0")]
    order = trained.score.astype(float).sort_values(ascending=False, kind="stable").index
    names = trained.loc[order].drop_duplicates("search").run
    records = [
        root / name for name in names for root in (paths.runs_root(), folder.published_root())
    ]
    return {path for path in records if (path / "result.json").exists()}


def study_of(trials: pd.DataFrame, task: str, model: str) -> optuna.Study:
    """The finished trials of one search in `collect_trials`, as a study for Optuna's plots."""
    study = optuna.create_study(direction="maximize")
    trials = trials[(trials.task == task) & (trials.model == model) & (trials.trial != "0")]
    for row in trials.to_dict("records"):
        space = plan_search(task, model, row["profile"]).space
        params = {name: json.loads(row[name]) for name in space}
        trial = create_trial(params=params, distributions=space, value=float(row["score"]))
        study.add_trial(trial)
    return study
