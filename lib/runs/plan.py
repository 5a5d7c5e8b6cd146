"""The plan: which training runs the tables of a profile need, given the data and weights here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import median

from lib import data, papers, paths
from lib.config import SELECTIONS, Experiment, override
from lib.errors import UserError
from lib.features.cache import FeatureCache, cache_for, open_cache, require_frontend
from lib.features.frontends import frontend_for
from lib.models import weights
from lib.papers.profiles import Profile, apply_rules, get_profile, seeds_of, skip_reason
from lib.papers.table_row import TableRow
from lib.runs import local, ray
from lib.runs.folder import RunSpec, failure_reason, find_run, weights_fingerprint

MEL_CACHE = "icbhi-mel-pictures"  # the name that such a feature cache has in its meta.json
HELD_OUT = 0.2
UNSAVED = dict.fromkeys(("save_embeddings", "save_landscape", "save_frequency_response"), False)
LIKE = ("dataset", "frontend", "clip_seconds", "model", "size", "method")  # runs that cost the same


@dataclass(frozen=True)
class Context:
    """A profile with its recordings, feature caches made elsewhere, and the output folder."""

    profile: Profile
    source: data.ICBHI
    given: tuple[FeatureCache, ...] = ()
    _caches: dict[tuple, FeatureCache] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Profile, dataset and how complete it is: names the folder of local reports."""
        return f"{self.profile.name}-{self.source.name}-{self.source.kind}"

    @property
    def folder(self) -> Path:
        """Where pages, tables and figures go: `OUT`, else reports/local/<name>."""
        return Path(os.environ.get("OUT") or paths.reports_root() / "local" / self.name)

    def sprsound(self) -> data.SPRSound:
        """SPRSound's recordings, or synthetic ones if none are here or none may be used."""
        return data.synthetic_sprsound() if self.profile.synthetic else data.find_sprsound()

    def cache(self, experiment: Experiment, dataset: str = "") -> FeatureCache | None:
        """The features an experiment reads, computed if needed; None if they can't be had here.

        dataset: one of its further test sets, instead of its own dataset.
        """
        frontend, dataset = frontend_for(experiment), dataset or experiment.dataset
        if dataset == "icbhi_mel":
            return next((one for one in self.given if _is_mel(one, frontend.frames)), None)
        if dataset == "sprsound":
            return self._computed(self.sprsound(), frontend)
        self.check_icbhi()
        own = [one for one in self.given if "front_end" in one.meta]
        for one in own:
            if one.meta["front_end"] == asdict(frontend):
                return one
        if own:
            require_frontend(own[0], frontend)  # raises: none fits
        return None if self.source.kind == "none" else self._computed(self.source, frontend)

    def check_icbhi(self) -> None:
        """Raise `UserError` if numbers are to be judged on less than all of ICBHI."""
        if self.profile.verdict:
            data.require_official(self.source, self.profile.name)

    def _computed(self, source: data.Dataset, frontend: object) -> FeatureCache:
        if (source, frontend) not in self._caches:
            self._caches[source, frontend] = cache_for(source, frontend)
        return self._caches[source, frontend]


@dataclass(frozen=True)
class PlannedRun:
    """One run that tables need: its selections, its specification, its record if there is one."""

    name: str  # of the experiment, as the paper's file has it
    experiment: Experiment  # with the profile's settings
    seed: int
    selections: tuple[str, ...]  # that its rows show; none for a run that others start from
    spec: RunSpec | None  # None: it can't be trained here
    record: Path | None  # a complete record, local or published
    reason: str = ""  # why it can't be trained
    pretraining: PlannedRun | None = None  # the run whose weights this one starts from

    @property
    def failed(self) -> str:
        """Why the run failed, or the run that it starts from, or ""."""
        own = failure_reason(self.spec) if self.spec else ""
        if own or not self.pretraining or not self.pretraining.failed:
            return own
        return f"the run {self.pretraining.name} that it starts from: {self.pretraining.failed}"


@cache
def open_context(profile: str) -> Context:
    """The context of a profile, from the environment: DATA_ROOT, FEATURES, SEEDS, OUT.

    Raises `UserError` for a feature cache that no experiment reads.
    """
    chosen = get_profile(profile)
    if os.environ.get("SEEDS"):
        chosen = replace(chosen, seeds=tuple(range(1, int(os.environ["SEEDS"]) + 1)))
    folders = [Path(name) for name in os.environ.get("FEATURES", "").split(os.pathsep) if name]
    given = tuple(map(open_cache, folders))
    for one in given:
        if "front_end" not in one.meta and cache_name(one) != MEL_CACHE:
            raise UserError(
                f"{one.path}: no experiment reads it: its meta.json names neither a front_end nor "
                f"{MEL_CACHE}"
            )
    if chosen.synthetic:
        return Context(chosen, data.synthetic_icbhi(), given)
    return Context(chosen, data.find_icbhi(_stand_in(given)), given)


def _stand_in(given: tuple[FeatureCache, ...]) -> data.ICBHI | None:
    """What stands for ICBHI's recordings if only feature caches are given."""
    for one in given:
        if "front_end" in one.meta:
            kind, note = one.meta.get("kind", "partial"), one.meta.get("note", "")
            return data.ICBHI(one.path, kind, note)
    if given:
        banner = "No ICBHI recordings here: only rows on given feature caches can be trained."
        return data.ICBHI(given[0].path, "none", banner)
    return None


def cache_name(one: FeatureCache) -> str:
    """The name of the data in a feature cache, for tables."""
    return one.meta.get("name", one.path.name)


def _is_mel(one: FeatureCache, frames: int) -> bool:
    """Whether this is the cache of mel pictures; clips that are too short are a `UserError`."""
    if cache_name(one) != MEL_CACHE:
        return False
    if one.features.shape[1] < frames:
        raise UserError(
            f"{one.path}: clips of {one.features.shape[1]} frames, but {frames} are needed; "
            "build it again with longer clips"
        )
    return True


def initial_weights_name(experiment: Experiment) -> str:
    """The name of the weights before training, for tables."""
    if experiment.init_from:
        return f"the run {experiment.init_from}"
    if experiment.init == "none":
        return "none"
    return f"{experiment.init} ({weights.find_file(experiment).name})"


def plan_runs(context: Context, *groups: str) -> list[PlannedRun]:
    """Every run that these groups of rows need, each once; a run follows the one it starts from."""
    runs: dict[tuple, PlannedRun] = {}
    for row in (row for group in groups for row in papers.GROUPS[group] if row.experiment):
        for experiment, selections in _variants(context.profile, row.experiment):
            seeds = seeds_of(context.profile, row.experiment)
            for seed in seeds:
                # One seed's embeddings are enough for a t-SNE.
                saved = experiment.save_embeddings and seed == seeds[0]
                key = (row.experiment.name, row.needs, selections, seed)
                if key not in runs:
                    own = override(experiment, save_embeddings=saved)
                    runs[key] = _plan_run(context, row, own, seed, selections)
    return list(_topological(runs.values()))


def _topological(runs: Iterable[PlannedRun]) -> Iterator[PlannedRun]:
    """The runs, each after the run that it starts from; those too, once each."""
    listed = set()
    for run in runs:
        first = run.pretraining
        if first and first.spec and first.spec.hash8 not in listed:
            listed.add(first.spec.hash8)
            yield first
        yield run


def _variants(profile: Profile, experiment: Experiment) -> list[tuple[Experiment, tuple[str, ...]]]:
    """The experiments that give a row's three selections: holding patients out is a setting."""
    experiment = apply_rules(profile, experiment)
    if experiment.validation_split:
        return [(experiment, SELECTIONS)]
    variants = [(experiment, ("test", "last"))]
    if experiment.name in papers.MAIN:
        held_out = override(experiment, validation_split=HELD_OUT, **UNSAVED)
        variants.append((held_out, ("validation",)))
    return variants


def _plan_run(
    context: Context, row: TableRow, experiment: Experiment, seed: int, selections: tuple[str, ...]
) -> PlannedRun:
    own = (row.experiment.name, experiment, seed, selections)
    if reason := _left_out(context.profile, row, experiment):
        return PlannedRun(*own, None, None, reason)
    pretraining = _pretraining(context, experiment, seed)
    spec, reason = _specify(context, experiment, seed, pretraining)
    if not reason:
        record = find_run(spec)
        if record or not _needs_gpu(context.profile, experiment) or has_gpu():
            return PlannedRun(*own, spec, record, pretraining=pretraining)
        reason = "needs a GPU"
    return PlannedRun(*own, None, find_run(spec), reason, pretraining)


def _left_out(profile: Profile, row: TableRow, experiment: Experiment) -> str:
    """Why a row is not trained although it could be, or ""."""
    for key in row.needs:
        if getattr(experiment, key) != getattr(row.experiment, key):
            return f"not applicable: the {profile.name} profile has no pretrained AST"
    return skip_reason(profile, experiment)


def _specify(
    context: Context, experiment: Experiment, seed: int, pretraining: PlannedRun | None
) -> tuple[RunSpec, str]:
    """A run's specification, and why it can't be trained here, or "".

    A fingerprint is None if its input is not here: a published record may have any.
    """
    caches = [context.cache(experiment, name) for name in ("", *experiment.test_sets)]
    if None in caches:
        data_print, reason = None, "its features were not given (--features)"
    else:
        data_print = "+".join(one.meta["fingerprint"] for one in caches)
        reason = weights.missing_reason(experiment)
    if pretraining is None:
        initial = None if reason else weights.fingerprint(experiment)
    else:
        reason = reason or pretraining.reason
        initial = None if pretraining.spec is None else weights_fingerprint(pretraining.spec)
    if reason and not (experiment.init_from or experiment.init != "none"):
        initial = ""
    return RunSpec(experiment, seed, data_print, initial), reason


def _pretraining(context: Context, experiment: Experiment, seed: int) -> PlannedRun | None:
    """The run that an experiment starts from, with the profile's settings."""
    if not experiment.init_from:
        return None
    first = override(
        apply_rules(context.profile, papers.get_experiment(experiment.init_from)),
        validation_split=experiment.validation_split,  # it must not see these patients either
        save_weights=True,
    )
    own = (experiment.init_from, first, seed, ())
    spec, reason = _specify(context, first, seed, _pretraining(context, first, seed))
    if reason:
        return PlannedRun(*own, None, None, reason)
    return PlannedRun(*own, spec, find_run(spec))


def _needs_gpu(profile: Profile, experiment: Experiment) -> bool:
    return profile.needs_gpu or experiment.budget == "gpu"


def has_gpu() -> bool:
    """Whether the executor has a GPU: this machine's, or one of the Ray cluster."""
    return ray.has_gpu() if local.executor_name() == "ray" else bool(local.visible_gpus())


def status(profile: str, notebooks: Iterable[str]) -> list[dict[str, object]]:
    """One row for each run that these notebooks need.

    Keys: experiment, seed, status (cached | to train | failed | not run), reason, minutes (what it
    would cost on this machine; None if unknown), record (the folder's name).
    """
    groups = dict.fromkeys(name for one in notebooks for name in papers.NOTEBOOKS.get(one, ()))
    seconds = epoch_seconds()
    rows = []
    for run in plan_runs(open_context(profile), *groups):
        state = "cached" if run.record else "failed" if run.failed else "to train"
        state = "not run" if not run.record and not run.spec else state
        cost = seconds.get(cost_key(run.experiment)) if state == "to train" else None
        rows.append({
            "experiment": run.name,
            "seed": run.seed,
            "status": state,
            "reason": run.failed or ("" if run.record else run.reason),
            "minutes": cost and round(cost * run.experiment.epochs / 60, 1),
            "record": run.record.name if run.record else "",
        })  # fmt: skip
    return rows


def cost_key(experiment: Experiment) -> tuple:
    """The settings by which the cost of an epoch is estimated."""
    return tuple(getattr(experiment, key) for key in LIKE)


def epoch_seconds() -> dict[tuple, float]:
    """`cost_key` -> median seconds of an epoch in the logs of this machine's local runs."""
    from lib.runs.folder import read_spec

    times: dict[tuple, list[float]] = {}
    for log in sorted(paths.runs_root().glob("*/log.txt")):
        epochs = re.findall(r"^epoch \d+ took ([\d.]+) s$", log.read_text(errors="replace"), re.M)
        if epochs and (log.parent / "experiment.json").exists():
            key = cost_key(read_spec(log.parent).experiment)
            times.setdefault(key, []).extend(map(float, epochs))
    return {key: median(values) for key, values in times.items()}
