"""Arguments read by the annotation of whoever made them, where that of the parameter allows several classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args

from taskiq import AsyncBroker

from taskiq_flow.graph.types import comparable_or_any, is_union
from taskiq_flow.tasks.annotations import signature_of
from taskiq_flow.values.elements import pair_of
from taskiq_flow.values.readings import ByAnnotation, ByPlace, EachItem, EachMember, Reading

__all__ = ["list_doubtful", "reading_made_by"]

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


def reading_made_by(maker: Any, broker: AsyncBroker) -> Reading | None:
    """Return how what a maker has made is read; ``None`` where that is unknown here.

    :param maker: What :func:`~taskiq_flow.machine.makers.makers_of` found.
    :param broker: The broker that has the makers' tasks.
    """
    if maker == "filler":
        return ByAnnotation()
    if isinstance(maker, list):
        return _read_output(maker, broker)
    if "each" in maker:
        inner = reading_made_by(maker["each"], broker)
        keyed = "keys" in maker
        return None if inner is None else EachItem(inner, _annotation_of_keys(maker, broker), keyed)
    readings = [reading_made_by(each, broker) for each in maker["list"]]
    known = [each for each in readings if each is not None]
    if len(known) < len(readings):
        return None
    return EachMember(tuple([known[number] for number in maker["order"]]), _annotation_of_keys(maker, broker))


def _read_output(maker: list[Any], broker: AsyncBroker) -> Reading | None:
    name, outputs, position, depth, row = (*maker, 0, None)[:5]
    task = broker.find_task(name)
    returns = () if task is None else signature_of(task).find_returns(outputs)
    reading: Reading = ByAnnotation(returns[position] if returns else Any)
    for _ in range(depth):
        reading = reading.of_element()
        if isinstance(reading, ByPlace) and row is not None and row < len(reading.readings):
            reading, row = reading.readings[row], None
    return None if comparable_or_any(reading.annotation) is Any else reading


def _annotation_of_keys(maker: Mapping[str, Any], broker: AsyncBroker) -> Any:
    keys = maker.get("keys")
    whole = None if keys is None else _read_output(keys, broker)
    return Any if whole is None else pair_of(whole.annotation)[0]
