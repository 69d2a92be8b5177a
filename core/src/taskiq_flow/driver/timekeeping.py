"""The time of a driver, and what becomes of it when the machine's clock is set."""

from __future__ import annotations

import logging

from taskiq_flow.clock import Clock

__all__ = ["Timekeeping"]

logger = logging.getLogger("taskiq_flow")

# Less than that is a clock that runs a little fast or slow.
_LEAST_STEP = 1.0


class Timekeeping:
    """Reads the clock once a turn, and finds out whether it was set meanwhile.

    Times in the log are those of the machine's clock, which several machines share. What a driver waits for lasts as
    long as it should all the same: its due times move with the clock.

    :param clock: The clock.

    :ivar now: When it was last read, in seconds since the epoch.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.now = clock.now()
        self._steady = clock.monotonic()

    def read(self) -> float:
        """Read the clock; return by how many seconds it was set since it was last read, usually 0."""
        now, steady = self._clock.now(), self._clock.monotonic()
        step = (now - self.now) - (steady - self._steady)
        self.now, self._steady = now, steady
        if abs(step) < _LEAST_STEP:
            return 0.0
        logger.warning("the clock was set by %+.1f s; what this process waits for is moved with it", step)
        return step

    def steady_at(self, time: float) -> float:
        """Return when the clock will show a time, unless it is set before, by the clock's steady time.

        :param time: Seconds since the epoch.
        """
        # In this order: the difference is exact. A sum of two times since the epoch is rounded, and what is waited for
        # until a moment too early is waited for again and again.
        return self._steady + (time - self.now)
