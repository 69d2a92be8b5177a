"""Many runs, long chains, wide and deep maps."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import DataflowPipeline, DataflowRegistry, Flow, Pipeline, pipeline_task
from taskiq_flow.driver.timers import Timers

KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20


class Tasks:
    def __init__(self, broker: InMemoryBroker) -> None:
        @broker.task
        async def step(x: int) -> int:
            return x + 1

        @broker.task
        def thread_step(x: int) -> int:
            return x + 1

        @broker.task
        async def numbers(count: int) -> list[int]:
            return list(range(count))

        @broker.task
        async def total(xs: list[int]) -> int:
            return sum(xs)

        self.step, self.thread_step, self.numbers, self.total = step, thread_step, numbers, total


# Many


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_thousand_runs_at_once(broker: InMemoryBroker, scaled: Callable[[int], int]) -> None:
    tasks = Tasks(broker)
    pipeline = Pipeline(broker, tasks.step).call_next(tasks.thread_step)
    count = scaled(1000)
    handles = [await pipeline.kiq(x) for x in range(count)]
    results = await asyncio.gather(*(handle.wait_result(timeout=100) for handle in handles))
    assert [result.return_value for result in results] == [x + 2 for x in range(count)]
    assert len({handle.id for handle in handles}) == count


async def test_results_past_the_hundred_that_taskiq_keeps(broker: InMemoryBroker) -> None:
    tasks = Tasks(broker)
    pipeline = Pipeline(broker, tasks.step)
    handles = [await pipeline.kiq(x) for x in range(250)]
    for handle in handles:
        await handle.wait_result(timeout=50)
    assert [(await handle.get_result()).return_value for handle in handles] == [x + 1 for x in range(250)]


async def test_one_pipeline_is_started_a_hundred_times_at_once(broker: InMemoryBroker) -> None:
    tasks = Tasks(broker)
    pipeline = Pipeline(broker, tasks.numbers).map(tasks.step).call_next(tasks.total)
    handles = await asyncio.gather(*(pipeline.kiq(x) for x in range(100)))
    values = await asyncio.gather(*(handle.result(timeout=50) for handle in handles))
    assert values == [sum(range(1, x + 1)) for x in range(100)]


# Long


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_chain_of_ten_thousand(broker: InMemoryBroker) -> None:
    tasks = Tasks(broker)
    length = 10_000
    pipeline = Pipeline(broker)
    for _ in range(length):
        pipeline.call_next(tasks.step)
    assert await (await pipeline.kiq(0)).result(timeout=100) == length


# Wide


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_map_of_a_hundred_thousand_items(
    broker: InMemoryBroker, value: Any, scaled: Callable[[int], int]
) -> None:
    tasks = Tasks(broker)
    count = scaled(100_000)
    pipeline = Pipeline(broker, tasks.numbers).map(tasks.step).call_next(tasks.total)
    handle = await pipeline.kiq(count)
    assert await handle.result(timeout=280) == count * (count + 1) // 2


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("inplace", [False], indirect=True)
async def test_a_map_needs_memory_for_its_window_only(
    broker: InMemoryBroker, scaled: Callable[[int], int]
) -> None:
    tasks = Tasks(broker)
    pipeline = Pipeline(broker, tasks.numbers).map(tasks.step).call_next(tasks.total)
    await (await pipeline.kiq(10)).result(timeout=20)
    count = max(2_000, scaled(30_000))
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        await (await pipeline.kiq(count)).result(timeout=100)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    # What stays is the log of a memory store, about a kibibyte for each item. A message, a cell and a task of the
    # event loop for each item would be ten times that.
    assert peak < 4 * MEBIBYTE + 2 * count * KIBIBYTE


async def test_an_empty_map(broker: InMemoryBroker, value: Any) -> None:
    tasks = Tasks(broker)
    assert await value(Pipeline(broker).map(tasks.step), []) == []
    assert await value(Pipeline(broker, tasks.numbers).map(tasks.step).map(tasks.step), 0) == []
    assert await value(Pipeline(broker).map(tasks.step).call_next(tasks.total), []) == 0


@pytest.mark.parametrize("given", [5, "text", None, True], ids=repr)
async def test_a_map_over_what_is_neither_a_list_nor_a_dictionary(broker: InMemoryBroker, given: Any) -> None:
    @broker.task
    async def give(x: Any) -> Any:
        return x

    tasks = Tasks(broker)
    handle = await Pipeline(broker, give).map(tasks.step).kiq(given)
    assert (await handle.wait_result(timeout=20)).is_err
    (failure,) = await handle.failures()
    assert (failure.cell, failure.kind) == ("step", "rejected")
    assert "list" in failure.failure.message


async def test_maps_in_maps(broker: InMemoryBroker, value: Any) -> None:
    tasks = Tasks(broker)
    row = Pipeline(broker, tasks.numbers).map(tasks.thread_step)
    table = Pipeline(broker, tasks.numbers).map(row)
    assert await value(table, 4) == [[], [1], [1, 2], [1, 2, 3]]
    assert await value(Pipeline(broker).map(table).map(Pipeline(broker).map(tasks.total)), [2, 3]) == [
        [0, 1],
        [0, 1, 3],
    ]


async def test_a_window_bounds_what_is_open(broker: InMemoryBroker, value: Any) -> None:
    now, most = 0, 0

    @broker.task
    async def watch(x: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(3):
            await asyncio.sleep(0)
        now -= 1
        return x

    assert await value(Pipeline(broker).map(watch, max_parallel=3), list(range(40))) == list(range(40))
    assert most == 3


async def test_a_flow_bounds_what_is_open(inplace: bool, value: Any) -> None:
    broker = InMemoryBroker(await_inplace=inplace)
    Flow(broker, window=1)
    tasks = Tasks(broker)
    row = Pipeline(broker, tasks.numbers).map(tasks.step)
    assert await value(Pipeline(broker, tasks.numbers).map(row), 5) == [
        list(range(1, each + 1)) for each in range(5)
    ]
    await broker.shutdown()


async def test_a_wide_dataflow(broker: InMemoryBroker) -> None:
    def source(number: int) -> Any:
        @broker.task(f"source_{number}")
        @pipeline_task(output=f"value_{number}")
        async def produce(seed: int) -> int:
            return seed + number

        return produce

    registry = DataflowRegistry()
    for number in range(200):
        registry.register_task(source(number), output=f"value_{number}", name=f"source_{number}")
    outputs = await DataflowPipeline.from_registry(broker, registry).kiq_dataflow(seed=1)
    assert outputs == {f"value_{number}": number + 1 for number in range(200)}


def test_timers_that_were_stopped_take_no_room() -> None:
    """One that is due earlier stands before them all the time, as the limit of a run before those of its attempts."""
    timers = Timers()
    timers.start("run", "run", 60.0)
    for number in range(20_000):
        timers.start("run", f"attempt:{number}", 3600.0 + number)
        timers.stop("run", f"attempt:{number}")
    timers.start("run", "last", 30.0)
    assert len(timers._heap) <= 2_000
    assert [name for _, name in timers.pop_due(7200.0)] == ["last", "run"]
