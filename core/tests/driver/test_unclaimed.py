"""Messages that are lost on their way to a worker are sent again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from attrs import define, field
from taskiq import AsyncBroker, BrokerMessage
from taskiq.api import run_receiver_task

from taskiq_flow import Flow, MemoryStore, Pipeline, RunHandle
from taskiq_flow.testing import FakeClock


class ForgetfulBroker(AsyncBroker):
    """A queue that forgets a message when somebody takes it, like a list in Redis."""

    def __init__(self, queue: asyncio.Queue[bytes], keeps: asyncio.Event | None = None) -> None:
        super().__init__()
        self.queue = queue
        self.keeps = keeps
        self.taken = 0

    async def kick(self, message: BrokerMessage) -> None:
        self.queue.put_nowait(message.message)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        while True:
            message = await self.queue.get()
            self.taken += 1
            if self.keeps is not None:
                self.keeps.set()
                continue
            yield message


@define(eq=False)
class Cluster:
    """Worker processes of one pool, in this event loop."""

    clock: FakeClock = field(factory=FakeClock)
    queue: asyncio.Queue[bytes] = field(factory=asyncio.Queue)
    calls: list[int] = field(factory=list)
    tasks: list[asyncio.Task[Any]] = field(factory=list)
    flows: list[Flow] = field(factory=list)
    store: MemoryStore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = MemoryStore(self.clock)

    def make(self, *, worker: bool, keeps: asyncio.Event | None = None) -> tuple[ForgetfulBroker, Any]:
        broker = ForgetfulBroker(self.queue, keeps)
        broker.is_worker_process = worker
        self.flows.append(Flow(broker, store=self.store, clock=self.clock))

        @broker.task(task_name="inc")
        async def inc(x: int) -> int:
            self.calls.append(x)
            return x + 1

        return broker, inc

    async def begin(self, broker: ForgetfulBroker, *, listens: bool = True) -> None:
        await broker.startup()
        if listens:
            self.tasks.append(asyncio.create_task(run_receiver_task(broker)))
        await self.clock.settle()

    async def pass_until(self, condition: Callable[[], bool], seconds: float) -> None:
        until = self.clock.now() + seconds
        while not condition() and self.clock.now() < until:
            await self.clock.settle()
            if not condition() and not self.clock.jump():
                return
        await self.clock.settle()

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for flow in self.flows:
            await flow.shutdown()


async def begin_run(cluster: Cluster) -> RunHandle[int]:
    client, inc = cluster.make(worker=False)
    await client.startup()
    handle: RunHandle[int] = await Pipeline(client, inc).call_next(inc).kiq(1)
    return handle


@pytest.mark.parametrize("leaves", ["lost", "in good order"])
async def test_what_a_worker_took_and_did_not_begin_is_sent_again_when_it_is_gone(
    leaves: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "taskiq_flow")
    cluster, keeps = Cluster(), asyncio.Event()
    driver, _ = cluster.make(worker=True)
    victim, _ = cluster.make(worker=True, keeps=keeps)
    await cluster.begin(driver, listens=False)
    await cluster.begin(victim)
    await cluster.pass_until(lambda: False, 5)  # the driver has seen both of them
    handle = await begin_run(cluster)
    began = cluster.clock.now()
    await cluster.pass_until(keeps.is_set, 60)
    cluster.tasks.pop().cancel()
    if leaves == "lost":
        for task in cluster.flows[1].host.tasks:
            task.cancel()
    else:
        await cluster.flows[1].shutdown()
    cluster.tasks.append(asyncio.create_task(run_receiver_task(driver)))
    waiting = asyncio.create_task(handle.result())
    await cluster.pass_until(waiting.done, 60)
    assert waiting.done()
    assert await waiting == 3
    assert cluster.clock.now() - began < 30
    assert cluster.calls == [1, 2]
    assert "cell 'inc' of run" in caplog.text
    await cluster.end()


async def test_a_message_that_vanishes_is_sent_again_after_a_while() -> None:
    cluster = Cluster()
    worker, _ = cluster.make(worker=True)
    await cluster.begin(worker, listens=False)
    handle = await begin_run(cluster)
    await cluster.pass_until(lambda: not cluster.queue.empty(), 60)
    cluster.queue.get_nowait()
    waiting = asyncio.create_task(handle.result())
    await cluster.pass_until(lambda: not cluster.queue.empty(), 60)
    assert cluster.queue.empty()
    await cluster.begin(worker)
    await cluster.pass_until(waiting.done, 150)
    assert await waiting == 3
    assert cluster.calls == [1, 2]
    await cluster.end()


async def test_a_message_that_only_waits_is_sent_again_more_and_more_rarely_and_executed_once() -> None:
    cluster = Cluster()
    worker, _ = cluster.make(worker=True)
    await cluster.begin(worker, listens=False)
    handle = await begin_run(cluster)
    await cluster.pass_until(lambda: False, 1000)
    assert cluster.queue.qsize() == 4  # after 0, 120, 360 and 840 seconds
    await cluster.begin(worker)
    waiting = asyncio.create_task(handle.result())
    await cluster.pass_until(waiting.done, 60)
    assert await waiting == 3
    assert cluster.calls == [1, 2]
    assert worker.taken == 5
    await cluster.end()
