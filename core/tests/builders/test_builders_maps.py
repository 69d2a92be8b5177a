"""What maps of both builders give: several lists, dictionaries, parts of a list, and trees."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, GraphError, Pipeline, pipeline_task
from taskiq_flow.errors import CellFailed


class Point(BaseModel):
    x: int
    y: int = 0


class Tasks:
    """The tasks of one broker."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self.broker = broker
        self.calls: list[list[Any]] = []

        @broker.task
        async def point(x: int, y: int, scale: int = 1) -> Point:
            return Point(x=x * scale, y=y * scale)

        @broker.task
        async def inc(x: int, by: int = 1) -> int:
            return x + by

        @broker.task
        async def odd(x: int) -> bool:
            return x % 2 == 1

        @broker.task
        async def first_numbers() -> list[int]:
            return [1, 2, 3]

        @broker.task
        async def ages() -> dict[str, int]:
            return {"zoe": 3, "abe": 4}

        @broker.task
        async def join(texts: list[str]) -> str:
            self.calls.append(texts)
            return "(" + "".join(texts) + ")"

        @broker.task
        async def merge(parts: list[dict[str, int]]) -> dict[str, int]:
            return functools.reduce(lambda one, other: {**one, **other}, parts, {})

        @broker.task
        async def numbered() -> dict[int, Point]:
            return {7: Point(x=1), 3: Point(x=2)}

        @broker.task
        async def is_point(point: Point) -> bool:
            return isinstance(point, Point)

        @broker.task
        async def mirror(point: Point) -> Point:
            return Point(x=point.y, y=point.x)

        @broker.task
        async def sum_of_numbered(points: dict[int, Point]) -> int:
            return sum(number + point.x for number, point in points.items())

        @broker.task
        async def keys(people: dict[str, int]) -> list[str]:
            return list(people)

        @broker.task
        async def join_all(lists: list[list[str]]) -> str:
            return " ".join(text for texts in lists for text in texts)

        @broker.task
        async def count(texts: list[str], plus: int = 0) -> int:
            return len(texts) + plus

        @broker.task
        @pipeline_task(output="sure")
        async def fail_on_two(x: int) -> int:
            if x == 2:
                raise LookupError(f"no {x}")
            return x

        self.point, self.inc, self.odd, self.first_numbers, self.ages = point, inc, odd, first_numbers, ages
        self.join, self.merge, self.count, self.fail_on_two = join, merge, count, fail_on_two
        self.keys, self.join_all, self.numbered, self.is_point = keys, join_all, numbered, is_point
        self.mirror, self.sum_of_numbered = mirror, sum_of_numbered


@pytest.fixture
def tasks() -> Tasks:
    return Tasks(InMemoryBroker())


async def value(pipeline: Any, **inputs: Any) -> Any:
    return await (await pipeline.kiq(**inputs)).result()


POINTS = [Point(x=1, y=3), Point(x=2, y=4)]


async def test_lists_are_zipped_in_both_builders(tasks: Tasks) -> None:
    chained = Pipeline(tasks.broker).map(tasks.point, over=["xs", "ys"])
    wired = DataflowPipeline(tasks.broker).map(tasks.point, ["xs", "ys"], "points")
    assert await value(chained, xs=[1, 2], ys=[3, 4]) == POINTS
    assert await value(wired, xs=[1, 2], ys=[3, 4]) == {"points": POINTS}


async def test_lists_are_combined_in_both_builders(tasks: Tasks) -> None:
    chained = Pipeline(tasks.broker).map(tasks.point, over=["xs", "ys"], product=True)
    wired = DataflowPipeline(tasks.broker).map(tasks.point, ["xs", "ys"], "points", product=True)
    expected = [Point(x=x, y=y) for x in (1, 2) for y in (3, 4, 5)]
    assert await value(chained, xs=[1, 2], ys=[3, 4, 5]) == expected
    assert await value(wired, xs=[1, 2], ys=[3, 4, 5]) == {"points": expected}


@pytest.mark.parametrize("lengths", [([1, 2], [3]), ([], [3])])
async def test_lists_of_different_lengths_fail_with_the_lengths(
    tasks: Tasks, lengths: tuple[list[int], list[int]]
) -> None:
    xs, ys = lengths
    strict = Pipeline(tasks.broker).map(tasks.point, over=["xs", "ys"])
    with pytest.raises(CellFailed, match=f"different lengths: {len(xs)} for 'x', {len(ys)} for 'y'"):
        await value(strict, xs=xs, ys=ys)
    loose = Pipeline(tasks.broker).map(tasks.point, over=["xs", "ys"], strict=False)
    assert len(await value(loose, xs=xs, ys=ys)) == min(len(xs), len(ys))


async def test_parameters_are_named_for_the_lists(tasks: Tasks) -> None:
    ways: list[Any] = [
        Pipeline(tasks.broker).map(tasks.point, ["y", "x"], over=["ys", "xs"], scale=2),
        Pipeline(tasks.broker).map(tasks.point, over={"y": "ys", "x": "xs"}, scale=2),
    ]
    for way in ways:
        assert await value(way, xs=[1], ys=[3]) == [Point(x=2, y=6)]
    wired = DataflowPipeline(tasks.broker).map(tasks.point, {"y": "xs", "x": "ys"}, "points")
    assert await value(wired, xs=[1], ys=[3]) == {"points": [Point(x=3, y=1)]}
    named = DataflowPipeline(tasks.broker).map(tasks.point, ["xs", "ys"], "points", item_param=["y", "x"])
    assert await value(named, xs=[1], ys=[3]) == {"points": [Point(x=3, y=1)]}


async def test_earlier_steps_are_mapped_over_by_name(tasks: Tasks) -> None:
    pipeline = (
        Pipeline(tasks.broker, tasks.first_numbers)
        .map(tasks.inc, by=10)
        .map(tasks.point, over=["first_numbers", "inc"])
    )
    assert await value(pipeline) == [Point(x=x, y=x + 10) for x in (1, 2, 3)]


async def test_a_whole_pipeline_goes_over_several_lists(tasks: Tasks) -> None:
    body = Pipeline(tasks.broker, tasks.point)
    chained = Pipeline(tasks.broker).map(body, over=["xs", "ys"])
    assert await value(chained, xs=[1, 2], ys=[3, 4]) == POINTS
    wired = DataflowPipeline(tasks.broker).map(body, ["xs", "ys"], "points")
    assert await value(wired, xs=[1, 2], ys=[3, 4]) == {"points": POINTS}


async def test_a_map_over_a_dictionary_gives_one(tasks: Tasks) -> None:
    given = Pipeline(tasks.broker).map(tasks.inc).map(tasks.inc).filter(tasks.odd)
    found = await value(given, items={"b": 1, "a": 2, "": 3})
    assert list(found.items()) == [("b", 3), ("", 5)]
    produced = Pipeline(tasks.broker, tasks.ages).map(tasks.inc)
    assert await value(produced) == {"zoe": 4, "abe": 5}
    wired = DataflowPipeline.from_tasks(tasks.broker, [tasks.ages]).map(tasks.inc, "ages", "older")
    assert (await value(wired))["older"] == {"zoe": 4, "abe": 5}


async def test_a_dictionary_of_a_map_is_an_argument_like_any_other(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.ages).map(tasks.inc).group(tasks.keys).reduce(tasks.join_all)
    assert await value(pipeline) == "zoe abe"


async def test_keys_and_values_are_read_as_their_maker_says(tasks: Tasks) -> None:
    points = {7: Point(x=1), 3: Point(x=2)}
    produced = Pipeline(tasks.broker, tasks.numbered)
    assert await value(produced.copy().filter(tasks.is_point)) == points
    assert await value(produced.copy().map(tasks.mirror)) == {7: Point(x=0, y=1), 3: Point(x=0, y=2)}
    doubled = produced.copy().map(tasks.mirror).map(tasks.mirror).group(tasks.sum_of_numbered)
    assert await value(doubled) == [13]


async def test_elements_that_are_left_out_take_their_keys_along(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker).map(tasks.fail_on_two, skip_errors=True)
    assert await value(pipeline, items={"a": 1, "b": 2, "c": 3}) == {"a": 1, "c": 3}


async def test_large_elements_of_a_dictionary_come_back(tasks: Tasks) -> None:
    large = {"a": ["x" * 300_000], "b": ["y" * 200_000, "z"]}
    pipeline = Pipeline(tasks.broker).map(tasks.join)
    assert await value(pipeline, items=large) == {key: f"({''.join(texts)})" for key, texts in large.items()}


async def test_parts_of_a_list_have_a_result_each(tasks: Tasks) -> None:
    chained = Pipeline(tasks.broker).map(tasks.count, chunk=2, plus=1)
    assert await value(chained, items=list("abcde")) == [3, 3, 2]
    assert await value(chained, items=[]) == []
    wired = DataflowPipeline(tasks.broker).map(tasks.count, "texts", "counts", chunk=3)
    assert await value(wired, texts=list("abcde")) == {"counts": [3, 2]}


@pytest.mark.parametrize(
    ("fan_in", "expected"),
    [(None, "(((ab)(cd))(e))"), (2, "(((ab)(cd))(e))"), (3, "((abc)(de))"), (5, "(abcde)"), (9, "(abcde)")],
)
async def test_a_tree_keeps_the_order(tasks: Tasks, fan_in: int | None, expected: str) -> None:
    chained = Pipeline(tasks.broker).reduce(tasks.join, tree=True, fan_in=fan_in)
    assert await value(chained, items=list("abcde")) == expected
    wired = DataflowPipeline(tasks.broker).reduce(tasks.join, "texts", "text", tree=True, fan_in=fan_in)
    assert await value(wired, texts=list("abcde")) == {"text": expected}


async def test_a_tree_gives_what_the_task_gives_for_short_lists(tasks: Tasks) -> None:
    whole = Pipeline(tasks.broker).reduce(tasks.join)
    tree = Pipeline(tasks.broker).reduce(tasks.join, fan_in=4)
    for items in ([], ["a"], ["a", "b"]):
        tasks.calls.clear()
        assert await value(tree, items=items) == await value(whole, texts=items)
        assert tasks.calls == [items, items]


async def test_a_tree_of_dictionaries(tasks: Tasks) -> None:
    parts = [{str(number): number} for number in range(7)]
    tree = Pipeline(tasks.broker).reduce(tasks.merge, tree=True)
    assert list((await value(tree, items=parts)).items()) == [(str(number), number) for number in range(7)]


PROBLEMS: list[tuple[str, Callable[[Tasks], Any], str]] = [
    (
        "no name",
        lambda t: Pipeline(t.broker).map(t.inc, over=[]),
        "over is \\[\\]; give the name of the list",
    ),
    (
        "a number of names",
        lambda t: Pipeline(t.broker).map(t.point, ["x"], over=["xs", "ys"]),
        "over names 2 lists \\('xs', 'ys'\\), and param_name names 1 parameters",
    ),
    (
        "said twice",
        lambda t: DataflowPipeline(t.broker).map(t.point, {"x": "xs"}, item_param="x"),
        "over and item_param both say what takes the items; give one of them",
    ),
    (
        "one parameter for two lists",
        lambda t: Pipeline(t.broker).map(t.point, ["x", "x"], over=["xs", "ys"]),
        "'x' takes the items of two lists",
    ),
    (
        "too few parameters",
        lambda t: DataflowPipeline(t.broker).map(t.odd, ["xs", "ys"], "z"),
        "task 'odd' has no parameter that could take an item of 'ys'; give it one",
    ),
    (
        "too few parameters in a chain",
        lambda t: Pipeline(t.broker).map(t.odd, over=["xs", "ys"]).graph,
        "'odd' has no parameter that could take an element of 'ys'; give it one",
    ),
    (
        "no such parameter",
        lambda t: Pipeline(t.broker).map(t.odd, over={"z": "xs"}).graph,
        "'odd' has no parameter 'z' for an element; it takes 'x'",
    ),
    ("chunk", lambda t: Pipeline(t.broker).map(t.count, chunk=0), "chunk is 0; give a whole number from 1"),
    (
        "fan_in",
        lambda t: DataflowPipeline(t.broker).reduce(t.join, "texts", fan_in=1),
        "fan_in is 1; give a whole number from 2",
    ),
    (
        "a product in parts",
        lambda t: Pipeline(t.broker).map(t.count, over=["a", "b"], product=True, chunk=2).graph,
        "map 'count' goes over a product in chunks; do one of the two",
    ),
    (
        "two results of a tree",
        lambda t: DataflowPipeline(t.broker).reduce(t.join, "texts", outputs=["a", "b"], tree=True),
        "node 'join' reduces in a tree, and produces 'a', 'b'",
    ),
    (
        "a dictionary of the wrong values",
        lambda t: Pipeline(t.broker, t.ages).map(t.join).graph,
        "input 'item' of the body of map 'join' takes list\\[str\\], but the items come from",
    ),
    (
        "parts for one element",
        lambda t: Pipeline(t.broker, t.first_numbers).map(t.inc, chunk=2).graph,
        "input 'item' of the body of map 'inc' takes int, but the chunks come from",
    ),
]


@pytest.mark.parametrize(("make", "text"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS])
def test_what_is_impossible_is_said(tasks: Tasks, make: Callable[[Tasks], Any], text: str) -> None:
    with pytest.raises(GraphError, match=text):
        make(tasks)


def test_drawings_show_how_lists_are_gone_through(tasks: Tasks) -> None:
    both = Pipeline(tasks.broker).map(tasks.point, over=["xs", "ys"], product=True)
    assert "point: map over input xs x input ys -> point\n    for each item, as x, y:" in both.render()
    assert "map over combinations" in both.render("mermaid")
    parts = Pipeline(tasks.broker).map(tasks.count, chunk=3)
    assert "up to 3 at a time" in parts.render()
    assert "for each part, as item:" in parts.render()
    tree = Pipeline(tasks.broker).reduce(tasks.join, tree=True)
    assert "join: reduce in a tree input items -> join" in tree.render()
    assert "reduce in a tree" in tree.render("dot")
