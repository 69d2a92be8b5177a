"""The wait between two attempts: exponential backoff, bounded, with optional jitter."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from taskiq_flow.retry import LONGEST_DELAY

__all__ = ["LONGEST_WAIT", "Backoff"]

LONGEST_WAIT = 365 * 86_400.0
"""The default bound of a wait in seconds: a year."""


@frozen(kw_only=True)
class Backoff:
    """Seconds to wait after each attempt.

    Wait ``k`` is ``delay * backoff ** (k - 1)``, and at most ``max_delay``. *Full* jitter takes a random part of it,
    from nothing to all, which spreads those best that failed together (Marc Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015). *Proportional* jitter stays within a fraction of it.

    :param delay: Seconds before the second attempt.
    :param backoff: The factor by which the delay grows for each further attempt.
    :param max_delay: The bound in seconds; ``None`` for :data:`LONGEST_WAIT`.
    :param jitter: ``full``, ``proportional``, or empty for none.
    :param fraction: The largest deviation of the proportional jitter, above 0 and up to 1.
    :param random: A function that returns numbers from 0 to 1.
    """

    delay: float
    backoff: float
    max_delay: float | None
    jitter: str
    fraction: float
    random: Callable[[], float]

    @property
    def longest(self) -> float:
        """The bound in seconds."""
        return LONGEST_WAIT if self.max_delay is None else min(float(self.max_delay), LONGEST_DELAY)

    def seconds(self, attempt: int) -> float:
        """Return the wait between an attempt (counted from 1) and the next one."""
        wait = self._exact(attempt)
        if self.jitter == "full":
            wait *= self.random()
        elif self.jitter == "proportional":
            wait *= 1 + self.fraction * (2 * self.random() - 1)
        return min(wait, self.longest)

    def _exact(self, attempt: int) -> float:
        if not self.delay:
            return 0.0
        try:
            wait = self.delay * float(self.backoff) ** (attempt - 1)
        except OverflowError:
            return self.longest
        return min(wait, self.longest)
