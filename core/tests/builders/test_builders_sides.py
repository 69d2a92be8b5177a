"""The value of a branch is that of the side that ran, however branches, groups and side effects are nested."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from taskiq import InMemoryBroker

from taskiq_flow import Pipeline
from taskiq_flow.graph import Conditional, FirstOf, Graph, Input, Output

broker = InMemoryBroker()


def number_of(value: Any) -> int:
    """Return a number for any value, so that each step takes what each other step gives."""
    return sum(map(number_of, value)) if isinstance(value, list) else int(value)


@broker.task
async def small(value: Any) -> bool:
    return number_of(value) < 10


@broker.task
async def even(value: Any) -> bool:
    return number_of(value) % 2 == 0


@broker.task
async def halve(value: Any) -> int:
    return number_of(value) // 2


@broker.task
async def negative(value: Any) -> int:
    return -number_of(value) - 1


@broker.task
async def note(value: Any) -> None:
    pass


class Twin(NamedTuple):
    """A pipeline, and the function that says what it should give."""

    pipeline: Pipeline[Any, Any]
    plain: Callable[[Any], Any]


def new() -> Pipeline[Any, Any]:
    return Pipeline(broker)


TASKS: list[tuple[Any, Callable[[Any], Any]]] = [
    (halve, lambda value: number_of(value) // 2),
    (negative, lambda value: -number_of(value) - 1),
]
PREDICATES: list[tuple[Any, Callable[[Any], bool]]] = [
    (small, lambda value: number_of(value) < 10),
    (even, lambda value: number_of(value) % 2 == 0),
]


@st.composite
def twins(draw: st.DrawFn, depth: int = 3) -> Twin:
    """Give a pipeline of up to three steps beside a function."""
    pipeline = new()
    functions: list[Callable[[Any], Any]] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(
            st.sampled_from(["call", "aside", "branch", "branch", "group"] if depth else ["call", "aside"])
        )
        inner = twins(depth=depth - 1)
        if kind == "call":
            task, plain = draw(st.sampled_from(TASKS))
            pipeline.call_next(task)
            functions.append(plain)
        elif kind == "aside":
            pipeline.call_after(note, param_name="value")
        elif kind == "group":
            members = draw(st.lists(inner, min_size=1, max_size=2))
            pipeline.group(*(member.pipeline for member in members))
            functions.append(lambda value, members=members: [member.plain(value) for member in members])
        else:
            predicate, holds = draw(st.sampled_from(PREDICATES))
            then = draw(inner)
            other = draw(inner) if draw(st.booleans()) else None
            pipeline.branch(predicate, then.pipeline, None if other is None else other.pipeline)
            functions.append(_choose(holds, then.plain, (lambda it: it) if other is None else other.plain))

    def plain(value: Any) -> Any:
        for function in functions:
            value = function(value)
        return value

    return Twin(pipeline, plain)


def _choose(
    holds: Callable[[Any], bool], then: Callable[[Any], Any], other: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    return lambda value: then(value) if holds(value) else other(value)


async def run(pipeline: Pipeline[Any, Any], value: Any) -> Any:
    return await (await pipeline.kiq(value)).result(timeout=10)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(twins())
def test_a_pipeline_gives_what_plain_functions_give(twin: Twin) -> None:
    async def every() -> list[Any]:
        return [await run(twin.pipeline, value) for value in (3, 8, 101, 200)]

    assert asyncio.run(every()) == [twin.plain(value) for value in (3, 8, 101, 200)]


@pytest.mark.parametrize(
    ("side", "given"),
    [
        (lambda: new().branch(even, halve), [(100, -101), (8, 4), (7, 7)]),
        (lambda: new().call_after(note, param_name="value"), [(100, -101), (8, 8)]),
        (lambda: new().group(new().call_after(note, param_name="value")), [(100, -101), (8, [8])]),
        (lambda: new().group(new().branch(even, halve), halve), [(100, -101), (8, [4, 4]), (7, [7, 3])]),
        (
            lambda: new().branch(even, new().call_after(note, param_name="value")),
            [(100, -101), (8, 8), (7, 7)],
        ),
    ],
)
async def test_a_side_that_may_pass_the_value_on(side: Any, given: list[tuple[int, Any]]) -> None:
    pipeline = new().branch(small, side(), negative)
    assert [await run(pipeline, value) for value, _ in given] == [wanted for _, wanted in given]
    mapped = new().map(new().branch(small, side(), negative))
    assert await run(mapped, [value for value, _ in given]) == [wanted for _, wanted in given]


def test_only_a_value_from_before_the_branch_has_a_condition() -> None:
    graph = new().branch(small, new().branch(even, halve), negative).graph
    condition = Conditional(Input("value"), Output("even", "even"))
    assert graph.outputs["result"] == FirstOf(
        (Output("halve", "halve"), condition, Output("negative", "negative"))
    )
    assert Graph.from_json(graph.to_json()) == graph
    assert "input value if even ran" in graph.render()
