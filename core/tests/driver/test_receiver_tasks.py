"""``run_receiver_task``: a worker within an application, in whatever order things are done."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import permutations
from typing import Any

import pytest
from taskiq import AsyncBroker, BrokerMessage, Context, TaskiqDepends, TaskiqMessage, TaskiqMiddleware
from taskiq.api import run_receiver_task

from queue_broker import QueueBroker
from taskiq_flow import Flow, MemoryStore, Pipeline, PluginError, RunStatus
from taskiq_flow.testing import FakeClock
from taskiq_flow.testing.clock import settle

STEPS = ["flow", "startup", "receiver", "submit"]
ORDERS = [
    order
    for length in (3, 4)
    for order in permutations(STEPS, length)
    if {"flow", "receiver", "submit"} <= {*order} and order.index("flow") < order.index("submit")
]


@asynccontextmanager
async def receiving(broker: AsyncBroker, **options: Any) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(run_receiver_task(broker, **options))
    await asyncio.sleep(0)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await broker.shutdown()


async def pause() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
async def test_a_pipeline_runs_whatever_was_done_first(order: tuple[str, ...]) -> None:
    broker = QueueBroker()

    @broker.task
    async def add(x: int) -> int:
        return x + 1

    @broker.task
    def double(x: int) -> int:
        return x * 2

    handle: Any = None
    receiver: asyncio.Task[None] | None = None
    try:
        for step in order:
            if step == "flow":
                Flow(broker, store=MemoryStore())
            elif step == "startup":
                await broker.startup()
            elif step == "receiver":
                receiver = asyncio.create_task(run_receiver_task(broker))
            else:
                handle = await Pipeline(broker, add).call_next(double).kiq(1)
            await pause()
        assert await handle.result(timeout=20) == 4
        assert (await (await add.kiq(5)).wait_result(0.01, timeout=20)).return_value == 6
    finally:
        assert receiver is not None
        receiver.cancel()
        await asyncio.gather(receiver, return_exceptions=True)
        await broker.shutdown()


async def test_a_flow_that_cannot_be_started_is_reported_and_plain_tasks_go_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = QueueBroker()
    flow = Flow(broker, store=MemoryStore())

    @broker.task
    async def add(x: int) -> int:
        return x + 1

    async def fail() -> None:
        raise OSError("no route")

    monkeypatch.setattr(flow.store, "startup", fail)
    async with receiving(broker):
        assert (await (await add.kiq(5)).wait_result(0.01, timeout=20)).return_value == 6
    assert "the flow cannot be started, so this worker takes no part in its pool" in caplog.text


async def test_a_cell_is_requeued_over_a_queue_as_well() -> None:
    broker = QueueBroker()
    Flow(broker, store=MemoryStore())
    calls: list[tuple[int, str]] = []

    @broker.task
    async def later(x: int = 0, context: Context = TaskiqDepends()) -> int:  # noqa: B008
        calls.append((x, context.message.task_id))
        if len(calls) < 3:
            await context.requeue()
        return x

    async with receiving(broker):
        handle = await Pipeline(broker, later).kiq(7)
        assert await handle.result(timeout=20) == 7
    assert calls == [(7, f"{handle.id}.later.{attempt}") for attempt in (1, 2, 3)]
    assert broker.queue.empty()


# The store of such a broker


@pytest.mark.parametrize(
    ("given", "said"), [({}, "'memory://' (default)"), ({"store": "memory://"}, "'memory://' (argument)")]
)
def test_a_store_of_one_process_is_refused_by_its_url(given: dict[str, str], said: str) -> None:
    broker = QueueBroker()
    with pytest.raises(PluginError, match=re.escape(said)) as caught:
        Flow(broker, **given)
    assert str(caught.value).startswith("QueueBroker hands tasks to other processes")
    assert str(caught.value).endswith("Flow(broker, store=MemoryStore())")
    assert not broker.middlewares
    assert Flow(broker, store=MemoryStore()).broker is broker


# A broker that does not take a message


class Choosy(QueueBroker):
    """Takes no messages with a label, however often they are sent."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.tries = 0

    async def kick(self, message: BrokerMessage) -> None:
        if "delay" in message.labels:
            self.tries += 1
            raise self.error
        await super().kick(message)


class IncorrectRoutingKeyError(Exception):
    """As a client of RabbitMQ has one."""


@pytest.mark.parametrize(
    "error",
    [IncorrectRoutingKeyError("no delay queue is configured"), ValueError("bad label"), TypeError("no JSON")],
    ids=lambda error: type(error).__name__,
)
async def test_what_a_broker_never_takes_fails_its_cell_with_the_brokers_words(error: Exception) -> None:
    clock = FakeClock()
    began, broker = clock.now(), Choosy(error)
    Flow(broker, store=MemoryStore(clock), clock=clock)

    @broker.task
    async def step(x: int) -> int:
        return x

    async with receiving(broker):
        handle = await Pipeline(broker, step.kicker().with_labels(delay=2)).kiq(1)
        with pytest.raises(type(error), match=str(error)):
            await clock.run(handle.result())
        assert clock.now() - began < 3
        assert await clock.run((await Pipeline(broker, step).kiq(7)).result()) == 7


@pytest.mark.parametrize(
    "error",
    [ConnectionError("away"), RuntimeError("Channel closed by RPC"), RuntimeError("please run startup")],
)
async def test_what_may_pass_is_sent_again_for_as_long_as_it_takes(error: Exception) -> None:
    clock = FakeClock()
    broker = Choosy(error)
    Flow(broker, store=MemoryStore(clock), clock=clock)

    @broker.task
    async def step(x: int) -> int:
        return x

    async with receiving(broker):
        handle = await Pipeline(broker, step.kicker().with_labels(delay=2)).kiq(1)
        for _ in range(30):
            await settle()
            clock.advance(10)
        assert broker.tries > 20
        assert await handle.status() is RunStatus.RUNNING


class FailsAfterwards(TaskiqMiddleware):
    """Raises once a message was sent."""

    def post_send(self, message: TaskiqMessage) -> None:
        raise LookupError(message.task_name)


async def test_what_fails_once_a_message_was_sent_is_no_reason_to_send_it_again() -> None:
    broker = QueueBroker()
    Flow(broker, store=MemoryStore())
    broker.add_middlewares(FailsAfterwards())
    calls: list[int] = []

    @broker.task
    async def step(x: int) -> int:
        calls.append(x)
        return x

    async with receiving(broker):
        assert await (await Pipeline(broker, step).call_next(step).kiq(1)).result(timeout=20) == 1
    assert calls == [1, 1]
    assert broker.kicks == 2
