"""Records: dataclasses and attrs classes, which are written as their fields and built from them again."""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_origin

import attrs
from typing_extensions import get_type_hints, is_typeddict

__all__ = [
    "ABSENT",
    "build",
    "field_names",
    "field_names_of",
    "fields_of",
    "fields_to_read",
    "hints_of",
    "holds",
    "is_attrs",
    "is_record",
    "is_row",
    "is_spelled",
    "open_fields",
    "sets_fields_itself",
]

#: Stands for a field that an object does not have.
ABSENT = object()

_CACHE_SIZE = 2048


def is_attrs(kind: Any) -> bool:
    """Whether something is an attrs class that pydantic does not know by itself."""
    return isinstance(kind, type) and attrs.has(kind) and field_names(kind) is not None


def is_record(kind: Any) -> bool:
    """Whether something is a plain dataclass or attrs class; those of pydantic have a serializer of their own."""
    return isinstance(kind, type) and field_names(kind) is not None


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _field_names(kind: Any) -> tuple[str, ...] | None:
    if hasattr(kind, "__pydantic_serializer__"):
        return None
    if dataclasses.is_dataclass(kind):
        return tuple(each.name for each in dataclasses.fields(kind))
    if attrs.has(kind):
        return tuple(each.name for each in attrs.fields(kind))
    return None


def field_names(kind: Any) -> tuple[str, ...] | None:
    """Return the names of a record's fields; ``None`` for classes that are not plain records."""
    return _field_names(kind)


def fields_of(value: Any) -> dict[str, Any] | None:
    """Return the fields of a record or of a pydantic model or dataclass, with those that a model was not asked for.

    :returns: The values by their names in Python, :data:`ABSENT` for a field without a value; ``None`` for others.
    """
    kind: Any = type(value)
    names = _names_of_any(kind)
    if names is None:
        return None
    fields = {name: getattr(value, name, ABSENT) for name in names}
    if extra := getattr(value, "__pydantic_extra__", None):
        fields |= extra
    return fields


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _names_of_any(kind: Any) -> tuple[str, ...] | None:
    names = field_names(kind)
    if names is None and hasattr(kind, "__pydantic_fields__"):
        names = tuple(kind.__pydantic_fields__)
    return names


def field_names_of(value: Any) -> tuple[str, ...]:
    """Return the names of the fields of a record, or of a pydantic model or dataclass."""
    kind: Any = type(value)
    return _names_of_any(kind) or ()


def is_spelled(kind: Any) -> bool:
    """Whether values of a class can be written as the dictionary of their fields."""
    return _names_of_any(kind) is not None


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _open_fields(kind: Any) -> frozenset[str]:
    generic: Any = getattr(kind, "__pydantic_generic_metadata__", None)
    parameters: Any = getattr(kind, "__parameters__", None) if generic is None else generic["parameters"]
    if not parameters:
        return frozenset()
    try:
        hints = get_type_hints(kind)
    except Exception:  # noqa: BLE001 - pydantic says what is wrong with it
        return frozenset()
    return frozenset(
        name
        for name, hint in hints.items()
        if isinstance(hint, TypeVar) or getattr(hint, "__parameters__", None)
    )


def open_fields(kind: Any) -> frozenset[str]:
    """Return the names of the fields of a generic class whose types are parameters that the class does not know."""
    return _open_fields(kind)


def sets_fields_itself(kind: Any) -> bool:
    """Whether something is a plain dataclass with fields that are no arguments, which pydantic does not read."""
    return (
        isinstance(kind, type)
        and dataclasses.is_dataclass(kind)
        and is_record(kind)
        and not all(each.init for each in dataclasses.fields(kind))
    )


def fields_to_read(kind: type[Any]) -> dict[str, bool]:
    """Return the names of a record's fields, and whether each is required to build one."""
    if attrs.has(kind):
        return {each.name: each.init and each.default is attrs.NOTHING for each in attrs.fields(kind)}
    missing = dataclasses.MISSING
    return {
        each.name: each.init and each.default is missing and each.default_factory is missing
        for each in dataclasses.fields(kind)
    }


def build(kind: type[Any], values: dict[str, Any]) -> Any:
    """Make a record from its fields.

    :raises Exception: the record's own code raises it.
    """
    if attrs.has(kind):
        places = {each.name: each.alias if each.init else None for each in attrs.fields(kind)}
    else:
        places = {each.name: each.name if each.init else None for each in dataclasses.fields(kind)}
    made = kind(**{place: values[name] for name, place in places.items() if place and name in values})
    for name, place in places.items():
        if place is None and name in values:
            # A computed field: it is not an argument, and a frozen class does not let it be assigned.
            object.__setattr__(made, name, values[name])
    return made


def hints_of(annotation: Any) -> dict[str, Any]:
    """Return the annotations of the fields of a class, with the parameters of a generic one filled in.

    :raises NameError: an annotation has an unknown name.
    """
    kind = get_origin(annotation) or annotation
    hints = get_type_hints(kind, include_extras=True)
    given = dict(zip(getattr(kind, "__parameters__", ()), get_args(annotation), strict=False))
    return {name: _fill(hint, given) for name, hint in hints.items()} if given else hints


def _fill(hint: Any, given: dict[Any, Any]) -> Any:
    if isinstance(hint, TypeVar):
        return given.get(hint, hint)
    open_ = getattr(hint, "__parameters__", ())
    # On Python 3.10 an alias such as tuple[T, ...] is an instance of type.
    if not open_ or (isinstance(hint, type) and get_origin(hint) is None):
        return hint
    return hint[tuple(given.get(each, each) for each in open_)]


def holds(annotation: Any, wanted: Callable[[Any], bool], seen: set[Any] | None = None) -> bool:
    """Whether an annotation contains a wanted class, in its fields too.

    :param seen: The classes that were searched already.
    """
    seen = set() if seen is None else seen
    kind = get_origin(annotation) or annotation
    if wanted(annotation if kind is typing.Literal else kind):
        return True
    if isinstance(kind, type) and kind not in seen and (is_record(kind) or is_row(kind)):
        seen.add(kind)
        try:
            hints = hints_of(annotation)
        except Exception:  # noqa: BLE001 - pydantic says what is wrong with it
            return False
        if any(holds(hint, wanted, seen) for hint in hints.values()):
            return True
    if get_origin(annotation) is typing.Literal:
        return False
    return any(holds(each, wanted, seen) for each in get_args(annotation))


def is_row(kind: Any) -> bool:
    """Whether something is a typed dictionary or a named tuple."""
    return is_typeddict(kind) or (
        isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")
    )
