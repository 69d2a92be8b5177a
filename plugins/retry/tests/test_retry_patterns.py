"""Whole runs with failures of all sorts, beside a model that just counts."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from retry_cases import reasons
from taskiq import InMemoryBroker

from taskiq_flow import Flow, MemoryStore, Pipeline, RetryException
from taskiq_flow.testing import FakeClock

OUTCOMES = ["value", "error", "asks", "asks late", "hangs", "odd"]

patterns = st.lists(st.sampled_from(OUTCOMES), min_size=8, max_size=8)


def expected(pattern: list[str], retries: int, delay: float) -> tuple[list[float], bool]:
    """Give when the attempts begin, and whether the last one succeeds."""
    begun, time = [0.0], 0.0
    for number, outcome in enumerate(pattern):
        if outcome in ("value", "odd") or number == retries:
            return begun, outcome == "value"
        time += 5.0 if outcome == "hangs" else 0.0
        time += 9.0 if outcome == "asks late" else delay * 2.0**number
        begun.append(time)
    raise AssertionError("the pattern is too short")


async def run(items: list[list[str]], retries: int, delay: float, *, in_place: bool) -> tuple[Any, ...]:
    clock = FakeClock()
    broker = InMemoryBroker(await_inplace=in_place)
    Flow(broker, clock=clock, store=MemoryStore(clock))
    begun: dict[int, list[float]] = {}

    @broker.task(timeout=5, retry_policy={"max_retries": retries, "delay": delay, "backoff": 2})
    async def attempt(number: int) -> Any:
        times = begun.setdefault(number, [])
        times.append(clock.now() - 1_000_000_000.0)
        outcome = items[number][len(times) - 1]
        if outcome == "error":
            raise OSError("no")
        if outcome.startswith("asks"):
            raise RetryException("again", delay=9 if outcome == "asks late" else None)
        if outcome == "hangs":
            await asyncio.Event().wait()
        return object() if outcome == "odd" else number

    pipeline = Pipeline(broker).map(attempt).on_error("continue")
    handle = await pipeline.kiq(list(range(len(items))))
    await clock.run(handle.wait_result())
    failed = {failure.cell for failure in await handle.failures()}
    told = await reasons(handle)
    await broker.shutdown()
    return begun, [f"attempt[{number}]" not in "".join(failed) for number in range(len(items))], told


@given(
    items=st.lists(patterns, min_size=1, max_size=4),
    retries=st.integers(0, 7),
    delay=st.sampled_from([0, 1, 2.5]),
    in_place=st.booleans(),
)
def test_attempts_and_their_times_are_what_a_model_says(
    items: list[list[str]], retries: int, delay: float, in_place: bool
) -> None:
    begun, succeeded, told = asyncio.run(run(items, retries, delay, in_place=in_place))

    wanted = [expected(pattern, retries, delay) for pattern in items]
    if not in_place:
        # In place one task is executed after the other, so one that hangs delays those behind it.
        assert [begun[number] for number in range(len(items))] == [times for times, _ in wanted]
    assert [len(begun[number]) for number in range(len(items))] == [len(times) for times, _ in wanted]
    assert succeeded == [success for _, success in wanted]
    assert len(told) == sum(len(times) - success for times, success in wanted)
    assert all(told)
