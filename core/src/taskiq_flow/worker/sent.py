"""The arguments of a message as they were sent: taskiq converts them in place, and a task may change them."""

from __future__ import annotations

import pickle
from typing import Any, Union

__all__ = ["NO_ARGUMENTS", "KeptArguments", "keep_arguments", "read_arguments"]

KeptArguments = Union[tuple[tuple[Any, ...], dict[str, Any]], bytes]
"""Arguments by position and by name, or both of them pickled."""

NO_ARGUMENTS: KeptArguments = ((), {})

_UNCHANGEABLE = frozenset({str, int, float, bool, type(None), bytes})


def keep_arguments(args: list[Any], kwargs: dict[str, Any]) -> KeptArguments:
    """Keep arguments so that they can be sent again, whatever becomes of them meanwhile.

    Every message pays for this and few are sent again. So values that nobody can change are kept as they are, and
    others are pickled, which is quicker than to copy them.
    """
    for value in args:
        if type(value) not in _UNCHANGEABLE:
            return _pickle(args, kwargs)
    if kwargs:
        for value in kwargs.values():
            if type(value) not in _UNCHANGEABLE:
                return _pickle(args, kwargs)
    return tuple(args), kwargs.copy()


def read_arguments(kept: KeptArguments) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give the arguments by position, and those by name."""
    if isinstance(kept, bytes):
        args, kwargs = pickle.loads(kept)
        return args, kwargs
    return kept


def _pickle(args: list[Any], kwargs: dict[str, Any]) -> KeptArguments:
    given = tuple(args), kwargs.copy()
    try:
        return pickle.dumps(given, pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001 - what somebody else's formatter has read may raise anything
        return given  # they are sent again as they are by then
