"""Whether the annotation of a result gives back what a task has returned; asked before anybody reads it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin

from taskiq_flow.errors import PayloadError
from taskiq_flow.graph.types import comparable_or_any, describe, is_union
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers._trusting import is_exact
from taskiq_flow.serializers._typed import TypedSerializer

__all__ = ["check_given", "check_result", "needs_no_look"]

_EXACT = frozenset({int, float, str, bool, type(None)})
# Values of these fit them as annotations, without a look; most results are such.
_READ_AS_THEMSELVES = _EXACT | {list, dict}
_WHOLE = "the value does not fit "
_DEPTH = 8
_ADVICE = "return what the annotation says, or let the annotation say what the task returns"


def needs_no_look(serializer: Serializer, value: Any, annotation: Any) -> bool:
    """Whether a value that a serializer has written is certainly read as what it is by the annotation of its task."""
    if type(value) is annotation and annotation in _READ_AS_THEMSELVES:
        # Any serializer reads such a scalar; of what a list of anything has in it, only these are known to read it all.
        return annotation in _EXACT or isinstance(serializer, TypedSerializer)
    # What is of the annotation's classes all the way down comes back: that is the law of these serializers.
    return isinstance(serializer, TypedSerializer) and is_exact(value, annotation)


def check_result(value: Any, annotation: Any, read: Callable[[], Any]) -> None:
    """Check that a value is read as what it is by the annotation of its task.

    What pydantic's lax mode converts fits, such as a dictionary for a model or a tuple for a list, unless it makes
    another text, number or bytes of one, such as a number of a text.

    :param value: The value that the task returned.
    :param annotation: The annotation of the result.
    :param read: Callback that decodes the encoded value by the annotation.
    :raises PayloadError: it is not.
    """
    kind = type(value)
    if _says_nothing(annotation):
        return
    try:
        found = read()
    except PayloadError as error:
        if _is_instance(value, annotation):
            return  # an annotation that says what the value is, and that no serializer reads by
        why = str(error)
        if why.startswith(_WHOLE):
            why = why.partition(": ")[2]
        raise PayloadError(
            f"the task returned {_name(value)}, which does not fit its annotation {describe(annotation)}: {why}; "
            f"{_ADVICE}"
        ) from error
    if type(found) is kind and kind not in _CONTAINERS:
        return
    if _is_plain(annotation) and not _are_equal(value, found):
        for given, read_as in _pairs(value, found):
            if _is_changed(given, read_as):
                raise PayloadError(
                    f"the task returned {_name(given)}, which its annotation {describe(annotation)} would read as "
                    f"{_name(read_as)} that is not equal to it; {_ADVICE}"
                )
    members = _members_of(annotation)
    if members:
        for given, read_as in _pairs(value, found):
            if _is_lost(given, read_as, members):
                raise PayloadError(
                    f"the task returned {_name(given)}, which its annotation {describe(annotation)} would read as "
                    f"{_name(read_as)}; {_ADVICE}, or give classes that look alike a field that tells them apart"
                )


def check_given(value: Any, annotation: Any, read: Callable[[], Any]) -> None:
    """Check that no part of a value that a run is given is taken for one of another class than it is.

    Whatever else the annotation makes of a value is its business: a run may be given texts and dictionaries for what is
    read from them.

    :param value: The value.
    :param annotation: The annotation of the parameters that take it.
    :param read: Callback that decodes the encoded value by the annotation.
    :raises PayloadError: a part of it is.
    """
    members = frozenset() if _says_nothing(annotation) else _members_of(annotation)
    if not members:
        return
    try:
        found = read()
    except PayloadError:
        return  # whoever takes it says so, with its own name
    for given, read_as in _pairs(value, found):
        if _is_lost(given, read_as, members):
            raise PayloadError(
                f"{_name(given)} is given, which the annotation {describe(annotation)} would read as "
                f"{_name(read_as)}; give classes that look alike a field that tells them apart"
            )


_LISTS = frozenset({list, tuple})
_CONTAINERS = _LISTS | {dict, set, frozenset}


_SCALARS = frozenset({int, float, str, bool, bytes})


def _is_plain(annotation: Any) -> bool:
    """Whether an annotation says of each part of a value which number, text, bytes or container it is."""
    try:
        return _look_up_plain(annotation)
    except TypeError:  # not hashable, such as ``Annotated`` with a list in it
        return _find_plain(annotation)


def _find_plain(annotation: Any, depth: int = 0) -> bool:
    annotation = comparable_or_any(annotation)
    if annotation is None or any(annotation is each for each in (*_SCALARS, type(None))):
        return True
    parts = [part for part in get_args(annotation) if part is not ...]
    if not parts or depth > _DEPTH or not (is_union(annotation) or get_origin(annotation) in _CONTAINERS):
        return False
    return all(_find_plain(part, depth + 1) for part in parts)


_look_up_plain = functools.lru_cache(maxsize=1024)(_find_plain)


def _is_changed(given: Any, read_as: Any) -> bool:
    """Whether a number, a text or bytes was read as another."""
    kinds = {type(given), type(read_as)}
    return len(kinds) == 2 and kinds <= _SCALARS and given != read_as


def _says_nothing(annotation: Any) -> bool:
    try:
        return _look_up_nothing(annotation)
    except TypeError:  # not hashable, such as ``Annotated`` with a list in it
        return comparable_or_any(annotation) is Any


@functools.lru_cache(maxsize=1024)
def _look_up_nothing(annotation: Any) -> bool:
    return comparable_or_any(annotation) is Any


def _is_instance(value: Any, annotation: Any) -> bool:
    try:
        return isinstance(value, comparable_or_any(annotation))
    except TypeError:
        return False


def _members_of(annotation: Any) -> frozenset[type]:
    """Return the classes that an annotation names, if it may read a value as another of them or as its base."""
    try:
        return _look_up_members(annotation)
    except TypeError:  # not hashable, such as ``Annotated`` with a list in it
        return _find_members(annotation)


def _find_members(annotation: Any) -> frozenset[type]:
    found: set[type] = set()
    doubtful = False
    todo = [(annotation, 0)]
    while todo:
        each, depth = todo.pop()
        each = comparable_or_any(each)
        parts = [part for part in get_args(each) if part is not type(None)]
        doubtful = doubtful or (is_union(each) and len(parts) > 1)
        origin = get_origin(each) if parts else each
        if isinstance(origin, type) and origin is not type(None):
            found.add(origin)
            doubtful = doubtful or _has_fields(origin)
        if depth < _DEPTH:
            todo += [(part, depth + 1) for part in parts]
    return frozenset(found if doubtful else ())


_look_up_members = functools.lru_cache(maxsize=1024)(_find_members)


def _has_fields(kind: type) -> bool:
    return (
        dataclasses.is_dataclass(kind)
        or hasattr(kind, "__pydantic_fields__")
        or hasattr(kind, "__attrs_attrs__")
    )


def _pairs(value: Any, found: Any) -> Iterator[tuple[Any, Any]]:
    """Yield a value and its parts, each beside what it was read as."""
    todo = [(value, found)]
    while todo:
        one, other = todo.pop()
        yield one, other
        if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
            parts: Any = zip(one, other, strict=True)
        elif type(one) is dict and type(other) is dict:
            # A key that was read as another stands where it stood.
            keys = zip(one, other, strict=True) if len(one) == len(other) else ()
            parts = [*keys, *((part, other[key]) for key, part in one.items() if key in other)]
        elif isinstance(one, (set, frozenset)) and isinstance(other, (set, frozenset)):
            parts = zip(one - other, other - one)  # noqa: B905 - elements may have become one
        else:
            continue
        todo += [pair for pair in parts if type(pair[0]) not in _EXACT or type(pair[0]) is not type(pair[1])]


def _is_lost(given: Any, found: Any, members: frozenset[type]) -> bool:
    """Whether a value was read as something else, although the annotation names its class, or a base of it."""
    kind, read_as = type(given), type(found)
    if kind is read_as:
        return False
    if kind in members and kind not in _LISTS:
        return not _are_equal(given, found)
    return (
        _has_fields(kind)
        and issubclass(kind, read_as)
        and read_as in members
        and _has_more_fields(kind, read_as)
    )


def _are_equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - the value's own code
        return True


def _has_more_fields(kind: type, base: type) -> bool:
    def count(cls: Any) -> int:
        if hasattr(cls, "__pydantic_fields__"):
            return len(cls.__pydantic_fields__)
        fields: Any = getattr(cls, "__attrs_attrs__", None) or getattr(cls, "__dataclass_fields__", ())
        return len(fields)

    return count(kind) > count(base)


def _name(value: Any) -> str:
    if value is None:
        return "None"
    name = type(value).__qualname__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
