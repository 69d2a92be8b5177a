"""The kits: our own implementations pass them, and known-bad ones do not."""

from __future__ import annotations

import unittest

import pytest

from good_scheduler import FirstFit
from taskiq_flow.discoverer import Discoverer
from taskiq_flow.discoverers.entry_points import EntryPointDiscoverer
from taskiq_flow.retries.none import NoRetry
from taskiq_flow.retry import RetryPolicy
from taskiq_flow.scheduler import Scheduler
from taskiq_flow.schedulers.fifo import FifoScheduler
from taskiq_flow.serializer import Serializer
from taskiq_flow.serializers.json import JsonSerializer
from taskiq_flow.testing import (
    DiscovererKit,
    RetryPolicyKit,
    SchedulerKit,
    SerializerKit,
    check_discoverer,
    check_retry_policy,
    check_scheduler,
    check_serializer,
)

pytestmark = pytest.mark.usefixtures("alone")


class TestFifo(SchedulerKit):
    def make(self) -> Scheduler:
        return FifoScheduler()


class TestFirstFit(SchedulerKit):
    def make(self) -> Scheduler:
        return FirstFit()


class TestJson(SerializerKit):
    def make(self) -> Serializer:
        return JsonSerializer()


class TestNoRetry(RetryPolicyKit):
    def make(self) -> RetryPolicy:
        return NoRetry()


class TestEntryPoints(DiscovererKit):
    def make(self) -> Discoverer:
        return EntryPointDiscoverer()


def test_the_functions_check_the_same() -> None:
    check_scheduler(FifoScheduler())
    check_scheduler(FirstFit())
    check_serializer(JsonSerializer())
    check_retry_policy(NoRetry())
    check_discoverer(EntryPointDiscoverer())


def test_a_check_of_a_kit_cannot_be_overridden() -> None:
    with pytest.raises(TypeError, match="Lenient overrides test_rules; the tests of a kit are the contract"):

        class Lenient(SchedulerKit):
            def test_rules(self) -> None: ...

    class Forgiving:
        def test_rules(self) -> None: ...

    with pytest.raises(TypeError, match="Careless overrides test_rules"):

        class Careless(Forgiving, SchedulerKit):
            pass


@pytest.mark.parametrize(
    ("waived", "said"),
    [
        ({"test_rules": "no"}, "Lenient waives test_rules, which the kit does not have"),
        ({"rules": ""}, "Lenient waives rules without a reason"),
    ],
)
def test_what_is_waived_is_there_and_has_a_reason(waived: dict[str, str], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        type("Lenient", (SchedulerKit,), {"waived": waived})


def test_a_waived_check_is_skipped_with_its_reason_and_only_that_one() -> None:
    class Impatient(SchedulerKit):
        waived = {"patience": "large cells wait, by design"}  # noqa: RUF012 - as authors write it

        def make(self) -> Scheduler:
            return FirstFit()

    class Heir(Impatient):
        pass

    for kit in (Impatient(), Heir()):
        with pytest.raises(unittest.SkipTest, match="waived: large cells wait, by design"):
            kit.test_patience()
        kit.test_description()
    TestFirstFit().test_patience()
