"""Checks the names that users declare for inputs and outputs."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from taskiq_flow._words import quote
from taskiq_flow.errors import GraphError

__all__ = ["check_declared_names", "normalise", "normalise_keys"]


def normalise(name: Any) -> Any:
    """Return a name as Python writes the names of parameters (NFKC); anything else as it is.

    The micro sign of a keyboard and the Greek letter are one name to Python.
    """
    return unicodedata.normalize("NFKC", name) if isinstance(name, str) and not name.isascii() else name


def normalise_keys(names: Any) -> Any:
    """Return a mapping with each of its names as Python writes it; anything else as it is."""
    return {normalise(name): each for name, each in names.items()} if isinstance(names, Mapping) else names


def check_declared_names(
    *, output: object = None, outputs: object = None, inputs: object = None
) -> dict[str, Any]:
    """Check names that a user declares, and return them as arguments of :class:`TaskSpec`.

    :raises GraphError: with every problem of the names.
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


def _names(option: str, given: object, problems: list[str]) -> tuple[str, ...]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        problems.append(f"{option} is {given!r}; give a list of names, such as ['first', 'second']")
        return ()
    names = tuple(map(normalise, given))
    wrong = [name for name in names if not _is_name(name)]
    if wrong:
        problems.append(
            f"{option} has {', '.join(map(repr, wrong))}; a name is a word that a parameter could have"
        )
    twice = sorted({name for name in names if isinstance(name, str) and names.count(name) > 1})
    if twice:
        problems.append(f"{option} has {quote(twice)} more than once; name each thing once")
    return names


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
