"""Loops that must not end because of a fault that passes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator

from taskiq_flow.clock import Clock

__all__ = ["backoffs", "keep_running"]

logger = logging.getLogger("taskiq_flow")

_FIRST = 0.05
_LONGEST = 5.0


def backoffs() -> Iterator[float]:
    """Give the seconds to wait after the first failure in a row, the second, and so on; each twice the one before."""
    seconds = _FIRST
    while True:
        yield seconds
        seconds = min(2 * seconds, _LONGEST)


async def keep_running(what: str, action: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Do something until it returns by itself; when it raises, say so in the log, wait, and do it again.

    :param what: What it is, for the log.
    :param action: What to do.
    """
    for seconds in backoffs():
        try:
            await action()
            return
        except Exception:
            logger.exception("%s failed; trying again in %g s", what, seconds)
            await clock.sleep(seconds)
