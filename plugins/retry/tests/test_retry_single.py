"""Retries of tasks that were sent on their own."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from retry_cases import Calls, Make, ready
from taskiq import Context, InMemoryBroker, TaskiqDepends

from taskiq_flow.testing import FakeClock
from taskiq_flow.testing.clock import settle


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_task_on_its_own_has_no_result_between_its_attempts(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, kind: str
) -> None:
    flow()
    calls = Calls(clock, failures=2)

    if kind == "async":

        @broker.task(max_retries=3)
        async def flaky(x: int) -> int:
            return int(calls(x))

        sent = await flaky.kiq(4)
        await settle()
        assert len(calls.times) == 1
        assert not await sent.is_ready()
        result = await ready(clock, sent)
        assert calls.times == [0, 1, 3]
    else:

        @broker.task(max_retries=3, retry_policy={"delay": 0})
        def flaky_sync(x: int) -> int:
            return int(calls(x))

        # Threads take their own time, so this one is waited for as everybody waits.
        result = await (await flaky_sync.kiq(4)).wait_result(check_interval=0.01, timeout=20)
        assert len(calls.times) == 3
    assert (result.is_err, result.return_value) == (False, 4)


async def test_a_task_on_its_own_that_is_given_up_ends_with_its_last_error(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    made = flow()
    calls = Calls(clock)

    @broker.task(retry_policy={"max_retries": 2, "delay": 10, "backoff": 1, "budget": 60})
    async def flaky() -> None:
        calls()

    result = await ready(clock, await flaky.kiq())

    assert calls.times == [0, 10, 20]
    assert isinstance(result.error, ValueError)
    (record,) = await made.store.runs.list(pool="default", limit=10)
    events = await made.store.log.read(record.id)
    assert [event.reason for event in events if type(event).__name__ == "AttemptFailed"] == [
        "retry 1 of 2 in 10 s",
        "retry 2 of 2 in 10 s",
        "gave up: 2 of 2 retries used",
    ]


async def test_the_budget_of_a_task_on_its_own_counts_from_its_first_attempt(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    calls = Calls(clock)

    @broker.task(retry_policy={"max_retries": 9, "delay": 10, "backoff": 1, "budget": 25})
    async def flaky() -> None:
        calls()

    await ready(clock, await flaky.kiq())

    assert calls.times == [0, 10, 20]


# Tasks on their own


async def test_further_attempts_have_the_labels_and_the_arguments_of_the_first(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    seen: list[Any] = []

    @broker.task(retry_policy={"max_retries": 1, "delay": 0}, labels={"kind": "usual"})
    async def labelled(x: int, *, y: int = 0, context: Context = TaskiqDepends(), **more: Any) -> None:  # noqa: B008
        labels = context.message.labels
        seen.append((x, y, more, labels["kind"], labels["tenant"]))
        raise ValueError("no")

    await ready(clock, await labelled.kicker().with_labels(tenant="acme").kiq(1, y=2, z=3))

    assert seen == [(1, 2, {"z": 3}, "usual", "acme")] * 2


async def test_what_cannot_be_sent_by_name_is_called_once_and_the_log_says_why(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    flow()
    seen: list[Any] = []

    @broker.task(max_retries=3)
    async def positional(a: int, /, *rest: int) -> None:
        seen.append((a, rest))
        raise ValueError("no")

    @broker.task(max_retries=3)
    async def narrow(a: int) -> None: ...

    with caplog.at_level(logging.WARNING, logger="taskiq_flow"):
        result = await ready(clock, await positional.kiq(1, 2, 3))
        wrong = await ready(clock, await narrow.kiq(1, 2))  # type: ignore[call-arg]

    assert seen == [(1, (2, 3))]
    assert isinstance(result.error, ValueError)
    assert isinstance(wrong.error, TypeError)
    assert "arguments travel by name, and 'a', 'rest' can only be given by position" in caplog.text
    assert "its arguments do not fit (too many positional arguments)" in caplog.text
