"""Taskiq's own retry middlewares beside a flow: only one of the two decides about a task."""

from __future__ import annotations

import pytest
from retry_cases import Calls, Make, ready, reasons
from taskiq import InMemoryBroker, SimpleRetryMiddleware, SmartRetryMiddleware, TaskiqMiddleware

from taskiq_flow import Pipeline
from taskiq_flow.testing import FakeClock
from taskiq_flow.testing.clock import settle

MIDDLEWARES = [
    SimpleRetryMiddleware(default_retry_count=3, default_retry_label=True),
    SmartRetryMiddleware(default_retry_count=3, default_retry_label=True, default_delay=0),
]


@pytest.mark.parametrize("middleware", MIDDLEWARES, ids=lambda middleware: type(middleware).__name__)
@pytest.mark.parametrize("first", [True, False])
async def test_a_cell_is_tried_again_by_its_policy_alone(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, middleware: TaskiqMiddleware, first: bool
) -> None:
    if first:
        broker.add_middlewares(middleware)
    flow()
    if not first:
        broker.add_middlewares(middleware)
    calls = Calls(clock)

    @broker.task(retry_policy={"max_retries": 1, "delay": 5}, retry_on_error=True)
    async def fails() -> None:
        calls()

    handle = await Pipeline(broker, fails).kiq()
    with pytest.raises(ValueError, match="no"):
        await clock.run(handle.result())
    await settle()
    assert calls.times == [0, 5]
    assert await reasons(handle) == ["retry 1 of 1 in 5 s", "gave up: 1 of 1 retries used"]


@pytest.mark.parametrize("middleware", MIDDLEWARES, ids=lambda middleware: type(middleware).__name__)
async def test_a_task_on_its_own_is_the_policys_where_one_was_asked_for(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, middleware: TaskiqMiddleware
) -> None:
    flow()
    broker.add_middlewares(middleware)
    ours, theirs = Calls(clock), Calls(clock)

    @broker.task(max_retries=1)
    async def asked_for() -> None:
        ours()

    @broker.task
    async def left_alone() -> None:
        theirs()

    assert isinstance((await ready(clock, await asked_for.kiq())).error, ValueError)
    assert ours.times == [0, 1]
    assert isinstance((await ready(clock, await left_alone.kiq())).error, ValueError)
    assert len(theirs.times) == 3
