"""The extent of a map: how often its body is applied, and lists that it cannot go over."""

from __future__ import annotations

import math
from collections.abc import Sequence

from taskiq_flow.graph.model import MapNode

__all__ = ["count_items", "lists_problem"]


def count_items(node: MapNode, lengths: Sequence[int]) -> int:
    """Return how often the body of a map is applied; for a reduction in a tree, on all of its levels together.

    :param lengths: The length of each of its lists, in order.
    """
    if node.join == "product":
        return math.prod(lengths)
    count = min(lengths)
    if node.chunk is None:
        return count
    chunks = -(-count // node.chunk)
    return _count_tree(chunks, node.chunk) if node.keep == "one" else chunks


def _count_tree(level: int, size: int) -> int:
    # The body is applied to an empty list too.
    level = max(level, 1)
    total = level
    while level > 1:
        whole, rest = divmod(level, size)
        # A value that is left over goes to the next level as it is.
        total += whole + (rest > 1)
        level = whole + (rest > 0)
    return total


def lists_problem(node: MapNode, lengths: Sequence[int], *, keyed: bool) -> str:
    """Return why a map cannot go over its lists; empty where it can.

    :param lengths: The length of each of its lists, in order.
    :param keyed: Whether the first one is a dictionary.
    """
    if keyed and (node.also or node.chunk is not None):
        way = "several lists" if node.also else "chunks of a list"
        return f"the map goes over {way}, and found a dictionary; let a task before it make a list"
    if node.join == "zip" and node.strict and len(set(lengths)) > 1:
        names = [node.item, *node.also]
        found = ", ".join(f"{length} for {name!r}" for name, length in zip(names, lengths, strict=True))
        return (
            f"the lists that are mapped over together have different lengths: {found}; give lists of one length, or "
            "stop at the shortest with strict=False"
        )
    return ""
