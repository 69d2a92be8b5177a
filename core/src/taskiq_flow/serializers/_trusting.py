"""Objects that need no proof: their classes have simple fields and read what they write."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable
from datetime import date, datetime, timezone
from enum import Enum
from math import isfinite
from typing import Any, Union, get_args, get_origin
from uuid import UUID

import attrs
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import get_type_hints

from taskiq_flow.serializers._plainer import is_odd
from taskiq_flow.serializers._records import field_names

__all__ = ["is_trusted"]

#: Says whether a value, at a depth, is of a field's type exactly.
_Check = Callable[[Any, int], bool]

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
# Settings of a model that change nothing of how its fields are written and read.
_HARMLESS = frozenset({"title", "frozen", "arbitrary_types_allowed", "from_attributes", "extra"})


def is_trusted(value: Any, depth: int = 0) -> bool:
    """Whether an object comes back by its own class, which can be told without reading it back.

    :param value: A record or a model; of other objects none is trusted.
    :param depth: How deeply it is nested.
    """
    kind: Any = type(value)
    checks = _checks(kind)
    if checks is None or depth > _DEEPEST:
        return False
    for name, check in checks:
        try:
            part = getattr(value, name)
        except AttributeError:
            return False
        if not check(part, depth + 1):
            return False
    return True


@functools.lru_cache(maxsize=2048)
def _checks(kind: Any) -> tuple[tuple[str, _Check], ...] | None:
    """Return the checks of a class's fields; ``None`` for a class that may not read what it writes."""
    hints = _hints_of_model(kind) if issubclass(kind, BaseModel) else _hints_of_record(kind)
    if hints is None:
        return None
    found = [(name, _check_of(hint)) for name, hint in hints.items()]
    checks = tuple((name, check) for name, check in found if check is not None)
    return checks if len(checks) == len(found) else None


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
        return lambda value, depth: type(value) is hint
    if hint is float:
        return lambda value, depth: type(value) is float and isfinite(value)
    if hint is datetime:
        return lambda value, depth: type(value) is datetime and value.tzinfo in _ZONES
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType) and len(arguments) == 2 and _NONE in arguments:
        inner = _check_of(arguments[0] if arguments[1] is _NONE else arguments[1])
        return None if inner is None else lambda value, depth: value is None or inner(value, depth)
    if origin is list:
        return _check_list(arguments[0])
    if origin is dict and arguments[0] is str:
        return _check_dictionary(arguments[1])
    if isinstance(hint, type) and origin is None:
        if issubclass(hint, Enum):
            return None if is_odd(hint) else lambda value, depth: type(value) is hint
        if issubclass(hint, BaseModel) or field_names(hint) is not None:
            # Looked up when it is used, because a class may contain itself.
            return lambda value, depth: type(value) is hint and is_trusted(value, depth)
    return None


def _check_list(hint: Any) -> _Check | None:
    inner = _check_of(hint)
    if inner is None:
        return None
    if hint in _EXACT:
        kinds = {hint}
        return lambda value, depth: type(value) is list and kinds.issuperset(map(type, value))
    return lambda value, depth: type(value) is list and all(inner(each, depth + 1) for each in value)


def _check_dictionary(hint: Any) -> _Check | None:
    inner = _check_of(hint)
    if inner is None:
        return None

    def check(value: Any, depth: int) -> bool:
        return (
            type(value) is dict
            and _TEXT.issuperset(map(type, value))
            and all(inner(each, depth + 1) for each in value.values())
        )

    return check
