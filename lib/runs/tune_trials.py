"""What a search is: what is tuned, the runs that a trial consists of, and what is known so far.

Hu et al. 2023, III.B: front end, learning rate and sizes are tuned on the score of held-out
patients; no test answer is looked at. `lib.runs.tune` makes the trials.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from lib import paths, profiles, registry
from lib.config import Experiment, hashed_settings, override
from lib.data import Source
from lib.errors import UserError
from lib.features.cache import Store, digest, store_for
from lib.features.cache_build import fingerprint
from lib.features.frontends import clip_frames, front_end
from lib.models import weights
from lib.runs import folder as runs_folder
from lib.runs import local
from lib.runs.folder import Wanted
from lib.runs.plan import sprsound_source

Space = dict[str, BaseDistribution]

# Ranges of the published code; powers of two in between, as the paper says. It names no range of
# the FFT's length: ours.
FRONT = {
    "hop": CategoricalDistribution((64, 128, 256, 512)),
    "n_mfcc": CategoricalDistribution((8, 16, 32, 64)),
    "n_fft": CategoricalDistribution((256, 512, 1024)),
}
LAYERS = {  # of the small CNN: filters, filters, hidden width, hidden width
    "c1": CategoricalDistribution((2, 4, 6, 8)),
    "c2": CategoricalDistribution((8, 16, 32, 64)),
    "l1": CategoricalDistribution((64, 128, 256, 512)),
    "l2": CategoricalDistribution((8, 16, 32, 64)),
}
SUPCON = {
    "supcon_lr": FloatDistribution(1e-4, 1e-2, log=True),
    "tau": FloatDistribution(0.1, 0.9),
}
LR = {"lr": FloatDistribution(1e-4, 1e-1, log=True)}
STUDY = "study"


@dataclass(frozen=True)
class Search:
    """What is tuned, on which recordings, and within which ranges."""

    experiment: Experiment
    parent: Experiment | None  # the SupCon run that it starts from, tuned with it
    source: Source
    space: Space
    seed: int = 1

    @property
    def folder(self) -> Path:
        """Where the search is kept, named by all that decides what its trials are."""
        made = [self.experiment, *([self.parent] if self.parent else [])]
        data = fingerprint(self.source, front_end(self.experiment))
        ranges = {key: repr(value) for key, value in self.space.items()}
        mark = digest([[hashed_settings(one) for one in made], ranges, self.seed, data])[:8]
        return paths.runs_root() / "search" / f"{runs_folder.slug(self.experiment.name)}-{mark}"


def plan(task: str, model: str, profile: str = "quick") -> Search:
    """The search for an experiment of the registry, such as 1-1 and cnn2/ce, at a profile's price.

    Beside the front end and the learning rate, the small CNN's sizes are searched, and SupCon's
    learning rate and temperature where the experiment starts from such a run.
    """
    chosen = profiles.get(profile)
    experiment = profiles.apply(chosen, registry.get(f"{model}@{task}"))
    if experiment.frontend != "mfcc" or not experiment.validation_split:
        raise UserError(f"{model}@{task}: only SPRSound's experiments with held-out patients")
    lean = {"save_embeddings": False, "save_train_predictions": False, "save_weights": False}
    parent = None
    if experiment.init_from:
        parent = profiles.apply(chosen, registry.get(experiment.init_from))
        parent = override(parent, validation_split=experiment.validation_split)
    space = LR | FRONT
    space |= LAYERS if experiment.model == "cnn2" else {}
    space |= SUPCON if parent else {}
    return Search(override(experiment, **lean), parent, sprsound_source(chosen), space)


def defaults(search: Search) -> dict:
    """The settings of the experiment itself: with them, a trial is the row's own run."""
    one, first = search.experiment, search.parent
    known = {"lr": one.lr} | {key: getattr(one, key) for key in FRONT}
    sizes = (
        dict(zip(LAYERS, map(int, one.size.split("-")), strict=True))
        if "c1" in search.space
        else {}
    )
    return known | sizes | ({"supcon_lr": first.lr, "tau": first.tau} if first else {})


def chain(search: Search, settings: dict) -> list[Experiment]:
    """The runs of a trial in the order in which they are made; the last one is scored."""
    layers = "-".join(str(settings[key]) for key in LAYERS if key in settings)
    front = {key: settings[key] for key in FRONT if key in settings}
    own = {"lr": settings["lr"]} | front | ({"size": layers} if layers else {})
    last = override(search.experiment, **own)
    if search.parent is None:
        return [last]
    first = {"lr": settings["supcon_lr"], "tau": settings["tau"], "save_weights": True}
    return [override(search.parent, **front, **first), last]


def wanted(search: Search, settings: dict) -> list[Wanted]:
    """The same by all that they depend on; a run with a parent depends on all that this does."""
    found: list[Wanted] = []
    for one in chain(search, settings):
        data = fingerprint(search.source, front_end(one))
        mark = runs_folder.fingerprint(found[-1]) if found else weights.fingerprint(one)
        found.append(Wanted(one, search.seed, data, mark))
    return found


def score(one: Wanted) -> float:
    """Percent on the held-out patients; 0 if the run failed or no epoch qualified."""
    folder = runs_folder.find(one)
    chosen = runs_folder.read(folder)["selections"]["validation"] if folder else None
    return chosen["validation"]["score"] if chosen else 0.0


def open_study(search: Search) -> optuna.Study:
    """All that Optuna knows of a search, in a small database that survives a kill."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search.folder.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        storage=storage(search), study_name=STUDY, direction="maximize", load_if_exists=True
    )


def storage(search: Search) -> optuna.storages.RDBStorage:
    """Where the study of a search is kept."""
    return optuna.storages.RDBStorage(f"sqlite:///{(search.folder / 'study.db').absolute()}")


def results(search: Search) -> pd.DataFrame:
    """Finished trials so far: trial, each setting, score (percent), run (its hash)."""
    if not (search.folder / "study.db").exists():
        return pd.DataFrame(columns=["trial", *search.space, "score", "run"])
    done = open_study(search).get_trials(states=(TrialState.COMPLETE,))
    return pd.DataFrame(
        [
            {
                "trial": number,
                **{key: one.params[key] for key in search.space},
                "score": round(one.value, 4),
                "run": wanted(search, one.params)[-1].hash8,
            }
            for number, one in enumerate(done, 1)
        ],
        columns=["trial", *search.space, "score", "run"],
    )


def importance(found: pd.DataFrame, space: Space, seed: int = 0) -> pd.Series:
    """Each setting's share in the scores' variance (fANOVA), largest first; empty where undefined.

    found: as `results` gives it. Of a handful of trials it is a hint, no more.
    """
    if len(found) < 2 or found.score.nunique() < 2:
        return pd.Series(dtype=float)
    study = optuna.create_study(direction="maximize")
    for row in found.to_dict("records"):
        params = {key: row[key] for key in space}
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=space, value=row["score"])
        )
    judge = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    shares = optuna.importance.get_param_importances(study, evaluator=judge)
    return pd.Series(shares).reindex(list(space), fill_value=0.0).sort_values(ascending=False)


def make(settings: dict, search: Search, places: dict[str, str]) -> dict[str, float]:
    """One trial: the features if they are new, its runs in order, its score.

    places: environment variables that say where things lie, for a worker on another machine.
    """
    os.environ.update(places)
    made = wanted(search, settings)
    features = store_for(search.source, front_end(made[-1].experiment), progress=False)
    for one in made:
        _finish(one, features)
        if runs_folder.failure(one):
            break
    return {"score": score(made[-1])}


def _finish(one: Wanted, features: Store) -> None:
    """Make a run unless it is there; one that fails by itself is left, a stopped one an error."""
    folder, kept = runs_folder.find(one), not one.experiment.save_weights
    if folder and (kept or (folder / runs_folder.WEIGHTS).exists()):
        return
    if runs_folder.failure(one):
        return
    data = {"name": features.meta["name"], "note": features.meta.get("note", "")}
    source = f"the run {one.experiment.init_from}" if one.experiment.init_from else "none"
    folder = runs_folder.start(one, data, source).absolute()
    words = ["-m", "lib.worker", str(folder), str(features.path.absolute())]
    words += [str(clip_frames(one.experiment)), "--with-parent"]
    environment = {} if os.environ.get("CUDA_VISIBLE_DEVICES") else local.ONE_THREAD
    code = local.process(words, folder / "log.txt", environment).wait()
    if code and not runs_folder.failure(one):
        raise UserError(f"{folder.name}: stopped; see its log.txt")
