"""A clock for tests: time passes only when the test says so."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define, field

from taskiq_flow.clock import Clock, Timer

__all__ = ["FakeClock", "FakeTimer", "settle"]

T = TypeVar("T")

PASSES = 100_000
"""The most turns that :func:`settle` waits for the event loop to come to rest."""

BLIND_PASSES = 50
"""The turns for an event loop that cannot show whether it is at rest."""


async def settle() -> None:
    """Let all other tasks on the event loop run until all of them wait.

    It does not wait for other threads and for sockets.

    :raises RuntimeError: some task is always ready to run.
    """
    # asyncio's own loops keep ready callbacks in `_ready`; at our turn it holds all of them but ours.
    ready = getattr(asyncio.get_running_loop(), "_ready", None)
    if ready is None:
        for _ in range(BLIND_PASSES):
            await asyncio.sleep(0)
        return
    for _ in range(PASSES):
        await asyncio.sleep(0)
        if not ready:
            return
    raise RuntimeError(f"the event loop did not come to rest in {PASSES} turns; something spins")


@define(eq=False)
class FakeTimer:
    """A callback that is due at a time of a fake clock."""

    due: float
    callback: Callable[[], object]
    pending: bool = True

    def cancel(self) -> None:
        """Cancel the callback."""
        self.pending = False


@define(eq=False)
class FakeClock(Clock):
    """Stands still until a test moves it; equal moves give equal orders of events.

    ::

        clock = FakeClock()
        waiting = asyncio.create_task(clock.sleep(3600))
        await clock.run(waiting)          # an hour later, at once

    :param time: The time at the start, in seconds since the epoch.
    """

    time: float = 1_000_000_000.0
    _timers: list[tuple[float, int, FakeTimer]] = field(factory=list, init=False)
    _made: int = field(default=0, init=False)

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return self.time

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back after that many seconds; timers that are due together run in the order of their creation."""
        timer = FakeTimer(self.time + max(0.0, seconds), callback)
        heapq.heappush(self._timers, (timer.due, self._made, timer))
        self._made += 1
        return timer

    @property
    def next_due(self) -> float | None:
        """The time at which the next timer is due; ``None`` when there is none."""
        while self._timers and not self._timers[0][2].pending:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    @property
    def pending(self) -> int:
        """The number of timers that wait for time to pass."""
        return sum(timer.pending for _, _, timer in self._timers)

    def advance(self, seconds: float) -> None:
        """Move on, and run the callbacks that become due on the way, each at its time.

        Tasks that are woken run at the next turn of the event loop: ``await clock.settle()``.
        """
        self._move(self.time + seconds)

    def jump(self) -> bool:
        """Move to the next timer, and run the callbacks that are due then.

        :returns: Whether there was one.
        """
        due = self.next_due
        if due is None:
            return False
        self._move(due)
        return True

    async def settle(self) -> None:
        """Let all tasks run as far as they can without time passing; see :func:`settle`."""
        await settle()

    async def run(self, awaitable: Awaitable[T], *, until: float | None = None) -> T:
        """Await something, and jump from timer to timer whenever all tasks wait.

        :param awaitable: The awaitable.
        :param until: The latest time to jump to, in seconds since the epoch.
        :raises RuntimeError: no timer is left, or the next one is after ``until``.
        """
        task = asyncio.ensure_future(awaitable)
        try:
            while True:
                await self.settle()
                if task.done():
                    return await task
                due = self.next_due
                if due is None:
                    raise RuntimeError(f"nothing is due any more, and {task!r} still waits")
                if until is not None and due > until:
                    raise RuntimeError(
                        f"the next timer is due at {due}, after {until}, and {task!r} still waits"
                    )
                self.jump()
        finally:
            if not task.done():
                task.cancel()

    def _move(self, time: float) -> None:
        while (due := self.next_due) is not None and due <= time:
            timer = heapq.heappop(self._timers)[2]
            self.time = max(self.time, due)
            timer.pending = False
            timer.callback()
        self.time = max(self.time, time)
