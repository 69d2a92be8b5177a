"""Values for checking serializers, with the annotations to decode them by."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import math
import pathlib
import re
import uuid
from dataclasses import InitVar, dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field, HttpUrl, SecretStr
from typing_extensions import TypedDict

__all__ = ["EXTREMES", "MISFITS", "ODD", "PLAIN", "TYPED", "Point", "Stray", "Unencodable", "same"]


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


class Quarter(enum.Enum):
    """An enumeration of what many formats have no words for."""

    FIRST = datetime.date(2026, 1, 1)
    TEXT = "2026-01-01"
    PAIR = (1, "a")
    RAW = b"\xff"


class Access(enum.Flag):
    """An enumeration whose members can be joined."""

    READ = 1
    WRITE = 2


class Animal(BaseModel):
    """A model."""

    name: str


class Dog(Animal):
    """A model that has more fields than its base."""

    tricks: list[str] = []


@dataclass
class Errand:
    """A dataclass with a field that is no argument, one without a type, and one of a base class."""

    size: int
    anything: Any = None
    animal: Animal | None = None
    retries: int = field(init=False, default=0)


@dataclass
class Scaled:
    """A dataclass that cannot be made from its fields."""

    value: int
    factor: InitVar[int]

    def __post_init__(self, factor: int) -> None:
        """Use what is no field."""
        self.value *= factor


class Renamed(BaseModel):
    """A model that is written under other names than it is read by, and without some of its fields."""

    owner: str = Field("nobody", serialization_alias="ownerName")
    other: str = Field("nobody", validation_alias="otherName")
    token: str = Field("", exclude=True)


class Login(BaseModel):
    """A model with a secret."""

    password: SecretStr


class UserId(str):
    """A text of its own."""


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


def _retry(job: Errand) -> Errand:
    job.retries = 5
    return job


def _nest(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


#: Read back by the annotation, these are equal to what was written, and of the same types; or they are refused before.
ODD: tuple[tuple[Any, Any], ...] = (
    *((member, Quarter) for member in Quarter),
    *(({member: 1}, dict[Quarter, int]) for member in Quarter),
    (Access.READ | Access.WRITE, Access),
    ({Access.READ: 1}, dict[Access, int]),
    ([Colour.RED], list[Literal[Colour.RED]]),
    (_retry(Errand(1)), Errand),
    (Errand(2, anything=(1, 2)), Errand),
    (Errand(2, anything=_AT), Errand),
    (Errand(2, animal=Dog(name="a", tricks=["sit"])), Errand),
    (Scaled(2, 3), Scaled),
    (Dog(name="a"), Dog),
    (Renamed.model_construct(owner="Ada", other="Bob", token="t"), Renamed),
    ({"a": [Renamed.model_construct(owner="Ada", other="Bob", token="t")]}, dict[str, list[Renamed]]),
    (Login(password=SecretStr("not to be written as stars")), Login),
    (SecretStr("not to be written as stars"), SecretStr),
    (UserId("a"), UserId),
    (bytearray(b"ab"), bytearray),
    (decimal.Decimal("NaN"), decimal.Decimal),
    (decimal.Decimal("-0"), decimal.Decimal),
    (fractions.Fraction(-1, 3), fractions.Fraction),
    (complex(0, math.inf), complex),
    (re.compile("a+", re.IGNORECASE), re.Pattern),
    (pathlib.PurePosixPath("/a/b"), pathlib.PurePosixPath),
    (HttpUrl("https://example.org"), HttpUrl),
    (collections.deque([1, 2]), collections.deque[int]),
    (collections.Counter("aab"), collections.Counter[str]),
    ({(1, "a"): 1}, dict[tuple[int, str], int]),
    ({None: 1}, dict[None, int]),
    ({1.5: 1, math.inf: 2}, dict[float, int]),
    ({_AT.date(): 1}, dict[datetime.date, int]),
    (datetime.time(1, 2, tzinfo=datetime.timezone.utc), datetime.time),
    (_nest(120), list),
    (_nest(300), list),
    (_nest(600), list),
    ([10**5000], list[int]),
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
    if isinstance(left, decimal.Decimal):
        return bool(left.as_tuple() == right.as_tuple())
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, datetime.datetime):
        # Equal means the same moment, whatever the time zone.
        return bool(left == right) and left.utcoffset() == right.utcoffset()
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    while type(left) is list and type(right) is list and len(left) == len(right) == 1:
        left, right = left[0], right[0]
    if isinstance(left, (list, tuple)):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
