"""Matching failures with the exception classes, their names, or the kinds of failure that a policy lists."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

from taskiq_flow.errors import RetryException
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retry import FailedAttempt

__all__ = [
    "asks_for_retry",
    "exception_of",
    "is_group",
    "item_problems",
    "matching_item",
    "subject_of",
    "text_of",
]

_KINDS = frozenset(kind.value for kind in FailureKind)
_NAME = re.compile(r"[^\W\d][\w.<>]*(:[^\W\d][\w.<>]*)?")
# The exceptions that stand for failures without one. A rejected value or a cancelled attempt fails again every time,
# so only its own kind names it, never a base class that covers nearly everything.
_STAND_INS: dict[FailureKind, tuple[type[BaseException], ...]] = {
    FailureKind.TIMEOUT: (TimeoutError, asyncio.TimeoutError),
}
_SUBJECTS = {
    FailureKind.EXCEPTION: "an exception",
    FailureKind.TIMEOUT: "a timeout",
    FailureKind.WORKER_LOST: "a lost worker",
    FailureKind.REJECTED: "a rejected value",
    FailureKind.CANCELLED: "a cancelled attempt",
}


def exception_of(failed: FailedAttempt) -> BaseException | None:
    """Return the task's own exception, where this process has it.

    ``None`` where another one stands for it, because its class is not loaded here or the worker was lost.
    """
    exception = failed.exception
    return exception if exception is not None and _full_name(type(exception)) == failed.failure.type else None


def asks_for_retry(failed: FailedAttempt) -> bool:
    """Whether the task itself asked for a retry; a group of exceptions asks where each of them does."""
    return all(
        isinstance(each.exception, RetryException) or each.failure.type == _full_name(RetryException)
        for each in failed.leaves()
    )


def matching_item(items: Sequence[Any], failed: FailedAttempt) -> Any | None:
    """Return the first item that names the failure; ``None`` when none does.

    A group of exceptions is named by its own class, or where each of its exceptions is named.

    :param items: Exception classes, which their subclasses match as well, their names, or kinds of failure.
    """
    if not items:
        return None
    found = _match(items, failed)
    if found is None and is_group(failed):
        matches = [_match(items, each) for each in failed.leaves()]
        found = None if None in matches else matches[0]
    return found


def is_group(failed: FailedAttempt) -> bool:
    """Whether the failure is a group of exceptions."""
    return next(failed.leaves()).failure is not failed.failure


def _match(items: Sequence[Any], failed: FailedAttempt) -> Any | None:
    kind = failed.failure.kind
    classes: tuple[type[BaseException], ...] = ()
    if kind in (FailureKind.EXCEPTION, FailureKind.TIMEOUT):
        exception = exception_of(failed)
        classes = _STAND_INS.get(kind, ()) if exception is None else (type(exception),)
    names = {*(name for cls in classes for name in _names(cls))}
    if not classes and kind is FailureKind.EXCEPTION:
        names = _names_of_unknown(failed.failure)
    for item in items:
        if item == kind.value:
            return item
        known = _class(item)
        if item in names or (known is not None and any(issubclass(cls, known) for cls in classes)):
            return item
        if known is not None and not names.isdisjoint({_full_name(known)}):
            return item
    return None


def subject_of(failed: FailedAttempt) -> str:
    """Return a short name of the failure: the exception's class, or the kind."""
    name = failed.failure.type.rpartition(":")[2].rpartition(".")[2]
    if name and failed.failure.kind is FailureKind.EXCEPTION:
        return name
    return _SUBJECTS[failed.failure.kind]


def text_of(item: Any) -> str:
    """Return an item in the form that people write."""
    return item.__qualname__ if isinstance(item, type) else str(item)


def item_problems(option: str, items: Iterable[Any]) -> Iterator[str]:
    """Describe the invalid items in a list of failures."""
    for item in items:
        if isinstance(item, type) and issubclass(item, BaseException):
            continue
        if not isinstance(item, str) or not _NAME.fullmatch(item):
            yield (
                f"{option} has {item!r}; give exception classes, their names such as 'ValueError' or "
                f"'package.module:Class', or kinds of failure ({', '.join(sorted(_KINDS))})"
            )
        elif item not in _KINDS and item.islower() and "." not in item and ":" not in item:
            from difflib import get_close_matches  # for odd words only

            close = get_close_matches(item, _KINDS, n=1, cutoff=0.75)
            if close:
                yield f"{option} has {item!r}; did you mean {close[0]!r}?"


def _full_name(cls: type[Any]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _names(cls: type[BaseException]) -> Iterator[str]:
    for base in cls.__mro__[:-1]:
        yield from (
            base.__name__,
            base.__qualname__,
            _full_name(base),
            f"{base.__module__}.{base.__qualname__}",
        )


def _names_of_unknown(failure: Failure) -> set[str]:
    """Return the names of a class that is not loaded in this process; its bases are unknown."""
    module, _, qualname = failure.type.partition(":")
    return {failure.type, f"{module}.{qualname}", qualname, qualname.rpartition(".")[2]} - {"", "."}


def _class(item: Any) -> type[BaseException] | None:
    """Return the class that an item is or names, where it is loaded; an option never imports anything."""
    if isinstance(item, type):
        return item
    module_name, colon, qualname = item.partition(":")
    if not colon:
        module_name, _, qualname = item.rpartition(".")
    found: Any = sys.modules.get(module_name)
    for part in qualname.split("."):
        # Not by getattr(): a module's __getattr__ may import, and a property runs code.
        found = vars(found).get(part) if isinstance(found, (type, ModuleType)) else None
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
