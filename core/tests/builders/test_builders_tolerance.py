"""Joins that take failures in the place of values, where their annotation has a place for them."""

from __future__ import annotations

from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, Failure, Pipeline, pipeline_task


class Tasks:
    """The tasks of one broker."""

    def __init__(self, broker: InMemoryBroker) -> None:
        self.broker = broker

        @broker.task
        @pipeline_task(output="good")
        async def succeed(x: int) -> int:
            return x + 1

        @broker.task
        @pipeline_task(output="bad")
        async def fail(x: int) -> int:
            raise LookupError(f"no {x}")

        @broker.task
        async def join(parts: list[int | Failure]) -> list[str]:
            return [
                f"{part.cell}: {part.summary}" if isinstance(part, Failure) else str(part) for part in parts
            ]

        @broker.task
        @pipeline_task(output="joined")
        async def both(good: int | Failure, bad: int | Failure) -> str:
            return f"{good} and {bad.message if isinstance(bad, Failure) else bad}"

        @broker.task
        async def strict_join(parts: list[int]) -> int:
            return sum(parts)

        @broker.task
        async def rescue(value: int | Failure) -> int:
            return -1 if isinstance(value, Failure) else value

        @broker.task
        async def rescue_list(values: list[int] | Failure) -> int:
            return -1 if isinstance(values, Failure) else sum(values)

        self.succeed, self.fail, self.join, self.both, self.strict_join = (
            succeed,
            fail,
            join,
            both,
            strict_join,
        )
        self.rescue, self.rescue_list = rescue, rescue_list


@pytest.fixture
def tasks() -> Tasks:
    return Tasks(InMemoryBroker())


async def value(pipeline: Any, *args: Any, **inputs: Any) -> Any:
    return await (await pipeline.kiq(*args, **inputs)).result()


async def test_a_group_hands_failures_to_its_join(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker).group(tasks.succeed, tasks.fail, tasks.succeed).call_next(tasks.join)
    handle = await pipeline.kiq(1)
    assert await handle.result() == ["2", "fail: LookupError: no 1", "2"]
    assert (await handle.status()).value == "succeeded"
    assert await handle.failures() == []


async def test_a_member_of_several_steps_fails_as_a_whole(tasks: Tasks) -> None:
    member = Pipeline(tasks.broker, tasks.fail).call_next(tasks.succeed).call_next(tasks.succeed)
    pipeline = Pipeline(tasks.broker).group(member, tasks.succeed).call_next(tasks.join)
    assert await value(pipeline, 4) == ["fail: LookupError: no 4", "5"]


async def test_a_join_without_a_place_for_failures_fails_with_its_member(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker).group(tasks.succeed, tasks.fail).call_next(tasks.strict_join)
    with pytest.raises(LookupError):
        await value(pipeline, 1)


async def test_a_step_takes_the_failure_of_the_one_before(tasks: Tasks) -> None:
    assert await value(Pipeline(tasks.broker, tasks.fail).call_next(tasks.rescue), 1) == -1
    assert await value(Pipeline(tasks.broker, tasks.succeed).call_next(tasks.rescue), 1) == 2


async def test_parameters_of_a_dataflow_take_failures(tasks: Tasks) -> None:
    pipeline = DataflowPipeline.from_tasks(tasks.broker, [tasks.succeed, tasks.fail, tasks.both])
    found = await pipeline.kiq_dataflow(x=1)
    # What failed is no output.
    assert found == {"good": 2, "joined": "2 and no 1"}


async def test_somebody_else_who_needs_the_value_fails_the_run(tasks: Tasks) -> None:
    pipeline = DataflowPipeline.from_tasks(tasks.broker, [tasks.succeed, tasks.fail, tasks.both])
    pipeline.add(tasks.succeed, "more", inputs={"x": "bad"}, name="needs_it").on_error("continue")
    handle = await pipeline.kiq(x=1)
    with pytest.raises(LookupError):
        await handle.result()
    assert (await handle.outputs())["joined"] == "2 and no 1"


async def test_a_map_that_fails_is_one_failure(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker).map(tasks.fail).call_next(tasks.rescue_list)
    assert await value(pipeline, [1, 2]) == -1
    pipeline = Pipeline(tasks.broker).map(tasks.succeed).call_next(tasks.rescue_list)
    assert await value(pipeline, [1, 2]) == 5


async def test_items_of_a_map_rescue_themselves(tasks: Tasks) -> None:
    body = Pipeline(tasks.broker, tasks.fail).call_next(tasks.rescue)
    handle = await Pipeline(tasks.broker).map(body).kiq([1, 2])
    assert await handle.result() == [-1, -1]


async def test_what_follows_a_handled_failure_runs(tasks: Tasks) -> None:
    seen = []

    @tasks.broker.task
    async def tell(failure: Failure) -> None:
        seen.append(failure.cell)

    pipeline = Pipeline(tasks.broker, tasks.fail).call_next(tasks.rescue).on_failure(tell, of="fail")
    assert await value(pipeline, 1) == -1
    assert seen == ["fail"]


def test_drawings_say_so(tasks: Tasks) -> None:
    pipeline = Pipeline(tasks.broker, tasks.fail).call_next(tasks.rescue)
    assert "value <- fail (or its failure)" in pipeline.render()


@pytest.mark.parametrize("otherwise", [False, True])
async def test_a_side_that_failed_is_a_failure_and_not_the_value_before_the_branch(
    tasks: Tasks, otherwise: bool
) -> None:
    @tasks.broker.task
    async def positive(x: int) -> bool:
        return x > 0

    sides = (tasks.fail, tasks.succeed) if otherwise else (tasks.fail,)
    pipeline = Pipeline(tasks.broker, tasks.succeed).branch(positive, *sides).call_next(tasks.rescue)
    assert await value(pipeline, 1) == -1
    assert await value(pipeline, -5) == (-3 if otherwise else -4)


async def test_a_predicate_that_failed_is_a_failure_too(tasks: Tasks) -> None:
    @tasks.broker.task
    async def doubtful(x: int) -> bool:
        raise LookupError("who knows")

    pipeline = Pipeline(tasks.broker, tasks.succeed).branch(doubtful, tasks.succeed).call_next(tasks.rescue)
    assert await value(pipeline, 1) == -1
