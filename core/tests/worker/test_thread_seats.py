"""Threads for synchronous cells: taskiq's own, however many those are and whoever else uses them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from taskiq import AsyncBroker, BrokerMessage, InMemoryBroker
from taskiq.api import run_receiver_task
from taskiq.brokers.inmemory_broker import InmemoryResultBackend

from taskiq_flow import Flow, MemoryStore, Pipeline
from taskiq_flow.store import Notice
from taskiq_flow.stores.memory.inbox import MemoryInbox

pytestmark = pytest.mark.timeout(60)


class QueueBroker(AsyncBroker):
    """Delivers within the process, to whoever receives."""

    def __init__(self) -> None:
        super().__init__()
        self.result_backend = InmemoryResultBackend()
        self.is_worker_process = True
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def kick(self, message: BrokerMessage) -> None:
        await self._queue.put(message.message)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        while True:
            yield await self._queue.get()


class Counted:
    """Synchronous functions, and how many of them were called at once."""

    def __init__(self, broker: AsyncBroker, together: int) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()
        self._meeting = threading.Barrier(together)

        @broker.task
        def plain(x: int) -> int:
            return self._work(x)

        @broker.task
        def reporting(x: int, progress_callback: Any = None) -> int:
            progress_callback(0.5)
            return self._work(x)

        self.plain, self.reporting = plain, reporting

    def _work(self, x: int) -> int:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        # Long enough for others to come in, where there are more threads; with fewer, one waits in vain.
        time.sleep(0.05)
        self._meeting.wait(20)
        with self._lock:
            self.now -= 1
        return x


@pytest.mark.parametrize("threads", [1, 2])
async def test_a_receiver_that_was_given_threads_uses_no_others(threads: int) -> None:
    """However they were sent: on their own, with progress, or as cells."""
    broker = QueueBroker()
    Flow(broker, store=MemoryStore())
    tasks = Counted(broker, together=threads)
    await broker.startup()
    receiver = asyncio.create_task(run_receiver_task(broker, sync_workers=threads))
    try:
        handle = await Pipeline(broker).map(tasks.plain).map(tasks.reporting).kiq([1, 2, 3, 4])
        sent = [await task.kiq(5) for task in (tasks.plain, tasks.reporting) for _ in range(2)]
        assert await handle.result(timeout=30) == [1, 2, 3, 4]
        for each in sent:
            assert (await each.wait_result(check_interval=0.01, timeout=30)).return_value == 5
    finally:
        receiver.cancel()
        await asyncio.gather(receiver, return_exceptions=True)
        await broker.shutdown()
    assert tasks.most == threads


async def test_a_time_limit_does_not_begin_while_others_hold_all_threads() -> None:
    broker = InMemoryBroker(sync_tasks_pool_size=1)
    Flow(broker)
    begun, go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go.wait(30)

    def quick(x: int) -> int:
        return x

    holding = await broker.task(task_name="hold")(hold).kiq()
    await asyncio.to_thread(begun.wait, 20)
    task = broker.task(task_name="quick", timeout=0.3)(quick)
    handle = await Pipeline(broker, task).kiq(1)
    seen = []
    async for event in handle.events():
        seen.append(type(event).__name__)
        if seen[-1] == "CellDispatched":
            break
    # Longer than the limit of the task, which does not run yet.
    await asyncio.sleep(0.6)
    assert [each.reason for each in await handle.explain()] == ["sent, and no worker has begun it"]
    go.set()
    assert await handle.result(timeout=20) == 1
    assert not (await holding.wait_result(timeout=20)).is_err
    await broker.shutdown()


async def test_a_broker_that_shuts_down_does_not_wait_for_a_thread_that_waits_for_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """taskiq waits in the event loop, so that nobody could call meanwhile."""
    asked, go, claim = asyncio.Event(), asyncio.Event(), MemoryInbox.claim

    async def claim_late(inbox: MemoryInbox, pool: str, notice: Notice, *, worker: str) -> bool:
        asked.set()
        await go.wait()
        return await claim(inbox, pool, notice, worker=worker)

    def work(x: int) -> int:
        return x

    monkeypatch.setattr(MemoryInbox, "claim", claim_late)
    broker = InMemoryBroker(sync_tasks_pool_size=1)
    Flow(broker)
    task = broker.task(task_name="work")(work)
    for number in range(3):
        await Pipeline(broker, task).kiq(number)
    await asked.wait()
    await broker.shutdown()
    go.set()
    await asyncio.wait_for(asyncio.gather(*broker._running_tasks, return_exceptions=True), 20)
