"""pipefunc: a pipeline of functions that is run, and ``map`` over a list without a pool.

``Pipeline.run`` is its fastest way through a graph; a pool of processes or threads would cost more than adding one.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

from pipefunc import PipeFunc, Pipeline

from benchmarks.peers.protocol import serve, side_of


def step(x: int) -> int:
    """Add one."""
    return x + 1


def add_up(xs: Any) -> int:
    """Add up an array."""
    return int(sum(xs))


def node(name: str, source: str) -> PipeFunc:
    """Make a node that adds one to the value of another."""
    return PipeFunc(step, name, renames={"x": source})


def total_of(names: list[str]) -> PipeFunc:
    """Make the node that adds up; a pipeline knows its sources by the names of its parameters."""

    def total(**values: int) -> int:
        return sum(values.values())

    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=int) for name in names]
    total.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    return PipeFunc(total, "result")


def nodes_of(shape: str, count: int) -> list[PipeFunc]:
    """Make the nodes of a shape; the last one gives ``result``, its input is ``x``."""
    if shape == "chain":
        names = ["x", *(f"n{number}" for number in range(1, count)), "result"]
        return [node(name, source) for source, name in itertools.pairwise(names)]
    if shape == "fan-out + reduce":
        names = [f"n{number}" for number in range(count)]
        return [*(node(name, "x") for name in names), total_of(names)]
    side = side_of(count)
    names = [f"n0_{column}" for column in range(side)]
    nodes = [node(name, "x") for name in names]
    for row in range(1, side):
        above = [*names[1:], names[0]]
        names = [f"n{row}_{column}" for column in range(side)]
        nodes += [node(name, source) for name, source in zip(names, above, strict=True)]
    return [*nodes, total_of(names)]


def prepare(shape: str, count: int) -> Callable[[], int]:
    """Make the pipeline of a shape."""
    if shape == "map":
        each = PipeFunc(step, "y", mapspec="x[i] -> y[i]")
        mapped = Pipeline(
            [each, PipeFunc(add_up, "result", renames={"xs": "y"})], validate_type_annotations=False
        )
        inputs = {"x": list(range(count))}
        options: dict[str, Any] = {"parallel": False, "storage": "dict", "show_progress": False}
        return lambda: int(mapped.map(inputs, **options)["result"].output)
    pipeline = Pipeline(nodes_of(shape, count), validate_type_annotations=False)
    return lambda: int(pipeline.run("result", kwargs={"x": 0}))


if __name__ == "__main__":
    serve(prepare, "pipefunc")
