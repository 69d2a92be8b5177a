"""Messages about runs that the worker's store does not have."""

from __future__ import annotations

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Flow
from taskiq_flow.messages.envelope import Envelope
from taskiq_flow.worker.functions import task_function_of


async def test_a_worker_says_once_that_it_cannot_find_a_run(
    broker: InMemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    flow = Flow(broker)
    calls: list[int] = []

    @broker.task
    async def work(x: int = 0) -> None:
        calls.append(x)

    worker, function = flow.host.worker, task_function_of(work)
    for attempt in (1, 2):
        await worker.execute(Envelope("default", "gone", "work", attempt, {}, (), {}), function)
    await worker.execute(Envelope("default", "other", "work", 1, {}, (), {}), function)
    assert caplog.text.count("run gone is dropped, because the run is not in the store of this worker") == 1
    assert caplog.text.count("run other is dropped") == 1
    assert calls == []
