"""What a union would read as another of its members is refused where it was made, in containers of every kind."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializers import JsonSerializer
from taskiq_flow.values.codec import Codec
from zoo_of_classes import Animal, Colour, Dog

DAY = date(2026, 1, 1)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        ([Dog(name="a"), Animal(name="b")], list[Dog | Animal]),
        (["2026-01-01", DAY], list[date | str]),
        (["2026-01-01", DAY], list[str | date]),
        ({DAY}, set[str | date]),
        ({DAY: 1}, dict[str | date, int]),
        ({"1": 1, 1.0: 2}, dict[str | float, int]),
        ({"a": {1}, "b": [1]}, dict[str, list[int] | set[int]]),
        (["red", Colour.RED], list[str | Colour]),
        (["Ly8=", b"//"], list[str | bytes]),
        (Decimal("1.0"), str | Decimal),
    ],
)
def test_what_would_be_read_as_another_member_is_refused(value: Any, annotation: Any) -> None:
    codec = Codec({"json": JsonSerializer}, "json")
    assert codec.encode(value).data
    with pytest.raises(PayloadError, match="would read as"):
        codec.encode(value, type_=annotation)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        ([1, 1.5, "x"], list[int | float | str]),
        ([1, 1.0, True, "1"], list[int | float | bool | str]),
        ({DAY: {DAY}, date.min: set()}, dict[date, set[date]]),
        ({1: "a", 2: None}, dict[int, str | date | None]),
        ({"a", "b"}, set[str | int]),
    ],
)
def test_what_can_be_told_apart_is_written(value: Any, annotation: Any) -> None:
    codec = Codec({"json": JsonSerializer}, "json")
    assert codec.decode(codec.encode(value, type_=annotation), annotation) == value
