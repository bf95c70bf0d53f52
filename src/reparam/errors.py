"""The one exception that is meant for people."""

from collections.abc import Iterable
from difflib import get_close_matches


class ReparamError(ValueError):
    """Something a user can mend: the message says what was wrong, where, and what to do.

    The command line prints it without a traceback and leaves with exit code 2.
    """


def unknown(what: str, name: str, known: Iterable[str]) -> ReparamError:
    """An error for a name that does not exist, with the nearest one that does."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}."
    return ReparamError(f"unknown {what} {name!r}; {hint}")
