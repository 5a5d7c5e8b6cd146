"""A study: one profile on the data that is here, and which runs its tables want."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from lib import data, paths, profiles, registry, rows
from lib.config import SELECTIONS, Experiment, override
from lib.errors import UserError
from lib.features import cache as features_cache
from lib.features.frontends import Front, FrontEnd, front_end
from lib.models import weights
from lib.profiles import Profile
from lib.row import Row
from lib.runs import folder as runs_folder
from lib.runs import local, ray
from lib.runs.folder import Wanted

MEL_STORE = "icbhi-mel-pictures"  # the name such a store carries in its meta.json
HOLD_OUT = 0.2
LEAN = dict.fromkeys(("save_embeddings", "save_landscape", "save_frequency_response"), False)


@dataclass(frozen=True)
class Study:
    """A profile, where the recordings are, and stores that came from elsewhere."""

    profile: Profile
    source: data.Source
    given: tuple[features_cache.Store, ...] = ()
    _stores: dict[tuple, features_cache.Store] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Names the folder of local reports: profile, data set, how complete."""
        return f"{self.profile.name}-{self.source.dataset}-{self.source.kind}"

    @property
    def folder(self) -> Path:
        """Where this study's pages, tables and figures go (REPORT_DIR, else local reports)."""
        given = os.environ.get("REPORT_DIR")
        return Path(given) if given else paths.reports_root() / "local" / self.name

    def data_name(self, experiment: Experiment) -> dict[str, str]:
        """What the numbers stand on: a short name for tables and the note for banners."""
        found = self.store(experiment)
        return {"name": _name(found), "note": found.meta.get("note", "")}

    def store(self, experiment: Experiment) -> features_cache.Store | None:
        """The features an experiment reads; built when needed; None if they can't be had here."""
        front = front_end(experiment)
        if experiment.dataset == "icbhi_mel":
            return next((s for s in self.given if _is_mel(s, front)), None)
        if experiment.dataset == "sprsound":
            return self._built(sprsound_source(self.profile), front)
        self.check_icbhi()
        own = [one for one in self.given if "front_end" in one.meta]
        for one in own:
            if one.meta["front_end"] == asdict(front):
                return one
        if own:
            features_cache.require(own[0], front)  # raises: none fits
        return None if self.source.kind == "none" else self._built(self.source, front)

    def check_icbhi(self) -> None:
        """Refuse numbers that are to be judged on less than all of ICBHI."""
        if self.profile.verdict:
            data.require_official(self.source, self.profile.name)

    def _built(self, source: data.Source, front: Front) -> features_cache.Store:
        if (source, front) not in self._stores:
            self._stores[source, front] = features_cache.store_for(source, front)
        return self._stores[source, front]


@dataclass(frozen=True)
class Planned:
    """One run that a table wants: whose row, which selections it gives, and how it stands."""

    name: str  # the registry's name of the experiment
    experiment: Experiment
    seed: int
    selections: tuple[str, ...]
    wanted: Wanted | None  # None: can't be made here
    record: Path | None  # a complete record, local or published
    reason: str = ""  # why it can't be made
    parent: Planned | None = None  # the run whose weights this one starts from

    @property
    def failed(self) -> str:
        """Why the run failed, or the one that it starts from, or ""."""
        own = runs_folder.failure(self.wanted) if self.wanted else ""
        if own or not self.parent or not self.parent.failed:
            return own
        return f"the run {self.parent.name} that it starts from: {self.parent.failed}"


def weights_name(experiment: Experiment) -> str:
    """What the weights were before training, for tables: the initialisation and its file."""
    if experiment.init_from:
        return f"the run {experiment.init_from}"
    if experiment.init == "none":
        return "none"
    return f"{experiment.init} ({weights.find(experiment).name})"


def sprsound_source(profile: Profile) -> data.Source:
    """SPRSound's recordings, or the synthetic ones where none are here or none may be used."""
    return data.synthetic_sprsound_source() if profile.synthetic else data.find_sprsound()


@cache
def open_study(profile: str) -> Study:
    """The study of a profile on the data named by DATA_ROOT and STORE (see `lib.data.find`)."""
    chosen = profiles.get(profile)
    folders = [Path(p) for p in os.environ.get("STORE", "").split(os.pathsep) if p]
    given = tuple(features_cache.open_store(folder) for folder in folders)
    for one in given:
        if "front_end" not in one.meta and _name(one) != MEL_STORE:
            raise UserError(
                f"{one.path}: no experiment reads it: its meta.json names neither a front_end nor "
                f"{MEL_STORE}"
            )
    if chosen.synthetic:
        return Study(chosen, data.synthetic_source(), given)
    return Study(chosen, data.find(_stand_in(given)), given)


def _stand_in(given: tuple[features_cache.Store, ...]) -> data.Source | None:
    """What stands for recordings where only stores are given: what the store says of its own."""
    for one in given:
        if "front_end" in one.meta:
            kind, note = one.meta.get("kind", "partial"), one.meta.get("note", "")
            return data.Source("icbhi", one.path, kind, note)
    if given:
        banner = "No ICBHI recordings here: only rows on given feature stores can be run."
        return data.Source("icbhi", given[0].path, "none", banner)
    return None


def _name(one: features_cache.Store) -> str:
    return one.meta.get("name", one.path.name)


def _is_mel(one: features_cache.Store, front: FrontEnd) -> bool:
    """Whether this is the store of mel pictures; one with shorter clips than wanted: UserError."""
    if _name(one) != MEL_STORE:
        return False
    if one.features.shape[1] < front.frames:
        raise UserError(
            f"{one.path}: clips of {one.features.shape[1]} frames, but {front.frames} are wanted; "
            "build it again, longer"
        )
    return True


def plan(study: Study, *tables: str) -> list[Planned]:
    """Every run these tables want, each once, in the tables' order."""
    found: dict[tuple, Planned] = {}
    for row in (row for table in tables for row in rows.table(table)):
        if row.experiment is None:
            continue
        for experiment, selections in _variants(study.profile, row):
            seeds = profiles.seeds(study.profile, registry.get(row.experiment))
            for seed in seeds:
                drawn = experiment.save_embeddings and seed == seeds[0]  # the t-SNE shows one seed
                asked = override(experiment, save_embeddings=drawn)
                key = (row.experiment, row.needs, selections, seed)
                if key not in found:
                    found[key] = _planned(study, row, asked, seed, selections)
    return list(found.values())


def _variants(profile: Profile, row: Row) -> list[tuple[Experiment, tuple[str, ...]]]:
    """The experiments that give a row's three selections (spec: holding out is a setting)."""
    experiment = profiles.apply(profile, registry.get(row.experiment))
    if experiment.method == "none":  # what is transferred is one epoch
        return [(experiment, ("validation", "last"))]
    if experiment.validation_split:
        return [(experiment, SELECTIONS)]
    variants = [(experiment, ("test", "last"))]
    if row.experiment in registry.MAIN:
        held_out = override(experiment, validation_split=HOLD_OUT, **LEAN)
        variants.append((held_out, ("validation",)))
    return variants


def _planned(
    study: Study, row: Row, experiment: Experiment, seed: int, selections: tuple[str, ...]
) -> Planned:
    known = (row.experiment, experiment, seed, selections)
    if reason := _left_out(study, row, experiment):
        return Planned(*known, None, None, reason)
    missing = _missing(study, experiment)
    if not missing:
        wanted, parent = _wanted(study, experiment, seed)
        record = runs_folder.find(wanted)
        gpu_wanted = study.profile.needs_gpu or row.experiment in registry.GPU
        if record or not gpu_wanted or has_gpu():
            return Planned(*known, wanted, record, parent=parent)
        missing = "needs a GPU"
    record = _published(study, experiment, seed)
    return Planned(*known, None, record, missing, _unmade(study, experiment, seed))


def _unmade(study: Study, experiment: Experiment, seed: int) -> Planned | None:
    """The parent of a run that can't be made here: what it is, not how it stands."""
    if not experiment.init_from:
        return None
    parent = _parent(study, experiment)
    above = _unmade(study, parent, seed)
    return Planned(experiment.init_from, parent, seed, (), None, None, parent=above)


def _missing(study: Study, experiment: Experiment) -> str:
    """What a run, or the run that it starts from, would need and is not here; "" if nothing."""
    if study.store(experiment) is None:
        return "its feature store was not given (README, Data: --store)"
    missing = weights.missing(experiment)
    if missing or not experiment.init_from:
        return missing
    return _missing(study, _parent(study, experiment))


def _published(study: Study, experiment: Experiment, seed: int) -> Path | None:
    """A published record, for when the inputs are not here; of a child, that of its own parent."""
    features, mark = study.store(experiment), None
    if experiment.init_from:
        parent = _published(study, _parent(study, experiment), seed)
        if parent is None:
            return None
        mark = runs_folder.fingerprint(runs_folder.of_record(parent))
    data = features.meta["fingerprint"] if features else None
    return runs_folder.find_published(experiment, seed, data, mark)


def _wanted(study: Study, experiment: Experiment, seed: int) -> tuple[Wanted, Planned | None]:
    """A run by all it depends on; with a parent, that is all that the parent depends on too."""
    features = study.store(experiment).meta["fingerprint"]
    if not experiment.init_from:
        return Wanted(experiment, seed, features, weights.fingerprint(experiment)), None
    asked = _parent(study, experiment)
    wanted, parent = _wanted(study, asked, seed)
    planned = Planned(
        experiment.init_from, asked, seed, (), wanted, runs_folder.find(wanted), parent=parent
    )
    return Wanted(experiment, seed, features, runs_folder.fingerprint(wanted)), planned


def _parent(study: Study, experiment: Experiment) -> Experiment:
    """What an experiment starts from, at the profile's price."""
    return override(
        profiles.apply(study.profile, registry.get(experiment.init_from)),
        validation_split=experiment.validation_split,  # the parent must not see them either
        save_weights=True,
    )


def _left_out(study: Study, row: Row, experiment: Experiment) -> str:
    """Why a row is not run even where it could be: its cost, or because it would mean nothing."""
    published = registry.get(row.experiment)
    for key in row.needs:
        if getattr(experiment, key) != getattr(published, key):
            return f"not applicable: the {study.profile.name} profile has no pretrained AST"
    return profiles.why_not(study.profile, experiment)


def has_gpu() -> bool:
    """Whether the executor has a GPU: this machine's, or one of the Ray cluster."""
    return ray.has_gpu() if local.executor() == "ray" else bool(local.gpus())
