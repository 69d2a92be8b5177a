"""tenacity's strategies, used as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import tenacity
from retry_cases import NOW, cell, decide, of_kind, raised, story
from tenacity import (
    retry_if_exception,
    retry_if_exception_message,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    stop_after_delay,
    stop_never,
    wait_chain,
    wait_combine,
    wait_exponential,
    wait_exponential_jitter,
    wait_fixed,
    wait_incrementing,
    wait_none,
    wait_random,
    wait_random_exponential,
)

from taskiq_flow import PluginError, RetryException
from taskiq_flow.retry import GiveUp, Retry
from taskiq_flow_retry import TenacityRetry
from taskiq_flow_retry.strategies import AttemptLost

ERROR = raised(ValueError("no"))
ENDED = "gave up: the stop strategy ended it after attempt {}"
UNWANTED = "gave up: the retry strategy does not want {} again"


class Watching:
    """A strategy that keeps what it saw."""

    def __init__(self, strategy: Callable[[Any], Any]) -> None:
        self.strategy = strategy
        self.seen: list[tuple[Any, ...]] = []

    def __call__(self, state: tenacity.RetryCallState) -> Any:
        assert state.outcome is not None
        self.seen.append(
            (state.attempt_number, state.outcome.exception(), state.seconds_since_start, state.idle_for)
        )
        return self.strategy(state)


@pytest.mark.parametrize(
    ("strategies", "waits"),
    [
        ({}, [1, 2, 4]),
        ({"wait": wait_fixed(3)}, [3, 3, 3]),
        ({"wait": wait_none()}, [0, 0, 0]),
        ({"wait": wait_incrementing(start=1, increment=5)}, [1, 6, 11]),
        ({"wait": wait_exponential(multiplier=2, max=5)}, [2, 4, 5]),
        ({"wait": wait_exponential_jitter(jitter=0)}, [1, 2, 4]),
        ({"wait": wait_random(2, 2)}, [2, 2, 2]),
        ({"wait": wait_fixed(3) + wait_random(1, 1)}, [4, 4, 4]),
        ({"wait": wait_combine(wait_fixed(1), wait_fixed(2))}, [3, 3, 3]),
        ({"wait": wait_chain(wait_fixed(1), wait_fixed(9))}, [1, 9, 9]),
        ({"stop": stop_after_attempt(2)}, [1]),
        ({"stop": stop_after_attempt(2) | stop_after_attempt(9)}, [1]),
        ({"stop": stop_after_attempt(2) & stop_after_attempt(3)}, [1, 2]),
    ],
)
def test_waits_and_stops(strategies: dict[str, Any], waits: list[float]) -> None:
    assert story(TenacityRetry(**strategies), ERROR) == [*waits, ENDED.format(len(waits) + 1)]


def test_what_never_stops_costs_no_more_each_time() -> None:
    asked: list[int] = []

    def wait(state: tenacity.RetryCallState) -> float:
        asked.append(state.attempt_number)
        return 0.0

    decision = decide(TenacityRetry(wait=wait, stop=stop_never), ERROR, 10**6, elapsed=1e6)
    assert isinstance(decision, Retry)
    assert len(asked) <= 1_001
    assert asked[-1] == 10**6


@pytest.mark.parametrize(
    ("retry", "wanted"),
    [
        (retry_if_exception_type(ValueError), True),
        (retry_if_exception_type(OSError), False),
        (retry_if_not_exception_type(ValueError), False),
        (retry_if_exception(lambda error: str(error) == "no"), True),
        (retry_if_exception_message(match="yes"), False),
        (retry_if_exception_type(OSError) | retry_if_exception_message(message="no"), True),
        (retry_if_exception_type(ValueError) & retry_if_exception_message(message="yes"), False),
        (tenacity.retry_always, True),
        (tenacity.retry_never, False),
    ],
)
def test_what_is_tried_again(retry: Any, wanted: bool) -> None:
    decision = decide(TenacityRetry(retry=retry), ERROR)

    assert decision == (
        Retry(delay=1, reason="retry 1 in 1 s") if wanted else GiveUp(reason=UNWANTED.format("ValueError"))
    )


def test_time_counts_from_the_first_start() -> None:
    policy = TenacityRetry(stop=stop_after_delay(60), wait=wait_fixed(5))

    assert decide(policy, ERROR, 7, elapsed=59.5) == Retry(delay=5, reason="retry 7 in 5 s")
    assert decide(policy, ERROR, 2, elapsed=60) == GiveUp(reason=ENDED.format(2))


@pytest.mark.skipif(
    not hasattr(tenacity, "stop_before_delay"), reason="older tenacity has no stop_before_delay"
)
def test_the_coming_wait_is_known_to_the_stop_strategy() -> None:
    policy = TenacityRetry(stop=tenacity.stop_before_delay(60), wait=wait_fixed(5))

    assert isinstance(decide(policy, ERROR, 2, elapsed=54), Retry)
    assert isinstance(decide(policy, ERROR, 2, elapsed=56), GiveUp)


def test_strategies_see_the_attempt_its_exception_and_its_times() -> None:
    stop, retry = Watching(stop_never), Watching(tenacity.retry_always)
    policy = TenacityRetry(stop=stop, retry=retry, wait=wait_exponential())

    decide(policy, ERROR, 3, elapsed=10)

    # Before the third attempt was waited for 1 and for 2 seconds.
    assert stop.seen == retry.seen == [(3, ERROR.exception, 10, 3)]


def test_nobody_has_waited_longer_than_time_has_passed() -> None:
    stop = Watching(stop_never)

    decide(TenacityRetry(stop=stop, wait=wait_fixed(100)), ERROR, 3, elapsed=10)

    assert stop.seen == [(3, ERROR.exception, 10, 10)]


@pytest.mark.parametrize("attempt", [1, 2, 10, 1000, 10_000])
@pytest.mark.parametrize(
    "wait",
    [wait_exponential(), wait_exponential_jitter(), wait_random_exponential(), wait_exponential(exp_base=10)],
)
def test_enormous_attempts_have_a_finite_wait(wait: Any, attempt: int) -> None:
    decision = decide(TenacityRetry(wait=wait, stop=stop_never), ERROR, attempt, elapsed=1e6)

    assert isinstance(decision, Retry)
    assert 0 <= decision.delay <= 365 * 86_400


def test_a_task_that_asks_itself_is_tried_again_until_the_stop() -> None:
    policy = TenacityRetry(retry=tenacity.retry_never, stop=stop_after_attempt(2))

    assert story(policy, raised(RetryException("again"))) == [1, ENDED.format(2)]
    assert story(policy, raised(RetryException("later", delay=9))) == [9, ENDED.format(2)]
    assert story(policy, raised(RetryException("much later", delay=1e308))) == [365 * 86_400, ENDED.format(2)]
    assert story(policy, raised(tenacity.TryAgain())) == [1, ENDED.format(2)]


def test_failures_without_an_exception_ask_with_one_that_stands_for_them() -> None:
    stop = Watching(stop_after_attempt(2))
    policy = TenacityRetry(retry=retry_if_exception_type(TimeoutError), stop=stop)

    assert story(policy, of_kind("timeout")) == [1, ENDED.format(2)]
    # A lost worker is nobody's exception.
    assert story(policy, of_kind("worker_lost")) == [1, ENDED.format(2)]
    assert [type(exception) for _, exception, _, _ in stop.seen] == [TimeoutError] * 2 + [AttemptLost] * 2


@pytest.mark.parametrize("kind", ["rejected", "cancelled"])
def test_what_fails_again_every_time_is_not_tried_again(kind: str) -> None:
    assert decide(TenacityRetry(), of_kind(kind)) == GiveUp(reason=f"gave up: the attempt was {kind}")


def test_strategies_that_cannot_be_asked_are_refused_all_at_once() -> None:
    async def later(state: Any) -> bool:
        return True

    with pytest.raises(PluginError) as caught:
        TenacityRetry(wait=5, stop=stop_after_attempt, retry=later)

    text = str(caught.value)
    assert (
        "wait is 5; give one of tenacity's wait strategies that is not asynchronous; stop is <class" in text
    )
    assert "; retry is <function" in text


def test_an_asynchronous_answer_is_an_error_and_is_not_left_behind() -> None:
    async def answer() -> bool:
        await asyncio.sleep(0)
        return True

    with pytest.raises(PluginError, match="is asynchronous, and nobody can wait for its answer"):
        decide(TenacityRetry(retry=lambda state: answer()), ERROR)


def test_a_wait_that_is_no_number_is_an_error() -> None:
    with pytest.raises(PluginError, match="gave nan; it must give seconds"):
        decide(TenacityRetry(wait=lambda state: float("nan")), ERROR)


def test_plain_options_cannot_be_strategies() -> None:
    with pytest.raises(PluginError, match="no option 'max_retries'; there are 'wait', 'stop', 'retry'"):
        TenacityRetry.from_options({"max_retries": 3})


def test_an_exception_of_an_unknown_class_still_asks() -> None:
    assert isinstance(decide(TenacityRetry(), of_kind("exception", cls="elsewhere:Odd")), Retry)
    assert cell().now == NOW
