"""The path of a cell's node in its graph, and the distance of each node from the end."""

from __future__ import annotations

import re
from collections.abc import Callable

from taskiq_flow.graph.model import Graph, MapNode, TaskNode
from taskiq_flow.graph.order import predecessors, topological_order

__all__ = ["graph_of_cell", "node_path", "upward_ranks"]

_ITEM_NUMBER = re.compile(r"\[\d+\]")


def node_path(cell: str) -> str:
    """Return the path of a cell's node: ``tracks[]/features`` for ``tracks[3]/features``."""
    return _ITEM_NUMBER.sub("[]", cell)


def graph_of_cell(graph: Graph, cell: str) -> tuple[Graph, str]:
    """Return the graph in which a cell's node stands, the run's own or the body of a map, and the node's name.

    :raises KeyError: there is no such node.
    """
    *maps, name = node_path(cell).split("/")
    for each in maps:
        node = graph.nodes[each.removesuffix("[]")]
        if not isinstance(node, MapNode):
            raise KeyError(cell)
        graph = node.body
    return graph, name


def upward_ranks(graph: Graph, cost: Callable[[str, TaskNode], float]) -> dict[str, float]:
    """Return the upward rank of each node: the length of the longest path from it to the end, its own cost included.

    HEFT orders tasks by this rank (Topcuoglu, Hariri, Wu: *Performance-effective and low-complexity task scheduling for
    heterogeneous computing*, IEEE TPDS 13(3), 2002); here it leaves out the cost of moving data. The path of a node in
    a map includes the nodes after the map; the map's items count as parallel. Linear in nodes and edges.

    :param cost: Callback that returns the duration of a task node, from its path and the node; in any unit, 0 or more.
    :returns: The ranks by path, such as ``tracks[]/features``; a map (``tracks``) has the rank of its longest item.
    """
    ranks: dict[str, float] = {}
    _rank(graph, cost, "", 0.0, ranks)
    return ranks


def _rank(
    graph: Graph, cost: Callable[[str, TaskNode], float], prefix: str, behind: float, ranks: dict[str, float]
) -> float:
    """Rank the nodes of a graph, and return the length of its longest path.

    :param behind: The length of the longest path after the graph.
    """
    tails = dict.fromkeys(graph.nodes, behind)
    longest = behind
    for name in reversed(topological_order(graph)):
        node = graph.nodes[name]
        path = prefix + name
        if isinstance(node, MapNode):
            rank = _rank(node.body, cost, f"{path}[]/", tails[name], ranks)
        else:
            rank = cost(path, node) + tails[name]
        ranks[path] = rank
        longest = max(longest, rank)
        for each in predecessors(node):
            tails[each] = max(tails[each], rank)
    return longest
