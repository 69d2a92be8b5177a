"""What builders promise about runs: inputs, results by annotation, and many starts at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from taskiq import InMemoryBroker

from taskiq_flow import (
    CPUProfile,
    DataflowPipeline,
    DataflowRegistry,
    GraphError,
    Pipeline,
    RAMProfile,
    TaskInfo,
    pipeline_task,
    pipeline_task_multi_output,
)


class Point(BaseModel):
    x: int
    y: int = 0


class Tasks:
    """The tasks of one broker."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self.broker = broker
        self.seen: list[str] = []

        @broker.task
        async def numbers(count: int, start: int = 0, *, step: int = 1) -> list[int]:
            return [start + step * number for number in range(count)]

        @broker.task
        def inc(x: int, by: int = 1) -> int:
            return x + by

        @broker.task
        async def is_even(x: int) -> bool:
            return x % 2 == 0

        @broker.task
        def total(values: list[int]) -> int:
            return sum(values)

        @broker.task
        async def point(x: int) -> Point:
            return Point(x=x)

        @broker.task
        async def mirror(value: Point) -> Point:
            return Point(x=value.y, y=value.x)

        @broker.task
        async def note(text: str, *, value: int | None = None) -> str:
            await asyncio.sleep(0)
            self.seen.append(f"{text} {value}")
            return "must not be seen"

        @broker.task
        async def look(x: int) -> list[str]:
            return [*self.seen, str(x)]

        @broker.task
        async def fail(x: int) -> int:
            raise LookupError(f"no {x}")

        self.numbers, self.inc, self.is_even, self.total = numbers, inc, is_even, total
        self.point, self.mirror, self.note, self.look, self.fail = point, mirror, note, look, fail


pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture
async def tasks(broker: InMemoryBroker) -> Tasks:
    await broker.startup()
    return Tasks(broker)


async def value_of(pipeline: Pipeline[Any, Any], *args: Any, **kwargs: Any) -> Any:
    handle = await pipeline.kiq(*args, **kwargs)
    result = await handle.wait_result(timeout=20)
    result.raise_for_error()
    return result.return_value


async def test_inputs_by_position_and_by_name(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.numbers)
    assert await value_of(pipeline, 3) == [0, 1, 2]
    assert await value_of(pipeline, 3, 5) == [5, 6, 7]
    assert await value_of(pipeline, start=1, count=2, step=10) == [1, 11]


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        (
            (1, 2, 3),
            {},
            "the pipeline takes 'count', 'start' by position, found 3 values; give the others by name",
        ),
        ((1,), {"count": 2}, "'count' given by position and by name; give each input once"),
        ((), {}, "input 'count' of the pipeline is missing; give every required input a value"),
        (
            (1,),
            {"stepp": 2},
            "the pipeline has no input 'stepp'; it takes 'count', 'start', 'step' (did you mean 'step'?)",
        ),
    ],
    ids=["too many", "twice", "missing", "unknown"],
)
async def test_wrong_inputs(tasks: Tasks, args: Any, kwargs: Any, problem: str) -> None:
    with pytest.raises(GraphError) as caught:
        await Pipeline(tasks.broker, tasks.numbers).kiq(*args, **kwargs)
    assert str(caught.value) == problem


async def test_a_pipeline_of_every_step(tasks: Tasks) -> None:
    pipeline = (
        Pipeline(tasks.broker, tasks.numbers)
        .map(tasks.inc, by=10)
        .filter(tasks.is_even)
        .call_next(tasks.total)
        .call_after(tasks.note, "value", text="total")
        .branch(tasks.is_even, Pipeline(tasks.broker, tasks.inc).call_next(tasks.inc, by=100), tasks.fail)
        .group(tasks.inc, Pipeline(tasks.broker, tasks.inc).call_next(tasks.inc, "by", x=1000))
    )
    assert await value_of(pipeline, 5) == [10 + 12 + 14 + 102, 1000 + 36 + 101 + 1]
    assert tasks.seen == ["total 36"]


async def test_a_side_effect_is_awaited_and_the_value_passes_by(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.inc).call_after(tasks.note, text="first").call_next(tasks.look)
    assert await value_of(pipeline, 4) == ["first None", "5"]


async def test_a_side_effect_of_a_branch_is_awaited_where_it_runs(tasks: Tasks) -> None:
    side = Pipeline(tasks.broker, tasks.inc).call_after(tasks.note, text="side")
    pipeline = Pipeline(tasks.broker).branch(tasks.is_even, side).call_next(tasks.look)
    assert await value_of(pipeline, 3) == ["3"]
    assert await value_of(pipeline, 4) == ["side None", "5"]


async def test_branches_pass_the_value_on(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker).branch(tasks.is_even, tasks.inc).branch(tasks.is_even, tasks.inc)
    assert [await value_of(pipeline, value) for value in (1, 2)] == [1, 3]


async def test_results_are_what_the_last_annotation_says(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.point).call_next(tasks.mirror)
    assert await value_of(pipeline, 3) == Point(x=0, y=3)
    assert await value_of(Pipeline(tasks.broker).map(pipeline), [1, 2]) == [Point(x=0, y=1), Point(x=0, y=2)]
    assert await value_of(Pipeline(tasks.broker).branch(tasks.is_even, pipeline, tasks.inc), 2) == Point(
        x=0, y=2
    )


async def test_each_member_of_a_group_keeps_its_type(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker).group(tasks.point, tasks.inc, tasks.numbers)
    assert await value_of(pipeline, 2) == [Point(x=2), 3, [0, 1]]


async def test_bytes_as_an_argument(tasks: Tasks) -> None:
    @tasks.broker.task
    def size(x: int, data: bytes) -> list[int]:
        return [x, *data]

    assert await value_of(Pipeline(tasks.broker).call_next(size, data=b"\xff\x00"), 1) == [1, 255, 0]


async def test_one_pipeline_is_started_many_times_at_once(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.numbers).map(tasks.inc).call_next(tasks.total)
    values = await asyncio.gather(*(value_of(pipeline, count) for count in range(20)))
    assert values == [sum(range(1, count + 1)) for count in range(20)]


async def test_changes_reach_later_starts_only(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.inc)
    first = await pipeline.kiq(1)
    pipeline.call_next(tasks.inc, by=10)
    assert await value_of(pipeline, 1) == 12
    assert (await first.wait_result(timeout=20)).return_value == 2


async def test_dataflow_outputs(tasks: Tasks) -> None:
    pipeline = DataflowPipeline.from_tasks(tasks.broker, [tasks.numbers], name="sums")
    pipeline.map(tasks.inc, over="numbers", output="raised").reduce(tasks.total, over="raised", output="sum")
    assert await pipeline.kiq_dataflow(count=3) == {"numbers": [0, 1, 2], "raised": [1, 2, 3], "sum": 6}
    handle = await pipeline.kiq(count=2)
    assert (await handle.wait_result(timeout=20)).return_value["sum"] == 3
    with pytest.raises(GraphError) as caught:
        await pipeline.kiq_dataflow(cuont=3)
    assert "(did you mean 'count'?)" in str(caught.value)


async def test_dataflow_outputs_have_their_annotations(tasks: Tasks) -> None:
    pipeline = DataflowPipeline(tasks.broker, outputs=["points"]).map(tasks.point, over="xs", output="points")
    assert await pipeline.kiq_dataflow(xs=[1, 2]) == {"points": [Point(x=1), Point(x=2)]}


async def test_a_failing_task_raises_its_own_error(tasks: Tasks) -> None:
    pipeline = DataflowPipeline.from_tasks(tasks.broker, [tasks.fail])
    with pytest.raises(LookupError, match="no 5"):
        await pipeline.kiq_dataflow(x=5)


async def test_optional_inputs_of_a_dataflow(tasks: Tasks) -> None:
    registry = DataflowRegistry().register_task(tasks.inc, output="sum", inputs=["value", "by"])
    pipeline = DataflowPipeline.from_registry(tasks.broker, registry)
    assert await pipeline.kiq_dataflow(value=1) == {"sum": 2}
    assert await pipeline.kiq_dataflow(value=1, by=5) == {"sum": 6}


async def test_the_guide_on_tasks() -> None:
    broker = InMemoryBroker()
    info = TaskInfo(name="split_lines", description="Split a text", parameters={}, outputs=["lines"])

    @broker.task
    @pipeline_task(output="features", description=info.description)
    def extract(data: list[str]) -> dict[str, int]:
        return {"features": len(data)}

    @broker.task
    @pipeline_task(output="tags")
    async def tag(features: dict[str, int]) -> list[str]:
        return [f"{name}={value}" for name, value in features.items()]

    @broker.task
    @CPUProfile(cpu_units=2)
    @RAMProfile(ram_mb=2048)
    @pipeline_task_multi_output(outputs=["x", "y"])
    def split(value: int) -> tuple[int, int]:
        return value // 2, value % 2

    @broker.task
    def process_data(data: int) -> int:
        return data * 2

    assert extract(["a"]) == {"features": 1}
    assert split(5) == (2, 1)
    pipeline = DataflowPipeline.from_tasks(broker, [tag, extract])
    assert await pipeline.kiq_dataflow(data=["a", "b"]) == {
        "features": {"features": 2},
        "tags": ["features=2"],
    }

    registry = DataflowRegistry()
    registry.register_task(task=process_data, output="processed", inputs=["x"])
    for task in (split,):
        registry.register_task_from_object(task)
    outputs = await DataflowPipeline.from_registry(broker, registry).kiq_dataflow(value=7)
    assert outputs == {"x": 3, "y": 1, "processed": 6}

    pipeline1 = Pipeline(broker).call_next(extract).call_next(tag)
    pipeline2 = Pipeline(broker).call_next(extract)
    assert await value_of(pipeline1, ["a"]) == ["features=1"]
    assert await value_of(pipeline2, data=["a"]) == {"features": 1}


async def test_code_for_taskiq_pipelines(tasks: Tasks) -> None:
    """The calls of that library's own documentation, with another import."""
    broker = tasks.broker

    @broker.task
    def add_one(value: int) -> int:
        return value + 1

    @broker.task
    def repeat(value: int, reps: int) -> list[int]:
        return [value] * reps

    @broker.task
    def check(value: int) -> bool:
        return value >= 0

    pipe = (
        Pipeline(broker, add_one)  # 2
        .call_next(repeat, reps=4)  # [2, 2, 2, 2]
        .map(add_one)  # [3, 3, 3, 3]
        .filter(check, "value", False, 0.5)  # all of them
    )
    task = await pipe.kiq(1)
    result = await task.wait_result()
    assert result.return_value == [3, 3, 3, 3]
    kicked = Pipeline(broker, add_one.kicker().with_labels(color="red")).call_next(
        repeat, param_name="reps", value=7
    )
    assert (await (await kicked.kiq(1)).wait_result()).return_value == [7, 7]
