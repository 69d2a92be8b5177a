"""Tasks that do not return, time limits, and cancellation at every moment."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from taskiq import InMemoryBroker
from taskiq.exceptions import TaskiqResultTimeoutError

from taskiq_flow import Flow, Pipeline, RunCancelled, RunHandle, RunStatus, RunTimedOut

SOON = 0.1
"""A time limit that passes while the test runs."""


def never(broker: InMemoryBroker, kind: str, gate: threading.Event, **options: Any) -> Any:
    """A task that does not return before the test is over."""

    @broker.task(**options)
    def in_a_thread(x: int) -> int:
        gate.wait()
        return x

    @broker.task(**options)
    async def in_a_loop(x: int) -> int:
        await asyncio.Event().wait()
        return x

    return in_a_thread if kind == "sync" else in_a_loop


async def seen(handle: RunHandle[Any], event: str, cell: str) -> None:
    """Wait until something has happened to a cell."""
    async for each in handle.events():
        if type(each).__name__ == event and each.cell == cell:  # type: ignore[union-attr]
            return
    raise AssertionError(f"{event} never happened to {cell}")


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


# Time limits


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_attempt_that_does_not_return(
    broker: InMemoryBroker, gate: threading.Event, kind: str
) -> None:
    task = never(broker, kind, gate, timeout=SOON)
    handle = await Pipeline(broker, task).call_next(task).kiq(1)
    assert (await handle.wait_result(timeout=20)).is_err
    (failure,) = await handle.failures()
    assert (failure.node, failure.kind) == (handle.graph.nodes[failure.node].name, "timeout")
    assert "took longer than 0.1 s" in failure.failure.message


async def test_each_node_has_its_own_limit(broker: InMemoryBroker, gate: threading.Event) -> None:
    slow = never(broker, "async", gate, timeout=SOON)

    @broker.task(timeout=30)
    async def patient(x: int) -> int:
        return x + 1

    handle = await Pipeline(broker).group(slow, patient).on_error("continue").kiq(1)
    assert (await handle.wait_result(timeout=20)).is_err
    assert [(failure.node, failure.kind) for failure in await handle.failures()] == [("in_a_loop", "timeout")]
    states = [
        event for event in [each async for each in handle.events()] if names([event]) == ["CellSucceeded"]
    ]
    assert [event.cell for event in states] == ["patient"]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_run_that_takes_too_long(broker: InMemoryBroker, gate: threading.Event, kind: str) -> None:
    handle = await Pipeline(broker, never(broker, kind, gate)).with_timeout(SOON).kiq(1)
    with pytest.raises(RunTimedOut, match=r"did not finish within 0\.1 s"):
        await handle.result(timeout=20)
    assert await handle.status() is RunStatus.FAILED
    assert isinstance((await handle.wait_result()).error, RunTimedOut)


async def test_a_run_in_time_is_not_ended(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    async def quick(x: int) -> int:
        return x

    assert await value(Pipeline(broker, quick).with_timeout(30), 1) == 1


async def test_a_late_result_of_a_thread_is_ignored_and_its_slot_comes_back(
    inplace: bool, gate: threading.Event
) -> None:
    broker = InMemoryBroker(sync_tasks_pool_size=1, await_inplace=inplace)
    flow = Flow(broker)
    begun: list[int] = []

    @broker.task(timeout=SOON)
    def late(x: int) -> int:
        begun.append(x)
        gate.wait()
        return x

    @broker.task
    def quick(x: int) -> int:
        begun.append(x)
        return x

    first = await Pipeline(broker, late).kiq(1)
    assert (await first.wait_result(timeout=20)).is_err
    # The only thread is still busy, so this one can begin only when the first has ended.
    second = await Pipeline(broker, quick).kiq(2)
    with pytest.raises(TaskiqResultTimeoutError):
        await second.result(timeout=0.1)
    assert begun == [1]
    gate.set()
    assert await second.result(timeout=20) == 2
    events = await flow.store.log.read(first.id)
    assert "CellSucceeded" not in names(list(events))
    assert (await first.wait_result()).is_err
    await broker.shutdown()


async def test_a_task_that_swallows_cancellation_is_given_up(broker: InMemoryBroker) -> None:
    end = asyncio.Event()
    asked = asyncio.Event()

    @broker.task(timeout=SOON)
    async def deaf(x: int) -> int:
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                asked.set()
        return x

    handle = await Pipeline(broker, deaf).kiq(1)
    result = await handle.wait_result(timeout=20)
    assert result.is_err
    (failure,) = await handle.failures()
    assert failure.kind == "timeout"
    await asyncio.wait_for(asked.wait(), 20)
    end.set()
    assert (await handle.wait_result(timeout=20)).is_err


async def test_waiting_may_be_given_up_and_taken_up_again(broker: InMemoryBroker) -> None:
    go = asyncio.Event()

    @broker.task
    async def wait(x: int) -> int:
        await go.wait()
        return x

    handle = await Pipeline(broker, wait).kiq(3)
    with pytest.raises(TaskiqResultTimeoutError):
        await handle.wait_result(timeout=0.05)
    with pytest.raises(TaskiqResultTimeoutError):
        await handle.result(timeout=0.05)
    assert not await handle.is_ready()
    go.set()
    assert (await handle.wait_result(timeout=20)).return_value == 3
    assert await handle.is_ready()


# Cancellation


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_cancel_before_anything_has_begun(
    broker: InMemoryBroker, gate: threading.Event, kind: str
) -> None:
    handle = await Pipeline(broker, never(broker, kind, gate)).kiq(1)
    await handle.cancel("changed my mind")
    with pytest.raises(RunCancelled, match="changed my mind"):
        await handle.result(timeout=20)
    assert await handle.status() is RunStatus.CANCELLED
    result = await handle.wait_result()
    assert (result.is_err, type(result.error)) == (True, RunCancelled)
    assert await handle.failures() == []


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_cancel_while_a_task_runs(broker: InMemoryBroker, gate: threading.Event, kind: str) -> None:
    task = never(broker, kind, gate)
    handle = await Pipeline(broker, task).call_next(task).kiq(1)
    await asyncio.wait_for(seen(handle, "CellStarted", f"in_a_{'thread' if kind == 'sync' else 'loop'}"), 20)
    await handle.cancel()
    with pytest.raises(RunCancelled):
        await handle.result(timeout=20)


async def test_cancel_reaches_the_coroutine(broker: InMemoryBroker) -> None:
    cleaned = asyncio.Event()

    @broker.task
    async def tidy(x: int) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()
        return x

    handle = await Pipeline(broker, tidy).kiq(1)
    await asyncio.wait_for(seen(handle, "CellStarted", "tidy"), 20)
    await handle.cancel()
    await asyncio.wait_for(cleaned.wait(), 20)
    with pytest.raises(RunCancelled):
        await handle.result(timeout=20)


async def test_cancel_during_a_map_starts_no_further_items(broker: InMemoryBroker) -> None:
    begun: list[int] = []

    @broker.task
    async def hold(x: int) -> int:
        begun.append(x)
        await asyncio.Event().wait()
        return x

    handle = await Pipeline(broker).map(hold, max_parallel=2).kiq(list(range(50)))
    await asyncio.wait_for(seen(handle, "CellStarted", "hold[0]/hold"), 20)
    await handle.cancel()
    with pytest.raises(RunCancelled):
        await handle.result(timeout=20)
    assert len(begun) <= 2


async def test_cancel_twice_and_after_the_end(
    broker: InMemoryBroker, gate: threading.Event, value: Any
) -> None:
    handle = await Pipeline(broker, never(broker, "async", gate)).kiq(1)
    await handle.cancel("first")
    await handle.cancel("second")
    with pytest.raises(RunCancelled, match="first"):
        await handle.result(timeout=20)
    await handle.cancel("third")
    with pytest.raises(RunCancelled, match="first"):
        await handle.result(timeout=20)

    @broker.task
    async def quick(x: int) -> int:
        return x

    done = await Pipeline(broker, quick).kiq(1)
    assert await done.result(timeout=20) == 1
    await done.cancel()
    assert await done.result(timeout=20) == 1
    assert await done.status() is RunStatus.SUCCEEDED
    assert await value(Pipeline(broker, quick), 2) == 2


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_cancel_at_any_moment(broker: InMemoryBroker, after: int, value: Any) -> None:
    @broker.task
    async def step(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    @broker.task
    def total(xs: list[int]) -> int:
        return sum(xs)

    pipeline = Pipeline(broker).map(step).call_next(total).call_next(step)
    handle = await pipeline.kiq([1, 2, 3])
    for _ in range(after):
        await asyncio.sleep(0)
    await handle.cancel()
    result = await handle.wait_result(timeout=20)
    assert isinstance(result.error, RunCancelled) or result.return_value == 10
    assert await value(pipeline, [1, 2, 3]) == 10


@pytest.mark.parametrize("inplace", [False], indirect=True)  # in place there is one task at a time
async def test_others_are_not_cancelled(broker: InMemoryBroker) -> None:
    go = asyncio.Event()

    @broker.task
    async def wait(x: int) -> int:
        await go.wait()
        return x

    doomed = await Pipeline(broker, wait).kiq(1)
    other = await Pipeline(broker, wait).kiq(2)
    await asyncio.wait_for(seen(other, "CellStarted", "wait"), 20)
    await doomed.cancel()
    with pytest.raises(RunCancelled):
        await doomed.result(timeout=20)
    go.set()
    assert await other.result(timeout=20) == 2


# Tasks that cancel themselves


async def test_a_task_that_cancels_itself_and_waits(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    async def suicidal(x: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return x

    @broker.task
    async def fine(x: int) -> int:
        return x

    handle = await Pipeline(broker, suicidal).kiq(1)
    assert (await handle.wait_result(timeout=20)).is_err
    (failure,) = await handle.failures()
    assert failure.kind == "cancelled"
    assert await value(Pipeline(broker, fine), 1) == 1


async def test_a_task_that_cancels_itself_and_returns(broker: InMemoryBroker, value: Any) -> None:
    @broker.task
    async def suicidal(x: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return x

    @broker.task
    async def fine(x: int) -> int:
        return x

    handle = await Pipeline(broker, suicidal).kiq(1)
    assert (await handle.wait_result(timeout=20)).is_err
    (failure,) = await handle.failures()
    assert failure.kind == "cancelled"
    assert await value(Pipeline(broker, fine), 1) == 1


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_a_task_that_cancels_itself_and_raises(
    broker: InMemoryBroker, value: Any, error: type[BaseException]
) -> None:
    @broker.task
    async def suicidal(x: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        raise error("as expected")

    @broker.task
    async def fine(x: int) -> int:
        return x

    before = await Pipeline(broker, fine).kiq(1)
    handle = await Pipeline(broker, suicidal).kiq(1)
    after = await Pipeline(broker, fine).kiq(1)
    assert (await handle.wait_result(timeout=20)).is_err
    (failure,) = await handle.failures()
    assert failure.kind == ("exception" if error is ValueError else "cancelled")
    assert await before.result(timeout=20) == await after.result(timeout=20) == 1
    assert await value(Pipeline(broker, fine), 1) == 1


async def test_one_that_cancels_itself_twice_does_not_stop_the_others(
    broker: InMemoryBroker, value: Any
) -> None:
    @broker.task
    async def stubborn(x: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            task.cancel()
        return x

    @broker.task
    async def fine(x: int) -> int:
        return x

    handle = await Pipeline(broker, stubborn).kiq(1)
    assert (await handle.wait_result(timeout=20)).is_err
    assert await value(Pipeline(broker, fine), 1) == 1
