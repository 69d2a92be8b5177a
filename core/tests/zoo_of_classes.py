"""Classes of every odd kind, for values of the zoo."""

from __future__ import annotations

import collections
import dataclasses
import enum
import inspect
import typing
from collections.abc import Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar

import attrs
import pydantic
from pydantic import (
    AliasChoices,
    AliasGenerator,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    SecretStr,
    computed_field,
    field_serializer,
    model_validator,
)
from typing_extensions import NotRequired, Required, TypedDict

T = TypeVar("T")
AT = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=timezone.utc)


# Enumerations


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"
    ROT = "red"  # noqa: PIE796 - an alias


class Word(str, enum.Enum):
    YES = "yes"
    ONE = "1"


class Size(int, enum.Enum):
    SMALL = 1
    LARGE = 2


class Level(enum.IntEnum):
    LOW = 0
    HIGH = 10


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Mode(enum.IntFlag):
    R = 4
    W = 2


class Mixed(enum.Enum):
    NUMBER = 1
    TEXT = "1"
    TRUTH = "true"
    FLOAT = 2.5
    NOTHING = None


class Quarter(enum.Enum):
    Q1 = date(2024, 1, 1)
    TEXT = "2024-01-01"


class Pair(enum.Enum):
    AB = ("a", "b")
    CD = ("c", ("d", 1))


class Listed(enum.Enum):
    EMPTY: Any = []  # noqa: RUF012
    ONE: Any = [1]  # noqa: RUF012


class Raw(enum.Enum):
    PNG = b"\x89PNG"


class Lost(enum.Enum):
    KNOWN = "known"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return cls.OTHER


class Day(date, enum.Enum):
    FIRST = (2024, 1, 1)


class Rate(Decimal, enum.Enum):
    FULL = "0.19"


class Opaque(enum.Enum):
    THING = object()


class Described(enum.Enum):
    A = (1, "first")

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text


# Classes of fields


@dataclasses.dataclass
class Plain:
    x: int
    name: str = "n"
    parts: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    x: int
    at: Optional[datetime] = None


@dataclasses.dataclass
class Computed:
    size: int
    double: int = dataclasses.field(init=False)
    seen: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        self.double = self.size * 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrozenComputed:
    size: int
    double: int = dataclasses.field(init=False, default=7)


@dataclasses.dataclass(slots=True)
class Slots:
    x: float
    y: Optional[Plain] = None


@dataclasses.dataclass
class Scaled:
    value: int
    factor: dataclasses.InitVar[int]

    def __post_init__(self, factor: int) -> None:
        self.value *= factor


@dataclasses.dataclass
class Growing:
    value: int

    def __post_init__(self) -> None:
        self.value += 1


@dataclasses.dataclass(init=False)
class OwnInit:
    x: int

    def __init__(self, text: str) -> None:
        self.x = int(text)


@dataclasses.dataclass(eq=False)
class NoEquality:
    x: int


@dataclasses.dataclass
class Child(Plain):
    extra: str = ""


@dataclasses.dataclass
class Holder:
    plain: Plain
    anything: Any = None
    number: float = 0.0
    words: Sequence[str] = ()
    raw: bytes = b""


@dataclasses.dataclass
class Stop:
    light: Literal[Colour.RED, "other"]
    colour: Colour = Colour.RED
    access: Access = Access.READ
    by: dict[Size, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Node:
    value: int
    next: Optional[Node] = None


@dataclasses.dataclass
class Box(Generic[T]):
    value: T
    many: list[T] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Renamed:
    owner: Annotated[str, Field(validation_alias="ownerName")] = "nobody"


@dataclasses.dataclass
class Odd:
    user: UserId
    raw: bytearray
    price: Decimal = Decimal(1)


@attrs.define
class Track:
    title: str
    _length: float = 0.0
    shown: str = attrs.field(init=False, default="")
    tags: frozenset[str] = frozenset()


@attrs.frozen(kw_only=True)
class AttrsBox(Generic[T]):
    value: T


@attrs.define
class Converted:
    x: int = attrs.field(converter=lambda value: int(value) + 1)


# Models


class Model(BaseModel):
    name: str
    at: Optional[datetime] = None
    tags: set[str] = set()
    inner: Optional[Model] = None


class ValidationAlias(BaseModel):
    owner: str = Field("nobody", validation_alias="ownerName")


class Choices(BaseModel):
    owner: str = Field("nobody", validation_alias=AliasChoices("a", AliasPath("b", 0)))


class SerializationAlias(BaseModel):
    owner: str = Field("nobody", serialization_alias="ownerName")


class BothAliases(BaseModel):
    owner: str = Field("nobody", alias="o", serialization_alias="ownerName", validation_alias="von")


class Swapped(BaseModel):
    a: int = Field(0, alias="b")
    b: int = Field(0, alias="a")


class SwappedInWriting(BaseModel):
    a: int = Field(0, serialization_alias="b")
    b: int = Field(0, serialization_alias="a")


class Generated(BaseModel):
    model_config = ConfigDict(
        alias_generator=AliasGenerator(
            validation_alias=lambda name: f"in_{name}", serialization_alias=lambda name: f"out_{name}"
        )
    )
    owner: str = "nobody"
    inner: Optional[Generated] = None


class ByName(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="forbid")
    owner: str = Field("nobody", alias="ownerName")


# From pydantic 2.12 on.
_LEFT_OUT: dict[str, Any] = (
    {"exclude_if": lambda credit: credit == 0} if "exclude_if" in inspect.signature(Field).parameters else {}
)


class Left(BaseModel):
    name: str
    token: str = Field("", exclude=True)
    credit: int = Field(10, **_LEFT_OUT)


class Secret(BaseModel):
    user: str
    password: SecretStr


class Private(BaseModel):
    name: str
    _seen: int = PrivateAttr(0)


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class Forbids(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str

    @computed_field  # type: ignore[prop-decorator]
    @property
    def length(self) -> int:
        return len(self.name)


class Hidden(BaseModel):
    number: int

    @field_serializer("number")
    def _write(self, number: int) -> str:
        return f"No. {number}"


class Shouting(BaseModel):
    name: str

    @model_validator(mode="after")
    def _shout(self) -> Any:
        if not self.name.endswith("!"):
            self.name += "!"
        return self


class Growing2(BaseModel):
    name: str

    @model_validator(mode="after")
    def _grow(self) -> Any:
        self.name += "!"
        return self


class Animal(BaseModel):
    name: str


class Dog(Animal):
    tricks: list[str] = []


class Owner(BaseModel):
    pet: Animal
    anything: Any = None


class Root(RootModel[list[int]]):
    pass


class GenericModel(BaseModel, Generic[T]):
    item: T


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    pair: tuple[int, str] = (1, "a")
    at: datetime = AT
    colour: Colour = Colour.RED


class Light(BaseModel):
    light: Literal[Colour.RED, Colour.BLUE] = Colour.RED
    quarter: Optional[Quarter] = None
    keys: dict[Size, int] = {}
    url: Optional[pydantic.HttpUrl] = None
    price: Optional[Decimal] = None
    ratio: float = 0.0
    raw: bytes = b""


class Frozen2(BaseModel):
    model_config = ConfigDict(frozen=True)
    x: int


@pydantic.dataclasses.dataclass
class PydanticDataclass:
    x: int
    at: Optional[datetime] = None
    seen: int = dataclasses.field(init=False, default=0)


@pydantic.dataclasses.dataclass
class PydanticAlias:
    owner: str = Field("nobody", validation_alias="ownerName")


# Rows


class Row(TypedDict):
    at: datetime
    amount: NotRequired[Decimal]


class PartialRow(typing.TypedDict, total=False):
    name: Required[str]
    kind: Quarter


class Named(NamedTuple):
    left: int
    right: Optional[date] = None


Untyped = collections.namedtuple("Untyped", "a b")


# Subclasses of built-in ones


class UserId(str):
    pass


class Tagged(str):
    tag: str

    def __new__(cls, text: str, tag: str = "") -> Any:
        made = super().__new__(cls, text)
        made.tag = tag
        return made


class Metres(float):
    pass


class Count(int):
    pass


class Names(list[str]):
    pass


class Settings(dict[str, int]):
    pass


class Fussy(dict[str, int]):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one=one, two=two)


class Moment(datetime):
    pass


class Letters(set[str]):
    pass
