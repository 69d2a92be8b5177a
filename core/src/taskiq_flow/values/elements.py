"""The annotations of the elements of a list that is read element by element."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Any, get_args, get_origin

from typing_extensions import get_type_hints

from taskiq_flow.graph._shapes import is_mapping
from taskiq_flow.graph.types import is_union, list_elements, members

__all__ = ["collect_as", "elements_of", "pair_of"]

_COLLECTIONS: dict[Any, Any] = {set: set, frozenset: frozenset, tuple: tuple, deque: deque}


def elements_of(annotation: Any, count: int) -> list[Any] | None:
    """Return the annotation of each element.

    :param annotation: The annotation of the whole list.
    :param count: The number of elements.
    :returns: ``None`` where the annotation is that of another number of elements.
    """
    annotation = _of_list(annotation)
    if isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        hints = get_type_hints(annotation, include_extras=True)
        elements: Any = tuple(hints.get(name, Any) for name in annotation._fields)
    else:
        elements = list_elements(annotation)
    if not isinstance(elements, tuple):
        return [elements] * count
    return list(elements) if len(elements) == count else None


def pair_of(annotation: Any) -> tuple[Any, Any]:
    """Return the annotations of the keys and of the values of a dictionary; ``Any`` where they are unknown."""
    for each in members(annotation):
        found = _of_list(each)
        args = get_args(found)
        if len(args) == 2 and is_mapping(get_origin(found)):
            return args
    return Any, Any


def collect_as(annotation: Any, elements: list[Any]) -> Any:
    """Return decoded elements as the kind of list that an annotation says."""
    annotation = _of_list(annotation)
    if isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        return annotation._make(elements)  # type: ignore[attr-defined]
    return _COLLECTIONS.get(get_origin(annotation) or annotation, list)(elements)


def _of_list(annotation: Any) -> Any:
    """Return an annotation without its wrappers; of a union, the first member that is no null."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = annotation.__origin__
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif is_union(annotation):
            members = [each for each in get_args(annotation) if each is not type(None)]
            annotation = members[0] if members else Any
        else:
            return annotation
