"""The law of values: what is written is read as the same by its annotation, or it is refused when it is written."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from typing import Any

import pydantic
import pytest
from hypothesis import given
from pydantic import BaseModel

from annotated_values import annotated_values
from taskiq_flow.errors import PayloadError
from taskiq_flow.serializers.json import JsonSerializer
from zoo_of_classes import AT, Left, Plain
from zoo_of_values import BERLIN, ZOO, deep, iterators, same

json = JsonSerializer()


class Simple(BaseModel):
    name: str
    at: datetime | None = None
    inner: Simple | None = None


PYDANTIC = tuple(int(part) for part in pydantic.VERSION.split(".")[:2])


@pytest.mark.parametrize("number", range(len(ZOO)))
def test_json_brings_each_odd_value_back_or_refuses_it(number: int) -> None:
    value, annotation = ZOO[number]
    data = write(value)
    if data is not None:
        assert same(value, json.loads(data, annotation))
        # And again as the same bytes.
        assert json.dumps(value) == data


def write(value: Any) -> bytes | None:
    """Return what is written; ``None`` where a value is refused, with its place."""
    try:
        return json.dumps(value)
    except PayloadError as error:
        said = str(error)
    assert re.match(r"cannot encode a value of type \S+( \(at result\S.*\))? as json", said)
    return None


@given(annotated_values())
def test_json_brings_each_generated_value_back_or_refuses_it(pair: tuple[Any, Any]) -> None:
    value, annotation = pair
    data = write(value)
    if data is not None:
        assert same(value, json.loads(data, annotation))
        assert json.dumps(value) == data


def test_most_odd_values_come_back() -> None:
    refused = [value for value, _ in ZOO if write(value) is None]
    # Old versions of pydantic carry less than new ones.
    assert len(refused) < len(ZOO) / (4 if PYDANTIC >= (2, 14) else 3)


def test_an_iterator_is_read_once_whatever_stands_beside_it() -> None:
    for iterator, items in iterators():
        value = {"items": iterator, "set": {1}, 2: None}
        plain = [list(each) if isinstance(each, tuple) else each for each in items]
        assert json.loads(json.dumps(value)) == {"items": plain, "set": [1], "2": None}


def test_a_list_that_holds_itself_many_times_is_refused_soon() -> None:
    itself: list[Any] = []
    itself += [itself] * 50
    with pytest.raises(PayloadError, match="it contains itself"):
        json.dumps(itself)


def test_what_is_nested_too_deeply_to_be_read_is_refused() -> None:
    for depth, comes_back in ((190, True), (210, False)):
        for value in (deep(depth), {"a": {1}, "b": deep(depth)}):
            assert (write(value) is not None) is comes_back


def test_who_writes_many_simple_models_does_not_pay_for_reading_them() -> None:
    class Counting(JsonSerializer):
        readings = 0

        def loads(self, data: bytes, type_: Any = Any) -> Any:
            self.readings += 1
            return super().loads(data, type_)

    counting = Counting()
    for simple in (Simple(name="a", at=AT, inner=Simple(name="b")), Plain(1, "a", [2])):
        counting.dumps([simple] * 3)
        assert counting.readings == 0
    for odd in (Simple(name="a", at=AT.astimezone(BERLIN)), Plain(1.5), Left(name="ada")):  # type: ignore[arg-type]
        before = counting.readings
        with suppress(PayloadError):
            counting.dumps([odd])
        assert counting.readings > before
