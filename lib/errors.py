"""The one exception for faults that the person at the keyboard can mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """One line that names the file or setting, the fault and the remedy."""


class TrainingError(UserError):
    """A fault of a run itself: made again, it would fail again."""


def unknown(kind: str, name: object, known: Iterable[str]) -> UserError:
    """An error for a name that is not known, with the nearest names that are."""
    known = [str(k) for k in known]
    near = get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(known)}"
    return UserError(f"unknown {kind} {str(name)!r}: {hint}")
