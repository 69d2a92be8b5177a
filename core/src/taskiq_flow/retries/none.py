"""The policy ``none``: an exception of a task is final."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from taskiq_flow._words import quote
from taskiq_flow.errors import PluginError, RetryException
from taskiq_flow.payloads import FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy

__all__ = ["NoRetry"]

_ATTEMPTS_OF_LOST = 3
_WHAT_TO_DO = "install taskiq-flow-retry, or select its policy 'standard'"
# Options that ask for no retries, which is what this policy does anyway.
_NO_RETRIES = {"max_retries": 0, "max_attempts": 1}


class NoRetry(RetryPolicy):
    """Gives up at once, except after a lost worker: that is not the task's fault, so it gets two more attempts."""

    name: ClassVar[str] = "none"

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        """Make the policy.

        :raises PluginError: options ask for retries, which the core does not have.
        """
        asking = [name for name, value in options.items() if _NO_RETRIES.get(name) != value]
        if asking:
            raise PluginError(
                f"the retry options {quote(sorted(map(str, asking)))} need a plugin for retries; {_WHAT_TO_DO}"
            )
        return cls()

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        """Retry at once after a lost worker, until the third attempt; otherwise give up."""
        if failed.failure.kind is FailureKind.WORKER_LOST:
            if attempt < _ATTEMPTS_OF_LOST:
                return Retry(reason="the worker was lost")
            return GiveUp(reason=f"the worker of attempt {attempt} was lost too")
        if any(isinstance(each.exception, RetryException) for each in failed.leaves()):
            return GiveUp(reason=f"the task asks for a retry, which needs a plugin; {_WHAT_TO_DO}")
        return GiveUp()
