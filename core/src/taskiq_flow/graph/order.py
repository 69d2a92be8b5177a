"""What comes before what: algorithms that are linear in nodes and edges, and never recurse over nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Union

from attrs import evolve, frozen

from taskiq_flow._words import Suggestions
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.model import (
    FirstOf,
    Graph,
    Input,
    ListOf,
    Literal,
    MapNode,
    Node,
    Output,
    Source,
    TaskNode,
)

__all__ = [
    "Arrangement",
    "arrange",
    "leaves",
    "predecessors",
    "sources",
    "subgraph_for",
    "task_nodes",
    "topological_order",
]

Leaf = Union[Input, Output, Literal]


def leaves(source: Source) -> Iterator[Leaf]:
    """Give the inputs, outputs and literals that a source consists of, in order."""
    stack = [source]
    while stack:
        top = stack.pop()
        if isinstance(top, (FirstOf, ListOf)):
            stack.extend(reversed(top.sources))
        else:
            yield top


def sources(node: Node) -> Iterator[Source]:
    """Give every source that a node waits for: parameters, the items of a map, the guard."""
    if isinstance(node, MapNode):
        yield node.items
    yield from node.params.values()
    if node.when is not None:
        yield node.when.source


def predecessors(node: Node) -> frozenset[str]:
    """Give the names of the nodes that must have finished before a node can run.

    :param node: A node; whether the names exist is not its business.
    """
    found = set(node.after)
    for source in sources(node):
        if type(source) is Output:
            found.add(source.node)
        elif type(source) is not Input:
            found.update(leaf.node for leaf in leaves(source) if isinstance(leaf, Output))
    return frozenset(found)


@frozen
class Arrangement:
    """Nodes in an order that respects who waits for whom, as far as there is one.

    :param order: Names; complete even where there are cycles, but then meaningless inside them.
    :param cycles: One path for each knot of nodes that wait for each other, in the direction of the data.
    """

    order: tuple[str, ...]
    cycles: tuple[tuple[str, ...], ...]


def arrange(nodes: Mapping[str, Node], before: Callable[[Node], Iterable[str]] = predecessors) -> Arrangement:
    """Order nodes: each stays where it was declared, unless it waits for one that was declared later.

    Depth first, in the order of declaration; what a node waits for comes right before it. Nodes that are not in
    ``nodes`` are passed over.

    :param nodes: By name, in the order of declaration.
    :param before: Gives the names that a node waits for.
    """
    position = {name: index for index, name in enumerate(nodes)}
    names = tuple(nodes)
    waits: list[Sequence[int]] = []
    sorted_already = True
    for index, node in enumerate(nodes.values()):
        # Sorted, because sets of texts have another order in every process, and replays must agree.
        places = sorted(position[name] for name in before(node) if name in position)
        sorted_already = sorted_already and (not places or places[-1] < index)
        waits.append(places)
    if sorted_already:
        return Arrangement(names, ())
    return _depth_first(names, waits)


def _depth_first(names: Sequence[str], waits: Sequence[Sequence[int]]) -> Arrangement:
    unseen, open_, done = 0, 1, 2
    state = bytearray(len(names))
    in_knot = bytearray(len(names))
    order: list[str] = []
    cycles: list[tuple[str, ...]] = []
    for root in range(len(names)):
        if state[root] != unseen:
            continue
        state[root] = open_
        path = [root]
        todo = [iter(waits[root])]
        while path:
            for wanted in todo[-1]:
                if state[wanted] == unseen:
                    state[wanted] = open_
                    path.append(wanted)
                    todo.append(iter(waits[wanted]))
                    break
                if state[wanted] == open_:
                    cycle = _cycle(path, wanted, in_knot)
                    if cycle:
                        cycles.append(tuple(names[index] for index in cycle))
            else:
                todo.pop()
                last = path.pop()
                state[last] = done
                order.append(names[last])
    return Arrangement(tuple(order), tuple(cycles))


def _cycle(path: Sequence[int], start: int, in_knot: bytearray) -> list[int]:
    """Give the cycle that leads back to ``start``; empty where its knot has been reported.

    Whatever is walked over belongs to one knot and is marked, so all calls together walk over each node once.
    """
    found: list[int] = []
    for index in reversed(path):
        if in_knot[index]:
            return []
        in_knot[index] = True
        found.append(index)
        if index == start:
            break
    # The path leads from a node to what it waits for; walked backwards it was in the direction of the data
    # from its end to ``start``. Begin with the node that was declared first.
    first = found.index(min(found))
    turned = found[first:] + found[:first]
    return [*turned, turned[0]]


def topological_order(graph: Graph) -> tuple[str, ...]:
    """Give the names of the nodes so that each comes after all that it waits for.

    A graph whose nodes were declared in such an order keeps it; elsewhere a node that was declared too late is
    moved right before the first node that waits for it.

    :raises GraphError: there is a cycle, which a graph made with ``build_graph`` cannot have.
    """
    found = arrange(graph.nodes)
    if found.cycles:
        raise GraphError([f"nodes wait for each other: {' -> '.join(cycle)}" for cycle in found.cycles])
    return found.order


def subgraph_for(graph: Graph, outputs: Iterable[str]) -> Graph:
    """Keep only what the wanted outputs need: nodes, and the inputs that those nodes need.

    Nodes that a kept node merely comes after are needed too.

    :param graph: A graph.
    :param outputs: Names of its outputs, or of what its nodes produce.
    :returns: A graph whose outputs are the wanted ones.
    :raises GraphError: there is no output of such a name; all of them are listed.
    """
    wanted = list(dict.fromkeys([outputs] if isinstance(outputs, str) else outputs))
    known: dict[str, Source] = {
        name: Output(node.name, name) for node in graph.nodes.values() for name in node.outputs
    }
    known.update(graph.outputs)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        like = Suggestions(known)
        raise GraphError(
            [f"output {name!r} is wanted, which no node produces{like.hint(name)}" for name in unknown]
        )
    answers = {name: known[name] for name in wanted}
    needed = {leaf.node for source in answers.values() for leaf in leaves(source) if isinstance(leaf, Output)}
    todo = list(needed)
    while todo:
        for name in predecessors(graph.nodes[todo.pop()]):
            if name not in needed:
                needed.add(name)
                todo.append(name)
    nodes = {name: node for name, node in graph.nodes.items() if name in needed}
    read = {
        leaf.name
        for source in (*answers.values(), *(it for node in nodes.values() for it in sources(node)))
        for leaf in leaves(source)
        if isinstance(leaf, Input)
    }
    inputs = {name: spec for name, spec in graph.inputs.items() if name in read}
    return evolve(graph, nodes=nodes, inputs=inputs, outputs=answers)


def task_nodes(graph: Graph, prefix: str = "") -> Iterator[tuple[str, TaskNode]]:
    """Give every task node of a graph and of the bodies in it, each with its path (``tracks[]/features``)."""
    for node in graph.nodes.values():
        if isinstance(node, MapNode):
            yield from task_nodes(node.body, f"{prefix}{node.name}[]/")
        else:
            yield f"{prefix}{node.name}", node
