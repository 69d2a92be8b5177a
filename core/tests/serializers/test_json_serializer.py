"""The JSON serializer beyond what its kit checks: its exact bytes, its errors, its annotations."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
import typing
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Optional, TypeVar, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, field_validator

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializers.json import JsonSerializer

json = JsonSerializer()


class Opaque:
    pass


class Track(BaseModel):
    title: str
    extra: Any = None


class Strict(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def _check(cls, value: int) -> int:
        if value == 13:
            raise RuntimeError("no thirteen")
        return value


@dataclasses.dataclass
class Cut:
    at: float
    tags: set[str] = dataclasses.field(default_factory=set)
    raw: bytes = b""


class Row(typing.TypedDict):
    raw: bytes


class Options(typing.TypedDict, total=False):
    at: datetime
    rows: list[Row]


def refused(function: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(PayloadError) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"b": 1, "a": [1.5, None, True]}, b'{"b":1,"a":[1.5,null,true]}'),
        (b"\xff\xfe", b'"__4="'),
        ({"z", "a", "m"}, b'["a","m","z"]'),
        ({10, 9}, b"[10,9]"),
        (Cut(1.0, {"b", "a"}, b"\xff"), b'{"at":1.0,"tags":["a","b"],"raw":"_w=="}'),
        ([{"x": ({3, 1},)}], b'[{"x":[[1,3]]}]'),
        ([math.nan, math.inf, -math.inf], b"[NaN,Infinity,-Infinity]"),
        ("é", '"é"'.encode()),
        (Track(title="t"), b'{"title":"t","extra":null}'),
    ],
)
def test_the_bytes_are_compact_and_always_the_same(value: Any, data: bytes) -> None:
    assert json.dumps(value) == data


def test_equal_sets_are_the_same_bytes_in_every_process() -> None:
    code = (
        "from taskiq_flow.serializers.json import JsonSerializer as J\n"
        "from pydantic import BaseModel\n"
        "class Inner(BaseModel): names: set[str]; other: dict[str, set[str]] = {}\n"
        "class Outer(BaseModel): inner: list[Inner]; at: int = 1\n"
        "words = {'one', 'two', 'three'}\n"
        "model = Outer(inner=[Inner(names=words, other={'y': words})])\n"
        "print(J().dumps([set('abcdefgh'), {'x': frozenset(words)}, model]).decode())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    words = '["one","three","two"]'
    model = f'{{"inner":[{{"names":{words},"other":{{"y":{words}}}}}],"at":1}}'
    assert found == {f'[["a","b","c","d","e","f","g","h"],{{"x":{words}}},{model}]\n'}


def test_bytes_in_a_model_that_are_no_text_are_refused_with_what_to_do() -> None:
    class Image(BaseModel):
        raw: bytes

    class Kept(BaseModel):
        model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
        raw: bytes

    assert json.loads(json.dumps(Image(raw=b"text")), Image) == Image(raw=b"text")
    assert json.loads(json.dumps(Kept(raw=b"\xff")), Kept) == Kept(raw=b"\xff")
    said = refused(json.dumps, [Image(raw=b"\xff")])
    assert "Image (at result[0]) as json: " in said
    assert "let the model have ConfigDict(ser_json_bytes='base64'" in said


def test_nan_and_the_infinities_survive_with_and_without_an_annotation() -> None:
    data = json.dumps([math.nan, math.inf, -math.inf])
    for annotation in (Any, list[float]):
        found = json.loads(data, annotation)
        assert math.isnan(found[0])
        assert found[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize(
    ("data", "annotation", "value"),
    [
        (b"5", float, 5.0),
        (b'"5"', int, 5),
        (b"5", object, 5),
        (b"[1]", TypeVar("TypeVar"), [1]),
        (b"[1,2]", Sequence[int], [1, 2]),
        (b"null", None, None),
        (b'[{"raw":"_w=="}]', list[Row], [{"raw": b"\xff"}]),
        (b'{"raw":"_w=="}', Optional[Row], {"raw": b"\xff"}),
        (b'{"raw":"_w=="}', Row | None, {"raw": b"\xff"}),
        (b'{"1":[{"raw":"_w=="}]}', Annotated[dict[int, list[Row]], "x"], {1: [{"raw": b"\xff"}]}),
        (b'{"rows":[{"raw":""}]}', Options, {"rows": [{"raw": b""}]}),
        (b'{"at":"2026-01-02T03:04:05"}', Options, {"at": datetime(2026, 1, 2, 3, 4, 5)}),
        (b'{"at":1}', Cut, Cut(1.0)),
        (b'[{"at":1,"raw":"_w=="}]', list[Cut], [Cut(1.0, set(), b"\xff")]),
    ],
)
def test_values_are_read_by_the_annotation(data: bytes, annotation: Any, value: Any) -> None:
    found = json.loads(data, annotation)
    assert found == value
    assert type(found) is type(value)


def test_unions_that_are_equal_but_in_another_order_are_told_apart() -> None:
    data = json.dumps("2026-01-02T03:04:05")
    first, second = Union[datetime, str], Union[str, datetime]
    assert first == second

    assert json.loads(data, first) == datetime(2026, 1, 2, 3, 4, 5)
    assert json.loads(data, second) == "2026-01-02T03:04:05"
    assert json.loads(data, Union[datetime, str]) == datetime(2026, 1, 2, 3, 4, 5)


def itself() -> Any:
    value: list[Any] = []
    value.append({"again": value})
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Opaque(), "cannot encode a value of type Opaque as json; give plain data"),
        ({"a": [1, 2, 3, Opaque()]}, "cannot encode a value of type Opaque (at result['a'][3]) as json; "),
        ((0, Track(title="t", extra=[Opaque()])), "type Opaque (at result[1].extra[0]) as json; "),
        ([Cut(1.0, tags={Opaque()})], "type Opaque (at result[0].tags, element Opaque) as json; "),  # type: ignore[arg-type]
        ({"a": {Opaque(): 1}}, "type Opaque (at result['a'], key Opaque) as json; "),
        (itself(), "(at result[0]['again']) as json: it contains itself; "),
        (["fine", "\ud800"], "type str (at result[1]) as json: UnicodeEncodeError: "),
        ({"\ud800": 1}, r"type str (at result, key '\ud800') as json: UnicodeEncodeError: "),
        (Opaque, "cannot encode a value of type type as json; "),
        (range(3), "cannot encode a value of type range as json; "),
        (ValueError("x"), "cannot encode a value of type ValueError as json; "),
    ],
)
def test_what_cannot_be_encoded_is_named_with_its_place(value: Any, said: str) -> None:
    assert said in refused(json.dumps, value)


def test_an_error_about_a_deep_value_stays_short() -> None:
    value: Any = Opaque()
    for _ in range(45):
        value = {"a key of some length": value}
    message = refused(json.dumps, value)
    assert "type Opaque" in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("data", "annotation", "said"),
    [
        (b"{}", Opaque, "cannot decode json as Opaque: json has no such values; annotate plain data"),
        (b"[{}]", list[Opaque], "Opaque]: json has no such values; "),
        (b"1", Callable[[int], int], "json has no such values; "),
        (b"[1]", list["Nowhere"], "cannot decode json as list['Nowhere']: "),  # type: ignore[name-defined]  # noqa: F821
        (b'{"number":13}', Strict, "cannot decode json as Strict: no thirteen; "),
        (
            b'[1,"x",null]',
            list[int],
            "the value does not fit list[int]: at [1]: input should be a valid integer, unable to parse string as an "
            "integer, found 'x'; at [2]: input should be a valid integer, found None",
        ),
        (b'["a","b","c","d","e","f","g"]', list[int], "found 'e'; and 2 more"),
        (
            b'{"title":5}',
            Track,
            "the value does not fit Track: at ['title']: input should be a valid string, found 5",
        ),
        (b"[1,", Any, "cannot decode as json: EOF while parsing"),
        (b"[1,", list[int], "cannot decode as json: EOF while parsing"),
        (b'"\xff"', str, "cannot decode as json: "),
        (b"", Any, "cannot decode as json: "),
    ],
)
def test_what_cannot_be_decoded_is_named(data: bytes, annotation: Any, said: str) -> None:
    assert said in refused(json.loads, data, annotation)


def test_an_exact_model_is_not_guessed_from_another_type() -> None:
    assert "does not fit" in refused(json.loads, b'"text"', Track)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(plain)
def test_plain_data_survives(value: Any) -> None:
    data = json.dumps(value)
    assert json.loads(data) == value
    assert json.dumps(json.loads(data)) == data


@given(st.lists(plain))
def test_a_list_survives_being_split_and_joined(values: list[Any]) -> None:
    data = json.dumps(values)
    parts = json.split(data)
    assert parts == [json.dumps(value) for value in values]
    assert json.join(iter(parts)) == data


@given(st.sets(st.integers() | st.text()))
def test_a_set_survives_by_its_annotation(value: set[Any]) -> None:
    assert json.loads(json.dumps(value), set[Union[int, str]]) == value


@given(st.binary())
def test_bytes_survive_by_their_annotation(value: bytes) -> None:
    assert json.loads(json.dumps(value), bytes) == value


@given(st.binary())
def test_noise_is_read_or_refused(value: bytes) -> None:
    for annotation in (Any, Track, list[int]):
        try:
            json.loads(value, annotation)
        except PayloadError:
            continue
