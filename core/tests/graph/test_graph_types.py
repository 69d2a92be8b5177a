"""Which annotations can meet, and which never can."""

from __future__ import annotations

import collections
import collections.abc as abc
import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import pathlib
import sys
import typing
import uuid
from typing import (
    Annotated,
    Any,
    ForwardRef,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    Protocol,
    TypeVar,
    Union,
)

import attrs
import pydantic
import pytest
from typing_extensions import TypeAliasType, TypedDict

from taskiq_flow.graph import can_fit

T = TypeVar("T")


class Animal:
    pass


class Dog(Animal):
    pass


class Model(pydantic.BaseModel):
    a: int


class Other(pydantic.BaseModel):
    b: str


class Names(pydantic.RootModel[list[str]]):
    pass


class Lenient(pydantic.BaseModel):
    a: int

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return value


@dataclasses.dataclass
class Data:
    a: int


@attrs.define
class Attrs:
    a: int


class Typed(TypedDict):
    a: int


class Pair(NamedTuple):
    a: int
    b: str


class Word(enum.Enum):
    ONE = "one"


class Number(enum.IntEnum):
    ONE = 1


class Lookup(enum.Enum):
    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> Lookup:
        return cls.ONE


class Closable(Protocol):
    def close(self) -> None: ...


class Own:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        raise NotImplementedError


class Box(Generic[T]):
    pass


UserId = NewType("UserId", int)
Json = TypeAliasType("Json", "Union[int, list[Json]]")  # type: ignore[misc]
Scalar = TypeAliasType("Scalar", Union[int, bool])

FITS: list[tuple[Any, Any]] = [
    (int, int),
    (int, Any),
    (Any, str),
    (int, object),
    (None, str),
    (int, None),
    (inspect.Parameter.empty, str),
    (int, inspect.Parameter.empty),
    (int, "str"),
    (ForwardRef("int"), str),
    (int, T),
    (list[T], list[str]),
    (int, Closable),
    (int, typing.SupportsInt),
    # either may be the narrower one
    (Dog, Animal),
    (Animal, Dog),
    (Animal, Model),
    (int, Animal),
    (Own, int),
    # numbers, and what is read from text
    (int, float),
    (float, int),
    (bool, int),
    (int, bool),
    (str, int),
    (int, decimal.Decimal),
    (str, dt.datetime),
    (dt.datetime, str),
    (int, dt.timedelta),
    (str, uuid.UUID),
    (str, decimal.Decimal),
    (str, pathlib.Path),
    (pathlib.Path, str),
    (str, bytes),
    (str, Word),
    (Word, str),
    (int, Number),
    (str, Number),
    (str, Lookup),
    # unions
    (Optional[int], str | None),
    (int, Optional[int]),
    (None | int, None),
    (int, Union[str, int]),
    (Union[str, int], int),
    (int | str, str),
    # literals
    (Literal["a", "b"], Literal["b", "c"]),
    (Literal["a"], str),
    (str, Literal["a"]),
    (Literal[1], float),
    (Literal[1], Literal[True]),
    (Literal[False], Literal[0]),
    (Literal[Word.ONE], Literal["one"]),
    (Literal["one"], Literal[Word.ONE]),
    (list[Literal[Number.ONE]], list[Literal[1]]),
    # lists of any kind
    (tuple[int, ...], list[int]),
    (list[int], tuple[int, int]),
    (set[int], list),
    (list, frozenset[str]),
    (list[int], typing.Sequence[int]),
    (typing.List[int], abc.Iterable[float]),  # noqa: UP006 - people still write it
    (abc.Iterable[int], list[int]),
    (collections.deque, list),
    (tuple[int, str], list[str | int]),
    (tuple[int, str], list[int]),
    (str, abc.Sequence[str]),
    (dict[str, int], abc.Iterable[str]),
    (list[int], abc.Collection),
    (list[Any], list[str]),
    (Pair, list),
    (Pair, dict),
    (list, Pair),
    # objects of any kind
    (dict, Model),
    (Model, dict),
    (Model, Other),
    (Model, Data),
    (dict[str, Any], Data),
    (dict, Attrs),
    (Attrs, abc.Mapping),
    (Typed, dict[str, int]),
    (dict, Typed),
    (Typed, Model),
    (dict[int, str], dict[str, str]),
    (collections.OrderedDict[str, int], dict[str, int]),
    (collections.Counter[str], dict[str, int]),
    (list[str], Names),
    (str, Lenient),
    # wrappers
    (Annotated[int, "unit"], int),
    (Annotated[int, pydantic.PlainSerializer(str)], str),
    (int, Annotated[str, pydantic.BeforeValidator(str)]),
    (int, Annotated[str, pydantic.Field(coerce_numbers_to_str=True)]),
    (list[int], list[Annotated[str, pydantic.Field(coerce_numbers_to_str=True)]]),
    (UserId, int),
    (int, UserId),
    (int, Json),
    (int, Box[int]),
    (int, abc.Callable[[], int]),
    (int, type[int]),
    ([int], str),
    (int, 5),
]

MISFITS: list[tuple[Any, Any]] = [
    (int, str),
    (bool, str),
    (float, uuid.UUID),
    (int, pathlib.Path),
    (int, bytes),
    (type(None), int),
    (int, type(None)),
    (int, list),
    (str, list),
    (str, list[str]),
    (str, set),
    (str, dict),
    (int, abc.Iterable[int]),
    (list, str),
    (list, int),
    (dict, list),
    (dict, str),
    (list, dict),
    (list, Model),
    (str, Model),
    (int, Data),
    (int, Attrs),
    (str, Typed),
    (Model, int),
    (Data, str),
    (int, Word),
    (list, Word),
    (Word, list),
    (int, Optional[str]),
    (Union[int, bool], Union[str, None]),
    (int | float, str),
    (Literal["a"], Literal["b"]),
    (Literal[1], str),
    (Literal[Word.ONE], Literal["two"]),
    (Literal["1"], Literal[1]),
    (str, Literal[1]),
    (list[int], list[str]),
    (list[int], typing.Sequence[str]),
    (set[int], frozenset[str]),
    (tuple[int, ...], list[str]),
    (tuple[int, str], list[dict]),
    (tuple[int, int], tuple[int, int, int]),
    (tuple[int, int], tuple[int, str]),
    (list[int], tuple[int, str]),
    (list[list[int]], list[list[str]]),
    (list[Optional[int]], list[str]),
    (dict[str, int], dict[str, str]),
    (dict[str, list[int]], abc.Mapping[str, list[str]]),
    (collections.OrderedDict[str, int], dict[str, str]),
    (Annotated[int, "unit"], str),
    (int, Annotated[str, pydantic.Field(min_length=1)]),
    (Annotated[int, ["unhashable"]], str),
    (UserId, str),
    (list[UserId], list[str]),
    (Scalar, str),
    (list, Scalar),
]


def _shown(pair: tuple[Any, Any]) -> str:
    return f"{pair[0]} -> {pair[1]}"


@pytest.mark.parametrize("pair", FITS, ids=_shown)
def test_what_may_fit_passes(pair: tuple[Any, Any]) -> None:
    assert can_fit(*pair) is True


@pytest.mark.parametrize("pair", MISFITS, ids=_shown)
def test_what_can_never_fit_does_not(pair: tuple[Any, Any]) -> None:
    assert can_fit(*pair) is False


@pytest.mark.skipif(sys.version_info < (3, 12), reason="aliases that name themselves came with Python 3.12")
def test_an_alias_that_names_itself_ends() -> None:
    names: dict[str, Any] = {}
    exec("type Json = int | list[Json]\ntype Nested = list[Nested]\ntype Deep = list[Deep]", names)
    json, nested, deep = names["Json"], names["Nested"], names["Deep"]
    assert can_fit(list[list[int]], json)
    assert not can_fit(dict, json)
    assert not can_fit(list[list[dict]], json)
    assert can_fit(nested, deep)
    assert not can_fit(list[list[dict]], nested)


SAMPLES: list[tuple[Any, Any]] = [
    (bool, True),
    (int, 7),
    (float, 1.5),
    (str, "text"),
    (str, "1"),
    (str, "2024-01-01"),
    (str, "00000000-0000-0000-0000-000000000000"),
    (str, "one"),
    (bytes, b"data"),
    (dt.date, dt.date(2024, 1, 1)),
    (dt.datetime, dt.datetime(2024, 1, 1)),
    (uuid.UUID, uuid.UUID(int=0)),
    (decimal.Decimal, decimal.Decimal("1.5")),
    (pathlib.Path, pathlib.Path("a")),
    (Word, Word.ONE),
    (Number, Number.ONE),
    (type(None), None),
    (list[int], [1]),
    (list[str], ["a"]),
    (tuple[int, str], (1, "a")),
    (set[int], {1}),
    (dict[str, int], {"a": 1}),
    (dict[str, str], {"b": "x"}),
    (Model, Model(a=1)),
    (Other, Other(b="x")),
    (Data, Data(a=1)),
    (Typed, {"a": 1}),
    (Pair, Pair(1, "a")),
    (Names, Names(["a"])),
    (Literal["one"], "one"),
    (Literal[Word.ONE], Word.ONE),
    (Literal[1], 1),
    (Literal[True], True),
    (Annotated[str, pydantic.Field(coerce_numbers_to_str=True)], "x"),
    (Optional[int], 1),
    (UserId, 1),
]


def test_whatever_pydantic_reads_is_said_to_fit() -> None:
    """The rule is checked against what decoding really does, for each pair of types."""
    readers = {str(type_): pydantic.TypeAdapter(type_) for type_, _ in SAMPLES}
    for produced, value in SAMPLES:
        encoded = pydantic.TypeAdapter(produced).dump_json(value)
        for accepted, _ in SAMPLES:
            try:
                readers[str(accepted)].validate_json(encoded)
            except pydantic.ValidationError:
                continue
            assert can_fit(produced, accepted), f"{produced} as {encoded!r} is read as {accepted}"
