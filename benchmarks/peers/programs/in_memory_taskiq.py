"""Ours, taskiq by hand, or plain asyncio: ``in_memory_taskiq SIDE [--in-place]``.

The code is that of ``benchmarks.in_memory``, so the two tables speak of the same thing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import cast

from benchmarks.in_memory import sides_of
from benchmarks.peers.protocol import serve_async
from benchmarks.shapes import SHAPES

VERSIONS = {"ours": "taskiq-flow-core", "raw": "taskiq"}


def main(side: str, *options: str) -> None:
    """Serve one side.

    :param side: ``ours``, ``raw`` or ``asyncio``.
    :param options: ``--in-place``: brokers execute in place.
    """
    shapes = {shape.name: shape for shape in SHAPES}

    async def prepare(name: str, count: int) -> Callable[[], Awaitable[int]]:
        sides = sides_of(shapes[name], count, in_place="--in-place" in options)
        return cast("Callable[[], Awaitable[int]]", sides[side])

    asyncio.run(serve_async(prepare, VERSIONS.get(side)))


if __name__ == "__main__":
    main(*sys.argv[1:])
