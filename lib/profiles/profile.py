"""What a profile is, and what it makes of an experiment.

Rules apply in order; each is (settings to match, settings to change). `seconds` is what an epoch of
a run was measured to cost on one CPU core, another run on the other, for the estimate that is
printed before a table is run.
"""

from dataclasses import dataclass, field

from lib import registry
from lib.config import Experiment, override

Match = dict[str, object]


@dataclass(frozen=True)
class Profile:
    """How much of the published setting a run of all notebooks pays for."""

    name: str
    about: str
    seeds: tuple[int, ...]
    verdict: bool  # whether our numbers may be judged against the paper's
    synthetic: bool = False  # whether it never looks for real recordings
    needs_gpu: bool = False  # whether its runs would take months on a CPU
    rules: tuple[tuple[Match, Match], ...] = ()
    not_run: tuple[tuple[Match, str], ...] = ()
    seconds: tuple[tuple[Match, float], ...] = field(default=(), repr=False)
    one_seed: tuple[str, ...] = ()  # rows that take the first seed alone


MEL_SECONDS = (
    ({"model": "mn04", "method": "patchmix_cl"}, 190),
    ({"model": "mn04"}, 100),
)


def apply(profile: Profile, experiment: Experiment) -> Experiment:
    """The experiment at this profile's price."""
    for match, changes in profile.rules:
        if matches(experiment, match):
            experiment = override(experiment, **changes)
    return experiment


def why_not(profile: Profile, experiment: Experiment) -> str:
    """Why this profile leaves the experiment out, or ""."""
    for match, reason in profile.not_run:
        if matches(experiment, match):
            return reason
    return ""


def seeds(profile: Profile, experiment: Experiment) -> tuple[int, ...]:
    """The seeds of a row: the profile's, unless it has its own; or the profile's first alone."""
    if experiment.name in profile.one_seed:
        return profile.seeds[:1]
    return registry.SEEDS.get(experiment.name, profile.seeds)


def seconds(profile: Profile, experiment: Experiment) -> float | None:
    """Measured seconds that a run takes on one CPU core, or None where nobody measured it."""
    for match, cost in MEL_SECONDS if experiment.dataset == "icbhi_mel" else profile.seconds:
        if matches(experiment, match):
            return cost * experiment.epochs * (2 if experiment.rho else 1)  # SAM: two passes
    return None


def matches(experiment: Experiment, match: Match) -> bool:
    """Whether the experiment has all these settings."""
    return all(getattr(experiment, key) == value for key, value in match.items())
