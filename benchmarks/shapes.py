"""The shapes of work: each as a graph of ours, as taskiq by hand, and as plain asyncio.

All nodes do nothing but add one, so that what is measured is what surrounds them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence

from attrs import frozen

from taskiq_flow.graph import build_graph
from taskiq_flow.graph.model import Graph, Input, InputSpec, ListOf, MapNode, Output, TaskNode

__all__ = ["SHAPES", "Call", "Gather", "Shape", "step", "total"]

Call = Callable[[str, object], Awaitable[int]]
"""Calls a task by its name with one argument, and gives its value."""

Gather = Callable[[Iterable[Awaitable[int]]], Awaitable[Sequence[int]]]
"""Waits for several calls: one after the other, or side by side."""


async def step(x: int) -> int:
    """Add one."""
    return x + 1


async def total(xs: list[int]) -> int:
    """Add up."""
    return sum(xs)


@frozen(kw_only=True)
class Shape:
    """One shape of work.

    :param name: Its name.
    :param graph: Makes the graph for about so many nodes; its input is ``x``, its output ``result``.
    :param given: Makes the input.
    :param by_hand: Does the same calls without us.
    """

    name: str
    graph: Callable[[int], Graph]
    given: Callable[[int], object]
    by_hand: Callable[[Call, Gather, int], Awaitable[int]]


async def one_after_the_other(calls: Iterable[Awaitable[int]]) -> Sequence[int]:
    """Wait for calls as somebody does whose broker executes in place."""
    return [await call for call in calls]


async def side_by_side(calls: Iterable[Awaitable[int]]) -> Sequence[int]:
    """Wait for calls that are made at once."""
    return await asyncio.gather(*calls)


def _step(name: str, **params: Output | Input | ListOf) -> TaskNode:
    return TaskNode(name=name, task="step", params=params, outputs=(f"of_{name}",))


def _total(nodes: Sequence[TaskNode], name: str = "sum") -> TaskNode:
    every = ListOf(tuple(Output(node.name, node.outputs[0]) for node in nodes))
    return TaskNode(name=name, task="total", params={"xs": every}, outputs=(f"of_{name}",))


def _graph(nodes: Sequence[TaskNode | MapNode]) -> Graph:
    last = nodes[-1]
    return build_graph(
        nodes, inputs={"x": InputSpec()}, outputs={"result": Output(last.name, last.outputs[0])}
    )


def _chain(count: int) -> Graph:
    nodes = [_step("n0", x=Input("x"))]
    for number in range(1, count):
        nodes.append(_step(f"n{number}", x=Output(nodes[-1].name, nodes[-1].outputs[0])))
    return _graph(nodes)


async def _chain_by_hand(call: Call, gather: Gather, count: int) -> int:
    value = 0
    for _ in range(count):
        value = await call("step", value)
    return value


def _fan(count: int) -> Graph:
    nodes = [_step(f"n{number}", x=Input("x")) for number in range(count)]
    return _graph([*nodes, _total(nodes)])


async def _fan_by_hand(call: Call, gather: Gather, count: int) -> int:
    return await call("total", await gather(call("step", 0) for _ in range(count)))


def _side(count: int) -> int:
    return max(1, math.isqrt(count))


def _layers(count: int) -> Graph:
    side = _side(count)
    layer = [_step(f"n0_{column}", x=Input("x")) for column in range(side)]
    nodes = list(layer)
    for row in range(1, side):
        layer = [
            _step(f"n{row}_{column}", x=Output(above.name, above.outputs[0]))
            for column, above in enumerate([*layer[1:], layer[0]])
        ]
        nodes += layer
    return _graph([*nodes, _total(layer)])


async def _layers_by_hand(call: Call, gather: Gather, count: int) -> int:
    side = _side(count)
    values: Sequence[int] = [0] * side
    for _ in range(side):
        values = await gather(call("step", value) for value in [*values[1:], values[0]])
    return await call("total", values)


def _map(count: int) -> Graph:
    body = build_graph(
        [_step("body", x=Input("item"))],
        inputs={"item": InputSpec()},
        outputs={"of_body": Output("body", "of_body")},
    )
    each = MapNode(name="each", body=body, items=Input("x"), outputs=("all",), collects=("of_body",))
    add = TaskNode(name="sum", task="total", params={"xs": Output("each", "all")}, outputs=("of_sum",))
    return build_graph([each, add], inputs={"x": InputSpec()}, outputs={"result": Output("sum", "of_sum")})


async def _map_by_hand(call: Call, gather: Gather, count: int) -> int:
    return await call("total", await gather(call("step", item) for item in range(count)))


SHAPES = (
    Shape(name="chain", graph=_chain, given=lambda count: 0, by_hand=_chain_by_hand),
    Shape(name="fan-out + reduce", graph=_fan, given=lambda count: 0, by_hand=_fan_by_hand),
    Shape(name="layered", graph=_layers, given=lambda count: 0, by_hand=_layers_by_hand),
    Shape(name="map", graph=_map, given=lambda count: list(range(count)), by_hand=_map_by_hand),
)
