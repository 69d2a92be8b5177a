"""Graphs alone: how long it takes to build and check them, and how much memory they hold."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc

from benchmarks.measure import Row, spread
from benchmarks.shapes import SHAPES
from taskiq_flow.graph.model import Graph

__all__ = ["bytes_per_node", "rows"]

_BUDGET_SECONDS = {10_000: 0.25, 100_000: 3.0}
_BUDGET_BYTES = 2048


def _layers(count: int) -> Graph:
    return next(shape for shape in SHAPES if shape.name == "layered").graph(count)


def bytes_per_node(count: int) -> float:
    """Give what a graph keeps in memory, per node.

    :param count: About how many nodes.
    """
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    graph = _layers(count)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / len(graph.nodes)


def rows(counts: list[int], repeat: int) -> list[Row]:
    """Measure layered graphs.

    :param counts: About how many nodes.
    :param repeat: How often each is built.
    """
    found = []
    for count in counts:
        seconds = []
        for _ in range(repeat):
            gc.collect()
            begin = time.process_time()
            _layers(count)
            seconds.append(time.process_time() - begin)
        budget = _BUDGET_SECONDS.get(count)
        found.append(
            Row(
                what=f"graph of {count:,} nodes, made and checked",
                value=f"{statistics.median(seconds):.3f} s",
                range=spread(seconds, ".3f"),
                budget="" if budget is None else f"< {budget:g} s",
                note="includes making the nodes",
            )
        )
    each = bytes_per_node(counts[0])
    found.append(Row(what="memory of a node", value=f"{each:.0f} bytes", budget=f"< {_BUDGET_BYTES} bytes"))
    return found
