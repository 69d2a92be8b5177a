"""The tasks guide, section 6: every statement about retries."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from taskiq import InMemoryBroker

import taskiq_flow
from taskiq_flow import Flow, MemoryStore, Pipeline
from taskiq_flow.testing import FakeClock


@pytest.fixture
def broker(broker: InMemoryBroker, clock: FakeClock) -> InMemoryBroker:
    """The broker, with a flow whose time is ours."""
    Flow(broker, clock=clock, store=MemoryStore(clock))
    return broker


class NetworkError(Exception):
    """The guide's."""


class ValidationError(Exception):
    """The guide's."""


async def ending(clock: FakeClock, pipeline: Any, *args: Any) -> Any:
    handle = await pipeline.kiq(*args)
    return await clock.run(handle.wait_result())


async def test_decorator_level_retry(broker: InMemoryBroker, clock: FakeClock) -> None:
    calls: list[float] = []

    def possibly_fails() -> None:
        calls.append(clock.now())
        raise OSError("it was possible")

    @broker.task(
        retry_policy={
            "max_retries": 3,
            "delay": 5.0,
            "backoff": 2.0,  # Exponential backoff multiplier
        }
    )
    async def flaky_task() -> None:
        # Will retry up to 3 times with delays: 5s, 10s, 20s
        possibly_fails()

    result = await ending(clock, Pipeline(broker, flaky_task))

    assert isinstance(result.error, OSError)
    assert [after - before for before, after in pairwise(calls)] == [5.0, 10.0, 20.0]


async def test_pipeline_level_retry(broker: InMemoryBroker, clock: FakeClock) -> None:
    calls: list[float] = []

    @broker.task
    async def flaky() -> None:
        calls.append(clock.now())
        raise OSError("no")

    pipeline: Pipeline[Any, Any] = Pipeline(broker)
    pipeline.with_retry(max_attempts=3, delay=1.0, backoff=1.5)
    pipeline.call_next(flaky)

    await ending(clock, pipeline)
    assert [after - before for before, after in pairwise(calls)] == [1.0, 1.5]


async def test_conditional_retry(broker: InMemoryBroker, clock: FakeClock) -> None:
    from taskiq.exceptions import RetryException  # type: ignore[attr-defined]

    assert RetryException is taskiq_flow.RetryException
    calls: list[str] = []

    def call_external_api(kind: str) -> None:
        calls.append(kind)
        if kind == "network" and calls.count(kind) < 3:
            raise NetworkError("the line is busy")
        if kind == "validation":
            raise ValidationError("never")

    @broker.task
    async def task_with_conditional_retry(kind: str) -> str:
        try:
            call_external_api(kind)
        except NetworkError:
            raise RetryException("Network error, retry allowed") from None
        except ValidationError:
            raise  # No retry, fail immediately
        return "done"

    pipeline = Pipeline(broker, task_with_conditional_retry)
    assert (await ending(clock, pipeline, "network")).return_value == "done"
    assert isinstance((await ending(clock, pipeline, "validation")).error, ValidationError)
    assert calls == ["network"] * 3 + ["validation"]


async def test_max_retries_overrides_the_global_default(clock: FakeClock) -> None:
    broker = InMemoryBroker()
    Flow(broker, clock=clock, store=MemoryStore(clock), retry={"max_retries": 1})
    calls: list[str] = []

    @broker.task(
        timeout=30,  # Seconds before task times out
        retry_policy=None,  # Custom RetryPolicy (see Retry Guide)
        max_retries=3,  # Override global default
        queue="default",  # Route to specific queue
        labels={"type": "cpu"},  # Custom metadata labels
    )
    async def slow_task() -> str:
        calls.append("slow")
        raise OSError("no")

    @broker.task
    async def usual() -> str:
        calls.append("usual")
        raise OSError("no")

    await ending(clock, Pipeline(broker, slow_task))
    await ending(clock, Pipeline(broker, usual))
    assert calls == ["slow"] * 4 + ["usual"] * 2
    await broker.shutdown()
