"""DBOS: an async workflow of steps, on a file of SQLite in the folder that the program is started in.

Each step's result is written before the next step begins, so a workflow goes on after a crash.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

if importlib.util.find_spec("pysqlite3"):  # installed where Python's own SQLite is too old for DBOS
    sys.modules["sqlite3"] = importlib.import_module("pysqlite3")

from dbos import DBOS

from benchmarks.peers.protocol import serve_async, side_of


@DBOS.step()
async def step(x: int) -> int:
    """Add one."""
    return x + 1


@DBOS.step()
async def total(xs: list[int]) -> int:
    """Add up."""
    return sum(xs)


@DBOS.workflow()
async def chain(count: int) -> int:
    """Take one step after the other."""
    value = 0
    for _ in range(count):
        value = await step(value)
    return value


@DBOS.workflow()
async def side_by_side(items: list[int]) -> int:
    """Take a step for each item at once."""
    return await total(list(await asyncio.gather(*[step(item) for item in items])))


@DBOS.workflow()
async def layered(count: int) -> int:
    """Take steps layer by layer; each takes the value of its neighbour above."""
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


def main() -> None:
    """Serve until the input ends."""
    database = f"sqlite:///{Path('dbos.sqlite').resolve()}"
    DBOS(config={"name": "benchmark", "system_database_url": database, "console_log_level": "ERROR"})
    DBOS.launch()
    try:
        asyncio.run(serve_async(prepare, "dbos"))
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main()
