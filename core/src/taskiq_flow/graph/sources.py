"""Changes the sources of nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve

from taskiq_flow.graph.model import Conditional, FirstOf, Guard, ListOf, MapNode, Node, Source

__all__ = ["change_parts", "change_sources"]


def change_sources(node: Node, change: Callable[[Source], Source]) -> Node:
    """Return a node with other sources for everything that it waits for.

    :param change: Called with each whole source.
    """
    changes: dict[str, Any] = {"params": {name: change(source) for name, source in node.params.items()}}
    if node.when is not None:
        changes["when"] = Guard(change(node.when.source), node.when.equals)
    if isinstance(node, MapNode):
        changes["items"] = change(node.items)
        changes["also"] = {name: change(source) for name, source in node.also.items()}
    return evolve(node, **changes)


def change_parts(source: Source, change: Callable[[Source], Source]) -> Source:
    """Return a source with other members; one that has no members stays the same.

    :param change: Called with each member.
    """
    if isinstance(source, (FirstOf, ListOf)):
        return evolve(source, sources=tuple(map(change, source.sources)))
    if isinstance(source, Conditional):
        return Conditional(change(source.source), change(source.given))
    return source
