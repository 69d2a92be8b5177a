"""Names mean what they say: they are those of Python, outputs go by name, and a name stays with its task."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, GraphError, Pipeline, pipeline_task

MICRO, MU = "\u00b5", "\u03bc"  # the sign of a keyboard, and the letter as which Python reads it


def make_speed(broker: InMemoryBroker) -> Any:
    names: dict[str, Any] = {}
    exec(f"def speed({MICRO}: int, ﬁnal: int = 0) -> list[int]:\n    return [{MU}, ﬁnal]", names)
    speed = names["speed"]
    speed.__module__ = __name__
    return broker.task(pipeline_task(output="speed")(speed))


async def test_names_are_those_of_python(broker: InMemoryBroker) -> None:
    @broker.task
    @pipeline_task(output=MICRO)
    def mobility(x: int) -> int:
        return 42

    @broker.task
    @pipeline_task(output="read", inputs=[MICRO])
    def read(value: int) -> int:
        return value

    speed = make_speed(broker)
    flow = DataflowPipeline.from_tasks(broker, [mobility, speed, read])
    assert await flow.kiq_dataflow(x=1) == {MU: 42, "speed": [42, 0], "read": 42}
    wanted = DataflowPipeline.from_tasks(broker, [mobility, speed, read], outputs=[MICRO])
    assert await wanted.kiq_dataflow(x=1) == {MU: 42}
    alone = DataflowPipeline.from_tasks(broker, [speed])
    assert await alone.kiq_dataflow(**{MICRO: 7, "ﬁnal": 1}) == {"speed": [7, 1]}
    assert await alone.rename({MICRO: "m"}).bind({"ﬁnal": 3}).kiq_dataflow(m=8) == {"speed": [8, 3]}


async def test_names_of_maps_and_steps_are_those_of_python(broker: InMemoryBroker) -> None:
    speed = make_speed(broker)
    mapped = DataflowPipeline(broker).map(speed, over=MICRO, output="speeds", item_param=MICRO)
    assert await mapped.kiq_dataflow(**{MICRO: [1, 2]}) == {"speeds": [[1, 0], [2, 0]]}
    reduced = DataflowPipeline(broker).reduce(speed, over="all", param_name=MICRO)
    assert list(reduced.graph.nodes["speed"].params) == [MU]  # type: ignore[union-attr]
    pipeline = Pipeline(broker).call_next(speed, MICRO, ﬁnal=2)
    assert await (await pipeline.kiq(1)).result(timeout=10) == [1, 2]


@pipeline_task(output="high")
def highest(row: list[int]) -> int:
    return max(row)


@pipeline_task(output="low")
def lowest(row: list[int]) -> int:
    return min(row)


class Ends(NamedTuple):
    high: int
    low: str


@pipeline_task(outputs=["low", "high"])
def ends(row: list[int]) -> Ends:
    return Ends(max(row), str(min(row)))


async def test_outputs_of_a_map_go_by_name(broker: InMemoryBroker) -> None:
    body = DataflowPipeline.from_tasks(broker, [broker.task(highest), broker.task(lowest)])

    def mapped(*outputs: str) -> DataflowPipeline:
        return DataflowPipeline(broker).map(body, over="rows", outputs=outputs)

    rows = [[1, 9], [2, 8]]
    assert await mapped("low", "high").kiq_dataflow(rows=rows) == {"low": [1, 2], "high": [9, 8]}
    assert await mapped("low").kiq_dataflow(rows=rows) == {"low": [1, 2]}
    assert await mapped("tops", "bottoms").kiq_dataflow(rows=rows) == {"tops": [9, 8], "bottoms": [1, 2]}
    with pytest.raises(GraphError, match="shall produce 'low', 'tops', but its body produces 'high', 'low'"):
        mapped("low", "tops")


async def test_a_named_tuple_is_unpacked_by_name(broker: InMemoryBroker) -> None:
    pipeline = DataflowPipeline.from_tasks(broker, [broker.task(ends)])
    assert await pipeline.kiq_dataflow(row=[1, 9]) == {"low": "1", "high": 9}


async def test_a_task_that_took_the_name_of_another_is_not_run_for_it(broker: InMemoryBroker) -> None:
    def scaler(factor: int) -> Any:
        @broker.task
        @pipeline_task(output="scaled")
        def scale(value: int) -> int:
            return value * factor

        return scale

    task = scaler(2)
    chained, wired = Pipeline(broker, task), DataflowPipeline.from_tasks(broker, [task])
    outer = Pipeline(broker).map(chained)
    assert await (await chained.kiq(10)).result(timeout=10) == 20
    assert await wired.kiq_dataflow(value=10) == {"scaled": 20}
    assert await (await outer.kiq([10])).result(timeout=10) == [20]
    scaler(3)
    problem = (
        "the broker has another task named '.*scale' by now, .*scale, which would run instead of .*scale"
    )
    for start in (
        lambda: chained.kiq(10),
        lambda: wired.kiq(value=10),
        lambda: outer.kiq([10]),
        lambda: chained.copy().kiq(1),
    ):
        with pytest.raises(GraphError, match=problem):
            await start()
