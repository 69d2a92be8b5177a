"""A retry policy for tests of the core, which has none that tries again after an error."""

from __future__ import annotations

from taskiq_flow import Retry, RetryPolicy
from taskiq_flow.retry import CellView, FailedAttempt, RetryDecision

__all__ = ["Again"]


class Again(RetryPolicy):
    """One more attempt at once, whatever happened."""

    name = "again"

    def decide(self, failure: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        return Retry(delay=0.0)
