"""What a user says about the lists of a map: their names, what takes their items, and sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

from taskiq_flow._words import Suggestions, quote
from taskiq_flow.errors import GraphError
from taskiq_flow.tasks.names import normalise
from taskiq_flow.wiring.naming import is_data_name

__all__ = ["Lists", "check_sizes", "takers_problem"]


@frozen
class Lists:
    """The lists that a map goes over.

    :param names: Their names, in order.
    :param takers: For each the parameter or input that takes its items; empty for the first ones.
    """

    names: tuple[str, ...]
    takers: tuple[str, ...] = ()

    @classmethod
    def read(cls, over: object, taker: object, *, option: str) -> Lists:
        """Read what a user gave.

        :param over: A name, several of them, or a dictionary of names by what takes the items.
        :param taker: What takes the items: a name, several of them, or ``None``.
        :param option: How the user calls ``taker``, for errors.
        :raises GraphError: it is something else, or a name stands there twice.
        """
        takers = _read_names(taker, option) if taker is not None else ()
        if isinstance(over, Mapping):
            if takers:
                raise GraphError(f"over and {option} both say what takes the items; give one of them")
            takers, over = _read_names(tuple(over), "over"), tuple(over.values())
        names = _read_names(over, "over")
        twice = sorted({name for name in takers if takers.count(name) > 1})
        if twice:
            raise GraphError(
                f"{quote(twice)} takes the items of two lists; give each list a parameter of its own"
            )
        if takers and len(takers) != len(names):
            raise GraphError(
                f"over names {len(names)} lists ({quote(names)}), and {option} names {len(takers)} parameters for "
                "their items; give one for each list"
            )
        return cls(names, takers)


def _read_names(given: object, option: str) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, (list, tuple)) else ()
    names = tuple(map(normalise, names))
    if not names or not all(map(is_data_name, names)):
        wanted = "the name of the list" if option == "over" else "a name, or a list of names"
        raise GraphError(f"{option} is {given!r}; give {wanted}")
    return names


def check_sizes(**sizes: int | None) -> None:
    """Check numbers that a user gave: chunk from 1, fan_in from 2.

    :raises GraphError: one is something else.
    """
    least = {"chunk": 1, "fan_in": 2}
    problems = [
        f"{name} is {size!r}; give a whole number from {least[name]}, or leave it out"
        for name, size in sizes.items()
        if size is not None and (type(size) is not int or size < least[name])
    ]
    if problems:
        raise GraphError(problems)


def takers_problem(body: str, lists: Lists, parameters: Iterable[str]) -> str:
    """Return why the parameters of a body cannot take the elements of lists; empty where they can.

    :param body: The name of the body.
    :param parameters: Its parameters.
    """
    known = list(parameters)
    if not lists.takers:
        if len(known) >= len(lists.names):
            return ""
        return f"{body!r} has no parameter that could take an element of {lists.names[len(known)]!r}; give it one"
    unknown = next((name for name in lists.takers if name not in known), None)
    if unknown is None:
        return ""
    takes = f"it takes {quote(known)}" if known else "it takes nothing"
    return f"{body!r} has no parameter {unknown!r} for an element; {takes}{Suggestions(known).hint(unknown)}"
