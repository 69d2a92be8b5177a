"""Retries in runs: what the callers see, what stands in the log, and when things happen."""

from __future__ import annotations

from typing import Any

import pytest
from retry_cases import Calls, Make, reasons
from taskiq import InMemoryBroker

from taskiq_flow import (
    DataflowPipeline,
    Flow,
    MemoryStore,
    Pipeline,
    RunStatus,
    pipeline_task,
)
from taskiq_flow.testing import FakeClock
from taskiq_flow.testing.clock import settle
from taskiq_flow_retry import StandardRetry

# The result stays pending between attempts


async def test_a_run_is_running_between_its_attempts(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    calls = Calls(clock, failures=2)

    @broker.task(retry_policy={"max_retries": 3, "delay": 5.0, "backoff": 2.0})
    async def flaky(x: int) -> int:
        return int(calls(x))

    handle = await Pipeline(broker, flaky).kiq(4)
    await settle()
    assert len(calls.times) == 1
    assert await handle.status() is RunStatus.RUNNING
    assert not await handle.is_ready()

    assert await clock.run(handle.result()) == 4
    assert calls.times == [0, 5, 15]
    assert await reasons(handle) == ["retry 1 of 3 in 5 s", "retry 2 of 3 in 10 s"]


# Inside of graphs


async def test_each_item_of_a_map_is_tried_again_for_itself(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    seen: dict[int, int] = {}

    @broker.task(retry_policy={"max_retries": 2, "delay": 1})
    async def flaky(x: int) -> int:
        seen[x] = seen.get(x, 0) + 1
        if seen[x] <= x:
            raise ValueError(f"{x} failed {seen[x]} times")
        return x

    assert await clock.run((await Pipeline(broker).map(flaky).kiq([0, 1, 2])).result()) == [0, 1, 2]
    assert seen == {0: 1, 1: 2, 2: 3}


@pytest.mark.parametrize(("mode", "others"), [("continue", 1), ("stop", 0)])
async def test_only_what_is_given_up_counts_as_failed(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, mode: Any, others: int
) -> None:
    flow()
    calls = Calls(clock)
    done: list[float] = []

    @broker.task(max_retries=1)
    @pipeline_task(output="a")
    async def fails() -> int:
        return int(calls())

    @broker.task
    @pipeline_task(output="b")
    async def waits() -> int:
        await clock.sleep(0.5)
        return 1

    @broker.task
    @pipeline_task(output="c")
    async def follows(b: int) -> int:
        # Half a second after the first failure, which was not the end of anything.
        done.append(clock.now() - calls.begun)
        await clock.sleep(100)
        return b

    pipeline = DataflowPipeline.from_tasks(broker, [fails, waits, follows]).on_error(mode)
    handle = await pipeline.kiq()
    with pytest.raises(ValueError, match="no"):
        await clock.run(handle.result())
    assert calls.times == [0, 1]
    assert len(done) == 1
    assert len([name for name in await handle.outputs() if name == "c"]) == others


async def test_decisions_change_resources_queue_and_priority(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    told: list[Any] = []
    policy = StandardRetry(
        max_retries=2,
        resources={"ram_mb": "attempt"},
        queue="large",
        priority=-1,
        on_retry=lambda failed, attempt, cell, retry: told.append(
            (attempt, dict(cell.resources), retry.queue)
        ),
    )
    from taskiq_flow import RAMProfile

    @broker.task(retry_policy=policy)
    @RAMProfile(ram_mb=512)
    async def hungry() -> None:
        raise MemoryError

    handle = await Pipeline(broker, hungry).kiq()
    with pytest.raises(MemoryError):
        await clock.run(handle.result())
    events = [event async for event in handle.events() if type(event).__name__ == "AttemptFailed"]
    assert [event.resources and event.resources["ram_mb"] for event in events] == [1024, 1536, None]
    assert [(event.queue, event.priority) for event in events] == [("large", -1)] * 2 + [(None, None)]
    assert [(attempt, had["ram_mb"], queue) for attempt, had, queue in told] == [
        (1, 512, "large"),
        (2, 1024, "large"),
    ]


async def test_a_wait_survives_the_process_that_began_it(clock: FakeClock) -> None:
    store = MemoryStore(clock)
    calls = Calls(clock, failures=2)

    def process() -> tuple[Flow, Any]:
        broker = InMemoryBroker()
        made = Flow(broker, clock=clock, store=store)

        @broker.task(task_name="flaky", retry_policy={"max_retries": 3, "delay": 60, "budget": 300})
        async def flaky(x: int) -> int:
            return int(calls(x))

        return made, flaky

    first, task = process()
    handle = await Pipeline(first.broker, task).kiq(8)
    await settle()
    assert calls.times == [0]
    await first.shutdown()
    await store.startup()
    clock.advance(20)

    second, task = process()
    await second.drive()
    while len(calls.times) < 3:
        await settle()
        clock.jump()
    await settle()

    assert calls.times == [0, 60, 180]
    assert (await store.runs.get(handle.id)).outcome is not None
    await second.shutdown()
