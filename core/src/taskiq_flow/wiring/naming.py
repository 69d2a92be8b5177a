"""Unique names for the nodes and the inputs of a graph."""

from __future__ import annotations

import keyword
from collections.abc import Iterable

__all__ = ["Names", "is_data_name"]


def is_data_name(name: object) -> bool:
    """Whether data can have a name: a word that a parameter could have, or several of them with dots between."""
    return isinstance(name, str) and all(
        part.isidentifier() and not keyword.iskeyword(part) for part in name.split(".")
    )


class Names:
    """Makes names that are unique within one graph: ``tag``, ``tag_2``, ``tag_3`` and so on.

    :param taken: Names that are in use already.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: dict[str, int] = {}

    def give(self, wanted: str) -> str:
        """Return a free name, as close to the wanted one as possible, and mark it as taken."""
        base = wanted if wanted.isidentifier() or is_data_name(wanted) else "step"
        if base not in self._taken:
            self._taken.add(base)
            return base
        # Counting resumes at the last number, so that ten thousand equal names take ten thousand steps.
        number = self._last.get(base, 1)
        name = base
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._last[base] = number
        self._taken.add(name)
        return name
