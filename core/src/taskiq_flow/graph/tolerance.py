"""Joins that take failures in the place of values: which parameters do, and whose failures they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskiq_flow.graph.model import Graph, ListOf, Output, Source, TaskNode
from taskiq_flow.graph.order import leaves, predecessors, topological_order
from taskiq_flow.graph.types import comparable_or_any, list_elements, members
from taskiq_flow.payloads import Failure

__all__ = ["find_handled", "find_tolerated", "takes_failures", "tolerant_parameters"]


def tolerant_parameters(params: Mapping[str, Source], accepts: Mapping[str, Any]) -> frozenset[str]:
    """Return the parameters whose annotation has a place for a failure of what produces their value.

    That is ``X | Failure``, or ``list[X | Failure]`` for the list of a group.

    :param params: A source for each parameter.
    :param accepts: Annotations by parameter.
    """
    return frozenset(
        name
        for name, source in params.items()
        if any(isinstance(leaf, Output) for leaf in leaves(source)) and _has_place(accepts.get(name), source)
    )


def takes_failures(annotation: Any) -> bool:
    """Whether an annotation has a place for a failure, in a list or alone."""
    return Failure in _members(annotation) or _has_place_in_list(annotation)


def _has_place(annotation: Any, source: Source) -> bool:
    return _has_place_in_list(annotation) if isinstance(source, ListOf) else Failure in _members(annotation)


def _has_place_in_list(annotation: Any) -> bool:
    elements = [list_elements(each) for each in _members(annotation)]
    flat = [one for each in elements for one in (each if isinstance(each, tuple) else (each,))]
    return any(Failure in _members(each) for each in flat)


def _members(annotation: Any) -> tuple[Any, ...]:
    return tuple(map(comparable_or_any, members(comparable_or_any(annotation))))


def find_tolerated(node: TaskNode) -> frozenset[str]:
    """Return the nodes whose failure a node takes as a value; one that it also needs otherwise is not among them."""
    if not node.tolerates:
        return frozenset()
    found = {
        leaf.node for name in node.tolerates for leaf in leaves(node.params[name]) if isinstance(leaf, Output)
    }
    needed = {
        leaf.node
        for name, source in node.params.items()
        if name not in node.tolerates
        for leaf in leaves(source)
        if isinstance(leaf, Output)
    }
    if node.when is not None:
        needed.update(leaf.node for leaf in leaves(node.when.source) if isinstance(leaf, Output))
    return frozenset(found.difference(needed, node.after))


def find_handled(graph: Graph) -> frozenset[str]:
    """Return the nodes whose failure ends in values: whatever waits for them takes it, or is left out before a join."""
    tolerated = {
        name: find_tolerated(node) if isinstance(node, TaskNode) else frozenset[str]()
        for name, node in graph.nodes.items()
    }
    if not any(tolerated.values()):
        return frozenset()
    waiting: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name, node in graph.nodes.items():
        if not isinstance(node, TaskNode) or node.follows is None:
            for each in predecessors(node):
                waiting[each].append(name)
    handled: set[str] = set()
    for name in reversed(topological_order(graph)):
        if waiting[name] and all(name in tolerated[each] or each in handled for each in waiting[name]):
            handled.add(name)
    return frozenset(handled)
