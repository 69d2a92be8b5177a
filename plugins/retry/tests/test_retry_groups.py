"""Groups of exceptions: another attempt follows where it would follow each of the exceptions."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import tenacity

from taskiq_flow import PayloadError, RetryException
from taskiq_flow._groups import leaves_of
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retries.none import NoRetry
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry
from taskiq_flow.values.failures import failure_of
from taskiq_flow_retry import StandardRetry, TenacityRetry

if sys.version_info < (3, 11):
    exceptiongroup = pytest.importorskip("exceptiongroup")
    ExceptionGroup = exceptiongroup.ExceptionGroup


def group(*errors: Exception) -> Exception:
    made: Exception = ExceptionGroup("unhandled errors in a TaskGroup", list(errors))
    return made


AGAIN = RetryException("again", delay=2)
LATER = RetryException("later", delay=7)
BUSY, DENIED, WRONG = ConnectionError("busy"), PermissionError("no"), ValueError("wrong")


def ask(policy: Any, error: Exception, *, here: bool = True, asked: bool = True) -> Any:
    failed = FailedAttempt(failure=failure_of(error), exception=error if here else None)
    return policy.decide(failed, 1, CellView(run="r", path="a", task="t", asked=asked))


CASES: dict[str, tuple[dict[str, Any], Exception, str]] = {
    "in retry_on": ({"retry_on": [ConnectionError]}, group(BUSY), ""),
    "each in retry_on": ({"retry_on": [ConnectionError, ValueError]}, group(BUSY, WRONG), ""),
    "one not in retry_on": (
        {"retry_on": [ConnectionError]},
        group(BUSY, WRONG),
        "gave up: ValueError is not in retry_on",
    ),
    "by name": ({"retry_on": ["ConnectionError"]}, group(group(BUSY), BUSY), ""),
    "the group itself": ({"retry_on": ["ExceptionGroup"]}, group(WRONG), ""),
    "one in never_on": (
        {"never_on": [PermissionError]},
        group(BUSY, DENIED),
        "PermissionError is in never_on",
    ),
    "deep in never_on": (
        {"never_on": [PermissionError]},
        group(group(BUSY, group(DENIED))),
        "is in never_on",
    ),
    "the group in never_on": ({"never_on": ["ExceptionGroup"]}, group(BUSY), "ExceptionGroup is in never_on"),
    "one rejected": ({}, group(BUSY, PayloadError("too large")), "would be rejected again every time"),
    "asks": ({"never_on": [ConnectionError]}, group(AGAIN, LATER), ""),
    "one asks, one may": ({"retry_on": [ConnectionError]}, group(AGAIN, BUSY), ""),
    "one asks, one must not": (
        {"retry_on": [ConnectionError]},
        group(AGAIN, WRONG),
        "ValueError is not in retry_on",
    ),
}


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize(("options", "error", "words"), CASES.values(), ids=CASES.keys())
def test_a_group_is_tried_again_where_each_of_it_is(
    options: dict[str, Any], error: Exception, words: str, here: bool
) -> None:
    decision = ask(StandardRetry(max_retries=3, **options), error, here=here)
    assert isinstance(decision, GiveUp if words else Retry)
    assert words in decision.reason


def test_retry_if_is_asked_about_each() -> None:
    policy = StandardRetry(max_retries=3, retry_if=lambda error: isinstance(error, ConnectionError))
    assert isinstance(ask(policy, group(BUSY, BUSY)), Retry)
    assert isinstance(ask(policy, group(BUSY, WRONG)), GiveUp)
    assert policy.should_retry(1, group(BUSY))
    assert not policy.should_retry(1, group(BUSY, WRONG))
    assert StandardRetry(max_retries=3, retry_on=[BUSY.__class__]).should_retry(1, group(AGAIN))


def test_the_longest_wait_counts() -> None:
    assert ask(StandardRetry(), group(AGAIN, group(LATER)), asked=False).delay == 7
    assert ask(TenacityRetry(), group(AGAIN, group(LATER))).delay == 7


def test_without_options_each_of_it_must_ask() -> None:
    assert isinstance(ask(StandardRetry(), group(AGAIN), asked=False), Retry)
    assert isinstance(ask(StandardRetry(), group(AGAIN, BUSY), asked=False), GiveUp)


def test_tenacity_looks_into_groups() -> None:
    policy = TenacityRetry(retry=tenacity.retry_if_exception_type(ConnectionError))
    assert isinstance(ask(policy, group(BUSY, group(BUSY))), Retry)
    assert isinstance(ask(policy, group(BUSY, AGAIN)), Retry)
    assert isinstance(ask(policy, group(BUSY, WRONG)), GiveUp)


def test_the_core_alone_says_what_it_lacks() -> None:
    assert "needs a plugin" in ask(NoRetry(), group(BUSY, AGAIN)).reason


def test_leaves_are_found_in_the_exception_and_in_the_data() -> None:
    error = group(BUSY, group(WRONG, DENIED))
    data = failure_of(error)
    assert [each.exception for each in FailedAttempt(failure=data, exception=error).leaves()] == [
        BUSY,
        WRONG,
        DENIED,
    ]
    assert [each.failure.message for each in FailedAttempt(failure=data).leaves()] == ["busy", "wrong", "no"]
    assert list(leaves_of(error)) == [BUSY, WRONG, DENIED]
    plain = Failure(kind=FailureKind.EXCEPTION, message="", type=data.type)
    kinds = [each.failure.type for each in FailedAttempt(failure=plain, exception=error).leaves()]
    assert kinds == ["builtins:ConnectionError", "builtins:ValueError", "builtins:PermissionError"]
    (itself,) = FailedAttempt(failure=failure_of(BUSY), exception=BUSY).leaves()
    assert itself.exception is BUSY
