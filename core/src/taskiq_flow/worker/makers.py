"""Arguments read by the annotation of whoever made them, where that of the parameter allows several classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args

from taskiq import AsyncBroker

from taskiq_flow.graph.types import comparable_or_any, is_union
from taskiq_flow.tasks.annotations import signature_of
from taskiq_flow.values.elements import elements_of

__all__ = ["annotation_made_by", "list_doubtful"]

_TOLD_APART = frozenset({int, float, str, bool, type(None)})
_DEPTH = 6


def list_doubtful(accepts: Mapping[str, Any]) -> frozenset[str]:
    """Return the parameters that may get values of several classes which look alike when they are written."""
    return frozenset(name for name, annotation in accepts.items() if _is_doubtful(annotation, _DEPTH))


def _is_doubtful(annotation: Any, depth: int) -> bool:
    annotation = comparable_or_any(annotation)
    parts = get_args(annotation)
    if (
        is_union(annotation)
        and sum(part not in _TOLD_APART for part in parts)
        and len(set(parts) - {type(None)}) > 1
    ):
        return True
    if isinstance(annotation, type) and not parts:
        fields = dataclasses.is_dataclass(annotation) or hasattr(annotation, "__pydantic_fields__")
        return (fields or hasattr(annotation, "__attrs_attrs__")) and bool(annotation.__subclasses__())
    return depth > 0 and any(_is_doubtful(part, depth - 1) for part in parts)


def annotation_made_by(maker: Any, broker: AsyncBroker) -> Any:
    """Return the annotation of what a maker has made; ``Any`` where it is unknown here.

    :param maker: What :func:`~taskiq_flow.machine.makers.makers_of` found.
    :param broker: The broker that has the maker's task.
    """
    if isinstance(maker, list):
        name, outputs, position = maker
        task = broker.find_task(name)
        returns = () if task is None else signature_of(task).find_returns(outputs)
        return returns[position] if returns else Any
    ((word, inner),) = maker.items()
    if word == "list":
        parts = [annotation_made_by(each, broker) for each in inner]
        return Any if Any in parts else tuple.__class_getitem__(tuple(parts))
    made = annotation_made_by(inner, broker)
    if made is Any or word == "each":
        return Any if made is Any else list[made]  # type: ignore[valid-type]
    elements = elements_of(made, 1)
    return Any if elements is None else elements[0]
