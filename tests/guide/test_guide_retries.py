"""The guide's statements about retries, in pipelines and for tasks on their own: every delay and every call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from taskiq import Context, InMemoryBroker, TaskiqDepends

import taskiq_flow
from taskiq_flow import DataflowPipeline, Flow, MemoryStore, Pipeline, RetryException
from taskiq_flow.testing import FakeClock

Ending = Callable[..., Any]
"""Start a task in one of the ways that the guide shows, and give its result when all attempts are over."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["pipeline", "dataflow", "map", "on its own"])
def ending(request: pytest.FixtureRequest, clock: FakeClock) -> Ending:
    async def run(broker: InMemoryBroker, task: Any) -> Any:
        if request.param == "on its own":
            sent = await task.kiq(1)
            for _ in range(100):
                await clock.settle()
                if await sent.is_ready():
                    return await sent.get_result()
                clock.jump()
            raise AssertionError("there is no result")
        pipeline: Any = Pipeline(broker, task)
        if request.param == "map":
            pipeline = Pipeline(broker).map(task)
        elif request.param == "dataflow":
            pipeline = DataflowPipeline.from_tasks(broker, [task])
        handle = await pipeline.kiq(
            **{next(iter(pipeline.graph.inputs)): [1] if request.param == "map" else 1}
        )
        return await clock.run(handle.wait_result())

    return run


def flow_with(broker: InMemoryBroker, clock: FakeClock, retry: Any) -> None:
    Flow(broker, clock=clock, store=MemoryStore(clock), retry=retry)


class Calls:
    """Notes when a task was called, and lets it fail."""

    def __init__(self, clock: FakeClock, raises: BaseException, *, failures: int = 1000) -> None:
        self._clock = clock
        self._raises = raises
        self._failures = failures
        self.times: list[float] = []

    def __call__(self) -> str:
        self.times.append(self._clock.now())
        if len(self.times) <= self._failures:
            raise self._raises
        return "done"

    @property
    def waits(self) -> list[float]:
        return [after - before for before, after in pairwise(self.times)]


@pytest.mark.parametrize("early", [True, False], ids=["decorated before the flow", "after"])
@pytest.mark.parametrize(
    ("options", "configured", "waits"),
    [
        ({"retry_policy": {"max_retries": 3, "delay": 5.0, "backoff": 2.0}}, None, [5, 10, 20]),
        ({"retry_policy": {"max_attempts": 3, "delay": 1.0, "backoff": 1.5}}, None, [1, 1.5]),
        ({"max_retries": 3}, None, [1, 2, 4]),
        ({"max_retries": 2, "retry_policy": {"delay": 7, "backoff": 1}}, None, [7, 7]),
        ({"max_retries": 3, "retry_policy": None}, {"max_retries": 1, "delay": 50}, [1, 2, 4]),
        ({"max_retries": 0}, {"max_retries": 2}, []),
        ({"retry_policy": None}, {"max_retries": 2, "delay": 3}, [3, 6]),
        ({"retry_policy": None}, None, []),
        ({}, None, []),
    ],
)
async def test_every_call_and_every_delay(
    broker: InMemoryBroker,
    clock: FakeClock,
    ending: Ending,
    early: bool,
    options: dict[str, Any],
    configured: Any,
    waits: list[float],
) -> None:
    if not early:
        flow_with(broker, clock, configured)
    calls = Calls(clock, OSError("it was possible"))

    @broker.task(**options)
    async def flaky_task(x: int) -> str:
        return calls()

    if early:
        flow_with(broker, clock, configured)
    result = await ending(broker, flaky_task)
    assert (calls.waits, len(calls.times)) == (waits, len(waits) + 1)
    assert isinstance(result.error, OSError)


@pytest.mark.parametrize(
    ("exception", "options", "waits"),
    [
        (RetryException("again"), {}, [1, 2, 4]),
        (RetryException("again", delay=9), {}, [9, 9, 9]),
        (RetryException("again"), {"max_retries": 1}, [1]),
        (RetryException("again"), {"max_retries": 0}, []),
        (RetryException("again"), {"retry_policy": {"max_retries": 2, "retry_on": ["OSError"]}}, [1, 2]),
        (ValueError("never"), {}, []),
    ],
)
async def test_a_task_may_ask_for_a_retry_itself(
    broker: InMemoryBroker,
    clock: FakeClock,
    ending: Ending,
    exception: Exception,
    options: dict[str, Any],
    waits: list[float],
) -> None:
    from taskiq.exceptions import RetryException as imported  # type: ignore[attr-defined]

    assert imported is taskiq_flow.RetryException
    flow_with(broker, clock, None)
    calls = Calls(clock, exception)

    @broker.task(**options)
    async def task_with_conditional_retry(x: int) -> str:
        return calls()

    result = await ending(broker, task_with_conditional_retry)
    assert calls.waits == waits
    assert type(result.error) is type(exception)


async def test_what_succeeds_at_last_has_succeeded(
    broker: InMemoryBroker, clock: FakeClock, ending: Ending
) -> None:
    flow_with(broker, clock, None)
    calls = Calls(clock, OSError("busy"), failures=2)

    @broker.task(max_retries=3, name="shown_name", labels={"type": "cpu"})
    async def flaky_task(x: int) -> str:
        return calls()

    result = await ending(broker, flaky_task)
    assert calls.waits == [1, 2]
    assert (result.is_err, result.error) == (False, None)
    assert result.return_value in ("done", ["done"], {"flaky_task": "done"})


@pytest.mark.parametrize("first", ["with_retry", "tasks"])
@pytest.mark.parametrize("kind", ["chain", "dataflow"])
@pytest.mark.parametrize(
    ("options", "waits"),
    [({}, [1, 1.5]), ({"max_retries": 0}, []), ({"retry_policy": {"max_retries": 1, "delay": 4}}, [4])],
    ids=["the pipeline's", "switched off", "the task's own"],
)
async def test_a_pipelines_retries_hold_where_a_task_says_nothing(
    broker: InMemoryBroker,
    clock: FakeClock,
    first: str,
    kind: str,
    options: dict[str, Any],
    waits: list[float],
) -> None:
    flow_with(broker, clock, {"max_retries": 1, "delay": 50})
    calls = Calls(clock, OSError("busy"))

    @broker.task
    async def steady(x: int) -> int:
        return x

    @broker.task(**options)
    async def flaky(steady: int) -> str:
        return calls()

    pipeline: Any
    if kind == "dataflow":
        pipeline = DataflowPipeline.from_tasks(broker, [steady, flaky])
        pipeline.with_retry(max_attempts=3, delay=1.0, backoff=1.5)
    else:
        pipeline = Pipeline(broker)
        if first == "with_retry":
            pipeline.with_retry(max_attempts=3, delay=1.0, backoff=1.5)
        pipeline.call_next(steady).call_next(flaky)
        if first == "tasks":
            pipeline.with_retry(max_attempts=3, delay=1.0, backoff=1.5)
    handle = await pipeline.kiq(x=1)
    result = await clock.run(handle.wait_result())
    assert calls.waits == waits
    assert isinstance(result.error, OSError)


async def test_retries_on_a_kicker_hold_for_that_step(broker: InMemoryBroker, clock: FakeClock) -> None:
    flow_with(broker, clock, None)
    calls = Calls(clock, OSError("busy"))

    @broker.task(max_retries=1)
    async def flaky(x: int) -> str:
        return calls()

    kicker = flaky.kicker().with_labels(retry_policy={"max_retries": 2, "delay": 3})
    handle = await Pipeline(broker).call_next(kicker).kiq(1)
    await clock.run(handle.wait_result())
    assert calls.waits == [3, 6]


async def test_a_policy_stays_off_the_wire(
    broker: InMemoryBroker, clock: FakeClock, ending: Ending, caplog: pytest.LogCaptureFixture
) -> None:
    flow_with(broker, clock, None)

    @broker.task(retry_policy={"max_retries": 3, "delay": 5.0}, max_retries=3)
    async def labelled(x: int, context: Context = TaskiqDepends()) -> list[str]:  # noqa: B008
        return sorted(context.message.labels)

    with caplog.at_level(logging.WARNING, logger="taskiq_flow"):
        result = await ending(broker, labelled)
    found = result.return_value
    found = found["labelled"] if isinstance(found, dict) else found
    assert found in (["retry_on_error"], [["retry_on_error"]])
    assert caplog.text == ""
