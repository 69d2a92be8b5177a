"""A clock that is set moves no time limit, no retry and no worker's life."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from attrs import define
from taskiq import InMemoryBroker

from taskiq_flow import Flow, GiveUp, MemoryStore, Pipeline, Retry, RetryPolicy
from taskiq_flow.driver.timekeeping import Timekeeping
from taskiq_flow.driver.timers import Timers
from taskiq_flow.driver.watch import WorkerWatch
from taskiq_flow.retry import CellView, FailedAttempt, RetryDecision
from taskiq_flow.store import WorkerInfo
from taskiq_flow.testing import FakeClock


@define(eq=False)
class SetClock(FakeClock):
    """A clock that is set by an offset, and waits by steady time."""

    offset: float = 0.0

    def now(self) -> float:
        return self.time + self.offset

    def monotonic(self) -> float:
        return self.time


class OnceAgain(RetryPolicy):
    name = "once-again"

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        return Retry(delay=10.0) if attempt == 1 else GiveUp()


HOUR = 3600.0


async def start(clock: SetClock, broker: InMemoryBroker, pipeline: Any) -> asyncio.Task[Any]:
    handle = await pipeline.kiq(1)
    waiting = asyncio.create_task(handle.result())
    await clock.settle()
    await clock.settle()
    return waiting


@pytest.mark.parametrize("offset", [HOUR, -HOUR])
async def test_a_time_limit_and_the_delay_of_a_retry_last_as_long_as_they_should(
    broker: InMemoryBroker, offset: float, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    clock = SetClock()
    Flow(broker, store=MemoryStore(clock), clock=clock)
    attempts: list[float] = []

    @broker.task(timeout=30)
    async def limited(x: int) -> int:
        await clock.sleep(20)
        return x

    @broker.task(retry_policy=OnceAgain())
    async def flaky(x: int) -> int:
        attempts.append(clock.time)
        if len(attempts) == 1:
            raise ConnectionError
        return x

    @broker.task(timeout=30)
    async def too_long(x: int) -> int:
        await clock.sleep(40)
        return x

    with caplog.at_level(logging.WARNING, "taskiq_flow"):
        waiting = [await start(clock, broker, Pipeline(broker, task)) for task in (limited, flaky, too_long)]
        began = clock.time
        clock.advance(1)
        clock.offset = offset
        assert await clock.run(waiting[0]) == 1
        assert await clock.run(waiting[1]) == 1
        assert attempts[1] - attempts[0] == pytest.approx(10, abs=1.1)
        with pytest.raises(Exception, match="took longer than 30 s"):
            await clock.run(waiting[2])
        assert clock.time - began == pytest.approx(30, abs=1.1)
    assert caplog.text.count(f"the clock was set by {offset:+.1f} s") == 1
    await Flow.of(broker).shutdown()


@pytest.mark.parametrize("offset", [HOUR, -HOUR])
async def test_the_limit_of_a_run_lasts_as_long_as_it_should(broker: InMemoryBroker, offset: float) -> None:
    clock = SetClock()
    Flow(broker, store=MemoryStore(clock), clock=clock)

    @broker.task
    async def endless(x: int) -> int:
        await asyncio.Event().wait()
        return x

    waiting = await start(clock, broker, Pipeline(broker, endless).with_timeout(60))
    began, clock.offset = clock.time, offset
    with pytest.raises(Exception, match="did not finish within 60 s"):
        await clock.run(waiting)
    assert clock.time - began == pytest.approx(60, abs=1.1)
    await Flow.of(broker).shutdown()


async def test_no_worker_is_lost_because_the_clock_was_set() -> None:
    clock = SetClock()
    store = MemoryStore(clock)
    watch = WorkerWatch("default", store)

    async def announce() -> None:
        info = WorkerInfo(id="w", pool="default", expires_at=clock.now() + 20)
        await store.workers.announce(info)

    await announce()
    assert await watch.find_lost(clock.now(), ["w"]) == []
    clock.offset = HOUR
    watch.move(HOUR, clock.now())
    assert await watch.find_lost(clock.now(), ["w"]) == []
    clock.advance(5)
    await announce()
    clock.advance(19)
    assert await watch.find_lost(clock.now(), ["w"]) == []
    clock.advance(2)
    assert await watch.find_lost(clock.now(), ["w"]) == ["w"]


async def test_a_lease_in_memory_expires_by_steady_time() -> None:
    clock = SetClock()
    leases = MemoryStore(clock).leases
    assert await leases.acquire("pool:p", "one", 15.0) is not None
    clock.offset = HOUR
    assert await leases.acquire("pool:p", "two", 15.0) is None
    clock.offset = -HOUR
    clock.advance(16)
    assert await leases.acquire("pool:p", "two", 15.0) is not None


def test_timers_move_with_the_clock() -> None:
    timers = Timers()
    timers.start("r", "a", 10.0)
    timers.start("r", "b", 20.0)
    timers.stop("r", "a")
    timers.move(-5.0)
    assert timers.next_due() == 15.0
    assert list(timers.pop_due(15.0)) == [("r", "b")]
    assert not timers


def test_what_is_due_at_a_time_is_due_when_the_clock_shows_it() -> None:
    clock = SetClock(1_000_000_000.1)
    kept = Timekeeping(clock)
    for tenths in range(1, 1_000):
        due = clock.now() + tenths / 10
        assert kept.steady_at(due) == due
    clock.offset = HOUR
    assert kept.read() == HOUR
    assert kept.steady_at(clock.now() + 10.0) == clock.time + 10.0
