"""Annotations of every kind with values that fit them, generated."""

from __future__ import annotations

import collections
import dataclasses
import ipaddress
import pathlib
import string
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple, Optional

import attrs
from hypothesis import reject
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, ValidationError, create_model
from typing_extensions import TypedDict

from zoo_of_classes import (
    Access,
    Colour,
    Count,
    Level,
    Lost,
    Mixed,
    Mode,
    Pair,
    Quarter,
    Rate,
    Raw,
    Size,
    UserId,
    Word,
)

__all__ = ["annotated_values"]

_ENUMERATIONS = (Access, Colour, Level, Lost, Mixed, Mode, Pair, Quarter, Rate, Raw, Size, Word)
_HASHABLE: tuple[Any, ...] = (
    int,
    str,
    bool,
    bytes,
    date,
    timedelta,
    uuid.UUID,
    Fraction,
    ipaddress.IPv4Address,
    ipaddress.IPv6Network,
    *_ENUMERATIONS,
)
_LEAVES: tuple[Any, ...] = (*_HASHABLE, type(None), float, complex, datetime, time, Decimal, bytearray)
_NAMES = st.sampled_from([*string.ascii_lowercase[:6], "model", "copy_", "value", "items", "self_"])


def _special() -> dict[Any, st.SearchStrategy[Any]]:
    zones = st.sampled_from([None, timezone.utc, timezone(timedelta(hours=5, minutes=30))])
    return {
        datetime: st.datetimes(timezones=zones),
        time: st.times(timezones=zones),
        bytearray: st.binary().map(bytearray),
        UserId: st.text().map(UserId),
        Count: st.integers().map(Count),
        pathlib.PurePosixPath: st.text(string.ascii_letters).map(pathlib.PurePosixPath),
    }


_OWN = _special()


def _with_values(annotation: Any) -> st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]]:
    return st.just((annotation, _OWN.get(annotation, st.from_type(annotation))))


_leaves = st.sampled_from([*_LEAVES, *(_OWN.keys() - {datetime, time, bytearray})]).flatmap(_with_values)
_hashable = st.sampled_from([*_HASHABLE, UserId, Count, pathlib.PurePosixPath]).flatmap(_with_values)
_Annotated = tuple[Any, st.SearchStrategy[Any]]


def _lists(inner: _Annotated) -> _Annotated:
    annotation, values = inner
    return list[annotation], st.lists(values, max_size=3)  # type: ignore[valid-type]


def _deques(inner: _Annotated) -> _Annotated:
    annotation, values = inner
    return collections.deque[annotation], st.lists(values, max_size=3).map(collections.deque)  # type: ignore[valid-type]


def _optional(inner: _Annotated) -> _Annotated:
    annotation, values = inner
    if annotation is Mixed:
        # One of its members is written as None.
        annotation, values = Colour, st.from_type(Colour)
    return Optional[annotation], st.none() | values


def _tuples(inner: list[_Annotated]) -> _Annotated:
    return tuple.__class_getitem__(tuple(each for each, _ in inner)), st.tuples(*(each for _, each in inner))


def _long_tuples(inner: _Annotated) -> _Annotated:
    annotation, values = inner
    return tuple[annotation, ...], st.lists(values, max_size=3).map(tuple)  # type: ignore[valid-type]


def _sets(inner: _Annotated) -> _Annotated:
    annotation, values = inner
    return set[annotation], st.sets(values, max_size=3)  # type: ignore[valid-type]


def _frozen_sets(inner: _Annotated) -> _Annotated:
    annotation, values = inner
    return frozenset[annotation], st.frozensets(values, max_size=3)  # type: ignore[valid-type]


def _dictionaries(pair: tuple[_Annotated, _Annotated]) -> _Annotated:
    (key, keys), (annotation, values) = pair
    return dict[key, annotation], st.dictionaries(keys, values, max_size=3)  # type: ignore[valid-type]


_Fields = dict[str, _Annotated]


def _dataclasses(fields: _Fields, **options: bool) -> _Annotated:
    kind = dataclasses.make_dataclass("Made", [(name, each) for name, (each, _) in fields.items()], **options)
    return kind, st.builds(kind, **{name: each for name, (_, each) in fields.items()})


def _set_outside(fields: _Fields) -> _Annotated:
    own = [(name, each, dataclasses.field(init=False, default=None)) for name, (each, _) in fields.items()]
    kind = dataclasses.make_dataclass("Outside", own)

    def make(values: dict[str, Any]) -> Any:
        made = kind()
        for name, value in values.items():
            setattr(made, name, value)
        return made

    return kind, st.fixed_dictionaries({name: each for name, (_, each) in fields.items()}).map(make)


def _attrs(fields: _Fields) -> _Annotated:
    kind = attrs.make_class("Made", {name: attrs.field(type=each) for name, (each, _) in fields.items()})
    return kind, st.builds(kind, **{name: each for name, (_, each) in fields.items()})


def _models(fields: _Fields, prefix: str = "", **options: Any) -> _Annotated:
    shown: dict[str, Any] = {
        name: (each, Field(**dict.fromkeys(options, f"{prefix}{name}"), exclude=not options))
        for name, (each, _) in fields.items()
    }
    kind = create_model("Made", __config__=ConfigDict(arbitrary_types_allowed=True), **shown)

    def make(values: dict[str, Any]) -> Any:
        try:
            return kind.__pydantic_validator__.validate_python(values, by_alias=False, by_name=True)
        except ValidationError:
            # Such as a decimal that is not finite.
            return reject()

    return kind, st.fixed_dictionaries({name: each for name, (_, each) in fields.items()}).map(make)


def _typed_dictionaries(fields: _Fields) -> _Annotated:
    make: Any = TypedDict
    kind = make("Made", {name: each for name, (each, _) in fields.items()})
    return kind, st.fixed_dictionaries({name: each for name, (_, each) in fields.items()})


def _named_tuples(fields: _Fields) -> _Annotated:
    make: Any = NamedTuple
    kind = make("Made", [(name, each) for name, (each, _) in fields.items()])
    return kind, st.builds(kind, **{name: each for name, (_, each) in fields.items()})


_RECORDS: tuple[Callable[[_Fields], _Annotated], ...] = (
    _dataclasses,
    lambda fields: _dataclasses(fields, frozen=True, slots=True),
    lambda fields: _dataclasses(fields, kw_only=True),
    _set_outside,
    _attrs,
    _models,
    lambda fields: _models(fields, "x_", alias=True),
    lambda fields: _models(fields, "y", validation_alias=True),
    lambda fields: _models(fields, "z", serialization_alias=True),
    _typed_dictionaries,
    _named_tuples,
)


def _extend(inner: st.SearchStrategy[_Annotated]) -> st.SearchStrategy[_Annotated]:
    fields = st.dictionaries(_NAMES, inner, min_size=1, max_size=3)
    return st.one_of(
        inner.map(_lists),
        inner.map(_deques),
        inner.map(_optional),
        inner.map(_long_tuples),
        st.lists(inner, max_size=3).map(_tuples),
        _hashable.map(_sets),
        _hashable.map(_frozen_sets),
        st.tuples(_hashable, inner).map(_dictionaries),
        st.tuples(st.sampled_from(_RECORDS), fields).map(lambda pair: pair[0](pair[1])),
    )


_annotated: st.SearchStrategy[_Annotated] = st.recursive(_leaves, _extend, max_leaves=6)


@st.composite
def annotated_values(draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[Any, Any]:
    """A value and an annotation that it fits."""
    annotation, values = draw(_annotated)
    return draw(values), annotation
