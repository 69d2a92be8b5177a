"""Hamilton's async driver: a module of functions, whose parameters name one another, executed by an event loop."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from hamilton import ad_hoc_utils, async_driver, base

from benchmarks.peers.protocol import NotOffered, serve_async, side_of


def node(name: str, source: str) -> str:
    """Give the text of a function that adds one to the value of another."""
    return f"async def {name}({source}: int) -> int:\n    return {source} + 1\n"


def total(names: list[str]) -> str:
    """Give the text of the function that adds up."""
    parameters = ", ".join(f"{name}: int" for name in names)
    return f"async def result({parameters}) -> int:\n    return sum([{', '.join(names)}])\n"


def module_of(shape: str, count: int) -> str:
    """Give the text of a module, which a user would have written by hand."""
    if shape == "chain":
        names = ["x", *(f"n{number}" for number in range(1, count)), "result"]
        return "\n".join(node(name, source) for source, name in itertools.pairwise(names))
    if shape == "fan-out + reduce":
        names = [f"n{number}" for number in range(count)]
        return "\n".join([*(node(name, "x") for name in names), total(names)])
    if shape == "map":
        raise NotOffered("its async driver has no parallel map")
    side = side_of(count)
    names = [f"n0_{column}" for column in range(side)]
    functions = [node(name, "x") for name in names]
    for row in range(1, side):
        above = [*names[1:], names[0]]
        names = [f"n{row}_{column}" for column in range(side)]
        functions += [node(name, source) for name, source in zip(names, above, strict=True)]
    return "\n".join([*functions, total(names)])


async def prepare(shape: str, count: int) -> Callable[[], Awaitable[int]]:
    """Make the driver for a shape."""
    module = ad_hoc_utils.module_from_source(module_of(shape, count))
    driver = await async_driver.Builder().with_modules(module).with_adapters(base.DictResult()).build()

    async def work() -> int:
        return int((await driver.execute(["result"], inputs={"x": 0}))["result"])

    return work


if __name__ == "__main__":
    asyncio.run(serve_async(prepare, "sf-hamilton"))
