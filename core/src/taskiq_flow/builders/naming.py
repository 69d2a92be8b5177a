"""The names that users give, and names for the places of a graph that they did not name."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from typing import Any

from taskiq_flow.errors import GraphError
from taskiq_flow.graph._words import quoted

__all__ = ["Names", "declared_names"]


class Names:
    """Gives names that are unique within one graph: ``tag``, ``tag_2``, ``tag_3`` and so on.

    :param taken: Names that are in use already.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: dict[str, int] = {}

    def give(self, wanted: str) -> str:
        """Give a name that is free, as close to the wanted one as can be."""
        base = wanted if wanted.isidentifier() else "step"
        if base not in self._taken:
            self._taken.add(base)
            return base
        # Counting goes on where it stopped, so that ten thousand equal wishes cost no more than that many steps.
        number = self._last.get(base, 1)
        name = base
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._last[base] = number
        self._taken.add(name)
        return name


def declared_names(*, output: object = None, outputs: object = None, inputs: object = None) -> dict[str, Any]:
    """Check names that a user declares, and give them as arguments of :class:`TaskSpec`.

    :raises GraphError: with every problem there is.
    """
    problems: list[str] = []
    names: dict[str, Any] = {}
    if output is not None and outputs is not None:
        problems.append(f"output={output!r} and outputs={outputs!r} are both given; give one of them")
    elif output is not None:
        names["outputs"] = _names("output", [output], problems)
    elif outputs is not None:
        before = len(problems)
        names["outputs"] = _names("outputs", outputs, problems)
        if not names["outputs"] and len(problems) == before:
            problems.append("outputs is empty; name what the task produces, or leave outputs out")
    if inputs is not None:
        names["inputs"] = _names("inputs", inputs, problems)
    if problems:
        raise GraphError(problems)
    return names


def _names(what: str, given: object, problems: list[str]) -> tuple[str, ...]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        problems.append(f"{what} is {given!r}; give a list of names, such as ['first', 'second']")
        return ()
    names = tuple(given)
    wrong = [name for name in names if not _is_name(name)]
    if wrong:
        problems.append(
            f"{what} has {', '.join(map(repr, wrong))}; a name is a word that a parameter could have"
        )
    twice = sorted({name for name in names if isinstance(name, str) and names.count(name) > 1})
    if twice:
        problems.append(f"{what} has {quoted(twice)} more than once; name each thing once")
    return names


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
