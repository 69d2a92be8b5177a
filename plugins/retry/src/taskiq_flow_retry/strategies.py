"""tenacity's strategies as a retry policy; the wait becomes a timer in the run's log instead of a sleep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import tenacity
from attrs import field, frozen

from taskiq_flow.errors import PluginError
from taskiq_flow.payloads import FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy, answer_of
from taskiq_flow_retry.asked import longest_delay
from taskiq_flow_retry.backoff import LONGEST_WAIT
from taskiq_flow_retry.matching import asks_for_retry, exception_of, is_group, subject_of
from taskiq_flow_retry.options import is_plain_function, refuse, unknown_options

__all__ = ["AttemptLost", "TenacityRetry"]

# Only the last attempts are replayed to the wait strategy, so that an endless policy does not cost more and more.
_MOST_WAITS = 1_000


class AttemptLost(Exception):
    """Stands for a lost worker where a strategy looks at the exception."""


@frozen(kw_only=True)
class TenacityRetry(RetryPolicy):
    """Asks tenacity's ``retry``, ``wait`` and ``stop`` strategies about each failed attempt.

    They get a :class:`tenacity.RetryCallState` with the attempt's number, its exception and the time since the first
    attempt's start, and may be combined as in tenacity. A lost worker or a timeout appears as an exception too
    (:class:`AttemptLost`, :class:`TimeoutError`)::

        TenacityRetry(
            wait=wait_exponential_jitter(max=60),
            stop=stop_after_attempt(5) | stop_after_delay(600),
            retry=retry_if_exception_type(OSError),
        )

    :param wait: The strategy for waiting; 1, 2, 4 … seconds by default.
    :param stop: The strategy for stopping; after the fourth attempt by default.
    :param retry: The strategy for what to try again; any exception by default.
    :raises PluginError: a strategy is not a function of the state, or is asynchronous.
    """

    name: ClassVar[str] = "tenacity"

    wait: Any = field(factory=lambda: tenacity.wait_exponential(multiplier=1, exp_base=2))
    stop: Any = field(factory=lambda: tenacity.stop_after_attempt(4))
    retry: Any = field(factory=tenacity.retry_if_exception_type)

    def __attrs_post_init__(self) -> None:
        refuse(
            f"{name} is {strategy!r}; give one of tenacity's {name} strategies that is not asynchronous"
            for name, strategy in (("wait", self.wait), ("stop", self.stop), ("retry", self.retry))
            if not _is_strategy(strategy)
        )

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        """Make the policy with its default strategies, because plain options cannot describe others.

        :raises PluginError: there are options.
        """
        refuse(unknown_options(options, ["wait", "stop", "retry"]))
        return cls(**options)

    def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
        """Ask the strategies, in tenacity's order: whether to retry, how long to wait, whether to stop."""
        kind = failed.failure.kind
        if kind in (FailureKind.REJECTED, FailureKind.CANCELLED):
            return GiveUp(reason=f"gave up: the attempt was {kind.value}")
        state = self._state(_exception_for(failed), attempt, cell)
        # A lost worker is no exception of the task, so only the stop strategy can end it.
        if kind is not FailureKind.WORKER_LOST and not self._is_wanted(failed, state, attempt, cell):
            return GiveUp(reason=f"gave up: the retry strategy does not want {subject_of(failed)} again")
        delay = longest_delay(failed, cell.now, respect_retry_after=False)
        delay = self._seconds(state) if delay is None else min(delay, LONGEST_WAIT)
        state.upcoming_sleep = delay
        if _answer(self.stop, state):
            return GiveUp(reason=f"gave up: the stop strategy ended it after attempt {attempt}")
        return Retry(delay=delay, reason=f"retry {attempt} in {round(delay, 3):.15g} s")

    def _is_wanted(
        self, failed: FailedAttempt, state: tenacity.RetryCallState, attempt: int, cell: CellView
    ) -> bool:
        """Whether the task or the strategy wants another attempt; of a group of exceptions, after each of them."""
        if asks_for_retry(failed) or isinstance(_exception_for(failed), tenacity.TryAgain):
            return True
        if _answer(self.retry, state):
            return True
        return is_group(failed) and all(
            self._is_wanted(each, self._state(_exception_for(each), attempt, cell), attempt, cell)
            for each in failed.leaves()
        )

    def _state(self, exception: BaseException, attempt: int, cell: CellView) -> tenacity.RetryCallState:
        state = _new_state(self, attempt)
        for earlier in range(max(1, attempt - _MOST_WAITS), attempt):
            # The past waits are in the log and not known here, so the wait strategy is asked again. With jitter its
            # answers differ, so the sum is cut to the time that has passed.
            state.attempt_number = earlier
            _fail(state, exception, earlier, cell.elapsed)
            state.idle_for += self._seconds(state)
            if state.idle_for >= cell.elapsed:
                break
        state.idle_for = min(state.idle_for, cell.elapsed)
        state.attempt_number = attempt
        _fail(state, exception, attempt, cell.elapsed)
        return state

    def _seconds(self, state: tenacity.RetryCallState) -> float:
        seconds = float(_answer(self.wait, state))
        if math.isnan(seconds):
            raise PluginError(f"the wait strategy {self.wait!r} gave {seconds}; it must give seconds")
        return min(max(0.0, seconds), LONGEST_WAIT)


def _new_state(policy: TenacityRetry, attempt: int) -> tenacity.RetryCallState:
    retrying = tenacity.Retrying(wait=policy.wait, stop=policy.stop, retry=policy.retry)
    state = tenacity.RetryCallState(retrying, None, (), {})
    state.attempt_number = attempt
    state.start_time = 0.0
    return state


def _fail(state: tenacity.RetryCallState, exception: BaseException, attempt: int, elapsed: float) -> None:
    state.outcome = tenacity.Future(attempt)
    state.outcome.set_exception(exception)
    state.outcome_timestamp = elapsed


def _exception_for(failed: FailedAttempt) -> BaseException:
    exception = exception_of(failed)
    if exception is not None:
        return exception
    if failed.failure.kind is FailureKind.TIMEOUT:
        return TimeoutError(failed.failure.message)
    if failed.failure.kind is FailureKind.WORKER_LOST:
        return AttemptLost(failed.failure.message)
    return failed.exception or RuntimeError(failed.failure.summary)


def _answer(strategy: Any, state: tenacity.RetryCallState) -> Any:
    return answer_of(f"the strategy {strategy!r}", strategy(state))


def _is_strategy(strategy: Any) -> bool:
    return not isinstance(strategy, type) and is_plain_function(strategy)
