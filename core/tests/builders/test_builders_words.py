"""A task's parameters may have any name: what a step keeps for itself is said."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from taskiq import InMemoryBroker

from taskiq_flow import Pipeline

broker = InMemoryBroker()


@broker.task
def poll(host: str, check_interval: float = 60, max_parallel: int = 1, strict: bool = False) -> list[Any]:
    return [check_interval, max_parallel, strict]


@broker.task
def close(number: int, task: str = "none", self: str = "none", over: int = 0) -> str:
    return f"{task} {self} {over}"


@broker.task
def large(number: int, task: int = 0) -> bool:
    return number > task


@broker.task
def add(values: list[int], task: int = 0) -> int:
    return sum(values) + task


def new() -> Pipeline[Any, Any]:
    return Pipeline(broker)


async def run(pipeline: Pipeline[Any, Any], value: Any) -> Any:
    return await (await pipeline.kiq(value)).result(timeout=10)


async def test_words_of_steps_are_names_of_parameters() -> None:
    assert await run(new().call_next(close, task="T-1", over=2), 1) == "T-1 none 2"
    assert await run(new().map(close, task="T-1"), [1]) == ["T-1 none 0"]
    assert await run(new().filter(large, task=1), [1, 2]) == [2]
    assert await run(new().reduce(add, task=1), [1, 2]) == 4


async def test_an_interval_goes_to_the_task_that_has_one() -> None:
    assert await run(new().map(poll, check_interval=5), ["a"]) == [[5.0, 1, False]]
    assert await run(new().map(close, check_interval=5), [1]) == ["none none 0"]
    assert await run(new().filter(large, check_interval=5), [1]) == [1]


async def test_what_a_map_keeps_for_itself_is_said() -> None:
    with pytest.warns(UserWarning, match="'max_parallel' went to the map, not to task 'poll'"):
        pipeline = new().map(poll, max_parallel=2)
    assert await run(pipeline, ["a"]) == [[60.0, 1, False]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bound = new().map(poll).bind({"max_parallel": 3, "strict": True})
    assert await run(bound, ["a"]) == [[60.0, 3, True]]
