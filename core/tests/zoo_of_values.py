"""Values of odd types, each with the annotation that a task would give it."""

from __future__ import annotations

import collections
import dataclasses
import enum
import ipaddress
import math
import pathlib
import re
import types
import uuid
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, Generic, Literal, Optional, Union

import attrs
import pydantic
from pydantic import (
    BaseModel,
    SecretBytes,
    SecretStr,
)

__all__ = ["BERLIN", "UNIONS", "ZOO", "deep", "iterators", "same"]
from zoo_of_classes import (
    AT,
    Access,
    Animal,
    AttrsBox,
    BothAliases,
    Box,
    ByName,
    Child,
    Choices,
    Colour,
    Computed,
    Converted,
    Count,
    Day,
    Described,
    Dog,
    Extra,
    Forbids,
    Frozen,
    Frozen2,
    FrozenComputed,
    Fussy,
    Generated,
    GenericModel,
    Growing,
    Growing2,
    Hidden,
    Holder,
    Left,
    Letters,
    Level,
    Light,
    Listed,
    Lost,
    Metres,
    Mixed,
    Mode,
    Model,
    Moment,
    Named,
    Names,
    Node,
    Odd,
    Opaque,
    Owner,
    OwnInit,
    Pair,
    PartialRow,
    Plain,
    Private,
    PydanticAlias,
    PydanticDataclass,
    Quarter,
    Rate,
    Raw,
    Renamed,
    Root,
    Row,
    Scaled,
    Secret,
    SerializationAlias,
    Settings,
    Shouting,
    Size,
    Slots,
    Stop,
    Strict,
    Swapped,
    SwappedInWriting,
    Tagged,
    Track,
    Untyped,
    UserId,
    ValidationAlias,
    Word,
)

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def chain(depth: int) -> Node:
    node = Node(0)
    for number in range(depth):
        node = Node(number, node)
    return node


def computed() -> Computed:
    value = Computed(3)
    value.seen, value.double = 5, 7
    return value


def frozen_computed() -> FrozenComputed:
    value = FrozenComputed(size=1)
    object.__setattr__(value, "double", 99)
    return value


def private() -> Private:
    value = Private(name="a")
    value._seen = 5
    return value


def pydantic_dataclass() -> PydanticDataclass:
    value = PydanticDataclass(1)
    value.seen = 5
    return value


SHARED = [1, 2]
_BIG = 10**5000

#: Each value with an annotation that it fits.
ZOO: list[tuple[Any, Any]] = [
    # Numbers
    (-0.0, float),
    (math.nan, float),
    (math.inf, float),
    (2**70, int),
    (_BIG, int),
    ([1, {"a": [_BIG]}], list[Any]),
    (Decimal("NaN"), Decimal),
    (Decimal("sNaN"), Decimal),
    (Decimal("-Infinity"), Decimal),
    (Decimal("-0"), Decimal),
    (Decimal("1E+20"), Decimal),
    (Decimal("1.100"), Decimal),
    (Decimal("1E-400"), Decimal),
    (Fraction(-1, 3), Fraction),
    (1 + 2j, complex),
    (complex(math.nan, -0.0), complex),
    (complex(0.0, math.inf), complex),
    (True, bool),
    ([True, 1, 1.0, "1"], list[Any]),
    # Text and bytes
    ("\ud800", str),
    ({"\udfff": 1}, dict[str, int]),
    ("2026-01-01", str),
    (b"\xff", bytes),
    (b"text", bytes),
    (bytearray(b"ab\xff"), bytearray),
    (memoryview(b"ab"), memoryview),
    # Times
    (AT, datetime),
    (datetime(2026, 1, 2), datetime),
    (datetime.min, datetime),
    (datetime.max, datetime),
    (datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BERLIN), datetime),
    (datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN), datetime),
    (datetime(1900, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Amsterdam")), datetime),
    (datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), datetime),
    (datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=30))), datetime),
    (time(1, 2, 3, 4), time),
    (time(1, 2, tzinfo=timezone(timedelta(hours=2))), time),
    (time(1, 2, tzinfo=BERLIN), time),
    (date.min, date),
    (timedelta(days=-1, microseconds=1), timedelta),
    (timedelta.max, timedelta),
    (timedelta.min, timedelta),
    (BERLIN, zoneinfo.ZoneInfo),
    (timezone.utc, timezone),
    # Others of the standard library
    (uuid.UUID(int=2**127 + 5), uuid.UUID),
    (pathlib.PurePosixPath("/a"), pathlib.PurePosixPath),
    (pathlib.PureWindowsPath("c:\\a"), pathlib.PureWindowsPath),
    (pathlib.Path("a/b"), pathlib.Path),
    (ipaddress.ip_address("::1"), ipaddress.IPv6Address),
    (ipaddress.ip_network("10.0.0.0/8"), ipaddress.IPv4Network),
    (ipaddress.ip_interface("10.0.0.1/8"), ipaddress.IPv4Interface),
    (re.compile("a+"), re.Pattern),
    (re.compile("a+"), re.Pattern[str]),
    (re.compile("a+", re.IGNORECASE), re.Pattern),
    (re.compile(b"a+"), re.Pattern[bytes]),
    (range(3), range),
    (slice(1, 2), slice),
    (..., type(...)),
    (NotImplemented, Any),
    (int, type),
    (pydantic.HttpUrl("https://example.org"), pydantic.HttpUrl),
    (pydantic.AnyUrl("redis://a/1"), pydantic.AnyUrl),
    ({"db": pydantic.PostgresDsn("postgresql://u@h/d")}, dict[str, pydantic.PostgresDsn]),
    # Containers
    ((1, "a", (2.5,)), tuple[int, str, tuple[float]]),
    ((), tuple[()]),
    ({1, 2}, set[int]),
    ({1, "1", 2.5}, set[Union[int, str, float]]),
    (frozenset({frozenset({1})}), frozenset[frozenset[int]]),
    ({(1, 2)}, set[tuple[int, int]]),
    ({Frozen(1), Frozen(2, AT)}, set[Frozen]),
    ({Colour.RED, Colour.BLUE}, set[Colour]),
    ({date(2024, 1, 1)}, set[date]),
    (collections.OrderedDict(b=1, a=2), collections.OrderedDict[str, int]),
    (collections.defaultdict(list, {"a": [1]}), collections.defaultdict[str, list[int]]),
    (collections.Counter("aab"), collections.Counter[str]),
    (collections.deque([1, 2]), collections.deque[int]),
    (collections.deque([AT]), collections.deque[datetime]),
    (collections.ChainMap({"a": 1}, {"b": 2}), collections.ChainMap[str, int]),
    (types.MappingProxyType({"a": AT}), types.MappingProxyType[str, datetime]),
    (collections.UserDict(a=1), collections.UserDict),
    (collections.UserList([1]), collections.UserList),
    ({"a": {"b": {Colour.RED}}}, Mapping[str, Mapping[str, set[Colour]]]),
    (deep(50), list),
    (deep(150), list),
    (deep(220), list),
    (deep(500), list),
    (deep(2000), list),
    (chain(20), Node),
    (chain(120), Node),
    (chain(400), Node),
    ([SHARED, SHARED, {"a": SHARED}], list[Any]),
    # Keys
    ({1: "a", -(2**70): "b"}, dict[int, str]),
    ({1.5: "a", math.inf: "b"}, dict[float, str]),
    ({True: 1}, dict[bool, int]),
    ({None: 1}, dict[None, int]),
    ({b"\xff": 1}, dict[bytes, int]),
    ({(1, "a"): 1}, dict[tuple[int, str], int]),
    ({date(2024, 1, 1): 1}, dict[date, int]),
    ({AT: 1}, dict[datetime, int]),
    ({timedelta(1): 1}, dict[timedelta, int]),
    ({Decimal("1.10"): 1}, dict[Decimal, int]),
    ({uuid.UUID(int=1): 1}, dict[uuid.UUID, int]),
    ({pathlib.PurePosixPath("/a"): 1}, dict[pathlib.PurePosixPath, int]),
    ({frozenset({1}): 1}, dict[frozenset[int], int]),
    ({Frozen(1): 1}, dict[Frozen, int]),
    ({Named(1): 1}, dict[Named, int]),
    ({Fraction(1, 2): 1}, dict[Fraction, int]),
    ({1 + 2j: 1}, dict[complex, int]),
    ({UserId("a"): 1}, dict[UserId, int]),
    ({Count(3): 1}, dict[Count, int]),
    ({1: "a", "1": "b"}, dict[Union[int, str], str]),
    *(
        ({member: 1}, dict[type(member), int])  # type: ignore[misc]
        for kind in (Colour, Word, Size, Level, Access, Mode, Mixed, Quarter, Pair, Raw, Lost, Day, Rate)
        for member in kind
    ),
    # Enumerations
    *(
        (member, kind)
        for kind in (
            Colour,
            Word,
            Size,
            Level,
            Access,
            Mode,
            Mixed,
            Quarter,
            Pair,
            Listed,
            Raw,
            Lost,
            Day,
            Rate,
        )
        for member in kind
    ),
    (Colour.ROT, Colour),
    (Access.READ | Access.WRITE, Access),
    (Access(0), Access),
    ({Access.READ | Access.WRITE: 1}, dict[Access, int]),
    (Mode.R | Mode.W, Mode),
    (Opaque.THING, Opaque),
    (Described.A, Described),
    ([Colour.RED, None], list[Optional[Colour]]),
    (Colour.RED, Literal[Colour.RED]),
    ([Size.SMALL, "x"], list[Literal[Size.SMALL, "x"]]),
    (b"a", Literal[b"a"]),
    # Records
    (Plain(1, "a", [1]), Plain),
    (Plain(1, None), Plain),  # type: ignore[arg-type]
    (Plain("text"), Plain),  # type: ignore[arg-type]
    (Plain(2**53 + 1), Plain),
    (Frozen(1, AT), Frozen),
    (computed(), Computed),
    ([computed()], list[Computed]),
    (frozen_computed(), FrozenComputed),
    (Slots(1.5, Plain(1)), Slots),
    (Scaled(2, 3), Scaled),
    (Growing(1), Growing),
    (OwnInit("5"), OwnInit),
    (Child(1, extra="e"), Child),
    (Holder(Plain(1)), Holder),
    (Holder(Child(1)), Holder),
    (Holder(Plain(1), anything=AT), Holder),
    (Holder(Plain(1), anything={"a": (1, 2)}), Holder),
    (Holder(Plain(1), anything={"a": [1, "x", None, 2.5]}), Holder),
    (Holder(Plain(1), words=["a"]), Holder),
    (Holder(Plain(1), words=("a",)), Holder),
    (Holder(Plain(1), raw=b"\xff"), Holder),
    (Stop(Colour.RED), Stop),
    (Stop("other", Colour.BLUE, Access.READ | Access.WRITE, {Size.SMALL: 1}), Stop),
    (Box(1, [2]), Box[int]),
    (Box(AT, [AT]), Box[datetime]),
    (Box(Plain(1)), Box[Plain]),
    (Box(Box(Colour.RED)), Box[Box[Colour]]),
    (Renamed("Ada"), Renamed),
    (Odd(UserId("a"), bytearray(b"x"), Decimal("1.0")), Odd),
    (Track("a", 1.5, frozenset({"x"})), Track),
    (AttrsBox(value=AT), AttrsBox[datetime]),
    (AttrsBox(value=Track("a")), AttrsBox[Track]),
    (Converted(1), Converted),
    ({"a": [Plain(1), None]}, dict[str, list[Optional[Plain]]]),
    # Models
    (Model(name="a", at=AT, tags={"b"}, inner=Model(name="c")), Model),
    (Model.model_construct(name=5), Model),
    ([Model(name="a"), Model(name="b")], list[Model]),
    (ValidationAlias(ownerName="Ada"), ValidationAlias),
    (Choices(a="Ada"), Choices),
    (SerializationAlias(owner="Ada"), SerializationAlias),
    (BothAliases(von="Ada"), BothAliases),
    (Swapped(a=1, b=2), Swapped),
    (SwappedInWriting(a=1, b=2), SwappedInWriting),
    (Generated(in_owner="Ada", in_inner={"in_owner": "Bob"}), Generated),
    ([{"x": (Generated(in_owner="Ada"),)}], list[dict[str, tuple[Generated]]]),
    (ByName(owner="Ada"), ByName),
    (Left(name="ada", token="t-1", credit=0), Left),
    ({"a": [Left(name="ada", token="t-1", credit=0)]}, dict[str, list[Left]]),
    (Holder(Plain(1), anything=Left(name="ada", token="t")), Holder),
    (Secret(user="ada", password=SecretStr("pw")), Secret),
    (SecretStr("pw"), SecretStr),
    (SecretBytes(b"pw"), SecretBytes),
    (pydantic.Secret[int](5), pydantic.Secret[int]),
    (Private(name="a"), Private),
    (private(), Private),
    (Extra(name="a", other=1, more=[1]), Extra),
    (Extra(name="a", at=AT), Extra),
    (Forbids(name="a"), Forbids),
    (Hidden(number=5), Hidden),
    (Shouting(name="a"), Shouting),
    (Growing2(name="a"), Growing2),
    (Dog(name="a", tricks=["sit"]), Dog),
    (Owner(pet=Dog(name="a", tricks=["sit"])), Owner),
    (Owner(pet=Animal(name="a"), anything=AT), Owner),
    (Root([1, 2]), Root),
    ({"a": Root([1])}, dict[str, Root]),
    (GenericModel[int](item=1), GenericModel[int]),
    (GenericModel[datetime](item=AT), GenericModel[datetime]),
    (Strict(), Strict),
    (Light(), Light),
    (Light(quarter=Quarter.Q1), Light),
    (Light(keys={Size.SMALL: 1}), Light),
    (Light(url=pydantic.HttpUrl("https://a.org")), Light),
    (Light(price=Decimal("1.10")), Light),
    (Light(ratio=math.inf), Light),
    (Light(raw=b"\xff"), Light),
    (Light(raw=b"text"), Light),
    (Frozen2(x=1), Frozen2),
    ({Frozen2(x=1)}, set[Frozen2]),
    ({Frozen2(x=1): 1}, dict[Frozen2, int]),
    (PydanticDataclass(1, AT), PydanticDataclass),
    (pydantic_dataclass(), PydanticDataclass),
    (PydanticAlias(ownerName="Ada"), PydanticAlias),
    # Rows
    ({"at": AT}, Row),
    ({"at": AT, "amount": Decimal("0.30")}, Row),
    ({"name": "a", "kind": Quarter.Q1}, PartialRow),
    (Named(1, date(2024, 1, 1)), Named),
    ([Named(1)], list[Named]),
    (Untyped(1, "a"), Untyped),
    (Untyped(AT, (1,)), Untyped),
    # Subclasses of built-in ones
    (UserId("a"), UserId),
    ([UserId("a")], list[UserId]),
    (Tagged("a", "t"), Tagged),
    (Metres(1.5), Metres),
    (Count(3), Count),
    (Names(["a"]), Names),
    (Settings(a=1), Settings),
    (Fussy(1, 2), Fussy),
    (Letters({"a"}), Letters),
    (Moment(2024, 1, 1), Moment),
    (Plain(Count(3)), Plain),
    (Plain(True), Plain),
]


#: Values of unions whose members look alike in some formats.
UNIONS: list[tuple[Any, Any]] = [
    ([b"a", bytearray(b"b")], list[Union[bytes, bytearray]]),
    ({"1": 1, 1.0: 2}, dict[Union[str, float], int]),
    ([Dog(name="a"), Animal(name="b")], list[Union[Dog, Animal]]),
    (["2026-01-01", date(2026, 1, 1)], list[Union[date, str]]),
    (["2026-01-01", date(2026, 1, 1)], list[Union[str, date]]),
    ({"a": {1}, "b": [1]}, dict[str, Union[list[int], set[int]]]),
    ([(1, 2), [1, 2]], list[Union[tuple[int, int], list[int]]]),
    (["red", Colour.RED], list[Union[str, Colour]]),
    ([1, 1.0, True, "1"], list[Union[int, float, bool, str]]),
    ([Plain(1), Child(1)], list[Union[Plain, Child]]),
    (["Ly8=", b"//"], list[Union[str, bytes]]),
    (Decimal("1.0"), Union[str, Decimal]),
]


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal and of the same types all the way down, as far as the law goes."""
    while type(left) is list and type(right) is list and len(left) == len(right) == 1:
        # Very deep lists are in the zoo.
        left, right = left[0], right[0]
    if type(left) is not type(right):
        # A generic model with its parameters is equal to one without, and a number to one of a wider type.
        return _same_although_of_other_types(left, right)
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, complex):
        return repr(left) == repr(right)
    if isinstance(left, Decimal) and not isinstance(left, enum.Enum):
        return left.as_tuple() == right.as_tuple()
    if isinstance(left, datetime):
        return (
            left.replace(tzinfo=None) == right.replace(tzinfo=None) and left.utcoffset() == right.utcoffset()
        )
    if dataclasses.is_dataclass(left):
        return all(
            same(getattr(left, each.name), getattr(right, each.name)) for each in dataclasses.fields(left)
        )
    if attrs.has(type(left)):
        return all(
            same(getattr(left, each.name), getattr(right, each.name)) for each in attrs.fields(type(left))
        )
    if isinstance(left, BaseModel):
        fields = type(left).__pydantic_fields__
        return left == right and all(same(getattr(left, name), getattr(right, name)) for name in fields)
    if isinstance(left, Mapping):
        keys = {key: key for key in right}
        return left.keys() == right.keys() and all(
            same(key, keys[key]) and same(left[key], right[key]) for key in left
        )
    if isinstance(left, (list, tuple, collections.deque)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, (SecretStr, SecretBytes, pydantic.Secret)):
        return bool(left.get_secret_value() == right.get_secret_value())
    built_in = isinstance(left, (str, bytes, int, list, dict, set)) and not isinstance(left, enum.Enum)
    return bool(left == right) and (not built_in or _attributes_of(left) == _attributes_of(right))


def _attributes_of(value: Any) -> Any:
    return getattr(value, "__dict__", None)


def _same_although_of_other_types(left: Any, right: Any) -> bool:
    if isinstance(left, BaseModel) and isinstance(right, BaseModel):
        return bool(left == right) and isinstance(left, Generic)  # type: ignore[arg-type]
    numbers = (bool, int, float, complex)
    if isinstance(left, numbers) and isinstance(right, numbers):
        return left == right
    return isinstance(right, type(left)) and type(left) in (str, bytes) and left == right


def iterators() -> Iterator[tuple[Any, list[Any]]]:
    """Iterators, each with the list of what it gives."""
    yield (number for number in (1, 2)), [1, 2]
    yield map(str, (1, 2)), ["1", "2"]
    yield {"a": 1}.keys(), ["a"]
    yield {"a": 1}.items(), [("a", 1)]
