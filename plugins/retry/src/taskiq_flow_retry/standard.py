"""The policy ``standard``, preferred once this distribution is installed: exponential backoff with all its options."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from attrs import field, fields_dict, frozen

from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy, answer_of
from taskiq_flow_retry.asked import longest_delay
from taskiq_flow_retry.backoff import Backoff
from taskiq_flow_retry.matching import (
    asks_for_retry,
    exception_of,
    is_group,
    matching_item,
    subject_of,
    text_of,
)
from taskiq_flow_retry.options import refuse, unknown_options, value_problems
from taskiq_flow_retry.scaling import Scaling, scale

__all__ = ["OnRetry", "StandardRetry"]

logger = logging.getLogger("taskiq_flow")

OnRetry = Callable[[FailedAttempt, int, CellView, Retry], object]
"""A callback for retries: it gets the failure, the attempt (counted from 1), the cell and the decision."""

_RETRIES = 3
_ATTEMPTS_OF_LOST = 3


def _list(given: Any) -> Any:
    if given is None or isinstance(given, (str, type)):
        return () if given is None else (given,)
    # Anything else is refused later, together with all other problems.
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, (Mapping, bytes)) else given


@frozen(kw_only=True)
class StandardRetry(RetryPolicy):
    """Tries again after growing waits, until the attempts or the time are used up.

    All parameters but the functions can also be given as plain options, with names for exception classes::

        @broker.task(retry_policy={"max_retries": 5, "delay": 2, "retry_on": ["ConnectionError"]})
        @broker.task(retry_policy=StandardRetry(max_retries=5, retry_if=lambda error: error.status >= 500))

    Wait ``k`` is exactly ``delay * backoff ** (k - 1)`` seconds, unless there is jitter.

    :param max_retries: The limit of attempts after the first one; 3 by default, 0 for none.
    :param max_attempts: The limit of attempts with the first one included, instead of ``max_retries``.
    :param delay: Seconds before the second attempt.
    :param backoff: The factor by which the delay grows for each further attempt.
    :param max_delay: The longest wait, even where an exception asks for a longer one.
    :param jitter: ``full`` waits a random part of the delay, ``proportional`` deviates by up to a fraction of it.
    :param jitter_fraction: That fraction.
    :param budget: Seconds since the first attempt's start after which no attempt begins.
    :param retry_on: Only these exceptions and timeouts are tried again: classes (subclasses count), names, or kinds of
        failure. ``rejected`` and ``cancelled`` are tried again only where they are named here.
    :param never_on: Failures that are never tried again, whatever the other options say.
    :param retry_if: A function that says whether an exception is tried again.
    :param respect_retry_after: Whether exceptions may set the wait (``retry_after``, header ``Retry-After``).
    :param resources: Growth of the next attempt's resources, such as ``{"ram_mb": "attempt"}`` for amount x attempt.
    :param max_resources: The largest amounts after growing.
    :param queue: The queue of further attempts.
    :param priority: The priority of further attempts.
    :param on_retry: A callback for each retry, in the process that decides; its exceptions are logged.
    :param random: A function that returns numbers from 0 to 1.
    :raises PluginError: values are invalid; all of them are listed.
    """

    name: ClassVar[str] = "standard"
    preferred: ClassVar[bool] = True

    max_retries: int | None = None
    max_attempts: int | None = None
    delay: float = 1.0
    backoff: float = 2.0
    max_delay: float | None = None
    jitter: str | None = None
    jitter_fraction: float = 0.1
    budget: float | None = None
    retry_on: tuple[str | type[BaseException], ...] = field(default=(), converter=_list)
    never_on: tuple[str | type[BaseException], ...] = field(default=(), converter=_list)
    retry_if: Callable[[BaseException], object] | None = None
    respect_retry_after: bool = True
    resources: Scaling = field(factory=dict, hash=False)
    max_resources: Mapping[str, float] = field(factory=dict, hash=False)
    queue: str | None = None
    priority: int | None = None
    on_retry: OnRetry | None = None
    random: Callable[[], float] = field(default=random.random, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        options = fields_dict(StandardRetry)
        given = {name: getattr(self, name) for name in options}
        refuse(
            value_problems(
                {name: value for name, value in given.items() if value is not options[name].default}
            )
        )

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        """Make the policy from plain options; ``None`` counts as not given.

        :raises PluginError: options are unknown or have invalid values; all of them are listed.
        """
        names = [name for name in fields_dict(StandardRetry) if name != "random"]
        known = {name: value for name, value in options.items() if name in names and value is not None}
        refuse([*unknown_options(options, names), *value_problems(known)])
        return cls(**known)

    @property
    def retries(self) -> int:
        """The limit of attempts after the first one."""
        if self.max_retries is not None:
            return self.max_retries
        return _RETRIES if self.max_attempts is None else self.max_attempts - 1

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        """Decide about a failed attempt, with a reason that people understand.

        Where no retries are configured, only a task that raises a :class:`~taskiq_flow.RetryException` gets them. A
        lost worker is not the task's fault, so then there are two more attempts, at once.
        """
        if not cell.asked and not asks_for_retry(failed):
            return _answer_loss(attempt) if failed.failure.kind is FailureKind.WORKER_LOST else GiveUp()
        retries = self.retries
        if attempt > retries:
            used = f"{retries} of {retries} retries used" if retries else "retries are switched off"
            return GiveUp(reason=f"gave up: {used}")
        if not asks_for_retry(failed) and (objection := self._objection(failed)):
            return GiveUp(reason=f"gave up: {objection}")
        asked = longest_delay(failed, cell.now, respect_retry_after=self.respect_retry_after)
        wanted = self.get_delay(attempt) if asked is None else asked
        delay = min(wanted, self._waits.longest)
        if self.budget is not None and cell.elapsed + delay > self.budget:
            return GiveUp(
                reason=f"gave up: the next attempt would start {_number(cell.elapsed + delay)} s after the first, "
                f"over the budget of {_number(self.budget)} s"
            )
        reason = f"retry {attempt} of {retries} in {_number(delay)} s"
        if asked is not None:
            reason += ", as the exception asks"
            if wanted > delay:
                reason += f" (for {_number(wanted)} s, above max_delay)"
        retry = Retry(
            delay=delay,
            reason=reason,
            resources=scale(self.resources, self.max_resources, attempt, cell.resources),
            queue=self.queue,
            priority=self.priority,
        )
        self._tell(failed, attempt, cell, retry)
        return retry

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        """Whether there is another attempt after this one (counted from 1) and this exception."""
        if attempt > self.retries:
            return False
        if exception is None:
            return True
        cls = type(exception)
        failure = Failure(kind=FailureKind.EXCEPTION, message="", type=f"{cls.__module__}:{cls.__qualname__}")
        failed = FailedAttempt(failure=failure, exception=exception)
        return asks_for_retry(failed) or not self._objection(failed)

    def get_delay(self, attempt: int) -> float:
        """Seconds between this attempt (counted from 1) and the next, unless the exception sets the wait."""
        return self._waits.seconds(attempt)

    @property
    def _waits(self) -> Backoff:
        return Backoff(
            delay=self.delay,
            backoff=self.backoff,
            max_delay=self.max_delay,
            jitter=self.jitter or "",
            fraction=self.jitter_fraction,
            random=self.random,
        )

    def _objection(self, failed: FailedAttempt) -> str:
        """Return the reason against another attempt; empty when there is none.

        A group of exceptions gets another attempt where each of them would.
        """
        if not is_group(failed):
            return self._object_to(failed)
        never = matching_item(self.never_on, failed)
        if never is not None:
            return f"{subject_of(failed)} is in never_on, by {text_of(never)}"
        is_wanted = matching_item(self.retry_on, failed) is not None
        objections = (
            self._object_to(each, is_wanted=is_wanted) for each in failed.leaves() if not asks_for_retry(each)
        )
        return next(filter(None, objections), "")

    def _object_to(self, failed: FailedAttempt, *, is_wanted: bool = False) -> str:
        """Return the reason against another attempt after a failure that is no group of exceptions.

        :param is_wanted: Whether the list of what is tried again names it already, by the group that it is in.
        """
        kind, subject = failed.failure.kind, subject_of(failed)
        never = matching_item(self.never_on, failed)
        if never is not None:
            name = text_of(never)
            itself = name.rpartition(":")[2].rpartition(".")[2] == subject
            return f"{subject} is in never_on" if itself else f"{subject} is in never_on, by {name}"
        if not is_wanted and matching_item(self.retry_on, failed) is None:
            if kind is FailureKind.REJECTED:
                return f"{subject} would be rejected again every time"
            if kind is FailureKind.CANCELLED:
                return "the attempt was cancelled"
            # A list of exceptions is about exceptions of tasks; a lost worker is none of them.
            if self.retry_on and kind is not FailureKind.WORKER_LOST:
                return f"{subject} is not in retry_on"
        exception = exception_of(failed)
        if (
            self.retry_if is not None
            and exception is not None
            and not answer_of("retry_if", self.retry_if(exception))
        ):
            return f"retry_if says no to {subject}"
        return ""

    def _tell(self, failed: FailedAttempt, attempt: int, cell: CellView, retry: Retry) -> None:
        if self.on_retry is None:
            return
        try:
            answer_of("on_retry", self.on_retry(failed, attempt, cell, retry))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            # Nothing is awaited here, so even a CancelledError is the callback's own.
            logger.exception("on_retry of cell %r failed; it is tried again all the same", cell.path)


def _answer_loss(attempt: int) -> RetryDecision:
    if attempt < _ATTEMPTS_OF_LOST:
        return Retry(reason=f"the worker was lost: retry {attempt} of {_ATTEMPTS_OF_LOST - 1} at once")
    return GiveUp(reason=f"gave up: the worker of attempt {attempt} was lost too")


def _number(seconds: float) -> str:
    return f"{round(seconds, 3):.15g}"
