"""What serializers of plain data share, seen through one that is made of the standard library's json."""

from __future__ import annotations

import dataclasses
import enum
import json
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic, NamedTuple, Optional, TypeVar

import attrs
import pytest
from pydantic import BaseModel, ConfigDict, Json, SecretStr, computed_field

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.typed import TypedSerializer, is_missing, lower

T = TypeVar("T")


class Acme(TypedSerializer):
    name: ClassVar[str] = "acme"
    advice: ClassVar[str] = "give what the advice says"

    def write(self, value: Any) -> bytes:
        return json.dumps(value, default=lower).encode()

    def read(self, data: bytes) -> Any:
        return json.loads(data)


@attrs.define
class Track:
    title: str
    _length: float = 0.0
    tags: set[str] = attrs.field(factory=set)
    next: Optional[Track] = None
    shown: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.shown = self.title.upper()


@attrs.frozen(kw_only=True)
class Box(Generic[T]):
    value: T
    many: tuple[T, ...] = ()


@attrs.frozen
class Positive:
    number: int = attrs.field(validator=attrs.validators.gt(0))


@dataclasses.dataclass
class Album:
    tracks: list[Track]
    best: Optional[Track] = None
    parts: Optional[list[Album]] = None
    count: int = dataclasses.field(init=False, default=0)


class Row(typing.TypedDict, total=False):
    track: Track
    at: datetime


class Pair(NamedTuple):
    track: Track
    number: int = 1


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    pair: tuple[int, str]
    at: datetime
    number: int = 0


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rows: Json[list[int]]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def count(self) -> int:
        return len(self.rows)


VALUES: list[tuple[Any, Any]] = [
    (Track("a", 1.5, {"x"}, Track("b")), Track),
    ([Track("a")], list[Track]),
    ({"k": Track("a")}, Mapping[str, Optional[Track]]),
    (Box(value=1, many=(2, 3)), Box[int]),
    (Box(value=Box(value=Track("a"))), Box[Box[Track]]),
    (Album([Track("a")], Track("b"), [Album([])]), Album),
    ({"track": Track("a"), "at": datetime(2026, 1, 2)}, Row),
    ({}, Row),
    (Pair(Track("a"), 2), Pair),
    ([Pair(Track("a"))], list[Pair]),
    (Computed(rows="[1,2]"), Computed),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("serializer", [JsonSerializer(), Acme()], ids=["json", "acme"])
@pytest.mark.parametrize(("value", "annotation"), VALUES)
def test_classes_come_back_by_their_annotations(serializer: Serializer, value: Any, annotation: Any) -> None:
    if isinstance(serializer, Acme) and "tags" in repr(value):
        value = json.loads(json.dumps(value, default=_sets_as_lists))
        found = serializer.loads(serializer.dumps(value), annotation)
        assert serializer.loads(json.dumps(found, default=_sets_as_lists).encode(), annotation) == found
        return
    found = serializer.loads(serializer.dumps(value), annotation)
    assert found == value
    assert type(found) is type(value)


def _sets_as_lists(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else lower(value)


def test_what_a_class_computes_itself_survives_with_what_it_became() -> None:
    track = Track("a")
    track.shown = "changed"
    album = Album([track])
    album.count = 5
    found = JsonSerializer().loads(JsonSerializer().dumps(album), Album)
    assert (found.count, found.tracks[0].shown) == (5, "changed")


@pytest.mark.parametrize("serializer", [JsonSerializer(), Acme()], ids=["json", "acme"])
def test_what_does_not_fit_an_attrs_class_is_named(serializer: Serializer) -> None:
    for value, said in [
        ([{"title": "a"}, {"title": 5}], "at [1]['title']: input should be a valid string, found 5"),
        ([{}], "at [0]['title']: field required"),
        (["text"], "at [0]: input should be "),
    ]:
        with pytest.raises(PayloadError) as caught:
            serializer.loads(serializer.dumps(value), list[Track])
        assert said in str(caught.value)
    with pytest.raises(PayloadError, match=r"Positive: .*'number' must be > 0: -1"):
        serializer.loads(serializer.dumps({"number": -1}), Positive)


def test_a_strict_model_takes_what_a_format_has_for_its_classes_and_no_other_numbers() -> None:
    data = Acme().dumps({"pair": [1, "a"], "at": "2026-01-02T00:00:00"})
    assert Acme().loads(data, Strict) == Strict(pair=(1, "a"), at=datetime(2026, 1, 2))
    with pytest.raises(PayloadError, match=r"at \['number'\]: input should be a valid integer, found '1'"):
        Acme().loads(Acme().dumps({"pair": [1, "a"], "at": "2026-01-02", "number": "1"}), Strict)


def test_errors_name_the_format_and_give_its_advice() -> None:
    with pytest.raises(
        PayloadError, match=r"type object \(at result\[0\]\) as acme; give what the advice says$"
    ):
        Acme().dumps([object()])
    with pytest.raises(PayloadError, match=r"^cannot decode as acme: expecting value"):
        Acme().loads(b"?")
    with pytest.raises(PayloadError, match="a secret is written as stars"):
        Acme().dumps({"password": SecretStr("x")})


def test_a_missing_annotation_is_known() -> None:
    assert [is_missing(each) for each in (Any, object, int, None)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({(1, 2): 1}, "a key of type tuple cannot be told from its text"),
        ([{None: 1}], "a key of type NoneType cannot be told from its text"),
        ({1: "a", "1": "b"}, "two keys become the same text '1'"),
        ({True: "a", "true": "b"}, "two keys become the same text 'true'"),
    ],
)
def test_json_refuses_keys_that_would_not_come_back(value: Any, said: str) -> None:
    with pytest.raises(PayloadError) as caught:
        JsonSerializer().dumps(value)
    assert said in str(caught.value)


def test_an_error_about_a_very_deep_value_comes_soon() -> None:
    calls = 0

    class Counting(Acme):
        def write(self, value: Any) -> bytes:
            nonlocal calls
            calls += 1
            raise RecursionError("too deep")

    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(PayloadError, match="type list"):
        Counting().dumps(deep)
    assert calls < 300


class Planet(enum.Enum):
    EARTH = (5.976e24, 6.37814e6)
    MARS = (6.421e23, 3.3972e6)
    PLUTO = "none any more"


@dataclasses.dataclass
class Journey:
    stops: list[Planet | None]
    last: Planet = Planet.EARTH


@pytest.mark.parametrize("serializer", [Acme(), JsonSerializer()], ids=["acme", "json"])
@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (Planet.MARS, Planet),
        (Planet.PLUTO, Planet),
        (Journey([Planet.MARS, None, Planet.PLUTO]), Journey),
        (Box(value=Planet.MARS, many=(Planet.EARTH,)), Box[Planet]),
        ({"a": Planet.MARS}, dict[str, Optional[Planet]]),
    ],
)
def test_enumerations_of_tuples_come_back(serializer: Serializer, value: Any, annotation: Any) -> None:
    assert serializer.loads(serializer.dumps(value), annotation) == value
    with pytest.raises(PayloadError, match="does not fit Planet"):
        serializer.loads(b"[1, 2]", Planet)


def test_what_stands_very_deep_is_refused_without_encoding_it_at_every_depth() -> None:
    times = 0

    class Counting(Acme):
        def write(self, value: Any) -> bytes:
            nonlocal times
            times += 1
            return super().write(value)

    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(PayloadError, match=r"at result(\[0\]){50}…\) as acme"):
        Counting().dumps(deep)
    assert times < 100
