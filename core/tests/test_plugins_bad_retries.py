"""Known-bad retry policies, each caught by the kit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from fake_distributions import alone  # noqa: F401 - a fixture
from taskiq_flow.errors import PluginError
from taskiq_flow.retries.none import NoRetry
from taskiq_flow.retry import GiveUp, Retry, RetryPolicy
from taskiq_flow.testing import (
    check_retry_policy,
)


class Policy(RetryPolicy):
    name: ClassVar[str] = "policy"

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> RetryPolicy:
        if options:
            raise PluginError(f"there is no option {sorted(options)}")
        return cls()


class RaisesTypeErrors(NoRetry):
    from_options = RetryPolicy.from_options


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


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (RaisesTypeErrors, "must refuse an unknown option with a PluginError; found TypeError"),
        (NamesNoOption, "the error must name the unknown option"),
        (TakesAnything, "must refuse an unknown option with a PluginError; found <"),
        (NeedsTheException, "decide() raised AttributeError"),
        (SaysYes, "decide() must answer Retry or GiveUp, found True"),
        (Negative, "not negative, found -"),
        (Overflowing, "not negative, found inf"),
        (Raising, "decide() raised OverflowError"),
        (CountsItself, "a policy counts nothing, it is told the attempt"),
        (Endless, "it still retries, asked about a failure of kind 'exception' at attempt 10000"),
    ],
)
def test_a_bad_retry_policy_is_caught(bad: type[RetryPolicy], said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_retry_policy(bad())
    assert said in str(caught.value)


def test_a_policy_may_declare_that_it_is_endless() -> None:
    check_retry_policy(Endless(), endless=True)
