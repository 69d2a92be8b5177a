"""Groups of exceptions, of Python or, before 3.11, of the package ``exceptiongroup`` where that is loaded."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["group_class_of", "leaves_of", "members_of"]

_NAME = "BaseExceptionGroup"


def group_class_of(kind: type[Any]) -> Any:
    """Return the class of groups that a class descends from; ``None`` where it is none of groups."""
    for module in (builtins, sys.modules.get("exceptiongroup")):
        found = None if module is None else vars(module).get(_NAME)
        if isinstance(found, type) and found in kind.__mro__:
            return found
    return None


def members_of(exception: BaseException) -> tuple[BaseException, ...]:
    """Return the exceptions in a group; empty for an exception that is no group."""
    group = group_class_of(type(exception))
    if group is None:
        return ()
    # Not the attribute, which a subclass may have made anew.
    members: tuple[BaseException, ...] = tuple(vars(group)["exceptions"].__get__(exception))
    return members


def leaves_of(exception: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions in a group, and in the groups within it; an exception that is no group is its own leaf."""
    pending = [exception]
    while pending:
        each = pending.pop()
        members = members_of(each)
        if members:
            pending.extend(reversed(members))
        else:
            yield each
