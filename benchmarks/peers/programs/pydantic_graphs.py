"""pydantic-graph's builder: steps with edges, a join that adds up, and its own map over a list."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_graph import GraphBuilder, StepContext, reduce_sum

from benchmarks.peers.protocol import serve_async, side_of


async def step(ctx: StepContext[None, None, int]) -> int:
    """Add one."""
    return ctx.inputs + 1


def rows_of(builder: Any, count: int, length: int) -> list[list[Any]]:
    """Make rows of steps, each of which waits for the one before it, from start to join.

    :param count: How many rows.
    :param length: How many steps in a row.
    """
    rows = [[builder.step(step, node_id=f"n{row}_{at}") for at in range(length)] for row in range(count)]
    for row in rows:
        builder.add(*(builder.edge_from(one).to(two) for one, two in itertools.pairwise(row)))
    return rows


def join(builder: Any, lasts: list[Any]) -> None:
    """Add up what the last steps give."""
    added = builder.join(reduce_sum, initial=0)
    builder.add(builder.edge_from(*lasts).to(added), builder.edge_from(added).to(builder.end_node))


async def prepare(shape: str, count: int) -> Callable[[], Awaitable[int]]:
    """Make the graph of a shape."""
    given: Any = 0
    builder: Any = GraphBuilder(input_type=list[int] if shape == "map" else int, output_type=int)
    if shape == "map":
        given = list(range(count))
        each = builder.step(step, node_id="each")
        builder.add(builder.edge_from(builder.start_node).map().to(each))
        join(builder, [each])
    elif shape == "chain":
        (row,) = rows_of(builder, 1, count)
        builder.add(
            builder.edge_from(builder.start_node).to(row[0]), builder.edge_from(row[-1]).to(builder.end_node)
        )
    else:
        side = side_of(count)
        rows = rows_of(builder, count, 1) if shape == "fan-out + reduce" else rows_of(builder, side, side)
        builder.add(builder.edge_from(builder.start_node).to(*(row[0] for row in rows)))
        join(builder, [row[-1] for row in rows])
    graph = builder.build()
    return lambda: graph.run(inputs=given)


if __name__ == "__main__":
    asyncio.run(serve_async(prepare, "pydantic-graph"))
