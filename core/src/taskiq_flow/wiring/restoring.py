"""Annotations of a graph that was read from a store: those of the tasks that this process has."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve
from taskiq import AsyncBroker

from taskiq_flow.graph.model import Graph, Input, MapNode, Node, Output, Source
from taskiq_flow.graph.order import leaves, sources
from taskiq_flow.tasks.annotations import signature_of
from taskiq_flow.wiring.values import input_annotations

__all__ = ["restore_annotations", "restore_for_outputs"]


def restore_annotations(graph: Graph, broker: AsyncBroker) -> Graph:
    """Return a graph whose nodes have the annotations of their tasks, where the graph itself has none.

    Annotations are no part of a graph's identity and are not written with it, so a graph that comes from another
    process has lost them. A task that the broker does not have leaves its node without annotations.

    :param graph: The graph.
    :param broker: The broker whose tasks are looked up.
    """
    nodes = {name: _restore(node, broker) for name, node in graph.nodes.items()}
    if all(nodes[name] is node for name, node in graph.nodes.items()):
        return graph
    found = input_annotations(nodes.values())
    inputs = {
        name: spec if spec.annotation is not None else evolve(spec, annotation=found.get(name))
        for name, spec in graph.inputs.items()
    }
    return evolve(graph, nodes=nodes, inputs=inputs)


def restore_for_outputs(graph: Graph, broker: AsyncBroker) -> Graph:
    """Do so for the nodes alone that say how the graph's outputs are read, which are few in a large graph."""
    names = _find_readers(graph, graph.outputs.values())
    if names is None:
        return restore_annotations(graph, broker)
    nodes = {name: _restore(graph.nodes[name], broker) for name in names}
    if all(nodes[name] is graph.nodes[name] for name in names):
        return graph
    return evolve(graph, nodes={**graph.nodes, **nodes})


def _find_readers(graph: Graph, given: Iterable[Source]) -> set[str] | None:
    """Return the nodes that say how some sources are read; ``None`` where all that consume an input say so."""
    found: set[str] = set()
    todo = list(given)
    while todo:
        for leaf in leaves(todo.pop()):
            if isinstance(leaf, Input):
                if graph.inputs[leaf.name].annotation is None:
                    return None
            elif isinstance(leaf, Output) and leaf.node not in found:
                found.add(leaf.node)
                node = graph.nodes[leaf.node]
                if isinstance(node, MapNode):
                    todo += sources(node)
    return found


def _restore(node: Node, broker: AsyncBroker) -> Node:
    if isinstance(node, MapNode):
        body = restore_annotations(node.body, broker)
        return node if body is node.body else evolve(node, body=body)
    if node.returns or node.accepts:
        return node
    task = broker.find_task(node.task)
    if task is None:
        return node
    signature = signature_of(task)
    try:
        returns = signature.returns_for(node.outputs)
    except ValueError:
        returns = ()  # the task has changed since, and its result has no such parts any more
    if not returns and not signature.accepts:
        return node
    return evolve(node, accepts=signature.accepts, returns=returns)
