"""What every retry policy must do, as functions that raise :class:`AssertionError` with a sentence."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from taskiq_flow.errors import PluginError, RetryException
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy
from taskiq_flow.testing.kit import Kit, expect, raises

__all__ = [
    "RetryPolicyKit",
    "check_decisions",
    "check_description",
    "check_end",
    "check_options",
    "check_retry_policy",
    "check_statelessness",
]

_ATTEMPTS = (1, 2, 3, 4, 5, 10, 30, 100)
_LAST = 10_000
_CELL = CellView(
    run="r1", path="tracks[3]/features", task="app:features", resources={"cpu": 1.0, "ram_mb": 512.0}
)


class RetryPolicyKit(Kit):
    """Tests of a retry policy, for pytest.

    ::

        class TestAcme(RetryPolicyKit):
            def make(self):
                return AcmePolicy.from_options({"max_retries": 3})
    """

    #: Declare ``True`` where the policy never gives up by counting attempts.
    endless = False

    @abstractmethod
    def make(self) -> RetryPolicy:
        """Give a new policy."""

    def test_description(self) -> None:
        """It has a name."""
        check_description(self.make())

    def test_options(self) -> None:
        """It is made of no options, and refuses an unknown one by name."""
        check_options(self.make())

    def test_decisions(self) -> None:
        """It decides about every kind of failure, with and without the exception."""
        check_decisions(self.make())

    def test_statelessness(self) -> None:
        """One object decides for many cells at once."""
        check_statelessness(self.make())

    def test_end(self) -> None:
        """It gives up some time."""
        if not self.endless:
            check_end(self.make())


def check_retry_policy(policy: RetryPolicy, *, endless: bool = False) -> None:
    """Make all checks.

    :param policy: The policy.
    :param endless: Whether it never gives up by counting attempts.
    :raises AssertionError: it does not do what the core relies on.
    """
    check_description(policy)
    check_options(policy)
    # First, while the object is new: what counts may have come to an end of its counting later.
    check_statelessness(policy)
    check_decisions(policy)
    if not endless:
        check_end(policy)


def check_description(policy: RetryPolicy) -> None:
    """Check that it has a name."""
    expect(isinstance(policy, RetryPolicy), f"{policy!r} must be a RetryPolicy")
    name = getattr(policy, "name", None)
    expect(isinstance(name, str) and name, f"the name must be a text that is not empty, found {name!r}")


def check_options(policy: RetryPolicy) -> None:
    """Check that the class makes a policy of no options, and refuses unknown ones."""
    made = type(policy).from_options({})
    expect(isinstance(made, RetryPolicy), f"from_options({{}}) must give a policy, found {made!r}")
    error = raises(
        PluginError,
        "from_options() must refuse an unknown option with a PluginError",
        type(policy).from_options,
        {"no_such_option": 1},
    )
    expect("no_such_option" in str(error), f"the error must name the unknown option, found {str(error)!r}")


def check_decisions(policy: RetryPolicy) -> None:
    """Check the decision about every kind of failure at many attempts."""
    for failed in _failures():
        for attempt in _ATTEMPTS:
            problem = _problem(_decide(policy, failed, attempt))
            expect(not problem, f"{problem}, asked {_about(failed, attempt)}")


def check_statelessness(policy: RetryPolicy) -> None:
    """Check that a decision does not depend on what was asked before."""
    questions = [(failed, attempt) for failed in _failures() for attempt in _ATTEMPTS]
    first = [type(_decide(policy, failed, attempt)) for failed, attempt in questions]
    again = [type(_decide(policy, failed, attempt)) for failed, attempt in reversed(questions)]
    for (failed, attempt), before, after in zip(questions, first, reversed(again), strict=True):
        expect(
            before is after,
            f"it answered {before.__name__} and then {after.__name__}, asked {_about(failed, attempt)}; "
            "a policy counts nothing, it is told the attempt",
        )


def check_end(policy: RetryPolicy) -> None:
    """Check that it gives up in the end, whatever the failure."""
    for failed in _failures():
        expect(
            isinstance(_decide(policy, failed, _LAST), GiveUp),
            f"it still retries, asked {_about(failed, _LAST)}; declare it endless if that is meant",
        )


def _decide(policy: RetryPolicy, failed: FailedAttempt, attempt: int) -> Any:
    try:
        return policy.decide(failed, attempt, _CELL)
    except Exception as error:
        asked = _about(failed, attempt)
        raise AssertionError(f"decide() raised {type(error).__name__}: {error}, asked {asked}") from error


def _about(failed: FailedAttempt, attempt: int) -> str:
    return f"about a failure of kind {failed.failure.kind.value!r} at attempt {attempt}"


def _failures() -> Iterator[FailedAttempt]:
    for kind in FailureKind:
        yield FailedAttempt(failure=Failure(kind=kind, message="it did not work"))
    for error in (
        ValueError("no"),
        OSError(2, "gone"),
        RetryException("again"),
        RetryException("later", delay=7.0),
    ):
        failure = Failure(
            kind=FailureKind.EXCEPTION,
            message=str(error),
            type=f"{type(error).__module__}:{type(error).__qualname__}",
        )
        yield FailedAttempt(failure=failure, exception=error)


def _problem(decision: RetryDecision | Any) -> str:
    if isinstance(decision, GiveUp):
        return ""
    if not isinstance(decision, Retry):
        return f"decide() must answer Retry or GiveUp, found {decision!r}"
    delay = decision.delay
    if (
        isinstance(delay, bool)
        or not isinstance(delay, (int, float))
        or not math.isfinite(delay)
        or delay < 0
    ):
        return f"the delay must be a number of seconds that is not negative, found {delay!r}"
    if decision.resources is not None:
        wrong = {name: amount for name, amount in decision.resources.items() if not amount >= 0}
        if wrong:
            return f"resources must not be negative, found {wrong}"
    return ""
