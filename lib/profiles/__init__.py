"""Profiles: the same experiments at four prices. A profile only sets fields."""

from lib.errors import unknown
from lib.profiles.cpu import CPU
from lib.profiles.paper import PAPER
from lib.profiles.profile import Profile, apply, seconds, seeds, why_not
from lib.profiles.quick import QUICK
from lib.profiles.smoke import SMOKE

__all__ = [
    "CPU",
    "PAPER",
    "PROFILES",
    "QUICK",
    "SMOKE",
    "Profile",
    "apply",
    "get",
    "seconds",
    "seeds",
    "why_not",
]

PROFILES = {profile.name: profile for profile in (QUICK, CPU, PAPER, SMOKE)}


def get(name: str) -> Profile:
    """A profile by name; an unknown name is an error with the nearest ones."""
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]
