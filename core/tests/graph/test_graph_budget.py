"""Costs that do not depend on the machine: memory for each node, and growth."""

from __future__ import annotations

import tracemalloc

from taskiq_flow.graph import Graph, Input, InputSpec, Output, TaskNode, build_graph


def chain(count: int) -> Graph:
    return build_graph(
        (
            TaskNode(
                name=f"n{i}",
                task="app:t",
                params={"value": Output(f"n{i - 1}", f"v{i - 1}") if i else Input("x")},
                outputs=(f"v{i}",),
                accepts={"value": int},
                returns=(int,),
            )
            for i in range(count)
        ),
        inputs={"x": InputSpec()},
    )


def test_a_node_takes_less_than_two_kilobytes() -> None:
    tracemalloc.start()
    try:
        graph = chain(10_000)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(graph.nodes) == 10_000
    assert kept / 10_000 < 2_048
    assert peak / 10_000 < 3_072
