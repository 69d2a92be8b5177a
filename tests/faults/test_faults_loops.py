"""Event loops that come and go, brokers that were never started, handles, and code written for another library."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from taskiq import InMemoryBroker, TaskiqResult

from taskiq_flow import DataflowPipeline, Flow, Pipeline, RunStatus, pipeline_task


class Tasks:
    def __init__(self, broker: InMemoryBroker) -> None:
        @broker.task
        async def step(x: int) -> int:
            return x + 1

        @broker.task
        def thread_step(x: int) -> int:
            return x + 1

        @broker.task
        async def fails(x: int) -> int:
            raise ValueError("as expected")

        self.step, self.thread_step, self.fails = step, thread_step, fails
        self.pipeline = Pipeline(broker).map(step).map(thread_step)


# Loops


def test_one_event_loop_after_another(inplace: bool) -> None:
    broker = InMemoryBroker(await_inplace=inplace)
    tasks = Tasks(broker)

    async def main(x: int) -> Any:
        return await (await tasks.pipeline.kiq([x, x])).result(timeout=20)

    for x in range(4):
        assert asyncio.run(main(x)) == [x + 2, x + 2]
    broker.executor.shutdown()


def test_event_loops_side_by_side(inplace: bool) -> None:
    # The first pipeline is started by all threads at once, and whoever drives is the first or the last to end.
    broker = InMemoryBroker(await_inplace=inplace)
    tasks = Tasks(broker)

    async def main(runs: int) -> list[Any]:
        return [await (await tasks.pipeline.kiq([x])).result(timeout=20) for x in range(runs)]

    with ThreadPoolExecutor(4) as threads:
        counts = [3, 6, 9, 12]
        found = list(threads.map(lambda runs: asyncio.run(main(runs)), counts))
    assert found == [[[x + 2] for x in range(runs)] for runs in counts]
    broker.executor.shutdown()


def test_an_event_loop_that_stands_still_is_replaced() -> None:
    """It may be closed in the middle of something, or just not run any more: either way it calls nobody."""
    broker = InMemoryBroker()
    tasks = Tasks(broker)
    calls: list[int] = []
    driving, asked = threading.Event(), threading.Event()
    other = asyncio.new_event_loop()

    @broker.task
    async def note(x: int) -> int:
        calls.append(x)
        return x

    @broker.task
    async def hang(x: int) -> int:
        await asyncio.Event().wait()
        return x

    async def drive_and_stop() -> None:
        handle = await Pipeline(broker, hang).kiq(1)
        async for event in handle.events():
            if type(event).__name__ == "CellStarted":
                break
        driving.set()
        # As long as this blocks, the event loop runs but reads no notices; then it stops.
        assert asked.wait(20)

    async def main() -> Any:
        handle = await Pipeline(broker, note).call_next(tasks.step).kiq(1)
        asked.set()
        return await handle.result(timeout=20)

    with ThreadPoolExecutor(1) as threads:
        stopped = threads.submit(other.run_until_complete, drive_and_stop())
        assert driving.wait(20)
        assert asyncio.run(main()) == 2
        stopped.result()
    # It may go on later, and then finds itself replaced.
    other.run_until_complete(asyncio.sleep(0.05))
    assert asyncio.run(main()) == 2
    other.run_until_complete(asyncio.sleep(0.05))
    assert calls == [1, 1]
    for task in asyncio.all_tasks(other):
        task.cancel()
    other.run_until_complete(asyncio.gather(*asyncio.all_tasks(other), return_exceptions=True))
    other.close()
    broker.executor.shutdown()


async def test_a_result_that_is_there_needs_no_time(broker: InMemoryBroker) -> None:
    tasks = Tasks(broker)
    handle = await tasks.pipeline.kiq([1])
    assert await handle.result(timeout=20) == [3]
    assert await handle.result(timeout=0) == [3]


def test_a_loop_that_ends_while_a_run_is_on(inplace: bool) -> None:
    broker = InMemoryBroker(await_inplace=inplace)
    tasks = Tasks(broker)
    begun: list[int] = []

    @broker.task
    async def hang(x: int) -> int:
        begun.append(x)
        await asyncio.Event().wait()
        return x

    async def start() -> None:
        handle = await Pipeline(broker, hang).kiq(1)
        async for event in handle.events():
            if type(event).__name__ == "CellStarted":
                return

    async def main() -> Any:
        return await (await tasks.pipeline.kiq([1])).result(timeout=20)

    asyncio.run(start())
    if not inplace:
        # In place, the run that was left goes on first, and never ends.
        assert asyncio.run(main()) == [3]
    broker.executor.shutdown()


@pytest.mark.parametrize("ending", ["closed", "stands still"])
def test_a_thread_does_not_wait_for_an_event_loop_that_ended(ending: str) -> None:
    broker = InMemoryBroker()
    go, reported = threading.Event(), threading.Event()

    @broker.task
    def reports(x: int, progress_callback: Any = None) -> int:
        assert go.wait(20)
        progress_callback(0.5)
        reported.set()
        return x

    async def start() -> None:
        handle = await Pipeline(broker, reports).kiq(1)
        async for event in handle.events():
            if type(event).__name__ == "CellStarted":
                return

    loop = asyncio.new_event_loop()
    loop.run_until_complete(start())
    tasks = asyncio.all_tasks(loop)
    if ending == "closed":
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()
    go.set()
    assert reported.wait(20)
    if ending != "closed":
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()
    broker.executor.shutdown()


def test_a_handle_outlives_its_loop(inplace: bool) -> None:
    broker = InMemoryBroker(await_inplace=inplace)
    tasks = Tasks(broker)

    async def start() -> Any:
        handle = await tasks.pipeline.kiq([1, 2])
        assert await handle.result(timeout=20) == [3, 4]
        return handle

    handle = asyncio.run(start())

    async def look() -> Any:
        assert await handle.status() is RunStatus.SUCCEEDED
        return await handle.result(timeout=20)

    assert asyncio.run(look()) == [3, 4]
    broker.executor.shutdown()


@pytest.mark.parametrize("started", ["never", "by hand", "twice"])
async def test_a_broker_may_be_started_or_not(broker: InMemoryBroker, value: Any, started: str) -> None:
    tasks = Tasks(broker)
    Flow(broker)
    for _ in range({"never": 0, "by hand": 1, "twice": 2}[started]):
        await broker.startup()
    assert await value(tasks.pipeline, [1]) == [3]


async def test_a_broker_as_a_context(inplace: bool, value: Any) -> None:
    broker = InMemoryBroker(await_inplace=inplace)
    tasks = Tasks(broker)
    async with broker:
        assert await value(tasks.pipeline, [1]) == [3]


async def test_shutdown_in_the_middle_ends(inplace: bool) -> None:
    broker = InMemoryBroker(await_inplace=inplace)

    @broker.task
    async def hang(x: int) -> int:
        await asyncio.Event().wait()
        return x

    handle = await Pipeline(broker, hang).kiq(1)
    async for event in handle.events():
        if type(event).__name__ == "CellStarted":
            break
    await asyncio.wait_for(broker.shutdown(), 20)


# Handles


async def test_events_tell_the_whole_story_in_order(broker: InMemoryBroker) -> None:
    tasks = Tasks(broker)
    handle = await Pipeline(broker, tasks.step).call_next(tasks.thread_step).kiq(1)
    told = [event async for event in handle.events()]
    assert [(type(event).__name__, getattr(event, "cell", "")) for event in told] == [
        ("RunStarted", ""),
        ("CellDispatched", "step"),
        ("CellStarted", "step"),
        ("CellSucceeded", "step"),
        ("CellDispatched", "thread_step"),
        ("CellStarted", "thread_step"),
        ("CellSucceeded", "thread_step"),
    ]
    times = [event.at for event in told]
    assert times == sorted(times)
    assert [event async for event in handle.events()] == told


async def test_events_of_a_map_are_complete(broker: InMemoryBroker) -> None:
    tasks = Tasks(broker)
    handle = await Pipeline(broker).map(tasks.step).kiq(list(range(20)))
    told = [(type(event).__name__, getattr(event, "cell", "")) async for event in handle.events()]
    for kind in ("CellDispatched", "CellStarted", "CellSucceeded"):
        assert sorted(cell for name, cell in told if name == kind) == sorted(
            f"step[{number}]/step" for number in range(20)
        )
    for number in range(20):
        cell = f"step[{number}]/step"
        assert [name for name, which in told if which == cell] == [
            "CellDispatched",
            "CellStarted",
            "CellSucceeded",
        ]


async def test_a_handle_has_the_face_of_a_taskiq_task(broker: InMemoryBroker) -> None:
    tasks = Tasks(broker)
    handle = await Pipeline(broker, tasks.step).kiq(1)
    result = await handle.wait_result(check_interval=0.1, timeout=20, with_logs=False)
    assert isinstance(result, TaskiqResult)
    assert (result.is_err, result.return_value, result.error) == (False, 2, None)
    assert result.execution_time >= 0
    assert (await handle.get_result()).return_value == 2
    assert handle.task_id == handle.id
    assert await handle.status() is RunStatus.SUCCEEDED
    assert await handle.failures() == []


async def test_several_wait_for_one_run(broker: InMemoryBroker) -> None:
    tasks = Tasks(broker)
    handle = await tasks.pipeline.kiq([1])
    assert await asyncio.gather(*(handle.result(timeout=20) for _ in range(20))) == [[3]] * 20


# What was written for taskiq-pipelines


async def test_code_for_taskiq_pipelines(broker: InMemoryBroker) -> None:
    @broker.task
    def add_one(value: int) -> int:
        return value + 1

    @broker.task
    def repeat(value: Any, reps: int) -> list[Any]:
        return [value] * reps

    @broker.task
    async def check(value: int) -> bool:
        return value > 2

    pipe = (
        Pipeline(broker, add_one)
        .call_next(repeat, reps=4)
        .map(add_one)
        .filter(check)
        .call_next(repeat, param_name="value", reps=2)
    )
    for start, end in ((1, [[3, 3, 3, 3]] * 2), (0, [[], []])):
        task = await pipe.kiq(start)
        result = await task.wait_result()
        assert result.return_value == end
        assert not result.is_err


async def test_a_dataflow_in_several_shapes(broker: InMemoryBroker) -> None:
    @broker.task
    @pipeline_task(output="tracks")
    def list_tracks(count: int) -> list[int]:
        return list(range(count))

    @broker.task
    async def square(track: int, power: int = 2) -> int:
        return int(track**power)

    @broker.task
    def add_up(squares: list[int]) -> int:
        return sum(squares)

    pipeline = DataflowPipeline.from_tasks(broker, [list_tracks], outputs=["total"])
    pipeline.map(square, over="tracks", output="squares").reduce(add_up, over="squares", output="total")
    assert await pipeline.kiq_dataflow(count=4) == {"total": 14}
    assert await pipeline.kiq_dataflow(count=0) == {"total": 0}
