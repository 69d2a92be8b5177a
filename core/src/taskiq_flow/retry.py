"""The protocol of retry policies: what to do after an attempt failed."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar, Union

from attrs import field, frozen

from taskiq_flow.payloads import Failure

__all__ = ["CellView", "FailedAttempt", "GiveUp", "Retry", "RetryDecision", "RetryPolicy"]


@frozen(kw_only=True)
class Retry:
    """Try again.

    :param delay: Seconds to wait first.
    :param reason: For people; stands in the log.
    :param resources: What the next attempt shall occupy instead.
    :param queue: Another queue for it.
    :param priority: Another priority for it.
    """

    delay: float = 0.0
    reason: str = ""
    resources: Mapping[str, float] | None = None
    queue: str | None = None
    priority: int | None = None


@frozen(kw_only=True)
class GiveUp:
    """The failure is final.

    :param reason: For people; stands in the log.
    """

    reason: str = ""


RetryDecision = Union[Retry, GiveUp]


@frozen(kw_only=True)
class CellView:
    """What a policy may know of the cell that failed.

    :param run: The run's id.
    :param path: The cell's path, such as ``tracks[3]/features``.
    :param task: The task's name.
    :param resources: What the attempt occupied.
    :param first_started_at: When the first attempt started, in seconds since the epoch; ``None`` where unknown.
    """

    run: str
    path: str
    task: str
    resources: Mapping[str, float] = field(factory=dict)
    first_started_at: float | None = None


@frozen(kw_only=True)
class FailedAttempt:
    """What a policy is asked about.

    :param failure: The failure as data; there for every kind.
    :param exception: The exception itself, where the one who asks holds it.
    """

    failure: Failure
    exception: BaseException | None = None


class RetryPolicy(ABC):
    """Decides about failed attempts. Simple policies override the two small methods.

    Implementations pass ``taskiq_flow.testing.RetryPolicyKit``.

    :cvar name: The name that configuration selects it by.
    """

    name: ClassVar[str]

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        """Make a policy from plain options, such as ``{"max_retries": 3, "delay": 5.0}``.

        :raises PluginError: an option is unknown or has a wrong value.
        """
        return cls(**options)

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        """Answer for an attempt that failed.

        :param attempt: Which one it was, counted from 1.
        """
        if self.should_retry(attempt, failed.exception):
            return Retry(delay=self.get_delay(attempt))
        return GiveUp()

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        """Whether there shall be another attempt after this one (counted from 1)."""
        return False

    def get_delay(self, attempt: int) -> float:
        """Seconds to wait between this attempt (counted from 1) and the next."""
        return 0.0
