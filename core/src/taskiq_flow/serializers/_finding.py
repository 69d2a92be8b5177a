"""Finding values that cannot be encoded, or that JSON needs care with: sets, and keys that are not text."""

from __future__ import annotations

import functools
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from pydantic_core import from_json

from taskiq_flow.serializers._lowering import lower
from taskiq_flow.serializers._records import field_names
from taskiq_flow.serializers._trusting import are_trusted

__all__ = ["needs_care", "offender", "with_care"]

_SETS = (set, frozenset)
_NONE = type(None)
_LEAVES = frozenset({str, int, float, bool, _NONE, bytes})
# Each step down encodes the part below again, and a longer path is not shown in full anyway.
_DEEPEST = 50
_TEXT = frozenset({str})


def offender(
    value: Any, encode: Callable[[Any], bytes], path: str = "result"
) -> tuple[Any, str, Exception | None]:
    """Return the innermost value that cannot be encoded, its path, and the reason.

    :param value: A value that cannot be encoded.
    :param encode: The encoder; it raises for values that it cannot encode.
    :param path: The name of the value itself.
    """
    reason: Exception | None = None
    seen: set[int] = set()
    for _ in range(_DEEPEST):
        seen.add(id(value))
        for place, part in _parts(value):
            if id(part) in seen:
                return part, _shorten(path + place), ValueError("it contains itself")
            try:
                encode(part)
            except Exception as error:  # noqa: BLE001 - the value's own code may run here
                value, path, reason = part, path + place, error
                break
        else:
            break
    else:
        path += "…"
    return value, _shorten(path), reason


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield f"[{_short(key)}]", part
        for key in value:
            yield f", key {_short(key)}", key
    elif isinstance(value, (list, tuple, deque)):
        for index, part in enumerate(value):
            yield f"[{index}]", part
    elif isinstance(value, _SETS):
        for part in value:
            yield f", element {_short(part)}", part
    else:
        for name in field_names(type(value)) or tuple(getattr(type(value), "__pydantic_fields__", ())):
            yield f".{name}", getattr(value, name, None)


def _shorten(path: str) -> str:
    return path if len(path) <= 160 else f"{path[:75]}…{path[-75:]}"


def _short(value: Any) -> str:
    if type(value) not in _LEAVES:
        # The repr of other objects may be long, contain an address, or raise.
        return type(value).__qualname__
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


def needs_care(value: Any) -> bool:
    """Whether plain containers hold sets, or keys that are not text; for values without cycles."""
    open_ = [value]
    while open_:
        current = open_.pop()
        if isinstance(current, dict):
            if not _TEXT.issuperset(map(type, current)):
                return True
            inside: Collection[Any] = current.values()
        elif isinstance(current, (list, tuple)):
            inside = current
        elif isinstance(current, _SETS):
            return True
        else:
            kind: Any = type(current)
            names = field_names(kind)
            if names is None:
                if _may_hold_sets(kind):
                    open_.append(_dump(current, "python"))
                continue
            inside = [getattr(current, name) for name in names]
        # Most containers hold only plain values; this check needs no Python loop.
        if not _LEAVES.issuperset(map(type, inside)) and not _are_careless(inside):
            open_.extend(inside)
    return False


def _are_careless(values: Collection[Any]) -> bool:
    """Whether values are objects of one class, of which none has a set or such a key."""
    kinds = set(map(type, values))
    kind = kinds.pop()
    return not kinds and are_trusted(kind, values)


def with_care(value: Any, encode: Callable[[Any], bytes]) -> Any:
    """Return the same value with lists in place of sets, in the order of their encoded elements.

    A pydantic model is written by its own configuration, except for the order of its sets.

    :raises TypeError: a key's text could not be read back as that key.
    :raises ValueError: two keys would have the same text.
    """
    if type(value) in _LEAVES:
        return value
    if isinstance(value, _SETS):
        return sorted((with_care(each, encode) for each in value), key=encode)
    if isinstance(value, dict):
        _check_keys(value, encode)
        return {key: with_care(each, encode) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_care(each, encode) for each in value]
    kind: Any = type(value)
    names = field_names(kind)
    if names is not None:
        return {name: with_care(getattr(value, name), encode) for name in names}
    if _may_hold_sets(kind):
        meant = _dump(value, "python")
        if needs_care(meant):
            return _sort_like(_dump(value, "json"), meant, encode)
    return value


def _dump(model: Any, mode: str) -> Any:
    fallback = lower if mode == "json" else None
    return type(model).__pydantic_serializer__.to_python(
        model, mode=mode, by_alias=True, round_trip=True, fallback=fallback
    )


@functools.lru_cache(maxsize=2048)
def _may_hold_sets(kind: Any) -> bool:
    """Whether pydantic writes values of a class, and its schema allows sets, or anything, in them."""
    # URLs of pydantic have a serializer, but no schema.
    schema = str(getattr(kind, "__pydantic_core_schema__", ""))
    return any(word in schema for word in ("'set'", "'frozenset'", "'any'", "'allow'"))


def _sort_like(written: Any, meant: Any, encode: Callable[[Any], bytes]) -> Any:
    """Sort those lists in a model's output that were sets in the model."""
    if type(written) is list and isinstance(meant, _SETS):
        return sorted(written, key=encode)
    if type(written) is dict and isinstance(meant, dict) and len(written) == len(meant):
        pairs = zip(written.items(), meant.values(), strict=True)
        return {key: _sort_like(one, other, encode) for (key, one), other in pairs}
    if type(written) is list and isinstance(meant, (list, tuple)) and len(written) == len(meant):
        return [_sort_like(one, other, encode) for one, other in zip(written, meant, strict=True)]
    return written


def _check_keys(value: dict[Any, Any], encode: Callable[[Any], bytes]) -> None:
    kinds = set(map(type, value))
    for kind in kinds:
        if kind is _NONE or issubclass(kind, (tuple, frozenset)) or field_names(kind) is not None:
            raise TypeError(f"a key of type {kind.__qualname__} cannot be told from its text")
    if len(kinds) > 1:
        texts = Counter(key for each in value for key in from_json(encode({each: None})))
        if again := next((text for text, times in texts.items() if times > 1), None):
            raise ValueError(f"two keys become the same text {_short(again)}")
