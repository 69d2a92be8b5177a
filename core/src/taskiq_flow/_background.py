"""Loops that survive faults that pass, and waits that end when their task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from taskiq_flow._logs import open_log
from taskiq_flow.clock import Clock

__all__ = ["backoffs", "is_asked_to_stop", "keep_running", "wait_within"]

logger = open_log("taskiq_flow")

T = TypeVar("T")

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


async def wait_within(seconds: float, action: Coroutine[Any, Any, T]) -> T:
    """Wait for an action for a limited time.

    As :func:`asyncio.wait_for`, which before Python 3.12 swallows a cancellation that comes in the moment in which the
    action ends: a task that is asked to stop would go on, and whoever waits for its end might do so for ever.

    :param seconds: For how long; more than 0.
    :param action: The action, which is cancelled when it takes longer or the wait is cancelled.
    :returns: What the action returns.
    :raises asyncio.TimeoutError: it took longer.
    """
    task = asyncio.create_task(action)
    # An event loop may be closed while somebody waits; nothing is lost then.
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        await _end(task)
        raise
    if not done:
        await _end(task)
        if task.cancelled():
            raise asyncio.TimeoutError
    return task.result()


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
