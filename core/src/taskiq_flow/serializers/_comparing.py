"""Whether two values are the same: equal, and of the same types all the way down."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from taskiq_flow.serializers._lowering import SECRET_ADVICE, SECRETS
from taskiq_flow.serializers._records import ABSENT, field_names_of, is_spelled

__all__ = ["Unproven", "difference"]

_ATOMS = frozenset({str, int, bool, type(None), bytes})
_NUMBERS = (bool, int, float, complex)
_SCALARS = (str, bytes, int, float, complex, Decimal, UUID, date, time, timedelta)
_CONTAINERS = (list, tuple, dict, set, frozenset)


class Unproven(TypeError):
    """An object would not come back as it was."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(why)
        self.place = place


class _Difference(Exception):
    """Two values differ: the steps to the place, innermost first, and what is there."""

    def __init__(self, why: str) -> None:
        self.steps: list[str] = []
        self.why = why


def difference(
    value: Any, found: Any, carries: Callable[[Any], bool], skipped: frozenset[str] = frozenset()
) -> tuple[str, str] | None:
    """Return the place where two values differ, and how; ``None`` if they are the same.

    A number may have become one of a wider type (an integer in a field of floats), and a value of a subclass one of the
    class itself, as long as the two are equal.

    :param value: The value as it was.
    :param found: The value as it came back.
    :param carries: Whether the format has an exact form of its own for a value, so that it need not be compared.
    :param skipped: Names of fields of the value that are not compared.
    """
    try:
        _Comparison(carries).compare(value, found, skipped)
    except _Difference as error:
        return "".join(reversed(error.steps)), error.why
    return None


class _Comparison:
    def __init__(self, carries: Callable[[Any], bool]) -> None:
        self._carries = carries

    def compare(self, value: Any, found: Any, skipped: frozenset[str] = frozenset()) -> None:
        kind = type(value)
        if type(found) is kind:
            if kind in _ATOMS:
                _expect(value == found, value, found)
                return
            usual = _USUAL.get(kind)
            if usual is not None:
                usual(self, value, found)
                return
        elif not _is_alike(value, found):
            raise _Difference(_tell(value, found))
        if is_spelled(kind):
            self._compare_fields(value, found, skipped)
        elif isinstance(value, Enum):
            _expect(value == found, value, found)
        else:
            self._compare_others(value, found)

    def _compare_others(self, value: Any, found: Any) -> None:
        for base, compare in _USUAL.items():
            if isinstance(value, base):
                compare(self, value, found)
                self._compare_state(value, found)
                return
        if isinstance(value, Mapping):
            self.compare_mappings(value, found)
        elif isinstance(value, SECRETS):
            if value.get_secret_value() != found.get_secret_value():
                raise _Difference(SECRET_ADVICE)
        elif self._carries(value):
            return
        elif _is_only_itself(value):
            self._compare_state(value, found)
        else:
            try:
                same = bool(value == found)
            except Exception as error:
                raise _Difference(f"{_name(value)} cannot be compared: {error}") from error
            _expect(same, value, found)

    def _step(self, step: str, value: Any, found: Any) -> None:
        try:
            self.compare(value, found)
        except _Difference as error:
            error.steps.append(step)
            raise

    def compare_sequences(self, value: Any, found: Any) -> None:
        _expect(len(value) == len(found), value, found)
        for index, (one, other) in enumerate(zip(value, found, strict=True)):
            if type(one) is type(other) and type(one) in _ATOMS and one == other:
                continue
            self._step(f"[{index}]", one, other)

    def compare_mappings(self, value: Any, found: Any) -> None:
        _expect(len(value) == len(found), value, found)
        others = None
        for (key, one), (other_key, other) in zip(value.items(), found.items(), strict=True):
            if type(key) is not str or key != other_key:
                if others is None:
                    # A typed dictionary is read in the order of its annotations.
                    others = {each: each for each in found} if key != other_key else {}
                if key in others:
                    other_key, other = others[key], found[key]
                self._step(f", key {_show(key)}", key, other_key)
            if type(one) is type(other) and type(one) in _ATOMS and one == other:
                continue
            self._step(f"[{_show(key)}]", one, other)

    def compare_factories(self, value: Any, found: Any) -> None:
        factory = getattr(found, "default_factory", value.default_factory)
        _expect(value.default_factory == factory, value, found)
        self.compare_mappings(value, found)

    def _compare_fields(self, value: Any, found: Any, skipped: frozenset[str]) -> None:
        for name in field_names_of(value):
            part, other = getattr(value, name, ABSENT), getattr(found, name, ABSENT)
            kind = type(part)
            if part is other or (kind in _ATOMS and kind is type(other) and part == other) or name in skipped:
                continue
            self._step(f".{name}", part, other)
        extra, more = getattr(value, "__pydantic_extra__", None), getattr(found, "__pydantic_extra__", None)
        if extra or more:
            self.compare_mappings(extra or {}, more or {})
        if getattr(value, "__pydantic_private__", None):
            self._compare_private(value, found)

    def _compare_private(self, value: Any, found: Any) -> None:
        private = getattr(value, "__pydantic_private__", None) or {}
        others = getattr(found, "__pydantic_private__", None) or {}
        for name, part in private.items():
            other = others.get(name, ABSENT)
            # Locks, clients and the like are made anew with each object, and equal to nothing but themselves.
            if _is_only_itself(part) and type(part) is type(other):
                continue
            self._step(f".{name}", part, other)

    def _compare_state(self, value: Any, found: Any) -> None:
        """Compare what objects of one class have as attributes."""
        state, other = getattr(value, "__dict__", None), getattr(found, "__dict__", None)
        if state and isinstance(state, dict) and type(value) is type(found):
            for name, part in state.items():
                self._step(f".{name}", part, (other or {}).get(name, ABSENT))


def _is_only_itself(value: Any) -> bool:
    """Whether an object is equal to nothing but itself."""
    compare: Any = type(value).__eq__
    return compare is object.__eq__


def _expect(same: Any, value: Any, found: Any) -> None:
    if not same:
        raise _Difference(_tell(value, found))


def _is_alike(value: Any, found: Any) -> bool:
    kind, other = type(value), type(found)
    if other in _NUMBERS and isinstance(value, _NUMBERS):
        return True
    if isinstance(value, other):
        # A value of a subclass, in a field of the class.
        return other in _CONTAINERS or isinstance(value, _SCALARS)
    # A generic model without its parameters, and the same with them.
    return _origin(kind) is not None and _origin(kind) is _origin(other)


def _compare_floats(_: _Comparison, value: Any, found: Any) -> None:
    _expect(_is_same_float(value, found), value, found)


def _compare_complex(_: _Comparison, value: Any, found: Any) -> None:
    same = _is_same_float(value.real, found.real) and _is_same_float(value.imag, found.imag)
    _expect(same, value, found)


def _compare_decimals(_: _Comparison, value: Any, found: Any) -> None:
    # Equal decimals may have other digits, and a NaN is equal to nothing.
    _expect(value.as_tuple() == found.as_tuple(), value, found)


def _compare_moments(_: _Comparison, value: Any, found: Any) -> None:
    # The same time in the same zone: a moment within an hour that comes twice is equal to none of another zone.
    if value.utcoffset() != found.utcoffset() or value != found:
        _expect(value.utcoffset() == found.utcoffset(), value, found)
        _expect(value.replace(tzinfo=None) == found.replace(tzinfo=None), value, found)


def _compare_times(_: _Comparison, value: Any, found: Any) -> None:
    _expect(value == found and (value.tzinfo is None) == (found.tzinfo is None), value, found)


def _compare_patterns(_: _Comparison, value: Any, found: Any) -> None:
    _expect((value.pattern, value.flags) == (found.pattern, found.flags), value, found)


def _compare_sets(_: _Comparison, value: Any, found: Any) -> None:
    _expect(value == found and Counter(map(type, value)) == Counter(map(type, found)), value, found)


def _compare_equal(_: _Comparison, value: Any, found: Any) -> None:
    _expect(value == found, value, found)


_USUAL: dict[Any, Callable[[_Comparison, Any, Any], None]] = {
    list: _Comparison.compare_sequences,
    defaultdict: _Comparison.compare_factories,
    dict: _Comparison.compare_mappings,
    tuple: _Comparison.compare_sequences,
    deque: _Comparison.compare_sequences,
    set: _compare_sets,
    frozenset: _compare_sets,
    float: _compare_floats,
    datetime: _compare_moments,
    date: _compare_equal,
    time: _compare_times,
    timedelta: _compare_equal,
    UUID: _compare_equal,
    Decimal: _compare_decimals,
    complex: _compare_complex,
    int: _compare_equal,
    str: _compare_equal,
    bytes: _compare_equal,
    re.Pattern: _compare_patterns,
}


def _origin(kind: Any) -> Any:
    generic = getattr(kind, "__pydantic_generic_metadata__", None)
    return None if generic is None else generic["origin"] or kind


def _is_same_float(one: Any, other: Any) -> bool:
    if math.isnan(one):
        return math.isnan(other)
    return bool(one == other) and math.copysign(1.0, one) == math.copysign(1.0, other)


def _tell(value: Any, found: Any) -> str:
    if found is ABSENT:
        return f"{_show(value)} would be missing"
    if type(value) is not type(found):
        return f"{_name(value)} would come back as {_name(found)}"
    return f"{_show(value)} would come back as {_show(found)}"


def _name(value: Any) -> str:
    name = type(value).__qualname__
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def _show(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the value's own code may raise
        return _name(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}…"
