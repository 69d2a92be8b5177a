"""Who drives, and where: stores that take their time, event loops that end in the middle, shutdown, false alarms."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow, GiveUp, Pipeline, RetryPolicy, RunStatus
from taskiq_flow.retry import CellView, FailedAttempt, RetryDecision
from taskiq_flow.stores.memory import MemoryStore
from taskiq_flow.stores.memory.inbox import MemoryInbox


def step_of(broker: InMemoryBroker) -> Any:
    @broker.task
    async def step(x: int) -> int:
        return x + 1

    return step


async def seen(handle: Any, event: str) -> None:
    async for each in handle.events():
        if type(each).__name__ == event:
            return


# Stores that take their time


@pytest.mark.parametrize("ending", ["answers", "fails"])
async def test_a_run_that_is_started_during_the_last_look_is_driven(
    broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    looks: list[str] = []
    looking, go = asyncio.Event(), asyncio.Event()
    take = MemoryInbox.take

    async def late(inbox: MemoryInbox, pool: str, limit: int = 1000) -> Sequence[tuple[Any, Any]]:
        found = await take(inbox, pool, limit)
        if limit == 1:
            looks.append(pool)
            if len(looks) == 1:  # the one before everybody goes home
                looking.set()
                await go.wait()
                if ending == "fails":
                    raise ConnectionError("as expected")
        return found

    monkeypatch.setattr(MemoryInbox, "take", late)
    pipeline = Pipeline(broker, step_of(broker))
    assert await (await pipeline.kiq(1)).result(timeout=20) == 2
    await looking.wait()
    handle = await pipeline.kiq(2)
    waiting = asyncio.ensure_future(handle.result(timeout=20))
    await asyncio.sleep(0)
    go.set()
    assert await waiting == 3


class SlowStart(MemoryStore):
    """Cannot be used before it has started, and does not start the first few times."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.started = False
        self.failures = failures
        inbox = self.inbox

        class Inbox(MemoryInbox):
            async def put(inner, pool: str, notices: Iterable[Any]) -> None:
                assert self.started
                await inbox.put(pool, notices)

        self.inbox = Inbox(self._state)

    async def startup(self) -> None:
        await asyncio.sleep(0.01)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("as expected")
        self.started = True


async def test_runs_that_are_started_at_once_wait_for_the_store(broker: InMemoryBroker) -> None:
    Flow(broker, store=SlowStart())
    pipeline = Pipeline(broker, step_of(broker))
    handles = await asyncio.gather(*(pipeline.kiq(x) for x in range(3)))
    assert [await handle.result(timeout=20) for handle in handles] == [1, 2, 3]


async def test_a_store_that_did_not_start_is_started_by_the_next_run(broker: InMemoryBroker) -> None:
    Flow(broker, store=SlowStart(failures=1))
    pipeline = Pipeline(broker, step_of(broker))
    with pytest.raises(ConnectionError, match="as expected"):
        await pipeline.kiq(1)
    assert await (await pipeline.kiq(1)).result(timeout=20) == 2


# Event loops that end


def test_one_event_loop_after_another_is_no_lost_worker(
    inplace: bool, caplog: pytest.LogCaptureFixture
) -> None:
    broker = InMemoryBroker(await_inplace=inplace)
    pipeline = Pipeline(broker, step_of(broker))

    async def main() -> Any:
        return await (await pipeline.kiq(1)).result(timeout=20)

    for _ in range(3):
        assert asyncio.run(main()) == 2
    assert "was lost" not in caplog.text
    # Nor does each of them leave something behind.
    store = Flow.of(broker).store
    assert isinstance(store, MemoryStore)
    assert len(store._state.boxes) == 1
    broker.executor.shutdown()


def test_an_event_loop_is_closed_as_soon_as_the_result_is_there(
    inplace: bool, caplog: pytest.LogCaptureFixture
) -> None:
    broker = InMemoryBroker(await_inplace=inplace)
    pipeline = Pipeline(broker, step_of(broker))

    async def main() -> Any:
        return await (await pipeline.kiq(1)).result(timeout=20)

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(main()) == 2
            loop.close()
            del loop
            gc.collect()
    assert "destroyed" not in caplog.text
    broker.executor.shutdown()


async def test_a_driver_whose_cancellations_come_as_one_ends() -> None:
    """The task that it executes in place swallows one, and the event loop asks each task only once."""
    broker = InMemoryBroker(await_inplace=True)

    @broker.task
    async def hang(x: int) -> int:
        await asyncio.Event().wait()
        return x

    handle = await Pipeline(broker, hang).kiq(1)
    await seen(handle, "CellStarted")
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in sorted(others, key=lambda task: "keep_lease" not in repr(task)):
        task.cancel()
    for _ in range(50):  # turns of the event loop, which take no time
        await asyncio.sleep(0)
    assert all(task.done() for task in others)
    assert await handle.status() is RunStatus.RUNNING
    await broker.shutdown()


def test_what_is_left_of_an_event_loop_does_not_disturb_the_next() -> None:
    broker = InMemoryBroker()
    other = asyncio.new_event_loop()

    @broker.task
    async def hang(x: int) -> int:
        await asyncio.Event().wait()
        return x

    @broker.task
    async def cancelled(x: int) -> int:
        raise asyncio.CancelledError

    async def begin() -> None:
        await seen(await Pipeline(broker, hang).kiq(1), "CellStarted")

    def end() -> None:
        tasks = asyncio.all_tasks(other)
        for task in tasks:
            task.cancel()
        other.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        other.close()

    async def main() -> None:
        assert await (await Pipeline(broker, step_of(broker)).kiq(1)).result(timeout=20) == 2
        # Runs here now, and so does whoever listens.
        await asyncio.to_thread(end)
        handle = await Pipeline(broker, cancelled).kiq(1)
        assert (await handle.wait_result(timeout=20)).is_err

    other.run_until_complete(begin())
    asyncio.run(main())
    broker.executor.shutdown()


# Shutdown


async def test_what_shutdown_interrupts_goes_on_later(inplace: bool) -> None:
    broker = InMemoryBroker(await_inplace=inplace)
    calls: list[int] = []

    @broker.task
    async def hangs_once(x: int) -> int:
        calls.append(x)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return x

    handle = await Pipeline(broker, hangs_once).kiq(1)
    await seen(handle, "CellStarted")
    await asyncio.wait_for(broker.shutdown(), 20)
    assert await handle.status() is RunStatus.RUNNING
    assert await handle.result(timeout=20) == 1
    assert calls == [1, 1]
    for task in broker._running_tasks:
        task.cancel()
    await broker.shutdown()


async def test_shutdown_ends_although_cancellation_is_swallowed() -> None:
    broker = InMemoryBroker(await_inplace=True)

    @broker.task
    async def stubborn(x: int) -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return x
        return 0

    @broker.task
    async def hang(x: int) -> int:
        await asyncio.Event().wait()
        return x

    handle = await Pipeline(broker, stubborn).call_next(hang).kiq(1)
    await seen(handle, "CellStarted")
    await asyncio.wait_for(broker.shutdown(), 20)
    assert await handle.status() is RunStatus.RUNNING


def test_shutdown_in_another_thread() -> None:
    broker = InMemoryBroker()
    begun, ended = threading.Event(), threading.Event()

    @broker.task
    async def hang(x: int) -> int:
        begun.set()
        await asyncio.Event().wait()
        return x

    async def main() -> int:
        await Pipeline(broker, hang).kiq(1)
        while not ended.is_set():
            await asyncio.sleep(0.01)
        return sum("_drive_while_wanted" in repr(task) for task in asyncio.all_tasks())

    with ThreadPoolExecutor(1) as threads:
        driving = threads.submit(asyncio.run, main())
        assert begun.wait(20)
        asyncio.run(broker.shutdown())
        ended.set()
        assert driving.result(20) == 0


class Never(RetryPolicy):
    """Gives everything up."""

    name = "never"

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        return GiveUp(reason="never")


def test_what_an_event_loop_did_for_another_is_done_again_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is nobody's failure, so no policy is asked; no worker is reported lost, and the attempt's line says why."""
    broker = InMemoryBroker()
    flow = Flow(broker, retry=Never())
    driving, begun = threading.Event(), threading.Event()
    calls: list[str] = []

    @broker.task
    async def wait(x: int) -> int:
        calls.append(threading.current_thread().name)
        if len(calls) == 1:
            begun.set()
            await asyncio.Event().wait()
        return x

    step = step_of(broker)

    async def drive_for_a_while() -> None:
        assert await (await Pipeline(broker, step).kiq(1)).result(timeout=20) == 2
        hangs = await Pipeline(broker, hold).kiq(1)
        await seen(hangs, "CellStarted")
        driving.set()
        await asyncio.to_thread(begun.wait, 20)
        await hangs.cancel()

    @broker.task
    async def hold(x: int) -> None:
        await asyncio.Event().wait()

    async def main() -> Any:
        handle = await Pipeline(broker, wait).kiq(7)
        value = await handle.result(timeout=20)
        return value, [type(each).__name__ for each in await flow.store.log.read(handle.id)]

    with caplog.at_level(logging.WARNING, logger="taskiq_flow"), ThreadPoolExecutor(1) as threads:
        other = threads.submit(asyncio.run, drive_for_a_while())
        assert driving.wait(20)
        value, told = asyncio.run(main())
        other.result()
    assert value == 7
    assert len(set(calls)) == len(calls) == 2
    assert [each for each in told if each in ("AttemptFailed", "CellSucceeded")] == [
        "AttemptFailed",
        "CellSucceeded",
    ]
    assert "of pool 'default' was lost" not in caplog.text
    assert "the event loop that it ran in has ended" in caplog.text
    broker.executor.shutdown()
