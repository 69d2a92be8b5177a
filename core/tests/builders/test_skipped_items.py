"""Items of maps that fail: left out, or with something in their place, and always told with their positions."""

from __future__ import annotations

from typing import Any, Union

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Failure, Flow, GraphError, Pipeline, pipeline_task
from taskiq_flow.graph import MapNode

ITEMS = [1, 0, 2, 0]
PLACES = {True: [1.0, 0.5], "none": [1.0, None, 0.5, None], "failure": [1.0, Failure, 0.5, Failure]}
modes = pytest.mark.parametrize("mode", PLACES, ids=str)


@pytest.fixture
def invert(broker: InMemoryBroker) -> Any:
    @broker.task
    async def invert(x: int) -> float:
        return 1 / x

    return invert


def shape(values: list[Any]) -> list[Any]:
    return [Failure if isinstance(each, Failure) else each for each in values]


@modes
async def test_a_hand_chained_map(broker: InMemoryBroker, invert: Any, mode: Any) -> None:
    handle = await Pipeline(broker).map(invert, skip_errors=mode).kiq(ITEMS)
    assert shape(await handle.result(timeout=20)) == PLACES[mode]
    left_out = await handle.items_left_out()
    assert {owner: list(items) for owner, items in left_out.items()} == {"invert": [1, 3]}
    failed = left_out["invert"][3]
    assert (failed.cell, failed.attempt, failed.failure.type) == (
        "invert[3]/invert",
        1,
        "builtins:ZeroDivisionError",
    )
    assert await handle.failures() == []


@modes
async def test_a_map_of_a_dataflow(broker: InMemoryBroker, invert: Any, mode: Any) -> None:
    pipeline = DataflowPipeline(broker).map(invert, over="xs", output="inverted", skip_errors=mode)
    handle = await pipeline.kiq(xs=ITEMS)
    assert shape((await handle.result(timeout=20))["inverted"]) == PLACES[mode]
    assert list((await handle.items_left_out())["invert"]) == [1, 3]


async def test_a_failure_tells_what_happened(broker: InMemoryBroker, invert: Any) -> None:
    handle = await Pipeline(broker).map(invert, skip_errors="failure").kiq([0])
    (failure,) = await handle.result(timeout=20)
    assert isinstance(failure, Failure)
    assert (failure.type, failure.message) == ("builtins:ZeroDivisionError", "division by zero")
    assert (failure.cell, failure.attempt) == ("invert[0]/invert", 1)
    assert "return 1 / x" in failure.traceback
    assert failure.summary == "ZeroDivisionError: division by zero"


async def test_tasks_take_failures_where_they_say_so(broker: InMemoryBroker, invert: Any) -> None:
    @broker.task
    def pick(inverted: list[Union[float, Failure]]) -> list[Union[str, Failure]]:
        return [each if isinstance(each, Failure) else "fine" for each in inverted]

    @broker.task
    def name(each: Union[str, Failure]) -> str:
        return each.type if isinstance(each, Failure) else each

    pipeline = Pipeline(broker).map(invert, skip_errors="failure").call_next(pick)
    handle = await pipeline.kiq(ITEMS)
    assert shape(await handle.result(timeout=20)) == ["fine", Failure, "fine", Failure]
    handle = await pipeline.map(name).kiq(ITEMS)
    assert await handle.result(timeout=20) == ["fine", "builtins:ZeroDivisionError"] * 2
    one_by_one = Pipeline(broker).map(invert, skip_errors="failure").map(name)
    assert (await (await one_by_one.kiq([0])).result(timeout=20)) == ["builtins:ZeroDivisionError"]


@pytest.mark.parametrize("items", [[0, 0], [[0], [0, 0]]], ids=str)
async def test_a_task_without_a_place_for_failures_is_told(
    broker: InMemoryBroker, invert: Any, items: Any
) -> None:
    @broker.task
    def total(inverted: list[float]) -> float:
        raise AssertionError("must not run")

    pipeline = Pipeline(broker).map(invert, skip_errors="failure").call_next(total)
    outer: Any = Pipeline(broker).map(pipeline) if isinstance(items[0], list) else pipeline
    handle = await outer.kiq(items)
    assert (await handle.wait_result(timeout=20)).is_err
    failed = (await handle.failures())[0]
    assert failed.kind == "rejected"
    assert "parameter 'inverted' of task" in failed.failure.message
    assert "invert[0]/invert' failed (ZeroDivisionError: division by zero)" in failed.failure.message
    assert "has no place for its failure; annotate the parameter with `| Failure`" in failed.failure.message


@modes
async def test_maps_in_maps(broker: InMemoryBroker, invert: Any, mode: Any) -> None:
    inner = Pipeline(broker).map(invert, skip_errors=mode)
    handle = await Pipeline(broker).map(inner).kiq([[1, 0], [], [0]])
    middle = {True: [], "none": [None], "failure": [Failure]}[mode]
    assert list(map(shape, await handle.result(timeout=20))) == [[1.0, *middle], [], middle]
    left_out = {owner: list(items) for owner, items in (await handle.items_left_out()).items()}
    assert left_out == {"each[0]/invert": [1], "each[2]/invert": [0]}


@modes
async def test_an_inner_map_that_fails_is_an_item_of_the_outer_one(
    broker: InMemoryBroker, invert: Any, mode: Any
) -> None:
    inner = Pipeline(broker).map(invert)
    handle = await Pipeline(broker).map(inner, skip_errors=mode).kiq([[1, 2], [3, 0]])
    place = {True: [], "none": [None], "failure": [Failure]}[mode]
    found = await handle.result(timeout=20)
    assert shape(found) == [[1.0, 0.5], *place]
    if mode == "failure":
        assert isinstance(found[1], Failure)
        assert found[1].cell == "each[1]/invert[1]/invert"
    left_out = {owner: list(items) for owner, items in (await handle.items_left_out()).items()}
    assert left_out == {"each": [1]}


async def test_several_outputs_are_filled(broker: InMemoryBroker) -> None:
    @broker.task
    @pipeline_task(outputs=["whole", "rest"])
    def split(x: int) -> tuple[int, int]:
        if not x:
            raise ValueError("nothing to split")
        return divmod(x, 2)

    pipeline = DataflowPipeline(broker).map(split, over="xs", outputs=["wholes", "rests"], skip_errors="none")
    assert await (await pipeline.kiq(xs=[3, 0])).result(timeout=20) == {
        "wholes": [1, None],
        "rests": [1, None],
    }


async def test_attempts_count(broker: InMemoryBroker) -> None:
    pytest.importorskip("taskiq_flow_retry")
    Flow(broker)

    @broker.task(retry_policy={"max_retries": 2, "delay": 0})
    async def fail(x: int) -> int:
        raise ValueError("never")

    handle = await Pipeline(broker).map(fail, skip_errors="failure").kiq([1])
    (failure,) = await handle.result(timeout=20)
    assert isinstance(failure, Failure)
    assert failure.attempt == 3


async def test_what_has_been_left_out_is_known_before_the_end(broker: InMemoryBroker, invert: Any) -> None:
    handle = await Pipeline(broker).map(invert, skip_errors=True).kiq([0])
    await handle.result(timeout=20)
    events = [event async for event in handle.events() if type(event).__name__ == "AttemptFailed"]
    assert [event.cell for event in events] == ["invert[0]/invert"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("None", "skip_errors is 'None'; give True, False, 'none' or 'failure'"),
        ("failures", r"'none' or 'failure' \(did you mean 'failure'\?\)"),
        (None, "skip_errors is None; give"),
        (1, "skip_errors is 1; give"),
    ],
)
def test_other_words_are_refused(broker: InMemoryBroker, invert: Any, given: Any, words: str) -> None:
    with pytest.raises(GraphError, match=words):
        Pipeline(broker).map(invert, skip_errors=given)
    with pytest.raises(GraphError, match=words):
        DataflowPipeline(broker).map(invert, over="xs", skip_errors=given)


def test_a_filter_has_no_places(broker: InMemoryBroker, invert: Any) -> None:
    with pytest.raises(GraphError, match="a filter has no places to fill, found skip_errors='none'"):
        Pipeline(broker).filter(invert, skip_errors="none")  # type: ignore[arg-type]
    node = Pipeline(broker).filter(invert, skip_errors=True).graph.nodes["invert"]
    assert isinstance(node, MapNode)
    assert (node.skip_errors, node.fills) == (True, "")


def test_the_drawing_says_what_stands_there(broker: InMemoryBroker, invert: Any) -> None:
    drawn = Pipeline(broker).map(invert, skip_errors="failure").graph.render()
    assert "the failure for failed items" in drawn


@pytest.mark.parametrize("serializer", [None, "msgpack"])
async def test_failures_stand_beside_values_of_any_kind(
    broker: InMemoryBroker, serializer: str | None
) -> None:
    if serializer:
        pytest.importorskip("taskiq_flow_serializers")

    @broker.task
    async def look_up(x):  # type: ignore[no-untyped-def]
        if x == "bad":
            raise KeyError(x)
        return {"kind": "exception", "message": x}

    @broker.task
    def classes(xs):  # type: ignore[no-untyped-def]
        return [type(each).__name__ for each in xs]

    pipeline = Pipeline(broker).map(look_up, skip_errors="failure")
    if serializer:
        pipeline = pipeline.with_serializer(serializer)
    handle = await pipeline.kiq(["good", "bad"])
    found: Any = await handle.result(timeout=20)
    assert found[0] == {"kind": "exception", "message": "good"}
    assert isinstance(found[1], Failure)
    assert await (await pipeline.call_next(classes).kiq(["good", "bad"])).result(timeout=20) == [
        "dict",
        "Failure",
    ]


def place_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: place_of(each) for key, each in value.items()}
    return value.cell if isinstance(value, Failure) else value


@pytest.mark.parametrize(
    ("options", "lists", "expected"),
    [
        ({}, [{"p": 1, "q": 0}], {"p": 1.0, "q": "divide[1]/divide"}),
        ({}, [[1, 2], [1, 0]], [1.0, "divide[1]/divide"]),
        ({"product": True}, [[1, 2], [1, 0]], [1.0, "divide[1]/divide", 2.0, "divide[3]/divide"]),
        ({"chunk": 2}, [[1, 0, 0, 0, 2]], [1.0, "divide[1]/divide", 0.5]),
    ],
    ids=["dictionary", "several lists", "product", "parts of a list"],
)
async def test_every_kind_of_map_keeps_places(
    broker: InMemoryBroker, options: dict[str, Any], lists: list[Any], expected: Any
) -> None:
    @broker.task
    def divide(a: Any, b: Any = None) -> float:
        if b is None:
            return 1 / (sum(a) if isinstance(a, list) else a)
        return float(a / b)

    names = ["xs", "ys"][: len(lists)]
    pipeline = DataflowPipeline(broker).map(
        divide, over=names, output="it", item_param=["a", "b"][: len(lists)], skip_errors="failure", **options
    )
    found = (await (await pipeline.kiq(**dict(zip(names, lists, strict=True)))).result(timeout=20))["it"]
    assert (place_of(found) if isinstance(found, dict) else list(map(place_of, found))) == expected
