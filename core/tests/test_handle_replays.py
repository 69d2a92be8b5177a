"""A handle reads logs in which a store wrote every batch twice, as drivers and resumptions do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow, Pipeline
from taskiq_flow.machine.events import Event
from taskiq_flow.stores.memory.log import MemoryRunLog


@pytest.fixture
def doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the log of every run in memory have each of its events twice."""
    read = MemoryRunLog.read

    async def twice(self: MemoryRunLog, run: str, offset: int = 0) -> Sequence[Event]:
        assert offset == 0
        return [event for event in await read(self, run) for _ in range(2)]

    monkeypatch.setattr(MemoryRunLog, "read", twice)


@pytest.mark.usefixtures("doubled")
async def test_what_a_run_says_of_itself_does_not_depend_on_what_was_written_twice() -> None:
    broker = InMemoryBroker()
    begun, gate = asyncio.Event(), asyncio.Event()

    @broker.task(task_name="first")
    async def first() -> int:
        return 1

    @broker.task(task_name="second")
    async def second(number: int) -> int:
        begun.set()
        await gate.wait()
        return number + 1

    Flow(broker)
    handle = await Pipeline(broker, first).call_next(second).kiq()
    await asyncio.wait_for(begun.wait(), 10)
    progress = await handle.get_progress()
    assert progress is not None
    assert progress.meta == 0.5
    assert (await handle.status()).value == "running"
    assert await handle.outputs() == {}
    assert await handle.failures() == []
    gate.set()
    assert await handle.result(timeout=20) == 2
    progress = await handle.get_progress()
    assert progress is not None
    assert (progress.state, progress.meta) == ("succeeded", 1.0)
    await broker.shutdown()
