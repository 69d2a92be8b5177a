"""What holds for all options and all failures."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from retry_cases import cell, of_kind, raised

from taskiq_flow import PluginError, RetryException
from taskiq_flow.retry import FailedAttempt, GiveUp, Retry, plain_options
from taskiq_flow_retry import StandardRetry

seconds = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
factors = st.floats(min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    *("max_retries", "max_attempts", "delay", "backoff", "max_delay", "jitter", "jitter_fraction", "budget"),
    *("retry_on", "never_on", "retry_if", "respect_retry_after", "resources", "max_resources", "queue"),
    *("priority", "on_retry"),
]

failures = st.one_of(
    st.sampled_from([raised(ValueError("no")), raised(OSError(2, "gone")), raised(RetryException("again"))]),
    st.builds(lambda delay: raised(RetryException("later", delay=delay)), st.floats()),
    st.builds(of_kind, st.sampled_from(["exception", "timeout", "worker_lost", "rejected", "cancelled"])),
)


@given(
    delay=seconds,
    backoff=factors,
    max_delay=st.none() | seconds,
    jitter=st.sampled_from([None, "full", "proportional"]),
    fraction=st.floats(min_value=0, max_value=1, exclude_min=True),
    drawn=st.floats(min_value=0, max_value=1),
    attempt=st.integers(min_value=1, max_value=10**9),
    failed=failures,
)
def test_no_wait_is_negative_or_endless_or_above_the_longest(
    delay: float,
    backoff: float,
    max_delay: float | None,
    jitter: str | None,
    fraction: float,
    drawn: float,
    attempt: int,
    failed: FailedAttempt,
) -> None:
    policy = StandardRetry(
        max_retries=10**9,
        delay=delay,
        backoff=backoff,
        max_delay=max_delay,
        jitter=jitter,
        jitter_fraction=fraction,
        random=lambda: drawn,
    )

    decision = policy.decide(failed, attempt, cell())

    if isinstance(decision, Retry):
        assert math.isfinite(decision.delay)
        assert 0 <= decision.delay <= (math.inf if max_delay is None else max_delay)


@given(delay=seconds, backoff=st.floats(min_value=1, max_value=1e300), max_delay=st.none() | seconds)
def test_without_jitter_no_wait_is_shorter_than_the_one_before(
    delay: float, backoff: float, max_delay: float | None
) -> None:
    policy = StandardRetry(delay=delay, backoff=backoff, max_delay=max_delay)
    waits = [policy.get_delay(attempt) for attempt in range(1, 60)]

    assert waits == sorted(waits)


@given(delay=st.integers(0, 1000), backoff=st.sampled_from([1, 2, 3, 0.5, 1.5]), attempt=st.integers(1, 15))
def test_waits_are_what_the_formula_says(delay: int, backoff: float, attempt: int) -> None:
    expected = min(delay * backoff ** (attempt - 1), 365 * 86_400)

    assert StandardRetry(delay=delay, backoff=backoff).get_delay(attempt) == expected


@given(retries=st.integers(0, 12), pattern=st.lists(failures, min_size=13, max_size=13))
def test_attempts_are_counted_exactly_whatever_fails(retries: int, pattern: list[FailedAttempt]) -> None:
    policy = StandardRetry(max_retries=retries, retry_on=["rejected", "cancelled", "exception", "timeout"])
    attempts = 0
    for failed in pattern:
        attempts += 1
        if isinstance(policy.decide(failed, attempts, cell()), GiveUp):
            break

    assert attempts == retries + 1


@given(budget=factors, elapsed=seconds, failed=failures, attempt=st.integers(1, 100))
def test_no_attempt_is_begun_past_the_budget(
    budget: float, elapsed: float, failed: FailedAttempt, attempt: int
) -> None:
    view = cell(min(elapsed, 1e9))
    decision = StandardRetry(max_retries=100, budget=budget).decide(failed, attempt, view)

    assert isinstance(decision, GiveUp) or view.elapsed + decision.delay <= budget


@given(options=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), anything, max_size=6))
def test_any_options_make_a_policy_that_decides_or_one_error(options: dict[str, Any]) -> None:
    try:
        policy = StandardRetry.from_options(plain_options(options))
    except PluginError:
        return
    for attempt in (1, 2, 100):
        assert isinstance(policy.decide(raised(ValueError("no")), attempt, cell()), (Retry, GiveUp))
