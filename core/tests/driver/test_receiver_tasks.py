"""``run_receiver_task``: a worker within an application, in whatever order things are done."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import permutations
from typing import Any

import pytest
from taskiq import AsyncBroker, Context, TaskiqDepends
from taskiq.api import run_receiver_task

from queue_broker import QueueBroker
from taskiq_flow import Flow, MemoryStore, Pipeline, PluginError

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
