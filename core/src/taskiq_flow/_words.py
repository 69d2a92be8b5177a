"""Parts of error messages that several checks share."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any

from attrs import define

__all__ = ["Suggestions", "find_lookalike", "name_class", "quote"]

_LONGEST_LIST = 30
_LARGEST_POOL = 1_000


def quote(names: Iterable[str]) -> str:
    """Return names as ``'a', 'b'``; after thirty names, only the number of the others."""
    listed = list(names)
    text = ", ".join(repr(name) for name in listed[:_LONGEST_LIST])
    rest = len(listed) - _LONGEST_LIST
    return f"{text} and {rest} more" if rest > 0 else text


def name_class(kind: type[Any]) -> str:
    """Return the name of a class, with its module where it is called like a built-in one (``numpy.bool``)."""
    if kind.__module__ != "builtins" and hasattr(builtins, kind.__qualname__):
        return f"{kind.__module__}.{kind.__qualname__}"
    return kind.__qualname__


def find_lookalike(name: str, known: Iterable[str], others: Iterable[str] = ()) -> str:
    """Return the known word that another one was most likely meant to be; empty if it is far from all of them.

    :param name: A word that means nothing here.
    :param known: The words that mean something.
    :param others: Words of other libraries, which mean what they say.
    """
    if name in others:
        return ""
    from difflib import get_close_matches

    plain = {each.replace("-", "_").casefold(): each for each in known}
    found = get_close_matches(name.replace("-", "_").casefold(), plain, n=1, cutoff=0.85)
    return plain[found[0]] if found else ""


@define
class Suggestions:
    """Close names for misspelt ones.

    Comparisons are slow, so their number is limited: an error for ten thousand wrong names must not take minutes.
    Past the limit there are no suggestions.

    :param known: The valid names.
    """

    known: Collection[str]
    comparisons_left: int = 10_000

    def closest(self, name: str) -> list[str]:
        """Return up to three names that are similar to ``name``, the closest first."""
        if self.comparisons_left <= 0:
            return []
        pool: Collection[str] = self.known
        if len(pool) > _LARGEST_POOL:
            start, size = name[:1].casefold(), len(name)
            alike = (it for it in pool if it[:1].casefold() == start and abs(len(it) - size) <= 2)
            pool = list(islice(alike, _LARGEST_POOL))
        self.comparisons_left -= max(len(self.known), len(pool))
        from difflib import get_close_matches  # needed for errors only

        by_lower: dict[str, str] = {}
        for candidate in pool:
            if candidate != name:
                by_lower.setdefault(candidate.casefold(), candidate)
        return [by_lower[match] for match in get_close_matches(name.casefold(), by_lower, n=3, cutoff=0.6)]

    def hint(self, name: str) -> str:
        """Return `` (did you mean 'row'?)``, with a space in front, or an empty text."""
        found = self.closest(name)
        return f" (did you mean {' or '.join(map(repr, found))}?)" if found else ""
