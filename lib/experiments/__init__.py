"""The experiments of each system, declared as data: a base and what differs."""

from lib.config import Experiment, override


def declare(
    into: dict[str, Experiment], base: Experiment, name: str, **changes: object
) -> Experiment:
    """Add to `into` the experiment `name`: the base with these changes."""
    into[name] = override(base, name=name, **changes)
    return into[name]
