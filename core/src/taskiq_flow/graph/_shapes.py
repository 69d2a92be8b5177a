"""The kinds of JSON that types are written as and read from: the tables behind :func:`taskiq_flow.graph.types.can_fit`.

Values travel encoded and are decoded by the consumer's annotation, in pydantic's lenient mode. So two types fit if one
can be read from the encoded form of the other, whether or not one class is a subclass of the other. An unknown type
has every kind.
"""

from __future__ import annotations

import collections
import collections.abc as abc
import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import uuid
from typing import Any

from typing_extensions import is_typeddict

__all__ = ["JsonKind", "is_listlike", "is_mapping", "kinds_accepted", "kinds_of_value", "kinds_produced"]


class JsonKind(enum.Flag):
    """The kinds of an encoded value."""

    NULL = enum.auto()
    NUMBER = enum.auto()
    TEXT = enum.auto()
    LIST = enum.auto()
    OBJECT = enum.auto()


_NONE, _NUMBER, _TEXT, _LIST, _OBJECT = (
    JsonKind.NULL,
    JsonKind.NUMBER,
    JsonKind.TEXT,
    JsonKind.LIST,
    JsonKind.OBJECT,
)
_EVERY = _NONE | _NUMBER | _TEXT | _LIST | _OBJECT
_EITHER = _NUMBER | _TEXT

# By class, first match in the order of inheritance: (written as, read from). A number may be read from its text, a
# time from its timestamp, but a text only from text.
_SCALARS: dict[type, tuple[JsonKind, JsonKind]] = {
    type(None): (_NONE, _NONE),
    bool: (_NUMBER, _EITHER),
    int: (_NUMBER, _EITHER),
    float: (_NUMBER, _EITHER),
    decimal.Decimal: (_EITHER, _EITHER),
    str: (_TEXT, _TEXT),
    bytes: (_TEXT, _TEXT),
    bytearray: (_TEXT, _TEXT),
    dt.date: (_EITHER, _EITHER),
    dt.time: (_EITHER, _EITHER),
    dt.timedelta: (_EITHER, _EITHER),
    uuid.UUID: (_TEXT, _TEXT),
    pathlib.PurePath: (_TEXT, _TEXT),
}
_LISTS = (list, tuple, set, frozenset, collections.deque)
# A text is a sequence of texts, and a mapping iterates over its keys, so a wide class has many kinds.
_ABSTRACT: dict[Any, JsonKind] = {
    abc.Iterable: _LIST | _TEXT | _OBJECT,
    abc.Iterator: _LIST | _TEXT | _OBJECT,
    abc.Collection: _LIST | _TEXT | _OBJECT,
    abc.Reversible: _LIST | _TEXT | _OBJECT,
    abc.Sequence: _LIST | _TEXT,
    abc.MutableSequence: _LIST,
    abc.Set: _LIST,
    abc.MutableSet: _LIST,
    abc.Mapping: _OBJECT,
    abc.MutableMapping: _OBJECT,
}


def is_listlike(cls: Any) -> bool:
    """Whether a class is generic over its elements."""
    if isinstance(cls, type) and hasattr(cls, "_fields"):
        return False  # named tuples have fields, not elements
    return cls in _LISTS or _LIST in _ABSTRACT.get(cls, _NONE)


def is_mapping(cls: Any) -> bool:
    """Whether a class is generic over keys and values."""
    return cls in (abc.Mapping, abc.MutableMapping) or (
        isinstance(cls, type) and not is_typeddict(cls) and issubclass(cls, dict)
    )


def _is_structured(cls: type) -> bool:
    return (
        is_typeddict(cls)
        or dataclasses.is_dataclass(cls)
        or hasattr(cls, "__attrs_attrs__")
        or hasattr(cls, "__pydantic_fields__")
    )


def _is_customised(cls: type) -> bool:
    """Whether a class defines its own encoding or validation, so that its kinds are unknown."""
    if getattr(cls, "__pydantic_root_model__", False):
        return True
    decorators = getattr(cls, "__pydantic_decorators__", None)
    if decorators is not None and (decorators.model_serializers or decorators.model_validators):
        return True
    return any(
        "__get_pydantic_core_schema__" in vars(base) and not base.__module__.startswith("pydantic.")
        for base in cls.__mro__
    )


def _kinds(cls: Any, read: bool) -> JsonKind:
    if not isinstance(cls, type) or _is_customised(cls):
        return _EVERY
    if cls in _ABSTRACT:
        return _ABSTRACT[cls]
    if issubclass(cls, enum.Enum):
        if read and "_missing_" in {
            name for base in cls.__mro__ if base is not enum.Enum for name in vars(base)
        }:
            return _EVERY  # it may read other values than those of its members
        written = JsonKind(0)
        for member in cls:
            written |= kinds_of_value(member.value)
        return (written | _TEXT if read and _NUMBER in written else written) or _EVERY
    if _is_structured(cls):
        return _OBJECT
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return _LIST | _OBJECT
    if issubclass(cls, _LISTS):
        return _LIST
    if issubclass(cls, dict):
        return _OBJECT
    for base in cls.__mro__:
        if base in _SCALARS:
            return _SCALARS[base][read]
    return _EVERY


def kinds_produced(cls: Any) -> JsonKind:
    """Return the kinds that values of a class may be written as."""
    return _kinds(cls, read=False)


def kinds_accepted(cls: Any) -> JsonKind:
    """Return the kinds that a class may be read from."""
    return _kinds(cls, read=True)


def kinds_of_value(value: Any) -> JsonKind:
    """Return the kinds that one value may be written as."""
    return _kinds(type(value), read=False)
