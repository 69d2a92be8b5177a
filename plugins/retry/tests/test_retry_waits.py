"""What ends a wait before its time, and what it leaves alone."""

from __future__ import annotations

from datetime import datetime

import pytest
from retry_cases import Calls, Make, reasons
from taskiq import InMemoryBroker

from taskiq_flow import Pipeline, RetryException, RunCancelled, RunStatus, RunTimedOut
from taskiq_flow.machine.events import AttemptFailed
from taskiq_flow.retry import LONGEST_DELAY, CellView, FailedAttempt, Retry, RetryDecision, RetryPolicy
from taskiq_flow.testing import FakeClock
from taskiq_flow.testing.clock import settle
from taskiq_flow_retry import StandardRetry


async def pass_time(clock: FakeClock) -> None:
    for _ in range(5):
        clock.advance(100)
        await settle()


async def test_a_run_whose_time_is_up_does_not_wait_for_a_retry(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    calls = Calls(clock)

    @broker.task(retry_policy={"max_retries": 3, "delay": 100})
    async def fails() -> None:
        calls()

    handle = await Pipeline(broker, fails).with_timeout(30).kiq()
    with pytest.raises(RunTimedOut, match="did not finish within 30 s"):
        await clock.run(handle.result())
    assert clock.now() - calls.begun == 30
    await pass_time(clock)
    assert calls.times == [0]


async def test_a_run_that_is_cancelled_between_attempts_ends_at_once(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    calls = Calls(clock)

    @broker.task(retry_policy={"max_retries": 3, "delay": 100})
    async def fails() -> None:
        calls()

    handle = await Pipeline(broker, fails).kiq()
    await settle()
    await handle.cancel()
    with pytest.raises(RunCancelled):
        await clock.run(handle.result())
    assert clock.now() == calls.begun
    await pass_time(clock)
    assert calls.times == [0]
    assert await handle.status() is RunStatus.CANCELLED


@pytest.mark.parametrize("seconds", [1e11, 1e300, 10**308])
async def test_no_wait_is_longer_than_a_date_can_show(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, seconds: float
) -> None:
    class Patient(RetryPolicy):
        name = "patient"

        def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
            return Retry(delay=seconds)

    made = flow()

    async def fails() -> None:
        raise ValueError("no")

    tasks = [
        broker.task(task_name=f"fails-{number}", retry_policy=policy)(fails)
        for number, policy in enumerate([Patient(), StandardRetry(delay=seconds, max_delay=seconds)])
    ]
    handles = [await Pipeline(broker, task).kiq() for task in tasks]
    await settle()
    for handle in handles:
        log = await made.store.log.read(handle.id)
        [event] = [each for each in log if isinstance(each, AttemptFailed)]
        assert event.retry_at == clock.now() + LONGEST_DELAY
        assert datetime.fromtimestamp(event.retry_at).year > 2050
        assert len(event.reason) < 100
        await handle.cancel()


async def test_items_wait_as_long_as_they_ask_and_the_others_go_on(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    begun = clock.now()
    times: dict[int, list[float]] = {}

    @broker.task
    async def asks(x: int) -> int:
        times.setdefault(x, []).append(clock.now() - begun)
        if len(times[x]) <= x:
            raise RetryException("later", delay=10 * x)
        return x

    assert await clock.run((await Pipeline(broker).map(asks).kiq([0, 1, 2, 3])).result()) == [0, 1, 2, 3]
    assert times == {0: [0], 1: [0, 10], 2: [0, 20, 40], 3: [0, 30, 60, 90]}


async def test_only_the_node_of_a_map_body_that_failed_is_tried_again(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    calls: list[tuple[str, int]] = []

    @broker.task
    async def prepare(x: int) -> int:
        calls.append(("prepare", x))
        return x

    @broker.task(retry_policy={"max_retries": 2, "delay": 1})
    async def flaky(x: int) -> int:
        calls.append(("flaky", x))
        if calls.count(("flaky", x)) <= x:
            raise ValueError("no")
        return x

    body = Pipeline(broker, prepare).call_next(flaky)
    handle = await Pipeline(broker).map(body).kiq([0, 2])
    assert await clock.run(handle.result()) == [0, 2]
    assert sorted(calls) == [("flaky", 0), *[("flaky", 2)] * 3, ("prepare", 0), ("prepare", 2)]
    assert await reasons(handle) == ["retry 1 of 2 in 1 s", "retry 2 of 2 in 2 s"]
