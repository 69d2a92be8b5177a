"""From exceptions to data and back. Nothing is unpickled, and no module is imported because a store names it."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import GetSetDescriptorType, MemberDescriptorType, WrapperDescriptorType
from typing import Any

from attrs import evolve

from taskiq_flow._groups import group_class_of, members_of
from taskiq_flow.errors import CellFailed, CellTimedOut, PayloadError, RemoteTraceback
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.values.plain import LONGEST_TEXT, find_loaded, full_name, read_plain, shorten, write_plain

__all__ = ["cell_failed", "failure_of", "find_retry_after", "revive", "text_of"]

_LONGEST_TRACEBACK = 20_000
# Many members make a long log; the traceback of the group shows no more of them either.
_MOST_MEMBERS = 100
_DEEPEST = 10
_HEAP_TYPE = 1 << 9
# What the interpreter keeps of every exception, what a group keeps of its members, and the object that lacked an
# attribute, which belongs to the task.
_NO_ATTRIBUTES = frozenset({"args", "message", "exceptions", "_message", "_exceptions", "obj"})


def failure_of(exception: BaseException, kind: FailureKind | None = None) -> Failure:
    """Describe an exception; never raises what the exception's own code raises.

    :param kind: The kind of failure; by default it follows from the exception's class.
    """
    return _describe(exception, kind or _kind_of(exception), 0)


def find_retry_after(exception: BaseException) -> dict[str, Any]:
    """Return the wait that an exception's response requests, for retry policies in other processes.

    HTTP clients keep a whole response there, which is no data; of it only the header ``Retry-After`` is taken.
    """
    try:
        delay = exception.response.headers["Retry-After"]  # type: ignore[attr-defined]
        return {"retry_after": str(delay)}
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - most exceptions have no response, and a foreign attribute may raise anything
        return {}


def cell_failed(cell: str, attempt: int, failure: Failure, run: str = "") -> CellFailed:
    """Return the error of a failed cell, which is a ``TimeoutError`` too where its time limit passed."""
    kind = CellTimedOut if failure.kind is FailureKind.TIMEOUT else CellFailed
    return kind(cell, attempt, failure, run)


def revive(
    cell: str, attempt: int, failure: Failure, run: str = "", attributes: Mapping[str, Any] | None = None
) -> BaseException:
    """Return the exception of a failed cell.

    It is the task's own exception where the class is loaded in this process and the exception can be made again with
    the same text: with its arguments and attributes, and with the cell in a note. A value that is no data is replaced
    by a :class:`~taskiq_flow.values.plain.NotKept`, which has its text. Otherwise it is a
    :class:`~taskiq_flow.CellFailed`. So it is for classes that are not an ``Exception`` (``SystemExit``,
    ``CancelledError`` …), and for ``StopIteration``: those would steer this process.

    The cause of either is a :class:`~taskiq_flow.errors.RemoteTraceback`, where there is a traceback.

    :param attributes: More attributes for the exception.
    """
    exception: BaseException | None = _rebuild(failure, cell, attempt, run)
    if exception is None:
        exception = cell_failed(cell, attempt, failure, run)
        notes = failure.notes
    else:
        notes = (
            *failure.notes,
            f"in cell {cell!r}, attempt {attempt}" + (f", of run {run}" if run else ""),
        )
    fields = _fields_of(exception)
    fields.update(attributes or {})
    if notes:
        fields["__notes__"] = list(notes)  # the attribute of PEP 678, also on 3.10
    cause = RemoteTraceback(cell, attempt, failure, run) if failure.traceback else None
    # Not by assignment, which the class may have forbidden.
    BaseException.__dict__["__cause__"].__set__(exception, cause)
    return exception


def text_of(exception: BaseException) -> str:
    """Return the text of an exception, whose own code may raise anything."""
    return _try_text(exception)[0]


def _kind_of(exception: BaseException) -> FailureKind:
    if isinstance(exception, asyncio.CancelledError):
        return FailureKind.CANCELLED
    if isinstance(exception, PayloadError):
        return FailureKind.REJECTED
    return FailureKind.EXCEPTION


# From an exception to data


def _describe(exception: BaseException, kind: FailureKind, depth: int) -> Failure:
    text, is_readable = _try_text(exception)
    failure = Failure(
        kind=kind,
        type=_try(lambda: full_name(type(exception)), "") or "builtins:BaseException",
        message=shorten(text),
        traceback=shorten(_try(lambda: _format(exception), text), _LONGEST_TRACEBACK),
        notes=_try(lambda: _notes_of(exception), ()),
    )
    members = _try(lambda: members_of(exception), ())
    if not is_readable or len(text) > LONGEST_TEXT or len(members) > _MOST_MEMBERS or depth > _DEEPEST:
        return failure
    args, attributes = _try(lambda: _state_of(exception), (None, {}))
    return evolve(
        failure,
        args=args,
        attributes=attributes,
        members=tuple(_describe(each, _kind_of(each), depth + 1) for each in members),
    )


def _try(step: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return step()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - the exception's own code runs here, and its failure must be told all the same
        return otherwise


def _try_text(exception: BaseException) -> tuple[str, bool]:
    try:
        return str(exception), True
    except BaseException as broken:  # noqa: BLE001 - a task's own __str__ may raise anything, SystemExit too
        return f"<{type(exception).__qualname__} whose text raises {type(broken).__qualname__}>", False


def _format(exception: BaseException) -> str:
    return "".join(traceback.format_exception(type(exception), exception, exception.__traceback__))


def _notes_of(exception: BaseException) -> tuple[str, ...]:
    notes = _fields_of(exception).get("__notes__", ())
    return tuple(shorten(str(note)) for note in notes) if isinstance(notes, (list, tuple)) else ()


def _state_of(exception: BaseException) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments and the attributes as data."""
    args: tuple[Any, ...] = BaseException.__dict__["args"].__get__(exception)
    is_group = group_class_of(type(exception)) is not None
    written = write_plain(
        {str(number): each for number, each in enumerate(args[: 1 if is_group else None])}, whole=True
    )
    return tuple(written.values()), write_plain(dict(_attributes_of(exception, args)))


def _fields_of(exception: BaseException) -> dict[str, Any]:
    fields: dict[str, Any] = object.__getattribute__(exception, "__dict__")
    return fields


def _attributes_of(exception: BaseException, args: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of an exception: those of its own, those in slots, and those of built-in exceptions."""
    for name, value in list(_fields_of(exception).items()):
        if isinstance(name, str) and not name.startswith("__") and name not in _NO_ATTRIBUTES:
            yield name, value
    fresh: BaseException | None = None
    for kind in type(exception).__mro__:
        is_native = not kind.__flags__ & _HEAP_TYPE
        for name, place in _slots_of(kind):
            try:
                value = place.__get__(exception)
            except AttributeError:
                continue
            if is_native:
                # What its constructor makes of the arguments need not be kept twice.
                fresh = fresh or _make_native(kind, kind, args)
                usual = place.__get__(fresh) if isinstance(fresh, kind) else None
                if value is None or value is usual or (type(value) in (int, str) and value == usual):
                    continue
            yield name, value


def _slots_of(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    for name, place in list(vars(kind).items()):
        if (
            isinstance(place, (MemberDescriptorType, GetSetDescriptorType))
            and not name.startswith("__")
            and name not in _NO_ATTRIBUTES
        ):
            yield name, place


# From data to an exception


def _rebuild(failure: Failure, cell: str, attempt: int, run: str) -> Exception | None:
    """Make an exception again without its constructor; ``None`` where it would not be the same."""
    kind = find_loaded(failure.type)
    if kind is None or not issubclass(kind, Exception) or failure.args is None:
        return None
    if issubclass(kind, (CellFailed, StopIteration, StopAsyncIteration)):
        return None
    try:
        args = tuple(map(read_plain, failure.args))
        if group_class_of(kind) is not None:
            members = [revive(cell, attempt, each, run) for each in failure.members]
            args = (*args, members)
        exception = _make_native(_native_of(kind), kind, args)
        places = {name: place for base in reversed(kind.__mro__) for name, place in _slots_of(base)}
        for name, data in failure.attributes.items():
            _restore(exception, places.get(name), name, read_plain(data))
        same = type(exception) is kind and _try_text(exception) == (failure.message, True)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - a class may refuse anything; then its failure is told as a CellFailed
        return None
    return exception if same and isinstance(exception, Exception) else None


def _native_of(kind: type[BaseException]) -> type[BaseException]:
    """Return the built-in class that the objects of an exception's class are made by."""
    base: Any = group_class_of(kind) or kind
    while base.__flags__ & _HEAP_TYPE and group_class_of(kind) is not base:
        base = base.__base__
    return base  # type: ignore[no-any-return]


def _make_native(
    native: type[BaseException], kind: type[BaseException], args: tuple[Any, ...]
) -> BaseException:
    exception: BaseException = native.__new__(kind, *args)
    with contextlib.suppress(Exception):
        # Such as a UnicodeDecodeError, which reads its fields out of the arguments here.
        own = (vars(base).get("__init__") for base in kind.__mro__)
        next(each for each in own if isinstance(each, WrapperDescriptorType))(exception, *args)
    if group_class_of(kind) is None:
        BaseException.__dict__["args"].__set__(exception, args)
    return exception


def _restore(exception: BaseException, place: Any, name: str, value: Any) -> None:
    if place is None:
        _fields_of(exception)[name] = value
        return
    with contextlib.suppress(AttributeError, TypeError):  # a field that cannot be set
        place.__set__(exception, value)
