"""From annotations to the adapters that decode by them."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticUserError
from typing_extensions import (
    NotRequired,
    Required,
    TypeAliasType,
    TypedDict,
    get_type_hints,
)

__all__ = ["Adapters", "is_missing"]

_CONFIG = ConfigDict(arbitrary_types_allowed=True, val_json_bytes="base64")
_KEPT = 2048


def is_missing(annotation: Any) -> bool:
    """Whether an annotation says nothing."""
    return annotation is Any or annotation is inspect.Parameter.empty or annotation is object


class Adapters:
    """Type adapters by annotation, each made once.

    Annotations are told apart by identity first: ``int | str`` and ``str | int`` are equal, and yet they may decode one
    text differently.
    """

    def __init__(self) -> None:
        self._by_identity: dict[int, tuple[Any, TypeAdapter[Any]]] = {}
        self._by_text: dict[tuple[Any, str], TypeAdapter[Any]] = {}

    def get(self, annotation: Any) -> TypeAdapter[Any]:
        """Give the adapter of an annotation.

        :raises Exception: pydantic, or the annotation itself, does not allow one.
        """
        known = self._by_identity.get(id(annotation))
        if known is not None and known[0] is annotation:
            return known[1]
        adapter = self._by_equality(annotation)
        if len(self._by_identity) >= _KEPT:
            self._by_identity.clear()
        # Keeping the annotation keeps its identity from being given to another object.
        self._by_identity[id(annotation)] = (annotation, adapter)
        return adapter

    def _by_equality(self, annotation: Any) -> TypeAdapter[Any]:
        # Annotations that are written as text are made anew each time that they are read.
        try:
            key = (annotation, repr(annotation))
            known = self._by_text.get(key)
        except TypeError:
            return _adapter(annotation)
        if known is None:
            if len(self._by_text) >= _KEPT:
                self._by_text.clear()
            known = self._by_text[key] = _adapter(annotation)
        return known


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    if sys.version_info < (3, 12):
        annotation = _portable(annotation)
    try:
        return TypeAdapter(annotation, config=_CONFIG)
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
    if hasattr(annotation, "__pydantic_validator__"):
        # A pydantic model or dataclass, which has a configuration of its own.
        return TypeAdapter(annotation)
    # A plain dataclass or typed dictionary takes the configuration from what stands around it, so let something.
    alias: Any = TypeAliasType("Value", annotation)
    return TypeAdapter(alias, config=_CONFIG)


def _portable(annotation: Any) -> Any:
    """Replace typed dictionaries of :mod:`typing`, which pydantic refuses before Python 3.12."""
    if (
        isinstance(annotation, type)
        and type(annotation).__module__ == "typing"
        and typing.is_typeddict(annotation)
    ):
        return _portable_dictionary(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None or origin is typing.Literal or not arguments:
        return annotation
    replaced = tuple(_portable(argument) for argument in arguments)
    if all(new is old for new, old in zip(replaced, arguments, strict=True)):
        return annotation
    if origin is Annotated:
        return Annotated.__class_getitem__((replaced[0], *arguments[1:]))
    if origin is types.UnionType:
        return functools.reduce(_union, replaced)
    if hasattr(annotation, "copy_with"):
        return annotation.copy_with(replaced)
    return origin[replaced]


@functools.cache
def _portable_dictionary(annotation: Any) -> Any:
    hints = get_type_hints(annotation, include_extras=True)
    fields = {
        name: (Required if name in annotation.__required_keys__ else NotRequired)[_portable(_bare(hint))]
        for name, hint in hints.items()
    }
    make: Any = TypedDict
    return make(annotation.__name__, fields)


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint


def _union(left: Any, right: Any) -> Any:
    return Union[left, right]
