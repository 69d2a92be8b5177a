"""From exceptions to data and back. Nothing is unpickled, and no module is imported because a store names it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import traceback
from collections.abc import Mapping
from functools import partial
from typing import Any

from taskiq_flow.errors import CellFailed, PayloadError
from taskiq_flow.payloads import Failure, FailureKind

__all__ = ["failure_of", "plain_attributes", "revive", "text_of"]

# An exception's text may contain a whole response or a data frame, so stored text is bounded.
_LONGEST_TEXT = 20_000


def failure_of(exception: BaseException, kind: FailureKind | None = None) -> Failure:
    """Describe an exception.

    :param kind: The kind of failure; by default it follows from the exception's class.
    """
    cls = type(exception)
    lines = traceback.format_exception(cls, exception, exception.__traceback__)
    return Failure(
        kind=kind or _kind_of(exception),
        type=f"{cls.__module__}:{cls.__qualname__}",
        message=_shorten(text_of(exception)),
        traceback=_shorten("".join(lines)),
        args=_plain_args(exception),
    )


def plain_attributes(exception: BaseException) -> dict[str, Any]:
    """Return the attributes of an exception that are plain JSON, for retry policies in other processes.

    HTTP clients keep a whole response there; of it only the header ``Retry-After`` is taken.
    """
    found: dict[str, Any] = {}
    for name, value in list(getattr(exception, "__dict__", {}).items()):
        if not name.startswith("__") and (text := _as_json(value)) is not None:
            found[name] = json.loads(text)
    try:
        delay = exception.response.headers["Retry-After"]  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - most exceptions have no response, and a foreign attribute may raise anything
        return found
    return {"retry_after": str(delay), **found}


def revive(
    cell: str, attempt: int, failure: Failure, run: str = "", attributes: Mapping[str, Any] | None = None
) -> BaseException:
    """Return the exception of a failed cell.

    Where the class is loaded in this process, the exception is an instance of it, with the cell in a note and a
    :class:`~taskiq_flow.CellFailed` with the whole story as its cause. Otherwise it is the ``CellFailed``. So it is for
    classes that are not an ``Exception`` (``SystemExit``, ``CancelledError`` …): those would steer this process.

    :param attributes: The result of :func:`plain_attributes`, where it is known.
    """
    story = CellFailed(cell, attempt, failure, run)
    exception = _instance(_find_loaded_class(failure.type), failure)
    if exception is None:
        return story
    if attributes:
        # A class without a dictionary, or with properties of these names, keeps its own.
        with contextlib.suppress(AttributeError, TypeError):
            exception.__dict__.update(attributes)
    exception.__cause__ = story
    note = f"in cell {cell!r}, attempt {attempt}" + (f", of run {run}" if run else "")
    notes: list[str] = getattr(exception, "__notes__", [])
    exception.__notes__ = [*notes, note]  # type: ignore[attr-defined]  # the attribute of PEP 678, also on 3.10
    return exception


def _kind_of(exception: BaseException) -> FailureKind:
    if isinstance(exception, asyncio.CancelledError):
        return FailureKind.CANCELLED
    if isinstance(exception, PayloadError):
        return FailureKind.REJECTED
    return FailureKind.EXCEPTION


def text_of(exception: BaseException) -> str:
    """Return the text of an exception, whose own code may raise anything."""
    try:
        return str(exception)
    except BaseException as broken:  # noqa: BLE001 - a task's own __str__ may raise anything, SystemExit too
        return f"<{type(exception).__qualname__} whose text raises {type(broken).__qualname__}>"


def _plain_args(exception: BaseException) -> tuple[Any, ...] | None:
    text = _as_json(exception.args)
    return None if text is None else tuple(json.loads(text))


def _as_json(value: Any) -> str | None:
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None
    return text if len(text) <= _LONGEST_TEXT else None


def _shorten(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _find_loaded_class(name: str) -> type[Exception] | None:
    module_name, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module_name)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _instance(cls: type[Exception] | None, failure: Failure) -> Exception | None:
    """Make an exception with the original's ``args``, whatever its constructor takes; ``None`` if that fails."""
    if cls is None or issubclass(cls, CellFailed):
        return None
    args = (failure.message,) if failure.args is None else failure.args
    for make in (cls, partial(cls.__new__, cls)):
        try:
            exception = make(*args)
            if make is not cls:
                exception.args = args
        except Exception:  # noqa: BLE001 - the class's own code runs here, and need not accept its args
            continue
        if exception.args == args:
            return exception
    return None
