"""How plain classes become plain JSON data and back, derived from their annotations.

A :class:`Shape` writes and reads one annotation. Shapes of classes are made from the fields, so a field
that is added to an event needs nothing here, unless it has an annotation of a new kind.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

__all__ = ["Misfit", "Shape", "shape_of"]


class Misfit(Exception):
    """Something that was read is not what it should be.

    :param expected: In words.
    :param found: The data.
    """

    def __init__(self, expected: str, found: object) -> None:
        self.expected = expected
        self.found = found
        self.path: list[str] = []
        super().__init__(expected)

    def __str__(self) -> str:
        found = repr(self.found)
        found = found if len(found) <= 60 else f"{found[:57]}..."
        place = f"at {'.'.join(reversed(self.path))} " if self.path else ""
        return f"{place}expected {self.expected}, found {found}"


@frozen
class Shape:
    """One annotation's way to JSON data and back.

    :param write: From a value to JSON data; the value is trusted.
    :param read: From JSON data to a value; raises :class:`Misfit`.
    """

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _plain(kinds: tuple[type, ...], word: str) -> Shape:
    def read(data: Any) -> Any:
        # By exact type: True is an int to isinstance, and never one in what we write.
        if type(data) not in kinds:
            raise Misfit(word, data)
        return kinds[0](data)

    return Shape(_same, read)


PLAIN = {
    str: _plain((str,), "text"),
    bool: _plain((bool,), "true or false"),
    int: _plain((int,), "a whole number"),
    float: _plain((float, int), "a number"),
    Any: Shape(_same, _same),
}


def _optional(inner: Shape) -> Shape:
    return Shape(
        lambda value: None if value is None else inner.write(value),
        lambda data: None if data is None else inner.read(data),
    )


def _enumeration(kind: type[enum.Enum]) -> Shape:
    words = {member.value: member for member in kind}

    def read(data: Any) -> enum.Enum:
        if not isinstance(data, str) or data not in words:
            raise Misfit(f"one of {', '.join(words)}", data)
        return words[data]

    return Shape(lambda value: value.value, read)


def _mapping(inner: Shape) -> Shape:
    def read(data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise Misfit("an object", data)
        return {key: _step(inner, key, value) for key, value in data.items()}

    return Shape(lambda value: {key: inner.write(each) for key, each in value.items()}, read)


def _sequence(inner: Shape, make: Callable[[list[Any]], Any], order: Callable[[Any], Any]) -> Shape:
    def read(data: Any) -> Any:
        if not isinstance(data, list):
            raise Misfit("a list", data)
        return make([_step(inner, str(place), each) for place, each in enumerate(data)])

    return Shape(lambda value: [inner.write(each) for each in order(value)], read)


def _tuple(inner: tuple[Shape, ...]) -> Shape:
    def read(data: Any) -> tuple[Any, ...]:
        if not isinstance(data, list) or len(data) != len(inner):
            raise Misfit(f"a list of {len(inner)}", data)
        pairs = enumerate(zip(inner, data, strict=True))
        return tuple(_step(shape, str(place), each) for place, (shape, each) in pairs)

    return Shape(lambda value: [shape.write(each) for shape, each in zip(inner, value, strict=True)], read)


def _step(shape: Shape, name: str, data: Any) -> Any:
    try:
        return shape.read(data)
    except Misfit as misfit:
        misfit.path.append(name)
        raise


def _class(kind: type[Any], known: tuple[tuple[Any, Shape], ...]) -> Shape:
    hints = get_type_hints(kind)
    fields = {field.name: shape_of(hints[field.name], known) for field in attrs.fields(kind)}
    defaults = {field.name: _default(field) for field in attrs.fields(kind)}
    required = [name for name, default in defaults.items() if default is attrs.NOTHING]

    def write(value: Any) -> dict[str, Any]:
        found = ((name, getattr(value, name)) for name in fields)
        return {name: fields[name].write(each) for name, each in found if each != defaults[name]}

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise Misfit(f"an object with the fields of {kind.__name__}", data)
        missing = [name for name in required if name not in data]
        unknown = [name for name in data if name not in fields]
        if missing or unknown:
            parts = [f"fields {', '.join(missing)}" if missing else "", "no others" if unknown else ""]
            wanted = " and ".join(part for part in parts if part)
            raise Misfit(f"{wanted} in {kind.__name__}", unknown or sorted(data))
        return kind(**{name: _step(fields[name], name, each) for name, each in data.items()})

    return Shape(write, read)


def _default(field: attrs.Attribute[Any]) -> Any:
    default: Any = field.default
    return default.factory() if hasattr(default, "factory") else default


@cache
def shape_of(annotation: Any, known: tuple[tuple[Any, Shape], ...] = ()) -> Shape:
    """Give the shape of an annotation.

    :param annotation: A plain type, an enumeration of words, an attrs class, or one of ``X | None``,
        ``Mapping[str, X]``, ``tuple[X, ...]``, ``tuple[X, Y]`` and ``frozenset[X]``.
    :param known: Annotations whose shape is given, with that shape.
    :raises TypeError: the annotation is of another kind.
    """
    for given, shape in known:
        if given == annotation:
            return shape
    if annotation in PLAIN:
        return PLAIN[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType) and len(inner) == 2 and type(None) in inner:
        return _optional(shape_of(next(each for each in inner if each is not type(None)), known))
    if origin is Mapping and inner[0] is str:
        return _mapping(shape_of(inner[1], known))
    if origin is tuple and inner[-1] is Ellipsis:
        return _sequence(shape_of(inner[0], known), tuple, _same)
    if origin is tuple:
        return _tuple(tuple(shape_of(each, known) for each in inner))
    if origin is frozenset:
        return _sequence(shape_of(inner[0], known), frozenset, sorted)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enumeration(annotation)
    if isinstance(annotation, type) and attrs.has(annotation):
        return _class(annotation, known)
    raise TypeError(f"no wire form for the annotation {annotation!r}; give its shape in `known`")
