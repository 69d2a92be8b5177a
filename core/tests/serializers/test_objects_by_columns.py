"""Lists of objects are looked at field by field; one that is not like the others is found among them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from taskiq_flow.errors import PayloadError
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.values.codec import Codec


@dataclasses.dataclass
class Point:
    x: int
    tags: list[str]
    place: dict[str, float]
    parent: Point | None = None


@dataclasses.dataclass
class Labelled(Point):
    label: str = ""


def make_points(count: int) -> list[Any]:
    return [Point(number, ["a"], {"y": 1.5}, Point(0, [], {})) for number in range(count)]


def encode_all(points: list[Any]) -> Any:
    codec = Codec({"json": JsonSerializer}, "json")
    return codec.decode(codec.encode(points, None, list[Point]), list[Point])


def test_objects_that_are_all_alike_come_back() -> None:
    assert encode_all(make_points(50)) == make_points(50)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("x", "text"),
        ("tags", ["a", 2]),
        ("place", {"y": "far"}),
        ("place", {("y",): 1.5}),
        ("parent", Point(0, [None], {})),  # type: ignore[list-item]
    ],
)
def test_one_object_with_another_value_is_refused_wherever_it_stands(field: str, value: object) -> None:
    for position in (0, 25, 49):
        points = make_points(50)
        setattr(points[position], field, value)
        with pytest.raises(PayloadError, match=r"Point|tuple"):
            encode_all(points)


def test_one_object_of_another_class_is_refused_wherever_it_stands() -> None:
    for position in (0, 25, 49):
        points = make_points(50)
        points[position] = Labelled(1, [], {}, None, "lost")
        with pytest.raises(PayloadError, match="Labelled"):
            encode_all(points)


def test_an_object_within_itself_is_refused() -> None:
    points = make_points(2)
    points[1].parent = points[1]
    with pytest.raises(PayloadError, match=r"contains itself|[Cc]ircular|recurs"):
        encode_all(points)
