"""Objects that need no proof: their classes have simple fields and read what they write."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Collection
from datetime import date, datetime, timezone
from enum import Enum
from itertools import chain
from math import isfinite
from operator import attrgetter
from typing import Any, Union, get_args, get_origin
from uuid import UUID

import attrs
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import get_type_hints

from taskiq_flow.serializers._plainer import is_odd
from taskiq_flow.serializers._records import field_names

__all__ = ["are_trusted", "is_exact"]

#: Says of values, at a depth, that are of the right classes, whether what is in them is right as well.
_Further = Callable[[Collection[Any], int], bool]
#: The classes that values of a field may have, exactly, and what else there is to look at.
_Check = tuple[frozenset[Any], Union[_Further, None]]

_NONE = type(None)
_TEXT = frozenset({str})
_ZONES = (None, timezone.utc)
# What lets a field be written or read in another way than by its name and its type.
_CHANGES = (
    "alias",
    "validation_alias",
    "serialization_alias",
    "exclude",
    "exclude_if",
    "discriminator",
    "init",
)
# What lets a record be made in another way than by its fields.
_HOOKS = (
    "__post_init__",
    "__attrs_init__",
    "__attrs_pre_init__",
    "__attrs_post_init__",
    "__pydantic_config__",
    "__get_pydantic_core_schema__",
)
_EXACT = frozenset({str, int, bool, _NONE, UUID, date})
# What is nested more deeply is proved, because a reader might give up.
_DEEPEST = 30
_FEW_LEVELS = 3
# Settings of a model that change nothing of how its fields are written and read.
_HARMLESS = frozenset({"title", "frozen", "arbitrary_types_allowed", "from_attributes", "extra"})


def are_trusted(kind: Any, values: Collection[Any], depth: int = 0) -> bool:
    """Whether objects come back by their own class, which can be told without reading them back.

    Thousands of them are looked at field by field, and not one by one.

    :param kind: The class of all of them: a record or a model; of other objects none is trusted.
    :param depth: How deeply they are nested.
    """
    if not values:
        return True
    fields = _fields(kind)
    if fields is None or depth > _DEEPEST:
        return False
    if depth > _FEW_LEVELS:
        # An object that stands in itself many times would double the level each time.
        values = {id(each): each for each in values}.values()
    try:
        if len(values) == 1:
            # The usual case, and quicker without a column for each field.
            (value,) = values
            for read, kinds, further in fields:
                part = read(value)
                if type(part) not in kinds or (further is not None and not further((part,), depth + 1)):
                    return False
            return True
        for read, kinds, further in fields:
            column = [*map(read, values)]
            if not kinds.issuperset(map(type, column)):
                return False
            if further is not None and not further(column, depth + 1):
                return False
    except AttributeError:
        return False
    return True


def is_exact(value: Any, annotation: Any) -> bool:
    """Whether a value is what an annotation says, and comes back by it, which can be told without reading it."""
    try:
        check = _look_up(annotation)
    except TypeError:  # not hashable, such as ``Annotated`` with a list in it
        return False
    if check is None or type(value) not in check[0]:
        return False
    return check[1] is None or check[1]((value,), 0)


@functools.lru_cache(maxsize=2048)
def _fields(kind: Any) -> tuple[tuple[Callable[[Any], Any], frozenset[Any], _Further | None], ...] | None:
    """Return what reads each field of an object, and its check; ``None`` for a class that may not read itself."""
    hints = _hints_of_model(kind) if issubclass(kind, BaseModel) else _hints_of_record(kind)
    if hints is None:
        return None
    found = [(attrgetter(name), _check_of(hint)) for name, hint in hints.items()]
    fields = tuple((read, *check) for read, check in found if check is not None)
    return fields if len(fields) == len(found) else None


def _hints_of_model(kind: Any) -> dict[str, Any] | None:
    base: Any = BaseModel
    decorators = kind.__pydantic_decorators__
    generic = kind.__pydantic_generic_metadata__
    if not (
        type(kind) is type(base)
        and kind.__pydantic_complete__
        and not kind.__pydantic_root_model__
        and not (generic["origin"] or generic["parameters"] or kind.__private_attributes__)
        and not any(getattr(decorators, each.name, None) for each in dataclasses.fields(decorators))
        and all(
            getattr(kind, name) is getattr(base, name) for name in ("__init__", "__new__", "model_post_init")
        )
        and kind.__get_pydantic_core_schema__.__func__ is base.__get_pydantic_core_schema__.__func__
        and _HARMLESS.issuperset(kind.model_config)
        and kind.model_config.get("extra") != "allow"
    ):
        return None
    fields = kind.__pydantic_fields__
    return (
        {name: each.annotation for name, each in fields.items()}
        if all(map(_is_simple, fields.values()))
        else None
    )


def _is_simple(field: FieldInfo) -> bool:
    return not field.metadata and all(getattr(field, name, None) is None for name in _CHANGES)


def _hints_of_record(kind: Any) -> dict[str, Any] | None:
    names = field_names(kind)
    if (
        names is None
        or getattr(kind, "__parameters__", None)
        or kind.__new__ is not object.__new__
        or any(hasattr(kind, name) for name in _HOOKS)
        # A subclass that is no record of its own may be made in its own way.
        or not {"__attrs_attrs__", "__dataclass_fields__"} & kind.__dict__.keys()
    ):
        return None
    if attrs.has(kind):
        simple = all(
            each.init and each.converter is None and each.validator is None for each in attrs.fields(kind)
        )
    else:
        simple = kind.__dataclass_params__.init and all(
            each.init and not isinstance(each.default, FieldInfo) for each in dataclasses.fields(kind)
        )
    try:
        hints = get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - pydantic says what is wrong with it
        return None
    if not simple or any(isinstance(hint, dataclasses.InitVar) for hint in hints.values()):
        return None
    return {name: hints.get(name, Any) for name in names}


def _check_of(hint: Any) -> _Check | None:
    """Return the check of a field's annotation; ``None`` for one whose values have to be proved."""
    hint = _NONE if hint is None else hint
    if hint in _EXACT:
        return frozenset({hint}), None
    if hint is float:
        return frozenset({float}), lambda values, depth: all(map(isfinite, values))
    if hint is datetime:
        return frozenset({datetime}), lambda values, depth: all(each.tzinfo in _ZONES for each in values)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType) and len(arguments) == 2 and _NONE in arguments:
        inner = _check_of(arguments[0] if arguments[1] is _NONE else arguments[1])
        return inner and _check_optional(*inner)
    if origin is list:
        inner = _check_of(arguments[0])
        return inner and (frozenset({list}), functools.partial(_pass_elements, *inner))
    if origin is dict and arguments[0] is str:
        inner = _check_of(arguments[1])
        return inner and (frozenset({dict}), functools.partial(_pass_entries, *inner))
    if isinstance(hint, type) and origin is None:
        if issubclass(hint, Enum):
            return None if is_odd(hint) else (frozenset({hint}), None)
        if issubclass(hint, BaseModel) or field_names(hint) is not None:
            # Looked up when it is used, because a class may contain itself.
            return frozenset({hint}), functools.partial(are_trusted, hint)
    return None


_look_up = functools.lru_cache(maxsize=2048)(_check_of)


def _check_optional(kinds: frozenset[Any], further: _Further | None) -> _Check:
    def pass_others(values: Collection[Any], depth: int) -> bool:
        return further is None or further([each for each in values if each is not None], depth)

    return kinds | {_NONE}, further and pass_others


def _pass_elements(
    kinds: frozenset[Any], further: _Further | None, values: Collection[Any], depth: int
) -> bool:
    if not kinds.issuperset(map(type, chain.from_iterable(values))):
        return False
    return further is None or further([*chain.from_iterable(values)], depth + 1)


def _pass_entries(
    kinds: frozenset[Any], further: _Further | None, values: Collection[Any], depth: int
) -> bool:
    if not _TEXT.issuperset(map(type, chain.from_iterable(values))):
        return False
    return _pass_elements(kinds, further, [each.values() for each in values], depth)
