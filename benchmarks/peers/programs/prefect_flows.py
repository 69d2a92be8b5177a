"""Prefect: an async flow of tasks, with the server that it starts for itself beside it.

Tasks are called by the flow itself, which is faster than submitting them to its threads. Caching, analytics and sending
logs to the server are off.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

# Read at import. The home has the server's database; the folder that the program is started in is thrown away.
os.environ.update(
    DO_NOT_TRACK="1",
    PREFECT_HOME=os.path.join(os.getcwd(), "prefect"),
    PREFECT_LOGGING_LEVEL="ERROR",
    PREFECT_LOGGING_TO_API_ENABLED="false",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="90",
)
os.environ.pop("PREFECT_API_URL", None)

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from benchmarks.peers.protocol import serve_async, side_of


@task(cache_policy=NO_CACHE)
async def step(x: int) -> int:
    """Add one."""
    return x + 1


@task(cache_policy=NO_CACHE)
async def total(xs: list[int]) -> int:
    """Add up."""
    return sum(xs)


@flow(validate_parameters=False)
async def chain(count: int) -> int:
    """Call one task after the other."""
    value = 0
    for _ in range(count):
        value = await step(value)
    return value


@flow(validate_parameters=False)
async def side_by_side(items: list[int]) -> int:
    """Call a task for each item at once."""
    return await total(list(await asyncio.gather(*[step(item) for item in items])))


@flow(validate_parameters=False)
async def layered(count: int) -> int:
    """Call tasks layer by layer; each takes the value of its neighbour above."""
    side = side_of(count)
    values = [0] * side
    for _ in range(side):
        values = list(await asyncio.gather(*[step(value) for value in [*values[1:], values[0]]]))
    return await total(values)


async def prepare(shape: str, count: int) -> Callable[[], Awaitable[int]]:
    """Give what does a shape of work."""
    if shape == "chain":
        return lambda: chain(count)
    if shape == "layered":
        return lambda: layered(count)
    items = list(range(count)) if shape == "map" else [0] * count
    return lambda: side_by_side(items)


if __name__ == "__main__":
    asyncio.run(serve_async(prepare, "prefect"))
