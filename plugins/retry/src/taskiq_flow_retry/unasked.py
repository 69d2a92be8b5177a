"""What happens where nobody said anything of retries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taskiq_flow.payloads import FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy
from taskiq_flow_retry.matching import asks_for_retry
from taskiq_flow_retry.standard import StandardRetry

__all__ = ["WhenAsked"]

_ATTEMPTS_OF_LOST = 3


class WhenAsked(RetryPolicy):
    """Tries again when the task raises a :class:`~taskiq_flow.RetryException`, or its worker was lost.

    The exception gets what ``StandardRetry()`` gives: 3 retries after 1, 2 and 4 seconds, or after its own delay. That
    a worker is lost is not the task's fault, so there are two more attempts, at once.
    """

    name: ClassVar[str] = StandardRetry.name

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        """Make the policy that has options, which is another one."""
        return StandardRetry.from_options(options)

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        """Answer for an attempt that failed; without a reason where nobody asked for one."""
        if failed.failure.kind is FailureKind.WORKER_LOST:
            if attempt < _ATTEMPTS_OF_LOST:
                return Retry(
                    reason=f"the worker was lost: retry {attempt} of {_ATTEMPTS_OF_LOST - 1} at once"
                )
            return GiveUp(reason=f"gave up: the worker of attempt {attempt} was lost too")
        if asks_for_retry(failed):
            return _USUAL.decide(failed, attempt, cell)
        return GiveUp()


_USUAL = StandardRetry()
