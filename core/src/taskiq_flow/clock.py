"""Time as an interface: Taskiq-Flow waits only through a clock, so that tests can jump ahead."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

__all__ = ["Clock", "SystemClock", "Timer", "wake"]

T = TypeVar("T")


def _settle(waiter: asyncio.Future[T], value: T) -> None:
    if not waiter.done():
        waiter.set_result(value)


def wake(waiter: asyncio.Future[T], value: T) -> None:
    """Set the result of a future, from any thread or event loop; without effect when it is done already.

    :param waiter: The future; its event loop may be another one, and may be closed.
    :param value: The result.
    """
    loop = waiter.get_loop()
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if loop is here:
        _settle(waiter, value)
    elif not loop.is_closed():
        try:
            loop.call_soon_threadsafe(_settle, waiter, value)
        except RuntimeError:
            # Closed after the check: nobody waits there any more.
            return


class Timer(Protocol):
    """A callback that is due later."""

    def cancel(self) -> None:
        """Cancel the callback; without effect when it was called already."""


class Clock(ABC):
    """Tells the time, and waits.

    Implementations define :meth:`now` and :meth:`call_later`; the other methods use these two. One whose time may be
    set defines :meth:`monotonic` as well, and waits by that.
    """

    @abstractmethod
    def now(self) -> float:
        """Return the time in seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds that nobody sets; only differences mean something. By default the clock cannot be set."""
        return self.now()

    @abstractmethod
    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back once in the running event loop after that many seconds."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds; with 0 or less, after one turn of all other tasks."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        await self.wait(asyncio.get_running_loop().create_future(), seconds)

    async def wait(self, waiter: asyncio.Future[bool], timeout: float | None = None) -> bool:
        """Return when the future is done or the time has passed; afterwards the future is done in any case.

        :param waiter: A future of the running event loop, to be set to ``True`` with :func:`wake`.
        :param timeout: Seconds; ``None`` for no limit.
        :returns: The future's result; ``False`` when the time passed first.
        """
        if waiter.done() or timeout is None:
            return await waiter
        if timeout <= 0:
            # All other tasks get a turn, so that waiting in a loop starves nobody.
            await asyncio.sleep(0)
            _settle(waiter, False)
            return waiter.result()
        timer = self.call_later(timeout, partial(wake, waiter, False))
        try:
            return await waiter
        finally:
            timer.cancel()


class SystemClock(Clock):
    """The time of the machine, and the timers of the running event loop."""

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since some moment, whatever the machine's clock is set to."""
        return time.monotonic()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back once in the running event loop after that many seconds."""
        return asyncio.get_running_loop().call_later(seconds, callback)
