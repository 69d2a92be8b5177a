"""Finding what cannot be encoded, and writing sets in an order that does not depend on the process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["holds_set", "offender", "with_sorted_sets"]

_SETS = (set, frozenset)
_LEAVES = frozenset({str, int, float, bool, type(None), bytes})


def offender(
    value: Any, encode: Callable[[Any], bytes], path: str = "result"
) -> tuple[Any, str, Exception | None]:
    """Give the innermost value that cannot be encoded, its path, and why.

    :param value: A value that cannot be encoded.
    :param encode: Raises for what cannot be encoded.
    :param path: How the value itself is called.
    """
    reason: Exception | None = None
    seen: set[int] = set()
    while True:
        seen.add(id(value))
        for place, part in _parts(value):
            if id(part) in seen:
                return part, _cut(path + place), ValueError("it contains itself")
            try:
                encode(part)
            except Exception as error:  # noqa: BLE001 - the value's own code may run here
                value, path, reason = part, path + place, error
                break
        else:
            return value, _cut(path), reason


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield f"[{_short(key)}]", part
        for key in value:
            yield f", key {_short(key)}", key
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield f"[{index}]", part
    elif isinstance(value, _SETS):
        for part in value:
            yield f", element {_short(part)}", part
    else:
        for name in _field_names(type(value)):
            yield f".{name}", getattr(value, name, None)


def _field_names(kind: type[Any]) -> Iterable[str]:
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return getattr(kind, "__pydantic_fields__", ())


def _cut(path: str) -> str:
    return path if len(path) <= 160 else f"{path[:75]}…{path[-75:]}"


def _short(value: Any) -> str:
    if type(value) not in _LEAVES:
        # Other objects may write themselves at length, with an address, or not at all.
        return type(value).__qualname__
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


def holds_set(value: Any) -> bool:
    """Whether there is a set in plain containers; for values without cycles."""
    open_ = [value]
    while open_:
        current = open_.pop()
        if isinstance(current, dict):
            inside: Iterable[Any] = current.values()
        elif isinstance(current, (list, tuple)):
            inside = current
        elif isinstance(current, _SETS):
            return True
        elif _is_plain_dataclass(type(current)):
            inside = [getattr(current, each.name) for each in dataclasses.fields(current)]
        else:
            continue
        # Most containers hold plain values only, and this sees it without a loop of ours.
        if not _LEAVES.issuperset(map(type, inside)):
            open_.extend(inside)
    return False


def with_sorted_sets(value: Any, encode: Callable[[Any], bytes]) -> Any:
    """Give the same value with lists in place of sets, in the order of their encoded elements.

    A set within a pydantic model stays as it is: how it is written is the model's affair.
    """
    if type(value) in _LEAVES:
        return value
    if isinstance(value, _SETS):
        return sorted((with_sorted_sets(each, encode) for each in value), key=encode)
    if isinstance(value, dict):
        return {key: with_sorted_sets(each, encode) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_sorted_sets(each, encode) for each in value]
    if _is_plain_dataclass(type(value)):
        return {
            each.name: with_sorted_sets(getattr(value, each.name), encode)
            for each in dataclasses.fields(value)
        }
    return value


def _is_plain_dataclass(kind: type[Any]) -> bool:
    return dataclasses.is_dataclass(kind) and not hasattr(kind, "__pydantic_serializer__")
