"""Annotations rewritten for pydantic, which does not know attrs classes, nor always typed dictionaries."""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler
from pydantic_core import core_schema
from typing_extensions import NotRequired, Required, TypeAliasType, TypedDict, is_typeddict

from taskiq_flow.serializers._records import (
    build,
    fields_to_read,
    hints_of,
    holds,
    is_attrs,
    is_record,
    is_row,
)

__all__ = ["Rewriting"]

_MISSING_WORDS = sys.version_info < (3, 12)


class Rewriting:
    """Rewrites one annotation; a recursive class is rewritten once.

    Attrs classes, and classes that contain some, are read as a dictionary of their fields and then built. Typed
    dictionaries of :mod:`typing`, which pydantic refuses before Python 3.12, become those of ``typing_extensions``.

    :param special: Returns the annotation for a class that the format reads in its own way; ``None`` for others.
    """

    def __init__(self, special: Callable[[type[Any]], Any]) -> None:
        self._special = special
        self._made: dict[Any, Any] = {}

    def of(self, annotation: Any) -> Any:
        """Return the annotation to read by."""
        kind = get_origin(annotation) or annotation
        if isinstance(kind, type) and (special := self._special(kind)) is not None:
            return special
        if _has_tuples(kind):
            return Annotated[kind, BeforeValidator(functools.partial(_member, kind))]
        if isinstance(kind, type) and (is_row(kind) or is_record(kind)):
            if holds(annotation, self._unknown):
                return self._rewrite_known(annotation, self._class)
            if _MISSING_WORDS and type(kind).__module__ == "typing" and is_typeddict(kind):
                return self._rewrite_known(annotation, self._dictionary)
            return annotation
        return self._generic(annotation)

    def _unknown(self, kind: Any) -> bool:
        return isinstance(kind, type) and (
            is_attrs(kind) or self._special(kind) is not None or _has_tuples(kind)
        )

    def _rewrite_known(self, annotation: Any, make: Any) -> Any:
        if annotation not in self._made:
            self._made[annotation] = make(annotation)
        return self._made[annotation]

    def _class(self, annotation: Any) -> Any:
        kind = get_origin(annotation) or annotation
        if is_typeddict(kind):
            return self._dictionary(annotation)
        if issubclass(kind, tuple):
            hints = hints_of(annotation)
            row: Any = tuple.__class_getitem__(tuple(self.of(hints.get(name, Any)) for name in kind._fields))
            return Annotated[row, AfterValidator(kind._make), _Instances(kind)]
        needed = fields_to_read(kind)
        fields = _dictionary(kind.__name__, {name: needed[name] for name in needed})
        alias: Any = TypeAliasType(
            kind.__name__, Annotated[fields, AfterValidator(functools.partial(build, kind)), _Instances(kind)]
        )
        # Stored before the fields are rewritten, because they may contain the class again.
        self._made[annotation] = alias
        hints = hints_of(annotation)
        _fill(fields, {name: self.of(hints.get(name, Any)) for name in needed})
        return alias

    def _dictionary(self, annotation: Any) -> Any:
        kind = get_origin(annotation) or annotation
        hints = hints_of(annotation)
        fields = _dictionary(kind.__name__, {name: name in kind.__required_keys__ for name in hints})
        alias: Any = TypeAliasType(kind.__name__, fields)
        self._made[annotation] = alias
        _fill(fields, {name: self.of(_bare(hint)) for name, hint in hints.items()})
        return alias

    def _generic(self, annotation: Any) -> Any:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is None or origin is typing.Literal or not arguments:
            return annotation
        replaced = tuple(self.of(argument) for argument in arguments)
        if all(new is old for new, old in zip(replaced, arguments, strict=True)):
            return annotation
        if origin is Annotated:
            return Annotated.__class_getitem__((replaced[0], *arguments[1:]))
        if origin is types.UnionType:
            return functools.reduce(_union, replaced)
        if hasattr(annotation, "copy_with"):
            return annotation.copy_with(replaced)
        return origin[replaced]


class _Instances:
    """Accepts instances of a class as they are, where pydantic validates objects and not text."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        inner = handler(source)

        def pass_(value: Any, read: Any) -> Any:
            return value if isinstance(value, self._kind) else read(value)

        return core_schema.json_or_python_schema(
            inner, core_schema.no_info_wrap_validator_function(pass_, inner)
        )


def _has_tuples(kind: Any) -> bool:
    """Whether a class is an enumeration with tuples as values, which formats write as lists."""
    return (
        isinstance(kind, type)
        and issubclass(kind, Enum)
        and any(isinstance(each.value, tuple) for each in kind)
    )


def _member(kind: type[Enum], value: Any) -> Any:
    if isinstance(value, list):
        return next(
            (each for each in kind if isinstance(each.value, tuple) and list(each.value) == value), value
        )
    return value


def _dictionary(name: str, needed: dict[str, bool]) -> Any:
    make: Any = TypedDict
    return make(name, {field: Required[Any] if must else NotRequired[Any] for field, must in needed.items()})


def _fill(dictionary: Any, hints: dict[str, Any]) -> None:
    required = dictionary.__required_keys__
    dictionary.__annotations__.update(
        {name: (Required if name in required else NotRequired)[hint] for name, hint in hints.items()}
    )


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint


def _union(left: Any, right: Any) -> Any:
    return Union[left, right]
