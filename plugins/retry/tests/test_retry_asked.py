"""The wait that an exception asks for: ``RetryException``, ``retry_after``, and the header ``Retry-After``."""

from __future__ import annotations

import datetime
from email.utils import format_datetime
from typing import Any

import pytest
from retry_cases import NOW, decide, raised, story

from taskiq_flow import RetryException
from taskiq_flow.retry import GiveUp, Retry
from taskiq_flow_retry import StandardRetry

UTC = datetime.timezone.utc
SOON = datetime.datetime.fromtimestamp(NOW + 90, UTC)


class Response:
    def __init__(self, headers: Any) -> None:
        self.headers = headers


def error(**attributes: Any) -> Exception:
    found = OSError("try later")
    vars(found).update(attributes)
    return found


@pytest.mark.parametrize(
    ("exception", "delay"),
    [
        (RetryException("later", delay=7), 7),
        (RetryException("at once", delay=0), 0),
        (RetryException("later", delay=datetime.timedelta(minutes=2)), 120),  # type: ignore[arg-type]
        (error(retry_after=30), 30),
        (error(retry_after=2.5), 2.5),
        (error(retry_after="30"), 30),
        (error(retry_after=datetime.timedelta(minutes=2)), 120),
        (error(retry_after=SOON), 90),
        (error(headers={"Retry-After": "12"}), 12),
        (error(headers={"retry-after": b"12"}), 12),
        (error(response=Response({"Retry-After": "120"})), 120),
        (error(response=Response({"Retry-After": format_datetime(SOON, usegmt=True)})), 90),
        (error(response=Response({"Retry-After": "Sun, 09 Sep 2001 01:46:40"})), 0),
        # What is over by now.
        (error(retry_after=-5), 0),
        (error(retry_after=datetime.datetime(1999, 1, 1, tzinfo=UTC)), 0),
    ],
)
def test_the_exception_says_how_long_to_wait(exception: Exception, delay: float) -> None:
    decision = decide(StandardRetry(delay=1), raised(exception))

    assert decision == Retry(delay=delay, reason=f"retry 1 of 3 in {delay:g} s, as the exception asks")


@pytest.mark.parametrize(
    "exception",
    [
        RetryException("whenever"),
        RetryException("strange", delay=float("nan")),
        RetryException("strange", delay=float("inf")),
        RetryException("strange", delay=-1),
        RetryException("strange", delay=10**400),
        RetryException("strange", delay=True),
        RetryException("strange", delay="soon"),  # type: ignore[arg-type]
        error(retry_after=None),
        error(retry_after=True),
        error(retry_after=float("nan")),
        error(retry_after="soon"),
        error(retry_after=[1]),
        error(headers={}),
        error(headers="Retry-After: 5"),
        error(response=Response(None)),
        error(response=Response({"Retry-After": "99/99/99"})),
    ],
)
def test_what_makes_no_sense_asks_for_nothing(exception: Exception) -> None:
    assert decide(StandardRetry(delay=3), raised(exception)) == Retry(delay=3, reason="retry 1 of 3 in 3 s")


def test_a_property_that_raises_asks_for_nothing() -> None:
    class Closed(Exception):
        @property
        def response(self) -> Any:
            raise RuntimeError("the response was closed")

    assert decide(StandardRetry(delay=3), raised(Closed())) == Retry(delay=3, reason="retry 1 of 3 in 3 s")


def test_it_can_be_switched_off_for_all_but_the_task_itself() -> None:
    policy = StandardRetry(delay=3, respect_retry_after=False)

    assert story(policy, raised(error(retry_after=30)))[:1] == [3]
    assert story(policy, raised(RetryException("later", delay=7)))[:1] == [7]


def test_nobody_makes_a_wait_longer_than_the_longest() -> None:
    policy = StandardRetry(max_delay=60)

    assert decide(policy, raised(error(retry_after=3600))) == Retry(
        delay=60, reason="retry 1 of 3 in 60 s, as the exception asks (for 3600 s, above max_delay)"
    )


def test_nobody_asks_past_the_budget_or_the_attempts() -> None:
    assert isinstance(decide(StandardRetry(budget=60), raised(RetryException(delay=61))), GiveUp)
    assert isinstance(decide(StandardRetry(max_retries=1), raised(RetryException(delay=1)), 2), GiveUp)
