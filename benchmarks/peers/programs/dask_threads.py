"""Dask's delayed functions on its threads: the graph is made once, and computed in every turn.

Optimization is left out: nothing here can be optimized, and looking for it takes longer than the work. A bag would put
many items of the map into one task; here every item is a task, as on the other sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask
from dask import delayed

from benchmarks.peers.protocol import serve, side_of


def add_one(x: int) -> int:
    """Add one."""
    return x + 1


step = delayed(add_one, pure=False)
total = delayed(sum, pure=False)


def chain(count: int) -> Any:
    """Make nodes that wait for one another."""
    value: Any = 0
    for _ in range(count):
        value = step(value)
    return value


def layered(count: int) -> Any:
    """Make layers; each node takes the value of its neighbour above."""
    side = side_of(count)
    values: list[Any] = [0] * side
    for _ in range(side):
        values = [step(value) for value in [*values[1:], values[0]]]
    return total(values)


def prepare(shape: str, count: int) -> Callable[[], int]:
    """Make the graph of a shape."""
    if shape == "chain":
        graph = chain(count)
    elif shape == "layered":
        graph = layered(count)
    else:
        items = range(count) if shape == "map" else [0] * count
        graph = total([step(item) for item in items])

    def work() -> int:
        (value,) = dask.compute(graph, scheduler="threads", optimize_graph=False)
        return int(value)

    return work


if __name__ == "__main__":
    serve(prepare, "dask")
