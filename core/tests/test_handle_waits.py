"""Waiting for a run with a limit of time: it ends with the run, in time, or with the task that waits."""

from __future__ import annotations

import asyncio

import pytest
from taskiq import InMemoryBroker, TaskiqResultTimeoutError

from taskiq_flow import Flow, Pipeline
from taskiq_flow.store import RunRecord
from taskiq_flow.stores.memory.runs import MemoryRunTable


async def test_a_wait_that_is_cancelled_in_the_moment_in_which_the_run_ends_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = InMemoryBroker()
    Flow(broker)
    begun, gate = asyncio.Event(), asyncio.Event()

    @broker.task
    async def same(x: int) -> int:
        begun.set()
        await gate.wait()
        return x

    handle = await Pipeline(broker, same).kiq(1)
    waiting = asyncio.create_task(handle.result(timeout=30))
    wait = MemoryRunTable.wait

    async def wait_and_cancel(self: MemoryRunTable, run: str) -> RunRecord:
        record = await wait(self, run)
        waiting.cancel()
        return record

    with monkeypatch.context() as patch:
        patch.setattr(MemoryRunTable, "wait", wait_and_cancel)
        await asyncio.wait_for(begun.wait(), 20)
        gate.set()
        await asyncio.wait({waiting}, timeout=20)
    assert waiting.cancelled()
    assert await handle.result(timeout=20) == 1
    await broker.shutdown()


async def test_a_wait_that_takes_too_long_leaves_the_run_going() -> None:
    broker = InMemoryBroker()
    Flow(broker)
    gate = asyncio.Event()

    @broker.task
    async def same(x: int) -> int:
        await gate.wait()
        return x

    handle = await Pipeline(broker, same).kiq(1)
    for timeout in (0, 0.01):
        with pytest.raises(TaskiqResultTimeoutError):
            await handle.result(timeout=timeout)
    gate.set()
    assert await handle.result(timeout=20) == 1
    await broker.shutdown()
