"""Known-bad retry policies, each caught by the kit."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from taskiq_flow.errors import PluginError
from taskiq_flow.retries.none import NoRetry
from taskiq_flow.retry import GiveUp, Retry, RetryPolicy
from taskiq_flow.testing import check_retry_policy
from taskiq_flow.testing.retries import check_promptness

pytestmark = pytest.mark.usefixtures("alone")


class Policy(RetryPolicy):
    name: ClassVar[str] = "policy"

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        if options:
            raise PluginError(f"there is no option {sorted(options)}")
        return cls()


class RaisesTypeErrors(NoRetry):
    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        return cls(**options)


class NamesNoOption(Policy):
    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        if options:
            raise PluginError("an option is wrong")
        return cls()


class TakesAnything(Policy):
    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        return cls()


class NeedsTheException(Policy):
    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return attempt < 3 and "again" in exception.args[0]  # type: ignore[union-attr]


class SaysYes(Policy):
    def decide(self, failed: Any, attempt: int, cell: Any) -> Any:
        return True


class LooksAtTheFirstArgument(Policy):
    """Knows that there may be no exception, and not that one may come without arguments."""

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return attempt < 3 and exception is not None and "again" in str(exception.args[0])


class DoublesTheMemory(Policy):
    """Counts on memory that many tasks do not ask for."""

    def decide(self, failed: Any, attempt: int, cell: Any) -> Any:
        return Retry(resources={"ram_mb": cell.resources["ram_mb"] * 2}) if attempt < 3 else GiveUp()


class Negative(Policy):
    def decide(self, failed: Any, attempt: int, cell: Any) -> Any:
        return Retry(delay=3.0 - attempt) if attempt < 20 else GiveUp()


class Overflowing(Policy):
    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return attempt < 200

    def get_delay(self, attempt: int) -> float:
        return float("inf") if attempt > 50 else 1.0


class Raising(Overflowing):
    def get_delay(self, attempt: int) -> float:
        return 1e300 ** (attempt / 10)


class CountsItself(Policy):
    def __init__(self) -> None:
        self.asked = 0

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        self.asked += 1
        return self.asked < 5


class Endless(Policy):
    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return True


class Answers(Policy):
    """Answers what it is told to."""

    answer: ClassVar[Any] = None

    def decide(self, failed: Any, attempt: int, cell: Any) -> Any:
        return self.answer if attempt < 20 else GiveUp()


def answering(answer: Any) -> type[RetryPolicy]:
    return type("Answering", (Answers,), {"answer": answer})


class Asynchronous(Policy):
    async def decide(self, failed: Any, attempt: int, cell: Any) -> Any:  # type: ignore[override]
        return GiveUp()


class Unlimited(Policy):
    """Takes ``max_retries`` and does not keep to it."""

    def __init__(self, max_retries: int = 1) -> None:
        self.max_retries = max_retries

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        if set(options) - {"max_retries"}:
            raise PluginError(f"there is no option {sorted(options)}")
        return cls(**options)

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return attempt <= self.max_retries + 1


class TakesAnyNumber(Unlimited):
    """Believes that ``max_retries`` is a number; it may be a text from the environment."""

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return attempt <= self.max_retries


class CountsAttempts(Unlimited):
    """Takes retries for attempts, which is one too few, and is allowed."""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        if type(retries := options.get("max_retries", 1)) is not int or retries < 0:
            raise PluginError(f"max_retries must be a whole number from 0, found {retries!r}")
        return super().from_options(options)

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return attempt < self.max_retries


class Moody(Policy):
    """Every second one that is made is another kind."""

    made: ClassVar[int] = 0

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        super().from_options(options)
        cls.made += 1
        policy = cls()
        policy.patient = cls.made % 2 == 0
        return policy

    patient = False

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return self.patient and attempt < 4


class Greedy(Policy):
    """Doubles the memory of the cell that it is shown, instead of asking for it."""

    def decide(self, failed: Any, attempt: int, cell: Any) -> Any:
        for name in cell.resources:
            cell.resources[name] *= 2
        return GiveUp()


class Marking(Policy):
    """Keeps its count on the exception."""

    def should_retry(self, attempt: int, exception: Any) -> bool:
        if exception is not None:
            exception.seen = getattr(exception, "seen", 0) + 1
        return False


class RefusesNothing(Policy):
    """Needs an option, although configuration may give none."""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        raise PluginError("give max_retries")


class Persistent(Policy):
    """Tries again what can never be carried."""

    def decide(self, failed: Any, attempt: int, cell: Any) -> Any:
        return Retry(delay=1.0)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (RaisesTypeErrors, "must refuse an unknown option with a PluginError; found TypeError"),
        (NamesNoOption, "the error must name the unknown option"),
        (TakesAnything, "must refuse an unknown option with a PluginError; found <"),
        (NeedsTheException, "decide() raised AttributeError"),
        (LooksAtTheFirstArgument, "decide() raised IndexError"),
        (DoublesTheMemory, "decide() raised KeyError: 'ram_mb'"),
        (TakesAnyNumber, "must refuse max_retries='many' with a PluginError, before anything fails"),
        (SaysYes, "decide() must answer Retry or GiveUp, found True"),
        (answering(None), "decide() must answer Retry or GiveUp, found None"),
        (answering(Retry(delay=float("nan"))), "a number of seconds that is not negative, found nan"),
        (answering(Retry(delay=True)), "a number of seconds that is not negative, found True"),
        (answering(Retry(delay="5")), "a number of seconds that is not negative, found '5'"),  # type: ignore[arg-type]
        (
            answering(Retry(resources={"cpu": -1.0})),
            "resources must be numbers that are not negative, found {'cpu'",
        ),
        (
            answering(Retry(resources={"cpu": float("inf")})),
            "resources must be numbers that are not negative",
        ),
        (answering(Retry(queue=5)), "the queue must be a text, found 5"),  # type: ignore[arg-type]
        (answering(Retry(priority=1.5)), "the priority must be a whole number, found 1.5"),  # type: ignore[arg-type]
        (answering(GiveUp(reason=None)), "the reason must be a text, found None"),  # type: ignore[arg-type]
        (answering(Retry), "decide() must answer Retry or GiveUp, found <class"),
        (Asynchronous, "decide() must answer at once, found a coroutine"),
        (Unlimited, "with max_retries=0 it must give up at attempt 1, found Retry("),
        (Moody, "two policies of the same options must decide alike"),
        (Greedy, "decide() must change nothing that it is shown"),
        (Marking, "decide() must change nothing that it is shown"),
        (RefusesNothing, "from_options({}) must give a policy, found PluginError: give max_retries"),
        (Persistent, "it still retries, asked about a failure of kind 'exception' at attempt 10000"),
        (Negative, "not negative, found -"),
        (Overflowing, "not negative, found inf"),
        (Raising, "decide() raised OverflowError"),
        (CountsItself, "a policy counts nothing, it gets the number of the attempt"),
        (Endless, "it still retries, asked about a failure of kind 'exception' at attempt 10000"),
    ],
)
def test_a_bad_retry_policy_is_caught(bad: type[RetryPolicy], said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_retry_policy(bad())
    assert said in str(caught.value)


def test_a_policy_may_declare_that_it_is_endless() -> None:
    check_retry_policy(Endless(), endless=True)
    check_retry_policy(CountsAttempts())
    with pytest.raises(AssertionError, match="of kind 'rejected' at attempt 10000; that cannot succeed"):
        check_retry_policy(Persistent(), endless=True)


def test_one_that_waits_is_caught() -> None:
    over = threading.Event()

    class Waits(Policy):
        def decide(self, failed: Any, attempt: int, cell: Any) -> Any:
            over.wait(60)
            return GiveUp()

    try:
        with pytest.raises(AssertionError, match=r"asked a hundred times, decide\(\) gave no answer within"):
            check_promptness(Waits(), allowed=0.05)
    finally:
        over.set()
