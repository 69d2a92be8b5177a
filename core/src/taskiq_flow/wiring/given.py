"""The graph of a run that is given more than the inputs it requires: defaults, and data that a task would produce."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve

from taskiq_flow.errors import GraphError
from taskiq_flow.graph.build import check_inputs
from taskiq_flow.graph.follows import find_followers, keep_followers
from taskiq_flow.graph.model import (
    FirstOf,
    Graph,
    Input,
    InputSpec,
    ListOf,
    MapNode,
    Node,
    Output,
    Source,
)
from taskiq_flow.graph.order import leaves, predecessors, select_inputs
from taskiq_flow.graph.sources import change_parts, change_sources
from taskiq_flow.wiring.naming import Names
from taskiq_flow.wiring.values import annotation_of

__all__ = ["find_known_names", "free_inputs", "free_names", "graph_given", "read_given", "refuse_ambiguous"]


def free_inputs(graph: Graph) -> dict[str, InputSpec]:
    """Return the inputs that a run may be given although the graph has none of them: parameters left at a default.

    A parameter in the body of a map is among them. A name that is an input already, or that a node produces, is not.
    """
    found: dict[str, list[Any]] = {}
    for node in graph.nodes.values():
        for name, annotation in _free_of(node):
            found.setdefault(name, []).append(annotation)
    taken = graph.inputs.keys() | _products(graph).keys()
    return {
        name: InputSpec(required=False, annotation=first if all(each == first for each in others) else None)
        for name, (first, *others) in found.items()
        if name not in taken
    }


def free_names(node: Node) -> Mapping[str, str]:
    """Return the names of what a node leaves at a default, by its parameter, or by its name in the body of a map."""
    if not isinstance(node, MapNode):
        return node.free
    return {inner: node.free.get(inner, inner) for inner in _free_of_body(node)}


def graph_given(graph: Graph, names: Iterable[str], wanted: Iterable[str] | None = None) -> Graph:
    """Return the graph of a run that is given some inputs.

    A parameter with a default becomes an input of every node that has one of that name. Data that a node would produce
    becomes an input in its place, and nodes that only it needs are left out. Names that are unknown, or inputs anyway,
    change nothing.

    :param graph: The graph of a run that is given only its inputs.
    :param names: The names that are given.
    :param wanted: The outputs to produce in any case; ``None`` leaves out those that only replaced data needs.
    """
    produced, free = _products(graph), free_inputs(graph)
    names = dict.fromkeys(names)
    replaced = {name: produced[name] for name in names if name in produced}
    opened = {name: free[name] for name in names if name in free}
    if opened:
        inputs = {**graph.inputs, **opened}
        nodes = {name: _open(node, opened.keys()) for name, node in graph.nodes.items()}
        graph = evolve(graph, nodes=nodes, inputs=inputs)
    return _replace(graph, replaced, wanted) if replaced else graph


def find_known_names(graph: Graph) -> tuple[str, ...]:
    """Return everything that a run may be given: inputs, parameters left at a default, and what nodes produce."""
    return tuple(dict.fromkeys((*graph.inputs, *free_inputs(graph), *_products(graph))))


def refuse_ambiguous(graph: Graph, names: Iterable[str]) -> None:
    """Refuse names that could mean produced data as well as the default of another node.

    :raises GraphError: there are such names; all of them are listed.
    """
    produced = _products(graph)
    asked = {name for name in names if name in produced}
    problems = [
        f"{name!r} is what a step produces, and also a parameter of node {node.name!r} that is "
        "left at its default; give that parameter its value where the pipeline is built"
        for node in graph.nodes.values()
        for name, _ in (_free_of(node) if asked else ())
        if name in asked and name not in node.outputs
    ]
    if problems:
        raise GraphError(problems)


def read_given(whole: Graph, graph: Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a run's inputs that its graph needs: what is given may leave no need for others.

    :param whole: The graph of a run that is given only its inputs.
    :param graph: What :func:`graph_given` made of it for these inputs.
    :raises GraphError: inputs are missing or unknown; all of them are listed.
    """
    check_inputs(graph, inputs, others=find_known_names(whole))
    return {name: value for name, value in inputs.items() if name in graph.inputs}


def _products(graph: Graph) -> dict[str, Source]:
    """Return what a graph produces: the outputs of its nodes, and what it joins of them as an output of its own."""
    found: dict[str, Source] = {
        name: Output(node.name, name) for node in graph.nodes.values() for name in node.outputs
    }
    joined = {
        name: source
        for name, source in graph.outputs.items()
        if name not in found and name not in graph.inputs and isinstance(source, (FirstOf, ListOf))
    }
    return {**found, **joined}


def _free_of(node: Node) -> Iterator[tuple[str, Any]]:
    """Yield the names by which a run can be given the defaults of a node, each with its annotation."""
    if not isinstance(node, MapNode):
        for parameter, name in node.free.items():
            yield name, node.accepts.get(parameter)
        return
    for inner, spec in _free_of_body(node).items():
        yield node.free.get(inner, inner), spec.annotation


def _free_of_body(node: MapNode) -> dict[str, InputSpec]:
    bound = {node.item, *node.also, *node.params}
    left = {name: spec for name, spec in node.body.inputs.items() if name not in bound}
    return {**left, **free_inputs(node.body)}


def _open(node: Node, names: Collection[str]) -> Node:
    """Wire the defaults of a node that are inputs now."""
    opened = {parameter: Input(name) for parameter, name in free_names(node).items() if name in names}
    if not opened:
        return node
    changes: dict[str, Any] = {
        "params": {**node.params, **opened},
        "optional": node.optional.union(opened),
        "free": {parameter: name for parameter, name in node.free.items() if parameter not in opened},
    }
    if isinstance(node, MapNode):
        changes["body"] = graph_given(node.body, opened, tuple(node.body.outputs))
    return evolve(node, **changes)


def _replace(graph: Graph, replaced: Mapping[str, Source], wanted: Iterable[str] | None) -> Graph:
    """Take produced data from the run's inputs, and leave out the nodes that nothing needs any more."""
    there = {source: Input(name) for name, source in replaced.items()}
    idle = {
        node.name for node in graph.nodes.values() if node.outputs and replaced.keys() >= set(node.outputs)
    }
    names = Names((*graph.inputs, *_products(graph)))
    nodes = {
        name: _rewire(node, there, idle, names) for name, node in graph.nodes.items() if name not in idle
    }
    outputs = {name: _redirect(source, there) for name, source in graph.outputs.items()}
    followers = find_followers(graph)
    waited_for = {
        name for node in graph.nodes.values() if node.name not in followers for name in predecessors(node)
    }
    before = {node for source in graph.outputs.values() for node in _nodes_of(source)}
    after = {node for name in (outputs if wanted is None else wanted) for node in _nodes_of(outputs[name])}
    kept = {
        name
        for name in nodes
        if name not in waited_for and name not in followers and (name not in before or name in after)
    }
    if wanted is not None:
        kept |= after
    todo = list(kept)
    while todo:
        new = predecessors(nodes[todo.pop()]) - kept
        kept |= new
        todo += new
    rest = keep_followers(evolve(graph, nodes=nodes), kept)
    nodes = {**{name: node for name, node in nodes.items() if name in kept}, **rest}
    outputs = {name: source for name, source in outputs.items() if kept.issuperset(_nodes_of(source))}
    inputs = dict(graph.inputs)
    for name, source in replaced.items():
        inputs[name] = InputSpec(annotation=annotation_of(graph, source))
    inputs = select_inputs(inputs, nodes.values(), outputs.values())
    return evolve(graph, nodes=nodes, inputs=inputs, outputs=outputs)


def _nodes_of(source: Source) -> list[str]:
    return [leaf.node for leaf in leaves(source) if isinstance(leaf, Output)]


def _rewire(node: Node, there: Mapping[Source, Input], idle: Collection[str], names: Names) -> Node:
    return evolve(
        change_sources(node, lambda source: _redirect(source, there)),
        after=tuple(name for name in node.after if name not in idle),
        # An output that is given too has to be called something, because results are unpacked by position.
        outputs=tuple(
            names.give(f"unused_{name}") if Output(node.name, name) in there else name
            for name in node.outputs
        ),
    )


def _redirect(source: Source, there: Mapping[Source, Input]) -> Source:
    if source in there:
        return there[source]
    changed = change_parts(source, lambda part: _redirect(part, there))
    if isinstance(changed, FirstOf):
        # What is given is never skipped, so nothing behind it counts.
        given = [place for place, part in enumerate(changed.sources) if part in there.values()]
        if given:
            changed = FirstOf(changed.sources[: given[0] + 1])
    return changed
