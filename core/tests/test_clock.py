"""Clocks: waiting ends by whoever comes first, and fake time passes only when it is told to."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from taskiq_flow.clock import Clock, SystemClock, wake
from taskiq_flow.testing.clock import FakeClock, settle

CLOCKS = [SystemClock(), FakeClock()]


def waiter() -> asyncio.Future[bool]:
    return asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("clock", CLOCKS, ids=lambda clock: type(clock).__name__)
async def test_a_wait_ends_when_it_is_woken(clock: Clock) -> None:
    future = waiter()
    waiting = asyncio.ensure_future(clock.wait(future, 3600))
    await settle()
    wake(future, True)
    wake(future, False)
    assert await waiting is True


@pytest.mark.parametrize("clock", CLOCKS, ids=lambda clock: type(clock).__name__)
async def test_a_wait_of_no_time_ends_at_once(clock: Clock) -> None:
    futures = [waiter() for _ in range(3)]
    futures[2].set_result(True)
    assert [await clock.wait(future, 0) for future in futures] == [False, False, True]
    assert await clock.wait(futures[0], None) is False


async def test_the_system_clock_lets_time_pass() -> None:
    clock, before = SystemClock(), time.time()
    assert await clock.wait(waiter(), 0.02) is False
    await clock.sleep(0.02)
    await clock.sleep(0)
    assert before + 0.03 <= clock.now() <= time.time()


async def test_a_wait_that_ended_leaves_no_timer() -> None:
    clock, future = FakeClock(), waiter()
    waiting = asyncio.ensure_future(clock.wait(future, 10))
    await settle()
    assert clock.pending == 1
    waiting.cancel()
    await settle()
    assert clock.pending == 0
    assert clock.next_due is None


def test_a_waiter_is_woken_from_another_thread() -> None:
    async def main() -> bool:
        future = waiter()
        threading.Thread(target=wake, args=(future, True)).start()
        return await SystemClock().wait(future, 10)

    assert asyncio.run(main()) is True


def test_a_waiter_of_a_closed_loop_is_left_alone() -> None:
    loop = asyncio.new_event_loop()
    future: asyncio.Future[bool] = loop.create_future()
    loop.close()
    wake(future, True)
    assert not future.done()


async def test_timers_are_called_in_order_at_their_times() -> None:
    clock = FakeClock(100.0)
    calls: list[tuple[str, float]] = []

    def note(name: str, again: float | None = None) -> None:
        calls.append((name, clock.now()))
        if again is not None:
            clock.call_later(again, lambda: note(name + "'"))

    clock.call_later(5, lambda: note("c"))
    clock.call_later(2, lambda: note("a", again=1))
    clock.call_later(2, lambda: note("b"))
    clock.call_later(4, lambda: note("never")).cancel()
    clock.call_later(50, lambda: note("late"))
    assert clock.next_due == 102.0
    clock.advance(10)
    assert calls == [("a", 102.0), ("b", 102.0), ("a'", 103.0), ("c", 105.0)]
    assert (clock.now(), clock.pending) == (110.0, 1)
    assert clock.jump() is True
    assert clock.now() == 150.0
    assert clock.jump() is False
    assert clock.now() == 150.0


async def test_running_jumps_over_the_time_in_which_nothing_happens() -> None:
    clock = FakeClock(0.0)

    async def slow() -> float:
        for _ in range(24):
            await clock.sleep(3600)
        return clock.now()

    assert await clock.run(asyncio.gather(slow(), slow())) == [86400.0, 86400.0]


async def test_running_says_when_nothing_can_happen_any_more() -> None:
    clock = FakeClock()
    with pytest.raises(RuntimeError, match="nothing is due any more"):
        await clock.run(clock.wait(waiter(), None))
    with pytest.raises(RuntimeError, match="still waits"):
        await clock.run(clock.sleep(10), until=clock.now() + 5)


async def test_a_spinning_task_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskiq_flow.testing.clock.PASSES", 100)

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    spinning = asyncio.ensure_future(spin())
    with pytest.raises(RuntimeError, match="did not come to rest in 100 turns"):
        await settle()
    spinning.cancel()
