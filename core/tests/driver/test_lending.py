"""Tasks that start runs and wait for them: what they occupy is lent meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from taskiq import AsyncBroker, BrokerMessage, InMemoryBroker
from taskiq.api import run_receiver_task

from taskiq_flow import Flow, MemoryStore, Pipeline, ResourceProfile, RunError
from taskiq_flow.machine.events import CellStarted, PlaceLent, PlaceTakenBack
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.stores.memory.inbox import MemoryInbox

Waiting = Callable[[Any], Any]


async def by_result(handle: Any) -> Any:
    return await handle.result()


async def by_wait_result(handle: Any) -> Any:
    return (await handle.wait_result(timeout=20)).return_value


async def by_events(handle: Any) -> Any:
    async for _ in handle.events():
        pass
    return await handle.result()


@pytest.fixture
def nested(broker: InMemoryBroker) -> Callable[[int, Waiting], Pipeline[Any, Any]]:
    """Make a pipeline whose task starts another one, whose task starts another one, and so on."""

    @broker.task
    async def inc(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    def make(levels: int, wait: Waiting) -> Pipeline[Any, Any]:
        inner: Pipeline[Any, Any] = Pipeline(broker, inc)
        for level in range(levels):

            @broker.task(task_name=f"outer{level}")
            async def outer(x: int, inner: Pipeline[Any, Any] = inner) -> int:
                value: int = await wait(await inner.kiq(x))
                return value

            inner = Pipeline(broker, outer)
        return inner

    return make


@pytest.mark.parametrize("wait", [by_result, by_wait_result, by_events])
@pytest.mark.parametrize("levels", [1, 3])
async def test_runs_that_wait_for_runs_do_not_starve(
    broker: InMemoryBroker, nested: Any, wait: Waiting, levels: int, way: str
) -> None:
    Flow(broker, scheduler=FifoScheduler(max_in_flight=2))
    outer = nested(levels, wait)
    handles = [await outer.kiq(x) for x in range(7)]
    values = await asyncio.wait_for(asyncio.gather(*(each.result() for each in handles)), 30)
    assert values == [x + 1 for x in range(7)]


async def test_items_that_wait_for_runs_do_not_starve(broker: InMemoryBroker, nested: Any) -> None:
    Flow(broker, scheduler=FifoScheduler(max_in_flight=2), window=3)
    handle = await Pipeline(broker).map(nested(1, by_result)).kiq(list(range(9)))
    assert await handle.result(timeout=30) == list(range(1, 10))


async def test_what_is_waited_for_goes_before_what_would_wait_as_well(
    broker: InMemoryBroker, nested: Any
) -> None:
    Flow(broker, scheduler=FifoScheduler(max_in_flight=1))
    outer = nested(1, by_result)
    handles = [await outer.kiq(x) for x in range(5)]
    await asyncio.gather(*(each.result(timeout=30) for each in handles))
    order = sorted(
        [
            (event.at, number, type(event).__name__)
            for number, handle in enumerate(handles)
            async for event in handle.events()
            if isinstance(event, (CellStarted, PlaceTakenBack))
        ]
    )
    # Each of them is done with its wait before the next one begins, but for the one that has begun meanwhile.
    started = [entry for entry in order if entry[2] == "CellStarted"]
    assert [number for _, number, _ in started] == [0, 1, 2, 3, 4]


async def test_a_wait_is_in_the_log_and_one_for_a_run_that_is_over_is_not(
    broker: InMemoryBroker, nested: Any
) -> None:
    @broker.task
    async def twice(x: int) -> int:
        handle = await nested(0, by_result).kiq(x)
        first: int = await handle.result()
        return first + await handle.result()

    @broker.task
    async def both(x: int) -> int:
        handles = [await nested(0, by_result).kiq(each) for each in (x, x)]
        return sum(await asyncio.gather(*(each.result() for each in handles)))

    for task in (twice, both):
        handle = await Pipeline(broker, task).kiq(1)
        assert await handle.result(timeout=20) == 4
        kinds = [type(event) async for event in handle.events()]
        assert (kinds.count(PlaceLent), kinds.count(PlaceTakenBack)) == (1, 1)


async def test_a_task_that_waits_for_its_own_run_is_told_so(broker: InMemoryBroker) -> None:
    known: list[Any] = []
    there = asyncio.Event()

    @broker.task
    async def wait(x: int) -> int:
        await there.wait()
        value: int = await known[0].result()
        return value

    known.append(await Pipeline(broker, wait).kiq(1))
    there.set()
    with pytest.raises(RunError, match=r"cell 'wait' waits for its own run \w+, which cannot end before"):
        await known[0].result(timeout=20)


async def test_a_limit_stays_held_while_the_core_is_lent(broker: InMemoryBroker) -> None:
    running = most = 0
    Flow(broker, limits={"licence": 2}, scheduler=FifoScheduler(max_in_flight=3))

    @broker.task
    async def inc(x: int) -> int:
        return x + 1

    @broker.task
    @ResourceProfile(licence=1)
    async def outer(x: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        value = await (await Pipeline(broker, inc).kiq(x)).result()
        running -= 1
        return value

    handle = await Pipeline(broker).map(outer).kiq(list(range(6)))
    assert await handle.result(timeout=30) == list(range(1, 7))
    assert most == 2


async def test_a_place_that_cannot_be_lent_is_no_error_of_the_task(
    broker: InMemoryBroker, nested: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()

    class Full(MemoryInbox):
        async def put(self, pool: str, notices: Any) -> None:
            notices = list(notices)
            if any(isinstance(each.event, (PlaceLent, PlaceTakenBack)) for each in notices):
                raise ConnectionError("full")
            await super().put(pool, notices)

    store.inbox = Full(store._state)
    Flow(broker, store=store)
    assert await (await nested(1, by_result).kiq(1)).result(timeout=20) == 2
    assert "the place of cell 'outer' of run" in caplog.text


async def test_a_run_that_is_cancelled_while_its_task_waits_ends(broker: InMemoryBroker) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    @broker.task
    async def slow(x: int) -> int:
        begun.set()
        await gate.wait()
        return x

    @broker.task
    async def outer(x: int) -> int:
        return await (await Pipeline(broker, slow).kiq(x)).result()

    handle = await Pipeline(broker, outer).kiq(1)
    await asyncio.wait_for(begun.wait(), 20)
    await handle.cancel("enough")
    assert "enough" in str((await handle.wait_result(timeout=20)).error)
    gate.set()


# Threads


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("threads", [1, 2])
async def test_tasks_in_threads_that_wait_for_runs_do_not_starve(
    inplace: bool, levels: int, threads: int, way: str
) -> None:
    broker = InMemoryBroker(await_inplace=inplace, sync_tasks_pool_size=threads)
    at_work: set[int] = set()
    most = 0

    @broker.task
    def inc(x: int) -> int:
        nonlocal most
        at_work.add(threading.get_ident())
        most = max(most, threading.active_count())
        return x + 1

    inner: Pipeline[Any, Any] = Pipeline(broker, inc)
    for level in range(levels):

        @broker.task(task_name=f"outer{level}")
        def outer(x: int, inner: Pipeline[Any, Any] = inner) -> int:
            async def wait() -> int:
                value: int = await (await inner.kiq(x)).result()
                return value

            return asyncio.run(wait())

        inner = Pipeline(broker, outer)
    before = threading.active_count()
    handles = [await inner.kiq(x) for x in range(8)]
    values = await asyncio.wait_for(asyncio.gather(*(each.result() for each in handles)), 60)
    assert values == [x + 1 for x in range(8)]
    # The threads of the pool, and as many for each nesting.
    assert most - before <= threads * (levels + 1)
    await broker.shutdown()


async def test_a_task_in_a_thread_may_let_the_event_loop_wait_for_it(inplace: bool) -> None:
    broker = InMemoryBroker(await_inplace=inplace, sync_tasks_pool_size=1)
    loop = asyncio.get_running_loop()

    @broker.task
    def inc(x: int) -> int:
        return x + 1

    @broker.task
    def outer(x: int) -> int:
        async def wait() -> int:
            value: int = await (await Pipeline(broker, inc).kiq(x)).result()
            return value

        return asyncio.run_coroutine_threadsafe(wait(), loop).result(20)

    handle = await Pipeline(broker, outer).kiq(1)
    assert await handle.result(timeout=30) == 2
    await broker.shutdown()


# Worker processes


class Queue(AsyncBroker):
    """A queue in this process, between a worker and its clients."""

    def __init__(self, queue: asyncio.Queue[bytes]) -> None:
        super().__init__()
        self.queue = queue

    async def kick(self, message: BrokerMessage) -> None:
        self.queue.put_nowait(message.message)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        while True:
            yield await self.queue.get()


@pytest.mark.parametrize("kind", ["in the event loop", "in a thread"])
async def test_messages_that_wait_for_runs_do_not_starve_in_a_worker(kind: str) -> None:
    broker = Queue(asyncio.Queue())
    broker.is_worker_process = True
    Flow(broker, store=MemoryStore())

    @broker.task
    async def inc(x: int) -> int:
        return x + 1

    async def wait(x: int) -> int:
        value: int = await (await Pipeline(broker, inc).kiq(x)).result()
        return value

    def wait_in_thread(x: int) -> int:
        return asyncio.run(wait(x))

    outer = broker.task(task_name="outer")(wait if kind == "in the event loop" else wait_in_thread)
    await broker.startup()
    receiving = asyncio.create_task(run_receiver_task(broker, max_async_tasks=2, max_prefetch=0))
    handles = [await Pipeline(broker, outer).kiq(x) for x in range(5)]
    values = await asyncio.wait_for(asyncio.gather(*(each.result() for each in handles)), 30)
    assert values == [1, 2, 3, 4, 5]
    receiving.cancel()
    await asyncio.gather(receiving, return_exceptions=True)
    await broker.shutdown()
