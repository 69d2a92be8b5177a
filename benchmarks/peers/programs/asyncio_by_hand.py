"""Coroutines awaited by hand, with nothing in between: the floor. It needs nothing installed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from benchmarks.peers.protocol import serve_async, side_of


async def step(x: int) -> int:
    """Add one."""
    return x + 1


async def chain(count: int) -> int:
    """Call one after the other."""
    value = 0
    for _ in range(count):
        value = await step(value)
    return value


async def fan(count: int) -> int:
    """Call side by side, with one value."""
    return sum(await asyncio.gather(*[step(0) for _ in range(count)]))


async def layered(count: int) -> int:
    """Call layer by layer; each node takes the value of its neighbour above."""
    side = side_of(count)
    values = [0] * side
    for _ in range(side):
        values = await asyncio.gather(*[step(value) for value in [*values[1:], values[0]]])
    return sum(values)


async def mapped(count: int) -> int:
    """Call side by side, with a value for each."""
    return sum(await asyncio.gather(*[step(item) for item in range(count)]))


WAYS = {"chain": chain, "fan-out + reduce": fan, "layered": layered, "map": mapped}


async def prepare(shape: str, count: int) -> Callable[[], Awaitable[int]]:
    """Give what does a shape of work."""
    return lambda: WAYS[shape](count)


if __name__ == "__main__":
    asyncio.run(serve_async(prepare))
