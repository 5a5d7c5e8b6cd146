"""Errors that a user can fix: each is one line that names the problem and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """One line that names the file or setting, the problem and the remedy."""


class TrainingError(UserError):
    """A run that failed by itself, such as a loss that is not finite: it would fail again."""


def unknown(kind: str, name: object, choices: Iterable[str]) -> UserError:
    """Return an error for an unknown name, with the nearest names that exist."""
    choices = [str(choice) for choice in choices]
    near = get_close_matches(str(name), choices, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(map(repr, near))}?"
    else:
        hint = f"known: {', '.join(choices)}"
    return UserError(f"unknown {kind} {str(name)!r}: {hint}")
