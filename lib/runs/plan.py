"""The plan: which training runs the tables of a profile need, given the data and weights here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from lib import data, papers, paths
from lib.config import SELECTIONS, Experiment, override
from lib.errors import UserError
from lib.features.cache import (
    FeatureCache,
    cache_for,
    data_fingerprint,
    open_cache,
    require_frontend,
)
from lib.features.frontends import Frontend, frontend_for, frontend_settings
from lib.models import weights
from lib.papers.profiles import Profile, apply_rules, get_profile, seeds_of, skip_reason
from lib.papers.table_row import TableRow
from lib.runs import local, ray
from lib.runs.folder import (
    WEIGHTS,
    RunSpec,
    failure_reason,
    find_hash,
    find_run,
    read_spec,
    weights_fingerprint,
)

MEL_CACHE = "icbhi-mel-pictures"  # the name that such a feature cache has in its meta.json
RANDOM_WEIGHTS = "RANDOM.txt"  # beside weights that a rehearsal makes up
NO_RESULT = "random weights in the published layout, NO RESULT"
HELD_OUT = 0.2
UNSAVED = dict.fromkeys(("save_embeddings", "save_landscape", "save_frequency_response"), False)
LIKE = ("dataset", "frontend", "clip_seconds", "model", "size", "method")  # runs that cost the same

_fingerprint = cache(data_fingerprint)  # it lists and stats all input files


@dataclass(frozen=True)
class Context:
    """A profile with its recordings, feature caches made elsewhere, and the output folder."""

    profile: Profile
    source: data.ICBHI
    given: tuple[FeatureCache, ...] = ()

    @property
    def name(self) -> str:
        """Profile, dataset and how complete it is: names the folder of local reports."""
        return f"{self.profile.name}-{self.source.name}-{self.source.kind}"

    @property
    def folder(self) -> Path:
        """Where pages, tables and figures go: `OUT`, else reports/local/<name>."""
        return Path(os.environ.get("OUT") or paths.reports_root() / "local" / self.name)

    @cached_property
    def sprsound(self) -> data.SPRSound:
        """SPRSound's recordings, or synthetic ones if none are here or none may be used."""
        return (data.synthetic_dataset if self.profile.synthetic else data.find_dataset)("sprsound")

    def cache(self, experiment: Experiment, dataset: str = "") -> FeatureCache | None:
        """The features an experiment reads, computed if needed; None if they can't be had here.

        dataset: one of its further test sets, instead of its own dataset.
        """
        features = self._features(experiment, dataset or experiment.dataset)
        return cache_for(*features) if isinstance(features, tuple) else features

    def fingerprint(self, experiment: Experiment) -> str | None:
        """Fingerprints of the features that a run reads, its test sets' too, joined by "+".

        No feature is computed for it. None if some can't be had here.
        """
        datasets = (experiment.dataset, *experiment.test_sets)
        features = [self._features(experiment, dataset) for dataset in datasets]
        if None in features:
            return None
        return "+".join(
            _fingerprint(*each) if isinstance(each, tuple) else each.meta["fingerprint"]
            for each in features
        )

    def check_icbhi(self) -> None:
        """Raise `UserError` if numbers are to be judged on less than all of ICBHI."""
        if self.profile.verdict:
            data.require_official(self.source, self.profile.name)

    def _features(
        self, experiment: Experiment, dataset: str
    ) -> FeatureCache | tuple[data.Dataset, Frontend] | None:
        """A feature cache that was given, or from what one is computed, or None."""
        frontend = frontend_for(experiment)
        if dataset == "icbhi_mel":
            return next((each for each in self.given if _is_mel(each, frontend.frames)), None)
        if dataset == "sprsound":
            return None if self.sprsound.kind == "none" else (self.sprsound, frontend)
        self.check_icbhi()
        given = [each for each in self.given if "frontend" in each.meta]
        for each in given:
            if each.meta["frontend"] == frontend_settings(frontend):
                return each
        if given:
            require_frontend(given[0], frontend)  # raises: none fits
        return None if self.source.kind == "none" else (self.source, frontend)


@dataclass(frozen=True)
class PlannedRun:
    """One run that tables need: its selections, its specification, its record if there is one."""

    name: str  # of the experiment, as the paper's file has it
    experiment: Experiment  # with the profile's settings
    seed: int
    selections: tuple[str, ...]  # that its rows show; none for a run that others start from
    spec: RunSpec  # a fingerprint is None if what it is of is not here
    record: Path | None  # a complete record, local or published
    reason: str = ""  # why it can't be trained here
    pretraining: PlannedRun | None = None  # the run whose weights this one starts from

    @property
    def failed(self) -> str:
        """Why the run failed, or the run that it starts from, or ""."""
        own = "" if self.reason else failure_reason(self.spec)
        if own or not self.pretraining or not self.pretraining.failed:
            return own
        return f"the run {self.pretraining.name} that it starts from: {self.pretraining.failed}"

    @property
    def stages(self) -> list[PlannedRun]:
        """The runs that this one starts from, the first stage first, and itself."""
        return [*(self.pretraining.stages if self.pretraining else ()), self]


@cache
def open_context(profile: str) -> Context:
    """The context of a profile, from the environment: DATA_ROOT, FEATURES, SEEDS, ONLY, OUT.

    Raises `UserError` for a feature cache that no experiment reads.
    """
    chosen = get_profile(profile)
    if os.environ.get("SEEDS"):
        chosen = replace(chosen, seeds=tuple(range(1, int(os.environ["SEEDS"]) + 1)))
    if os.environ.get("ONLY"):
        chosen = replace(chosen, budgets=(*chosen.budgets, "long"))
    folders = [Path(name) for name in os.environ.get("FEATURES", "").split(os.pathsep) if name]
    given = tuple(map(open_cache, folders))
    for each in given:
        if "frontend" not in each.meta and cache_name(each) != MEL_CACHE:
            raise UserError(
                f"{each.path}: no experiment reads it: its meta.json names neither a frontend nor "
                f"{MEL_CACHE}"
            )
    if chosen.synthetic:
        return Context(chosen, data.synthetic_dataset("icbhi"), given)
    return Context(chosen, data.find_dataset("icbhi", _stand_in(given)), given)


def _stand_in(given: tuple[FeatureCache, ...]) -> data.ICBHI | None:
    """What stands for ICBHI's recordings if only feature caches are given."""
    for each in given:
        if "frontend" in each.meta:
            return data.ICBHI(
                each.path, each.meta.get("kind", "partial"), each.meta.get("note", "")
            )
    if given:
        banner = "No ICBHI recordings here: only rows on given feature caches can be trained."
        return data.ICBHI(given[0].path, "none", banner)
    return None


def cache_name(features: FeatureCache) -> str:
    """The name of the data in a feature cache, for tables."""
    return features.meta.get("name", features.path.name)


def _is_mel(features: FeatureCache, frames: int) -> bool:
    """Whether this is the cache of mel pictures; clips that are too short are a `UserError`."""
    if cache_name(features) != MEL_CACHE:
        return False
    if (length := features.features.shape[1]) < frames:
        raise UserError(
            f"{features.path}: clips of {length} frames, but {frames} are needed; build it again "
            "with longer clips"
        )
    return True


def initial_weights_name(experiment: Experiment) -> str:
    """The name of the weights before training, for tables."""
    if experiment.init_from:
        return f"the run {experiment.init_from}"
    if experiment.init == "none":
        return "none"
    path = weights.find_file(experiment)
    made_up = (path.parent / RANDOM_WEIGHTS).exists()
    return f"{experiment.init} ({NO_RESULT if made_up else path.name})"


def plan_runs(context: Context, *groups: str) -> list[PlannedRun]:
    """Every run that these groups of rows need, each once; a run follows the one it starts from."""
    runs: list[PlannedRun] = []
    profile = context.profile
    for row in (row for group in groups for row in papers.GROUPS[group] if row.experiment):
        if row.stored:
            runs += [run for run in _stored_runs(row) if run not in runs]
            continue
        seeds = seeds_of(profile, row.experiment)
        for experiment, selections in _variants(profile, row.experiment):
            left_out = _not_applicable(profile, row, experiment)
            for seed in seeds:
                if seed != seeds[0]:  # one seed's embeddings are enough for a t-SNE
                    experiment = override(experiment, save_embeddings=False)
                run = _plan_run(context, experiment, seed, selections, left_out)
                runs += [stage for stage in run.stages if stage not in runs]
    return runs


def _stored_runs(row: TableRow) -> list[PlannedRun]:
    """The finished runs that a row names, local or published; nothing is trained for it."""
    name, runs = row.experiment.name, []
    for hash8 in row.stored.split():
        nothing = RunSpec(row.experiment, 0, None, None)
        record, reason = find_hash(hash8), f"the run {hash8} is not stored here"
        spec = read_spec(record) if record else nothing
        runs.append(PlannedRun(name, spec.experiment, spec.seed, SELECTIONS, spec, record, reason))
    return runs


def _variants(profile: Profile, experiment: Experiment) -> list[tuple[Experiment, tuple[str, ...]]]:
    """The experiments that give a row's three selections: holding patients out is a setting."""
    experiment = apply_rules(profile, experiment)
    if experiment.validation_split or experiment.method == "probe":  # a probe cross-validates
        return [(experiment, SELECTIONS)]
    variants = [(experiment, ("test", "last"))]
    if experiment.name in papers.MAIN:
        held_out = override(experiment, validation_split=HELD_OUT, **UNSAVED)
        variants.append((held_out, ("validation",)))
    return variants


def _not_applicable(profile: Profile, row: TableRow, experiment: Experiment) -> str:
    """Why a row would mean nothing with a profile's settings, or ""."""
    for key in row.needs:
        if getattr(experiment, key) != getattr(row.experiment, key):
            return f"not applicable: the {profile.name} profile has no pretrained AST"
    return "" if experiment.budget == "long" else skip_reason(profile, experiment)


def _plan_run(
    context: Context, experiment: Experiment, seed: int, selections: tuple = (), left_out: str = ""
) -> PlannedRun:
    run = (experiment.name, experiment, seed, selections)
    if left_out:
        return PlannedRun(*run, RunSpec(experiment, seed, None, None), None, left_out)
    first = _pretraining(context, experiment, seed)
    features = context.fingerprint(experiment)
    if first:  # without data or weights here, its record may say what it is
        initial = weights_fingerprint(read_spec(first.record) if first.record else first.spec)
        missing = first.reason
    else:
        initial, missing = weights.find_fingerprint(experiment)
    if features is None:
        missing = "its features were not given (--features)"
    spec = RunSpec(experiment, seed, features, initial)
    record = find_run(spec)
    gpu = context.profile.needs_gpu or experiment.budget == "gpu"
    if not missing and not record and gpu and not has_gpu():
        missing = "needs a GPU"
    if not missing and not record:  # published or trained with --only, it is shown
        missing = skip_reason(context.profile, experiment)
    return PlannedRun(*run, spec, record, missing, first)


def _pretraining(context: Context, experiment: Experiment, seed: int) -> PlannedRun | None:
    """The run that an experiment starts from, with the profile's settings."""
    if not experiment.init_from:
        return None
    first = apply_rules(context.profile, papers.get_experiment(experiment.init_from))
    held_out = experiment.validation_split  # these patients must not be seen there either
    first = override(first, validation_split=held_out, save_weights=True)
    return _plan_run(context, first, seed)


def pending_runs(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """The runs to train, each once, in order: those without a record, and what they start from.

    If ONLY is set, a pattern of experiments' names, no other run is trained.
    """
    pending: dict[str, PlannedRun] = {}
    needed = set()  # runs that must leave their weights here
    for run in reversed(runs):
        if run.reason or run.failed or run.spec.hash8 in pending:
            continue
        weights_missing = run.spec.hash8 in needed and not has_weights(run)
        asked = fnmatchcase(run.name, os.environ.get("ONLY") or "*")
        if weights_missing or (run.selections and not run.record and asked):
            pending[run.spec.hash8] = run
            if run.pretraining:
                needed.add(run.pretraining.spec.hash8)
    return list(reversed(pending.values()))


def has_weights(run: PlannedRun) -> bool:
    """Whether a run is complete here with the weights that another one starts from."""
    folder = run.spec.folder
    return (folder / WEIGHTS).exists() and (folder / "result.json").exists()


def has_gpu() -> bool:
    """Whether the executor has a GPU: this machine's, or one of the Ray cluster."""
    return ray.has_gpu() if local.executor_name() == "ray" else bool(local.visible_gpus())


def status(profile: str, notebooks: Iterable[str]) -> pd.DataFrame:
    """One row for each run that these notebooks need; trains and computes nothing.

    Columns: experiment, seed, status (cached | to train | failed | not run), reason, minutes (on
    one core or GPU of this machine; nan if unknown), record (the name of the run's folder).
    """
    runs, lines = plan_runs(open_context(profile), *papers.groups_of(notebooks)), []
    pending = pending_runs(runs)
    seconds = dict(zip((run.spec.hash8 for run in pending), estimate_seconds(pending), strict=True))
    shown = {run.spec.hash8 for run in runs if run.selections}  # others are started from
    for run in runs:
        text, reason = ("failed", run.failed) if run.failed else ("not run", run.reason)
        if not (run.record or reason):
            reason = "not named by --only"
        if run.spec.hash8 in seconds or run.record:
            text, reason = "to train" if run.spec.hash8 in seconds else "cached", ""
        minutes = round(seconds.get(run.spec.hash8, 0) / 60, 1) or np.nan
        record = run.record.name if run.record else ""
        if run.selections or (text == "to train" and run.spec.hash8 not in shown):
            lines.append((run.name, run.seed, text, reason, minutes, record))
    columns = ["experiment", "seed", "status", "reason", "minutes", "record"]
    return pd.DataFrame(lines, columns=columns)


def estimate_seconds(runs: Iterable[PlannedRun]) -> list[float]:
    """What each run costs on this machine, by finished epochs of runs like it; 0 if unknown."""
    times: dict[tuple, list[float]] = {}
    for log in sorted(paths.runs_root().glob("*/log.txt")):
        epochs = re.findall(r"^epoch \d+ took ([\d.]+) s", log.read_text(errors="replace"), re.M)
        with suppress(UserError):  # a damaged folder says nothing of costs
            settings = read_spec(log.parent).experiment
            kind = tuple(getattr(settings, key) for key in LIKE)
            times.setdefault(kind, []).extend(map(float, epochs))
    kinds = [tuple(getattr(run.experiment, key) for key in LIKE) for run in runs]
    return [
        median(times.get(kind) or [0]) * run.experiment.epochs
        for kind, run in zip(kinds, runs, strict=True)
    ]
