"""Taskiq's own retry middlewares beside a flow: only one of the two decides about a task."""

from __future__ import annotations

import pytest
from retry_cases import Calls, Make, ready, reasons
from taskiq import (
    Context,
    InMemoryBroker,
    SimpleRetryMiddleware,
    SmartRetryMiddleware,
    TaskiqDepends,
    TaskiqMiddleware,
)
from taskiq.exceptions import TaskRejectedError

from taskiq_flow import Pipeline
from taskiq_flow.testing import FakeClock
from taskiq_flow.testing.clock import settle

MIDDLEWARES = [
    SimpleRetryMiddleware(default_retry_count=3, default_retry_label=True),
    SmartRetryMiddleware(default_retry_count=3, default_retry_label=True, default_delay=0),
]


@pytest.mark.parametrize("middleware", MIDDLEWARES, ids=lambda middleware: type(middleware).__name__)
@pytest.mark.parametrize("first", [True, False])
async def test_a_cell_is_tried_again_by_its_policy_alone(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, middleware: TaskiqMiddleware, first: bool
) -> None:
    if first:
        broker.add_middlewares(middleware)
    flow()
    if not first:
        broker.add_middlewares(middleware)
    calls = Calls(clock)

    @broker.task(retry_policy={"max_retries": 1, "delay": 5}, retry_on_error=True)
    async def fails() -> None:
        calls()

    handle = await Pipeline(broker, fails).kiq()
    with pytest.raises(ValueError, match="no"):
        await clock.run(handle.result())
    await settle()
    assert calls.times == [0, 5]
    assert await reasons(handle) == ["retry 1 of 1 in 5 s", "gave up: 1 of 1 retries used"]


@pytest.mark.parametrize("middleware", MIDDLEWARES, ids=lambda middleware: type(middleware).__name__)
async def test_a_task_on_its_own_is_the_policys_where_one_was_asked_for(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, middleware: TaskiqMiddleware
) -> None:
    flow()
    broker.add_middlewares(middleware)
    ours, theirs = Calls(clock), Calls(clock)

    @broker.task(retry_policy={"max_retries": 1})
    async def asked_for() -> None:
        ours()

    @broker.task
    async def left_alone() -> None:
        theirs()

    assert isinstance((await ready(clock, await asked_for.kiq())).error, ValueError)
    assert ours.times == [0, 1]
    assert isinstance((await ready(clock, await left_alone.kiq())).error, ValueError)
    assert len(theirs.times) == 3


@pytest.mark.parametrize("middleware", MIDDLEWARES, ids=lambda middleware: type(middleware).__name__)
async def test_max_retries_is_the_middlewares_word_where_there_is_one(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, middleware: TaskiqMiddleware
) -> None:
    flow()
    theirs, ours = Calls(clock), Calls(clock)

    @broker.task(max_retries=2)
    async def counted() -> None:
        (theirs if middleware in broker.middlewares else ours)()

    assert isinstance((await ready(clock, await counted.kiq())).error, ValueError)
    broker.add_middlewares(middleware)
    assert isinstance((await ready(clock, await counted.kiq())).error, ValueError)
    assert len(ours.times) == 3, "two retries by the policy"
    assert len(theirs.times) == 2, "two attempts by the middleware"


async def test_a_count_on_a_kicker_is_a_word_about_this_message(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    calls = Calls(clock)

    @broker.task
    async def fails() -> None:
        calls()

    assert isinstance(
        (await ready(clock, await fails.kicker().with_labels(max_retries=1).kiq())).error, ValueError
    )
    assert calls.times == [0, 1]


WORDS = {
    "no": {"retry_on_error": False},
    "no in text": {"retry_on_error": "False"},
    "other classes": {"types_of_exceptions": (KeyError, OSError)},
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("configured", [None, {"max_retries": 1}], ids=["task", "configuration"])
async def test_a_users_no_in_taskiqs_words_stands_above_every_policy(
    broker: InMemoryBroker, flow: Make, clock: FakeClock, words: dict[str, object], configured: object
) -> None:
    flow(retry=configured)
    alone, inside = Calls(clock), Calls(clock)
    options = {} if configured else {"retry_policy": {"max_retries": 1}}

    @broker.task(**options, **words)
    async def sent() -> None:
        alone()

    @broker.task(**options, **words)
    async def placed() -> None:
        inside()

    assert isinstance((await ready(clock, await sent.kiq())).error, ValueError)
    handle = await Pipeline(broker, placed).with_retry(max_retries=5).kiq()
    assert isinstance((await clock.run(handle.wait_result())).error, ValueError)
    await settle()
    assert (alone.times, len(inside.times)) == ([0], 1)
    (reason,) = await reasons(handle)
    assert reason in ("retry_on_error says no", "ValueError is none of types_of_exceptions")


async def test_what_a_kicker_says_no_to_is_about_this_step(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    calls = Calls(clock)

    @broker.task(max_retries=3, timeout=1)
    async def slow() -> None:
        calls.times.append(clock.now())
        await clock.sleep(10)

    handle = await Pipeline(broker).call_next(slow.kicker().with_labels(retry_on_error=False)).kiq()
    assert (await clock.run(handle.wait_result())).is_err
    assert len(calls.times) == 1
    assert await reasons(handle) == ["retry_on_error says no"]


async def test_classes_that_are_named_are_tried_again(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    calls = Calls(clock)

    @broker.task(max_retries=1, types_of_exceptions=(ValueError,))
    async def fails() -> None:
        calls()

    await ready(clock, await fails.kiq())
    await clock.run((await Pipeline(broker, fails).kiq()).wait_result())
    assert len(calls.times) == 4


async def test_a_task_that_rejects_its_message_is_not_tried_again(
    broker: InMemoryBroker, flow: Make, clock: FakeClock
) -> None:
    flow()
    calls: list[int] = []

    @broker.task(max_retries=2)
    async def refuse(number: int, context: Context = TaskiqDepends()) -> None:  # noqa: B008
        calls.append(number)
        context.reject()

    result = await clock.run((await Pipeline(broker, refuse).kiq(7)).wait_result())
    assert isinstance(result.error, TaskRejectedError)
    assert isinstance((await ready(clock, await refuse.kiq(8))).error, TaskRejectedError)
    assert calls == [7, 8]
