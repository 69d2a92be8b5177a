"""Values for checking serializers, with the annotations to decode them by."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import BaseModel
from typing_extensions import TypedDict

__all__ = ["EXTREMES", "MISFITS", "PLAIN", "TYPED", "Point", "Stray", "Unencodable", "same"]


class Colour(enum.Enum):
    """An enumeration of texts."""

    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    """A dataclass with containers and a default."""

    x: int
    tags: set[str] = field(default_factory=set)
    raw: bytes = b""
    next: Point | None = None


class Row(TypedDict):
    """A typed dictionary."""

    at: datetime.datetime
    amount: decimal.Decimal


class Pair(NamedTuple):
    """A named tuple."""

    left: int
    right: str


class Report(BaseModel):
    """A pydantic model with others inside."""

    title: str
    rows: list[Row] = []
    points: dict[str, Point] = {}
    colour: Colour = Colour.RED


class Unencodable:
    """An object that no serializer can carry."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled too."""
        raise TypeError("an Unencodable cannot be pickled")


class Stray:
    """An object that only pickles carry."""


#: Read back without an annotation, these are equal to what was written.
PLAIN: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -7,
    2**53 + 1,
    1.0,
    -2.5,
    1e-300,
    "",
    'text with "quotes", a \\, a \n and \x00',
    "žluťoučký 🐎 \u2028",
    # A letter of two characters, what a shell would expand, and the end of a line on Windows.
    "e\u0301 \u212b $HOME %PATH% ~\r\n",
    [],
    {},
    [1, "two", None, [True, [2.5]]],
    {"a": {"b": [1, {"c": None}]}, "": 0},
    [[[]], {}, [{}]],
)

_AT = datetime.datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=datetime.timezone.utc)

#: Read back by the annotation, these are equal to what was written, and of the same types.
TYPED: tuple[tuple[Any, Any], ...] = (
    (5, int),
    (5.0, float),
    (True, bool),
    ("5", str),
    (None, None),
    (None, int | None),
    ("x", int | str),
    (b"\xff\x00bytes", bytes),
    ([b"a", b"\xfe"], list[bytes]),
    ((1, "a", 2.0), tuple[int, str, float]),
    ((1, 2, 3), tuple[int, ...]),
    ({1, 2, 3}, set[int]),
    (frozenset({"a"}), frozenset[str]),
    ({1: "a", 2: "b"}, dict[int, str]),
    ([(1, {"x"})], list[tuple[int, set[str]]]),
    (_AT, datetime.datetime),
    (_AT.replace(tzinfo=None), datetime.datetime),
    (_AT.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=2))), datetime.datetime),
    (_AT.date(), datetime.date),
    (datetime.time(1, 2, 3), datetime.time),
    (datetime.timedelta(days=-1, seconds=5), datetime.timedelta),
    (uuid.UUID(int=2**127 + 5), uuid.UUID),
    (decimal.Decimal("1.10"), decimal.Decimal),
    (decimal.Decimal("12345678901234567890.0123456789"), decimal.Decimal),
    (Colour.BLUE, Colour),
    (Pair(1, "a"), Pair),
    (Point(1), Point),
    (Point(1, {"a", "b"}, b"\xff\x00", Point(2)), Point),
    ([Point(1), Point(2)], list[Point]),
    ({"at": _AT, "amount": decimal.Decimal("0.30")}, Row),
    (Report(title="t"), Report),
    (
        Report(
            title="t",
            rows=[{"at": _AT, "amount": decimal.Decimal("2.50")}],
            points={"p": Point(3)},
            colour=Colour.BLUE,
        ),
        Report,
    ),
    ([Report(title="a"), None], list[Report | None]),
)

#: These do not fit the annotation.
MISFITS: tuple[tuple[Any, Any], ...] = (
    ("text", int),
    ([1, 2], dict[str, int]),
    ({"a": 1}, list[int]),
    ([1, "two"], list[int]),
    ({"tags": []}, Point),
    ({"rows": []}, Report),
    ("green", Colour),
    (None, str),
)

#: These survive or are refused with a PayloadError; no other outcome is allowed.
EXTREMES: tuple[Any, ...] = (
    math.nan,
    math.inf,
    -math.inf,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    10**30,
    -(10**400),
    10**5000,
    "\ud800",
    {"\udfff": 1},
    "\x00\x1f\x7f\ufffe\uffff",
    {1: "a", None: "b"},
)


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same types all the way down; a NaN is equal to a NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, datetime.datetime):
        # Equal means the same moment, whatever the time zone.
        return bool(left == right) and left.utcoffset() == right.utcoffset()
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
