"""Type adapters that decode by an annotation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticUserError
from typing_extensions import TypeAliasType

from taskiq_flow.serializers._rewriting import Rewriting

__all__ = ["Adapters", "is_missing"]

_CONFIG = ConfigDict(arbitrary_types_allowed=True, val_json_bytes="base64")
_CACHE_SIZE = 2048


def is_missing(annotation: Any) -> bool:
    """Whether an annotation allows any value."""
    return annotation is Any or annotation is inspect.Parameter.empty or annotation is object


class Adapters:
    """Type adapters by annotation, each made once.

    Annotations are looked up by identity first: ``int | str`` and ``str | int`` are equal, but may decode one text
    differently.

    :param special: Returns the annotation for a class that the format reads in its own way; ``None`` for others.
    :param echo: Writes a value and reads it again, without an annotation.
    """

    def __init__(self, special: Callable[[type[Any]], Any], echo: Callable[[Any], Any]) -> None:
        self._special = special
        self._echo = echo
        self._by_identity: dict[int, tuple[Any, TypeAdapter[Any]]] = {}
        self._by_text: dict[tuple[Any, str], TypeAdapter[Any]] = {}

    def get(self, annotation: Any) -> TypeAdapter[Any]:
        """Return the adapter of an annotation.

        :raises Exception: pydantic cannot make one, or the annotation's own code raises.
        """
        known = self._by_identity.get(id(annotation))
        if known is not None and known[0] is annotation:
            return known[1]
        adapter = self._by_equality(annotation)
        if len(self._by_identity) >= _CACHE_SIZE:
            self._by_identity.clear()
        # The annotation is kept alive, so that no other object gets its identity.
        self._by_identity[id(annotation)] = (annotation, adapter)
        return adapter

    def _by_equality(self, annotation: Any) -> TypeAdapter[Any]:
        # Annotations that were written as text are new objects each time, so identity does not find them.
        try:
            key = (annotation, repr(annotation))
            known = self._by_text.get(key)
        except TypeError:
            return self._make(annotation)
        if known is None:
            if len(self._by_text) >= _CACHE_SIZE:
                self._by_text.clear()
            known = self._by_text[key] = self._make(annotation)
        return known

    def _make(self, annotation: Any) -> TypeAdapter[Any]:
        annotation = Rewriting(self._special, self._echo).of(annotation)
        try:
            return TypeAdapter(annotation, config=_CONFIG)
        except PydanticUserError as error:
            if error.code != "type-adapter-config-unused":
                raise
        if hasattr(annotation, "__pydantic_validator__"):
            # A pydantic model or dataclass has a configuration of its own.
            return TypeAdapter(annotation)
        # A plain dataclass or typed dictionary takes the configuration of the type around it, so wrap it in an alias.
        alias: Any = TypeAliasType("Value", annotation)
        return TypeAdapter(alias, config=_CONFIG)
