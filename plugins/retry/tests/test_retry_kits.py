"""Our policies pass the kit that everybody's policies pass."""

from __future__ import annotations

from typing import Any

import pytest
import tenacity

from taskiq_flow.retry import GiveUp, RetryPolicy
from taskiq_flow.testing import RetryPolicyKit, check_retry_policy
from taskiq_flow_retry import Chain, On, StandardRetry, TenacityRetry


class TestStandard(RetryPolicyKit):
    def make(self) -> RetryPolicy:
        return StandardRetry.from_options({"max_retries": 3, "delay": 5.0, "backoff": 2.0})


class TestWithoutAnything(RetryPolicyKit):
    def make(self) -> RetryPolicy:
        return StandardRetry()


class TestTenacity(RetryPolicyKit):
    def make(self) -> RetryPolicy:
        return TenacityRetry()


class TestChain(RetryPolicyKit):
    def make(self) -> RetryPolicy:
        return Chain([On(OSError, GiveUp(reason="never")), StandardRetry()])


@pytest.mark.parametrize(
    "options",
    [
        {"max_retries": 0},
        {"max_retries": 500, "delay": 1e300, "backoff": 1e300},
        {"max_retries": 500, "delay": 1e-300, "backoff": 1e-300},
        {"jitter": "full", "max_delay": 10},
        {"jitter": "proportional", "jitter_fraction": 1},
        {"resources": {"cpu": "attempt", "ram_mb": 2}, "max_resources": {"ram_mb": 4000}},
        {"budget": 3, "retry_on": ["timeout", "rejected", "cancelled"], "never_on": ["ValueError"]},
    ],
)
def test_options_of_all_sorts(options: dict[str, Any]) -> None:
    check_retry_policy(StandardRetry.from_options(options))


def test_strategies_without_an_end() -> None:
    policy = TenacityRetry(stop=tenacity.stop_never, wait=tenacity.wait_random_exponential(max=30))

    check_retry_policy(policy, endless=True)


def test_a_chain_of_rules_that_never_end_ends() -> None:
    check_retry_policy(Chain([TenacityRetry(stop=tenacity.stop_never, wait=tenacity.wait_none())]))
