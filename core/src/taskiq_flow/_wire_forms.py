"""Conversion of plain classes to JSON data and back, derived from their annotations.

A :class:`WireForm` writes and reads one annotation. The form of a class follows from its fields, so a new field
of an event or of the graph needs no change here, unless it has an annotation of a new kind.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

__all__ = ["Known", "Misfit", "WireForm", "wire_form"]


class Misfit(Exception):
    """The data that was read has another form than expected.

    :param expected: The expected form, in words.
    :param found: The data.

    The place of the data is collected while the error travels up; tracking it during the reading would double the cost.
    """

    def __init__(self, expected: str, found: object) -> None:
        self.expected = expected
        self.found = found
        self._steps: list[str] = []
        super().__init__(expected)

    def within(self, step: str) -> Misfit:
        """Add a step to the place of the data, and return this error.

        :param step: The step to the part, such as ``.name``, ``[0]`` or ``['key']``.
        """
        self._steps.append(step)
        return self

    def __str__(self) -> str:
        try:
            found = repr(self.found)
        except RecursionError:
            found = f"{type(self.found).__name__} that is nested too deeply"
        found = found if len(found) <= 60 else f"{found[:57]}..."
        place = "".join(reversed(self._steps)).removeprefix(".")
        return f"{f'at {place} ' if place else ''}expected {self.expected}, found {found}"


@frozen
class WireForm:
    """The conversion of one annotation to JSON data and back.

    :param write: Callback from a value to JSON data; the value is trusted.
    :param read: Callback from JSON data to a value; raises :class:`Misfit`.
    """

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


Known = tuple[tuple[Any, WireForm], ...]
"""Annotations with a given form, each with that form."""


def _plain(kind: type, word: str) -> WireForm:
    def read(data: Any) -> Any:
        # By exact type, because isinstance() counts True as an int.
        if type(data) is not kind:
            raise Misfit(word, data)
        return data

    return WireForm(_same, read)


def _read_number(data: Any) -> float:
    if type(data) not in (float, int):
        raise Misfit("a number", data)
    try:
        return float(data)
    except OverflowError:
        raise Misfit("a number that is not so large", data) from None


_PLAIN = {
    str: _plain(str, "text"),
    bool: _plain(bool, "true or false"),
    int: _plain(int, "a whole number"),
    # A whole number is accepted and becomes a float, both in writing and in reading.
    float: WireForm(float, _read_number),
    Any: WireForm(_same, _same),
}


def _optional(inner: WireForm) -> WireForm:
    return WireForm(
        lambda value: None if value is None else inner.write(value),
        lambda data: None if data is None else inner.read(data),
    )


def _enumeration(kind: type[enum.Enum]) -> WireForm:
    words = {member.value: member for member in kind}

    def read(data: Any) -> enum.Enum:
        if not isinstance(data, str) or data not in words:
            raise Misfit(f"one of {', '.join(words)}", data)
        return words[data]

    return WireForm(lambda value: value.value, read)


def _choice(words: tuple[str, ...]) -> WireForm:
    def read(data: Any) -> Any:
        if data not in words:
            raise Misfit(f"one of {', '.join(words)}", data)
        return data

    return WireForm(_same, read)


def _mapping(inner: WireForm) -> WireForm:
    def read(data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise Misfit("an object", data)
        result, key = {}, ""
        try:
            for key, value in data.items():
                result[key] = inner.read(value)
        except Misfit as misfit:
            raise misfit.within(f"[{key!r}]") from None
        return result

    return WireForm(lambda value: {key: inner.write(each) for key, each in value.items()}, read)


def _sequence(inner: WireForm, make: Callable[[list[Any]], Any], order: Callable[[Any], Any]) -> WireForm:
    def read(data: Any) -> Any:
        if not isinstance(data, list):
            raise Misfit("a list", data)
        result: list[Any] = []
        try:
            for each in data:
                result.append(inner.read(each))  # noqa: PERF401 - its length is the index of a misfit
        except Misfit as misfit:
            raise misfit.within(f"[{len(result)}]") from None
        return make(result)

    return WireForm(lambda value: [inner.write(each) for each in order(value)], read)


def _tuple(inner: tuple[WireForm, ...]) -> WireForm:
    def read(data: Any) -> tuple[Any, ...]:
        if not isinstance(data, list) or len(data) != len(inner):
            raise Misfit(f"a list of {len(inner)}", data)
        result: list[Any] = []
        try:
            for form, each in zip(inner, data, strict=True):
                result.append(form.read(each))
        except Misfit as misfit:
            raise misfit.within(f"[{len(result)}]") from None
        return tuple(result)

    return WireForm(lambda value: [form.write(each) for form, each in zip(inner, value, strict=True)], read)


def _class(kind: type[Any], known: Known) -> WireForm:
    hints = get_type_hints(kind)
    # Fields that take no part in equality are caches or build-time data, and do not travel.
    described = [field for field in attrs.fields(kind) if field.eq and field.init]
    fields: dict[str, WireForm] = {}
    defaults = {field.name: _default(field) for field in described}
    required = [name for name, default in defaults.items() if default is attrs.NOTHING]

    def write(value: Any) -> dict[str, Any]:
        data = {}
        for name, form in fields.items():
            each, default = getattr(value, name), defaults[name]
            if each is not default and each != default:
                data[name] = form.write(each)
        return data

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise Misfit(f"an object with the fields of {kind.__name__}", data)
        missing = [name for name in required if name not in data]
        unknown = [name for name in data if name not in fields]
        if missing:
            raise Misfit(f"fields {', '.join(missing)} in {kind.__name__}", sorted(data))
        if unknown:
            raise Misfit(f"no other fields than {', '.join(fields)} in {kind.__name__}", unknown)
        found, name = {}, ""
        try:
            for name, each in data.items():
                found[name] = fields[name].read(each)
        except Misfit as misfit:
            raise misfit.within(f".{name}") from None
        return kind(**found)

    form = WireForm(write, read)
    # A class may have fields of its own kind.
    known = (*known, (kind, form))
    fields.update((field.name, wire_form(hints[field.name], known)) for field in described)
    return form


def _default(field: attrs.Attribute[Any]) -> Any:
    default: Any = field.default
    return default.factory() if hasattr(default, "factory") else default


@cache
def wire_form(annotation: Any, known: Known = ()) -> WireForm:
    """Return the form of an annotation.

    :param annotation: A plain type, an enumeration or a ``Literal`` of words, an attrs class, or one of ``X | None``,
        ``Mapping[str, X]``, ``tuple[X, ...]``, ``tuple[X, Y]`` and ``frozenset[X]``.
    :param known: Annotations with a given form, each with that form.
    :raises TypeError: the annotation is of another kind.
    """
    for given, form in known:
        if given == annotation:
            return form
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType) and len(inner) == 2 and type(None) in inner:
        return _optional(wire_form(next(each for each in inner if each is not type(None)), known))
    if origin is Literal and all(type(each) is str for each in inner):
        return _choice(inner)
    if origin is Mapping and inner[0] is str:
        return _mapping(wire_form(inner[1], known))
    if origin is tuple and inner[-1] is Ellipsis:
        return _sequence(wire_form(inner[0], known), tuple, _same)
    if origin is tuple:
        return _tuple(tuple(wire_form(each, known) for each in inner))
    if origin is frozenset:
        return _sequence(wire_form(inner[0], known), frozenset, sorted)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enumeration(annotation)
    if isinstance(annotation, type) and attrs.has(annotation):
        return _class(annotation, known)
    raise TypeError(f"no wire form for the annotation {annotation!r}; give it in `known`")
