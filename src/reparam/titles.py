"""Items of a catalogue by what people call them."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from reparam.errors import ReparamError


def find(words: str, vocabulary: Sequence[str]) -> list[int]:
    """The items of a list like "Alien, Brazil", in its order.

    A title is matched whatever its case, and without its year; or by a part that one title alone has. A comma
    may belong to a title. Raises ReparamError, with the nearest titles, for what is not found or not one.
    """
    exact: dict[str, list[int]] = {}
    for i, title in enumerate(vocabulary):
        for name in {title.casefold(), _without_year(title)}:
            exact.setdefault(name, []).append(i)
    pieces, found, start = words.split(","), [], 0
    while start < len(pieces):
        for end in range(len(pieces), start, -1):
            name = ",".join(pieces[start:end]).strip()
            if len(exact.get(name.casefold(), ())) == 1:
                break
        else:
            name, end = pieces[start].strip(), start + 1
        found.append(_one(name, exact, vocabulary))
        start = end
    if twice := [vocabulary[i] for i in found if found.count(i) > 1]:
        raise ReparamError(f"{twice[0]!r} was given twice.")
    return found


def _one(name: str, exact: dict[str, list[int]], vocabulary: Sequence[str]) -> int:
    if not name:
        raise ReparamError("an item without a name: write --items 'Alien, Brazil'.")
    several = exact.get(name.casefold()) or [
        i for i, title in enumerate(vocabulary) if name.casefold() in title.casefold()
    ]
    if len(several) == 1:
        return several[0]
    if several:
        some = ", ".join(repr(vocabulary[i]) for i in several[:5])
        raise ReparamError(f"{name!r} is said of {len(several)} items: {some}; write the whole title.")
    near = get_close_matches(name.casefold(), exact, n=3, cutoff=0.5)
    hint = ", ".join(repr(vocabulary[exact[each][0]]) for each in near)
    raise ReparamError(f"unknown item {name!r}; " + (f"did you mean {hint}?" if hint else "none is like it."))


def _without_year(title: str) -> str:
    return re.sub(r"\s*\(\d{4}\)$", "", title.casefold())
