"""Tuning: Optuna suggests settings, Ray Tune makes trials side by side, each a run like any other.

`python -m lib.runs.tune 1-1 cnn2/ce --trials 8`. Hu et al. 2023, III.B, "Bayesian optimization": here
Optuna's tree-structured Parzen estimator. A trial is one run, or two where the model starts from a
SupCon run, made by `lib.worker` and found again by its hash. What Optuna knows stands in study.db
below the runs: killed at any moment, the same command takes up what was under way at its last
checkpoint, and no finished trial is made again.
"""

import argparse
import os
import shutil
import sys
from functools import partial

import optuna
import pandas as pd
from optuna.trial import TrialState

from lib import files
from lib.errors import UserError
from lib.runs import local, tune_trials
from lib.runs import ray as runs_ray
from lib.runs.tune_trials import Search

AT_RANDOM = 4  # trials before the estimator has something to go by


def run(search: Search, wanted: int = 8) -> pd.DataFrame:
    """Make trials until there are so many; returns `trials.results`, also kept as trials.csv.

    Expect of the quick profile on two cores 8 trials of the small CNN in ten minutes or so: each
    new front end computes its features first (a minute, 10 to 300 MB).
    """
    with files.file_lock(search.folder / ".lock"):
        study = tune_trials.open_study(search)
        _ask_again(study)
        left = wanted - len(study.get_trials(states=(TrialState.COMPLETE,)))
        faults = _make(search, study, left) if left > 0 else []
        found = tune_trials.results(search)
        text = found.to_csv(index=False, lineterminator="\n")
        files.write_text(search.folder / "trials.csv", text)
    if faults:
        raise UserError(f"{len(faults)} trials stopped, the same command goes on: {faults[0]}")
    return found


def _ask_again(study: optuna.Study) -> None:
    """Put what a killed search had under way first in line: its runs go on where they stopped."""
    for one in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(one.number, state=TrialState.FAIL)
        study.enqueue_trial(one.params)


def _make(search: Search, study: optuna.Study, count: int) -> list[str]:
    """Let Ray Tune make so many trials more; returns why some stopped."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the runs write their own
    ray = runs_ray.connect()
    from ray import tune
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    resources, gpus = {"cpu": 1}, ray.cluster_resources().get("GPU", 0)
    if gpus:
        resources["gpu"] = local.gpu_share(search.experiment)
    # With the same seed again, a search that goes on would draw its first trials once more.
    draws = 1000 * search.seed + len(study.trials)
    suggest = OptunaSearch(
        search.space,
        metric="score",
        mode="max",
        sampler=optuna.samplers.TPESampler(n_startup_trials=AT_RANDOM, seed=draws),
        storage=tune_trials.storage(search),
        study_name=tune_trials.STUDY,
    )
    side_by_side = int(ray.cluster_resources()["CPU"])
    shutil.rmtree(search.folder / "ray", ignore_errors=True)
    places = {name: os.environ[name] for name in runs_ray.HANDED_ON if os.environ.get(name)}
    try:
        found = tune.Tuner(
            tune.with_resources(partial(tune_trials.make, search=search, places=places), resources),
            tune_config=tune.TuneConfig(
                search_alg=ConcurrencyLimiter(suggest, max_concurrent=side_by_side),
                num_samples=count,
            ),
            run_config=tune.RunConfig(
                storage_path=str((search.folder / "ray").absolute()), verbose=0
            ),
        ).fit()
        return [str(error).strip().splitlines()[-1] for error in found.errors]
    finally:
        ray.shutdown()


def main(argv: list[str]) -> None:
    """`python -m lib.runs.tune 1-1 cnn2/ce --trials 8`: make the trials, print the table."""
    parser = argparse.ArgumentParser(prog="python -m lib.runs.tune", description=__doc__)
    parser.add_argument("task", help="1-1, 1-2, 2-1, 2-2")
    parser.add_argument("model", help="cnn2/ce, resnet18/ce, resnet18_supcon/mixup, ...")
    parser.add_argument("--trials", type=int, default=8, help="finished ones count")
    parser.add_argument("--profile", default="quick", help="its price: quick, cpu or paper")
    options = parser.parse_args(argv)
    search = tune_trials.plan(options.task, options.model, options.profile)
    print(run(search, options.trials).sort_values("score", ascending=False).to_string(index=False))
    print(f"kept in {search.folder}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
