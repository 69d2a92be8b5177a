"""Loops that survive faults that pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from taskiq_flow._logs import open_log
from taskiq_flow.clock import Clock

__all__ = ["backoffs", "is_asked_to_stop", "keep_running"]

logger = open_log("taskiq_flow")

_FIRST = 0.05
_LONGEST = 5.0


def backoffs() -> Iterator[float]:
    """Yield the seconds to wait after each failure in a row: twice as many each time, up to a limit."""
    seconds = _FIRST
    while True:
        yield seconds
        seconds = min(2 * seconds, _LONGEST)


def is_asked_to_stop() -> bool:
    """Whether the running task was asked to stop, and a ``CancelledError`` in it is not just some code's own.

    Before Python 3.11 that cannot be told, and every cancellation counts as asked for.
    """
    cancelling = getattr(asyncio.current_task(), "cancelling", None)
    return cancelling is None or cancelling() > 0


async def keep_running(name: str, action: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run an action until it returns by itself; when it raises, log that, wait, and run it again.

    :param name: The action's name, for the log.
    :param action: The action.
    :param clock: The clock for waiting.
    """
    for seconds in backoffs():
        try:
            await action()
            return
        except (asyncio.CancelledError, Exception) as error:
            if isinstance(error, asyncio.CancelledError) and is_asked_to_stop():
                raise
            logger.exception("%s failed; trying again in %g s", name, seconds)
            await clock.sleep(seconds)
