"""Annotations rewritten for pydantic, which does not know attrs classes, nor always typed dictionaries."""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator
from typing_extensions import NotRequired, ReadOnly, Required, TypeAliasType, TypedDict, is_typeddict

from taskiq_flow.serializers._iterables import is_iterable, read_iterable
from taskiq_flow.serializers._plainer import Instances, is_odd, is_odd_literal, read_literal, read_odd
from taskiq_flow.serializers._records import (
    build,
    fields_to_read,
    hints_of,
    holds,
    is_attrs,
    is_record,
    is_row,
    sets_fields_itself,
)

__all__ = ["Rewriting"]

_QUALIFIERS = (Required, NotRequired, ReadOnly)
_MISSING_WORDS = sys.version_info < (3, 12)


class Rewriting:
    """Rewrites one annotation; a recursive class is rewritten once.

    Attrs classes, dataclasses with fields that are no arguments, and classes that contain such, are read as a
    dictionary of their fields and then built. Enumerations, and other classes that a format writes as plainer values,
    are made from those. Typed dictionaries of :mod:`typing`, which pydantic refuses before Python 3.12, become those of
    ``typing_extensions``.

    :param special: Returns the annotation for a class that the format reads in its own way; ``None`` for others.
    :param echo: Writes a value and reads it again, without an annotation.
    """

    def __init__(self, special: Callable[[type[Any]], Any], echo: Callable[[Any], Any]) -> None:
        self._special = special
        self._echo = echo
        self._made: dict[Any, Any] = {}

    def of(self, annotation: Any) -> Any:
        """Return the annotation to read by."""
        kind = get_origin(annotation) or annotation
        if isinstance(kind, type) and (special := self._special(kind)) is not None:
            return special
        if is_odd(kind):
            return read_odd(annotation, self._echo, self.of)
        if is_iterable(kind):
            return read_iterable(annotation, self.of)
        if isinstance(kind, type) and (is_row(kind) or is_record(kind)):
            if holds(annotation, self._is_unread if is_typeddict(kind) else self._unknown):
                return self._rewrite_known(annotation, self._class)
            if _MISSING_WORDS and type(kind).__module__ == "typing" and is_typeddict(kind):
                return self._rewrite_known(annotation, self._dictionary)
            return annotation
        return self._generic(annotation)

    def _unknown(self, kind: Any) -> bool:
        if not isinstance(kind, type):
            return is_odd_literal(kind)
        # Decimals are odd only where they are not finite, which is no reason to read every class with one differently.
        odd = is_odd(kind) and kind is not Decimal
        return (
            odd
            or is_iterable(kind)
            or is_attrs(kind)
            or sets_fields_itself(kind)
            or self._special(kind) is not None
        )

    def _is_unread(self, kind: Any) -> bool:
        """Whether a typed dictionary with such a class in it is rewritten: its values are proved one by one."""
        return is_odd(kind) or self._unknown(kind)

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
            return Annotated[row, AfterValidator(kind._make), Instances(kind)]
        needed = fields_to_read(kind)
        fields = _dictionary(kind.__name__, {name: needed[name] for name in needed})
        alias: Any = TypeAliasType(
            kind.__name__, Annotated[fields, AfterValidator(functools.partial(build, kind)), Instances(kind)]
        )
        # Stored before the fields are rewritten, because they may contain the class again.
        self._made[annotation] = alias
        hints = hints_of(annotation)
        _fill(fields, {name: self.of(hints.get(name, Any)) for name in needed})
        return alias

    def _dictionary(self, annotation: Any) -> Any:
        kind = get_origin(annotation) or annotation
        hints = hints_of(annotation)
        fields = _dictionary(kind.__name__, {name: _is_required(kind, name, hints[name]) for name in hints})
        alias: Any = TypeAliasType(kind.__name__, fields)
        self._made[annotation] = alias
        _fill(fields, {name: self.of(_bare(hint)) for name, hint in hints.items()})
        return alias

    def _generic(self, annotation: Any) -> Any:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is None or not arguments:
            return annotation
        if origin is typing.Literal:
            return read_literal(annotation, self._echo) if is_odd_literal(annotation) else annotation
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


def _dictionary(name: str, needed: dict[str, bool]) -> Any:
    make: Any = TypedDict
    return make(name, {field: Required[Any] if must else NotRequired[Any] for field, must in needed.items()})


def _fill(dictionary: Any, hints: dict[str, Any]) -> None:
    required = dictionary.__required_keys__
    dictionary.__annotations__.update(
        {name: (Required if name in required else NotRequired)[hint] for name, hint in hints.items()}
    )


def _is_required(kind: Any, name: str, hint: Any) -> bool:
    # Where annotations are text, the class itself does not know which of its keys are optional.
    while get_origin(hint) in _QUALIFIERS:
        if get_origin(hint) is not ReadOnly:
            return get_origin(hint) is Required
        (hint,) = get_args(hint)
    return name in kind.__required_keys__


def _bare(hint: Any) -> Any:
    while get_origin(hint) in _QUALIFIERS:
        (hint,) = get_args(hint)
    return hint


def _union(left: Any, right: Any) -> Any:
    return Union[left, right]
