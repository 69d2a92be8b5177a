"""Failures of every kind, and policies that answer them badly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from retry_cases import Calls, Make, ready, reasons
from taskiq import InMemoryBroker

from taskiq_flow import (
    CellFailed,
    GiveUp,
    Pipeline,
    ResourceProfile,
    Retry,
    RetryException,
)
from taskiq_flow.retry import CellView, FailedAttempt, RetryDecision, RetryPolicy
from taskiq_flow.testing import FakeClock
from taskiq_flow_retry import StandardRetry

# What fails in which way


async def test_only_a_task_that_asks_is_tried_again_where_nobody_else_did(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    plain, asking = Calls(clock), Calls(clock, error=RetryException("a network error", delay=30))

    @broker.task
    async def fails() -> None:
        plain()

    @broker.task
    async def asks() -> None:
        asking()

    with pytest.raises(ValueError, match="no"):
        await clock.run((await Pipeline(broker, fails).kiq()).result())
    assert len(plain.times) == 1
    with pytest.raises(RetryException, match="a network error"):
        await clock.run((await Pipeline(broker, asks).kiq()).result())
    assert asking.times == [0, 30, 60, 90]


async def test_timeouts_are_tried_again(broker: InMemoryBroker, flow: Make, clock: FakeClock) -> None:
    flow()
    calls: list[float] = []

    @broker.task(timeout=5, retry_policy={"max_retries": 1, "delay": 10, "retry_on": ["timeout"]})
    async def slow() -> None:
        calls.append(clock.now())
        await asyncio.Event().wait()

    handle = await Pipeline(broker, slow).kiq()
    with pytest.raises(CellFailed, match="longer than 5 s"):
        await clock.run(handle.result())
    assert [time - calls[0] for time in calls] == [0, 15]
    assert await reasons(handle) == ["retry 1 of 1 in 10 s", "gave up: 1 of 1 retries used"]


async def test_a_policy_is_asked_about_rejected_values(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    asked: list[str] = []

    class Lenient(RetryPolicy):
        name = "lenient"

        def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
            asked.append(f"{failed.failure.kind.value} {type(failed.exception).__name__}")
            return Retry(reason="it may be luck") if attempt < 3 else GiveUp(reason="no luck")

    flow(retry=Lenient)
    results = [object(), object(), 5]

    @broker.task
    async def odd() -> Any:
        return results.pop(0)

    handle = await Pipeline(broker, odd).kiq()
    assert await clock.run(handle.result()) == 5
    assert asked == ["rejected NoneType"] * 2
    assert await reasons(handle) == ["it may be luck"] * 2


async def test_the_standard_policy_does_not_try_rejected_values_again(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    calls: list[int] = []

    @broker.task(max_retries=3)
    async def odd() -> Any:
        calls.append(1)
        return object()

    handle = await Pipeline(broker, odd).kiq()
    await clock.run(handle.wait_result())
    assert len(calls) == 1
    assert await reasons(handle) == ["gave up: a rejected value would be rejected again every time"]


async def test_exceptions_that_cannot_be_carried_are_tried_again(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    class Local(Exception):
        def __init__(self, lock: Any) -> None:
            super().__init__(lock)
            self.ballast = "x" * 5_000_000

        def __str__(self) -> str:
            return self.ballast

        def __reduce__(self) -> str:
            raise TypeError("no")

    flow()
    calls = Calls(clock, failures=2, error=Local(asyncio.Lock()))

    @broker.task(max_retries=2)
    async def flaky(x: int) -> int:
        return int(calls(x))

    handle = await Pipeline(broker, flaky).kiq(3)
    assert await clock.run(handle.result()) == 3
    assert calls.times == [0, 1, 3]
    stored = [event.failure async for event in handle.events() if hasattr(event, "failure")]
    assert all(len(failure.message) < 30_000 for failure in stored)


class Shapeless:
    def __repr__(self) -> str:
        raise RuntimeError("not even this")


class Unreadable(dict[str, float]):
    def items(self) -> Any:
        raise RuntimeError("nobody reads me")


class Shouting(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


async def later() -> Retry:
    return Retry()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            lambda: Retry(delay=float("nan")),
            "answered Retry(delay=nan, …, whose delay must be a finite number of seconds",
        ),
        (
            lambda: Retry(delay=float("inf")),
            "answered Retry(delay=inf, …, whose delay must be a finite number of seconds",
        ),
        (
            lambda: Retry(delay="5"),
            "answered Retry(delay='5', …, whose delay must be a finite number of seconds",
        ),
        (
            lambda: Retry(resources={"cpu": -1}),
            "answered Retry(…, whose resources must be finite numbers from 0",
        ),
        (
            lambda: Retry(queue=5),
            "answered Retry(…, whose queue must be a text and whose priority a whole number",
        ),
        (
            lambda: Retry(delay=10**400),
            "answered Retry(delay=1000…, whose delay must be a finite number of seconds",
        ),
        (
            lambda: Retry(resources={"cpu": 10**400}),
            "answered Retry(…, whose resources must be finite numbers from 0",
        ),
        (
            lambda: Retry(resources=["cpu"]),
            "answered Retry(…, whose resources must be finite numbers from 0",
        ),
        (
            lambda: Retry(priority=True),
            "answered Retry(…, whose queue must be a text and whose priority a whole number",
        ),
        (lambda: Retry(reason=None), "answered Retry(…, whose reason must be a text"),
        (lambda: later(), "answered <coroutine object later …> instead of Retry or GiveUp"),
        (Shapeless, "answered <Shapeless whose text raises RuntimeError> instead of Retry or GiveUp"),
        (lambda: "x" * 10**7, "answered 'xxx… instead of Retry or GiveUp"),
        (lambda: GiveUp(reason="x" * 10**7), "xxx…"),
        (Shouting, "raised Shouting: <Shouting whose text raises RuntimeError>"),
        (asyncio.CancelledError, "raised CancelledError: "),
        (GeneratorExit, "raised GeneratorExit: "),
        (lambda: Retry(resources=Unreadable(cpu=1)), "raised RuntimeError: nobody reads me"),
    ],
)
async def test_a_policy_that_answers_nonsense_gives_up_and_says_so(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, answer: Any, reason: str
) -> None:
    class Odd(RetryPolicy):
        name = "odd"

        def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
            found = answer()
            if isinstance(found, BaseException):
                raise found
            return found  # type: ignore[no-any-return]

    flow(retry=Odd)

    @broker.task
    async def fails() -> None:
        raise ValueError("no")

    handle = await Pipeline(broker, fails).kiq()
    with pytest.raises(ValueError, match="no"):
        await clock.run(handle.result())
    (told,) = await reasons(handle)
    begin, _, end = reason.partition("…")
    assert begin in told
    assert told.endswith(end)
    assert len(told) < 1_200


async def test_a_policy_cannot_change_what_an_attempt_counts_as_having(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    seen: list[Mapping[str, float]] = []

    class Careless(RetryPolicy):
        name = "careless"

        def decide(self, failed: FailedAttempt, attempt: int, cell: CellView) -> RetryDecision:
            seen.append(dict(cell.resources))
            cell.resources.clear()  # type: ignore[attr-defined]
            return Retry() if attempt < 3 else GiveUp()

    flow(retry=Careless)

    @broker.task(timeout=5)
    @ResourceProfile(gpu=1)
    async def hangs() -> None:
        await asyncio.Event().wait()

    handle = await Pipeline(broker, hangs).kiq()
    with pytest.raises(CellFailed, match="attempt 3"):
        await clock.run(handle.result())
    assert seen == [{"gpu": 1}] * 3


class AskedLater(RetryPolicy):
    name = "asked later"

    async def should_retry(self, attempt: int, exception: BaseException | None) -> bool:  # type: ignore[override]
        return False


class WaitsLater(RetryPolicy):
    name = "waits later"

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return True

    async def get_delay(self, attempt: int) -> float:  # type: ignore[override]
        return 5


@pytest.mark.parametrize(
    ("policy", "function"),
    [
        (AskedLater(), "should_retry"),
        (WaitsLater(), "get_delay"),
        (StandardRetry(retry_if=lambda error: later()), "retry_if"),
    ],
)
async def test_an_asynchronous_function_is_no_yes(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, policy: RetryPolicy, function: str
) -> None:
    flow()
    calls = Calls(clock)

    @broker.task(retry_policy=policy)
    async def fails() -> None:
        calls()

    handle = await Pipeline(broker, fails).kiq()
    await clock.run(handle.wait_result())
    assert len(calls.times) == 1
    (told,) = await reasons(handle)
    assert f"raised PluginError: {function} is asynchronous" in told


class Terse(RetryPolicy):
    name = "terse"

    def should_retry(self, attempt: int, exception: BaseException | None) -> bool:
        return attempt < 2


async def test_a_decision_without_a_reason_gets_one(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    made = flow()

    @broker.task(retry_policy=Terse())
    async def fails() -> None:
        raise ValueError("no")

    @broker.task
    async def left_alone() -> None:
        raise ValueError("no")

    handle, other = await Pipeline(broker, fails).kiq(), await Pipeline(broker, left_alone).kiq()
    await clock.run(handle.wait_result())
    await clock.run(other.wait_result())
    told = ["policy 'terse' wants another attempt", "policy 'terse' gave up"]
    assert await reasons(handle) == told
    assert await reasons(other) == [""]
    # What was sent on its own is a dead letter too, which it would not be if nobody had been asked.
    await ready(clock, await fails.kiq())
    (record, *_) = await made.store.runs.list(pool="default", limit=1)
    events = await made.store.log.read(record.id)
    assert [event.reason for event in events if type(event).__name__ == "AttemptFailed"] == told
