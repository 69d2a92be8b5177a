"""Checks of retry policies, as functions that raise :class:`AssertionError` with a sentence."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, cast

from taskiq_flow.errors import PluginError, RetryException
from taskiq_flow.payloads import Failure, FailureKind
from taskiq_flow.retry import CellView, FailedAttempt, GiveUp, Retry, RetryDecision, RetryPolicy
from taskiq_flow.testing.kit import Kit, answer_within, check_name, expect, not_awaited, raises

__all__ = [
    "RetryPolicyKit",
    "check_decisions",
    "check_description",
    "check_discretion",
    "check_end",
    "check_limit",
    "check_options",
    "check_promptness",
    "check_retry_policy",
    "check_statelessness",
]

_ATTEMPTS = (1, 2, 3, 4, 5, 10, 30, 100)
_LAST = 10_000
_PATIENCE_SECONDS = 5.0
# Kinds of failure that even an endless policy must not retry for ever: a rejected value is rejected again, and a
# cancelled attempt is not wanted.
_HOPELESS = (FailureKind.REJECTED, FailureKind.CANCELLED)


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
        """Return a new policy."""

    def test_description(self) -> None:
        """It has a name."""
        check_description(self.make())

    def test_options(self) -> None:
        """It is made of no options, and refuses an unknown one by name."""
        check_options(self.make())

    def test_promptness(self) -> None:
        """It decides at once."""
        check_promptness(self.make())

    def test_limit(self) -> None:
        """Where it takes ``max_retries``, it keeps to it."""
        check_limit(self.make())

    def test_discretion(self) -> None:
        """It does not change its arguments."""
        check_discretion(self.make())

    def test_decisions(self) -> None:
        """It decides about every kind of failure, with and without the exception."""
        check_decisions(self.make())

    def test_statelessness(self) -> None:
        """One object decides for many cells at once."""
        check_statelessness(self.make())

    def test_end(self) -> None:
        """It gives up some time."""
        check_end(self.make(), endless=self.endless)


def check_retry_policy(policy: RetryPolicy, *, endless: bool = False) -> None:
    """Make all checks.

    :param policy: The policy.
    :param endless: Whether it never gives up by counting attempts.
    :raises AssertionError: the policy breaks a promise that the core relies on.
    """
    check_description(policy)
    # Before the checks that would wait for ever with a policy that does.
    check_promptness(policy)
    check_options(policy)
    # First, while the object is new: a policy that counts its calls may have stopped changing later.
    check_statelessness(policy)
    check_decisions(policy)
    check_limit(policy)
    check_discretion(policy)
    check_end(policy, endless=endless)


def check_description(policy: RetryPolicy) -> None:
    """Check that it has a name."""
    check_name(policy, RetryPolicy)


def check_promptness(policy: RetryPolicy, *, allowed: float = _PATIENCE_SECONDS) -> None:
    """Check that it decides at once, because the worker, or the driver of the pool, does nothing else meanwhile.

    :param allowed: The time limit for a hundred decisions, in seconds.
    """
    failed = list(_failures())
    # Another object, so that a policy that counts its calls is still new for check_statelessness.
    try:
        another = type(policy).from_options({})
    except Exception:  # noqa: BLE001 - check_options reports it
        another = policy

    def ask() -> bool:
        for number in range(100):
            _decide(another, failed[number % len(failed)], 1)
        return True

    answer_within(allowed, "asked a hundred times, decide", ask)


def check_options(policy: RetryPolicy) -> None:
    """Check that the class makes equal policies from equal options, also from none, and refuses unknown ones."""
    given: dict[str, Any] = {}
    made = [_make(policy, given) for _ in range(2)]
    expect(not given, f"from_options() must not change the options, found {given!r}")
    for failed in _failures():
        for attempt in _ATTEMPTS:
            first, second = (type(_decide(each, failed, attempt)).__name__ for each in made)
            expect(
                first == second,
                f"two policies of the same options must decide alike, found {first} and {second}, "
                f"asked {_about(failed, attempt)}",
            )
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
            # Many tasks ask for no resources at all.
            for cell in (_cell(), CellView(run="r1", path="load", task="app:load"), _cell(asked=False)):
                problem = _problem(_decide(policy, failed, attempt, cell))
                expect(not problem, f"{problem}, asked {_about(failed, attempt)}")


def check_statelessness(policy: RetryPolicy) -> None:
    """Check that a decision does not depend on earlier ones."""
    questions = [(failed, attempt) for failed in _failures() for attempt in _ATTEMPTS]
    first = [type(_decide(policy, failed, attempt)) for failed, attempt in questions]
    again = [type(_decide(policy, failed, attempt)) for failed, attempt in reversed(questions)]
    for (failed, attempt), before, after in zip(questions, first, reversed(again), strict=True):
        expect(
            before is after,
            f"it answered {before.__name__} and then {after.__name__}, asked {_about(failed, attempt)}; "
            "a policy counts nothing, it gets the number of the attempt",
        )


def check_limit(policy: RetryPolicy) -> None:
    """Check that a policy which takes ``max_retries`` allows that many retries, not one more, and no other values."""
    limited = None
    for allowed in (0, 3):
        try:
            limited = type(policy).from_options({"max_retries": allowed})
        except PluginError:
            continue
        for failed in _failures():
            decision = _decide(limited, failed, allowed + 1)
            # A lost worker is not the task's fault, so a policy may count it separately.
            expect(
                isinstance(decision, GiveUp) or failed.failure.kind is FailureKind.WORKER_LOST,
                f"with max_retries={allowed} it must give up at attempt {allowed + 1}, found {decision!r}, "
                f"asked {_about(failed, allowed + 1)}",
            )
    if limited is not None:
        for wrong in ("many", -1):
            raises(
                PluginError,
                f"from_options() must refuse max_retries={wrong!r} with a PluginError, before anything fails",
                type(policy).from_options,
                {"max_retries": wrong},
            )


def check_discretion(policy: RetryPolicy) -> None:
    """Check that it changes neither the failure, nor the exception, nor the cell."""
    for failed in _failures():
        error = failed.exception
        cell = _cell()
        before = copy.deepcopy((failed.failure, cell, _state(error)))
        for attempt in _ATTEMPTS:
            _decide(policy, failed, attempt, cell)
        after = (failed.failure, cell, _state(error))
        expect(after == before, f"decide() must change nothing that it is shown: {before} became {after}")


def check_end(policy: RetryPolicy, *, endless: bool = False) -> None:
    """Check that it gives up in the end, whatever the failure.

    :param endless: Whether it may retry failures for ever that could pass one day.
    """
    for failed in _failures():
        if endless and failed.failure.kind not in _HOPELESS:
            continue
        for cell in (_cell(), _cell(asked=False)):
            expect(
                isinstance(_decide(policy, failed, _LAST, cell), GiveUp),
                f"it still retries, asked {_about(failed, _LAST)}; "
                + ("that cannot succeed" if endless else "declare it endless if that is meant"),
            )


def _make(policy: RetryPolicy, options: Mapping[str, Any]) -> RetryPolicy:
    cls = type(policy)
    try:
        made = not_awaited("from_options", cls.from_options(options))
    except PluginError as error:
        raise AssertionError(
            f"from_options({options!r}) must give a policy, found PluginError: {error}"
        ) from error
    expect(isinstance(made, RetryPolicy), f"from_options({options!r}) must give a policy, found {made!r}")
    return cast("RetryPolicy", made)


def _state(error: BaseException | None) -> Any:
    return None if error is None else (error.args, dict(vars(error)), str(error))


def _cell(*, asked: bool = True) -> CellView:
    return CellView(
        run="r1",
        path="tracks[3]/features",
        task="app:features",
        resources={"cpu": 1.0, "ram_mb": 512.0},
        asked=asked,
    )


def _decide(policy: RetryPolicy, failed: FailedAttempt, attempt: int, cell: CellView | None = None) -> Any:
    try:
        return not_awaited("decide", policy.decide(failed, attempt, cell or _cell()))
    except AssertionError:
        raise
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
        ValueError(),
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
    if not isinstance(decision, (Retry, GiveUp)):
        return f"decide() must answer Retry or GiveUp, found {decision!r}"
    if not isinstance(decision.reason, str):
        return f"the reason must be a text, found {decision.reason!r}"
    if isinstance(decision, GiveUp):
        return ""
    if not _is_amount(decision.delay):
        return f"the delay must be a number of seconds that is not negative, found {decision.delay!r}"
    wrong = {name: each for name, each in (decision.resources or {}).items() if not _is_amount(each)}
    if wrong:
        return f"resources must be numbers that are not negative, found {wrong}"
    if not isinstance(decision.queue, (str, type(None))):
        return f"the queue must be a text, found {decision.queue!r}"
    if type(decision.priority) not in (int, type(None)):
        return f"the priority must be a whole number, found {decision.priority!r}"
    return ""


def _is_amount(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0
