"""The order of nodes: algorithms that are linear in nodes and edges, and never recurse over nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Union

from attrs import evolve, frozen

from taskiq_flow._words import Suggestions
from taskiq_flow.errors import GraphError
from taskiq_flow.graph.follows import find_watched, keep_followers
from taskiq_flow.graph.model import (
    Conditional,
    FirstOf,
    Graph,
    Input,
    InputSpec,
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
    "find_before",
    "leaves",
    "predecessors",
    "select_inputs",
    "sources",
    "subgraph_for",
    "task_nodes",
    "topological_order",
]

Leaf = Union[Input, Output, Literal]


def leaves(source: Source) -> Iterator[Leaf]:
    """Yield the inputs, outputs and literals of a source, in order."""
    stack = [source]
    while stack:
        top = stack.pop()
        if isinstance(top, (FirstOf, ListOf)):
            stack.extend(reversed(top.sources))
        elif isinstance(top, Conditional):
            stack.extend((top.given, top.source))
        else:
            yield top


def sources(node: Node) -> Iterator[Source]:
    """Yield every source that a node waits for: parameters, the lists of a map, the guard."""
    if isinstance(node, MapNode):
        yield node.items
        yield from node.also.values()
    yield from node.params.values()
    if node.when is not None:
        yield node.when.source


def predecessors(node: Node) -> frozenset[str]:
    """Return the names of the nodes that must have finished before a node can run.

    :param node: A node; the names need not exist in its graph.
    """
    found = set(node.after)
    if isinstance(node, TaskNode) and node.follows is not None:
        found.update(node.follows.nodes)
    for source in sources(node):
        if type(source) is Output:
            found.add(source.node)
        elif type(source) is not Input:
            found.update(leaf.node for leaf in leaves(source) if isinstance(leaf, Output))
    return frozenset(found)


def find_before(graph: Graph, name: str) -> frozenset[str]:
    """Return the names of the nodes that must have ended before a node can run, those that it follows included."""
    return predecessors(graph.nodes[name]).union(find_watched(graph, name))


@frozen
class Arrangement:
    """Nodes in topological order, as far as there is one.

    :param order: Names of all nodes; inside a cycle their order is arbitrary.
    :param cycles: One path for each group of nodes that wait for each other, in the direction of the data.
    """

    order: tuple[str, ...]
    cycles: tuple[tuple[str, ...], ...]


def arrange(nodes: Mapping[str, Node], before: Callable[[Node], Iterable[str]] = predecessors) -> Arrangement:
    """Order nodes: each keeps its place, unless it waits for a node that was declared later.

    The search is depth first, in the order of declaration; a node comes right after those it waits for. Names that are
    not in ``nodes`` are ignored.

    :param nodes: Nodes by name, in the order of declaration.
    :param before: Callback that returns the names a node waits for.
    """
    position = {name: index for index, name in enumerate(nodes)}
    names = tuple(nodes)
    waits: list[Sequence[int]] = []
    sorted_already = True
    for index, node in enumerate(nodes.values()):
        # Sorted, because the order of a set of texts differs between processes, and all replays must agree.
        places = sorted(position[name] for name in before(node) if name in position)
        sorted_already = sorted_already and (not places or places[-1] < index)
        waits.append(places)
    if sorted_already:
        return Arrangement(names, ())
    return _depth_first(names, waits)


def _depth_first(names: Sequence[str], waits: Sequence[Sequence[int]]) -> Arrangement:
    unseen, open_, done = 0, 1, 2
    state = bytearray(len(names))
    in_cycle = bytearray(len(names))
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
                    cycle = _cycle(path, wanted, in_cycle)
                    if cycle:
                        cycles.append(tuple(names[index] for index in cycle))
            else:
                todo.pop()
                last = path.pop()
                state[last] = done
                order.append(names[last])
    return Arrangement(tuple(order), tuple(cycles))


def _cycle(path: Sequence[int], start: int, in_cycle: bytearray) -> list[int]:
    """Return the cycle that leads back to ``start``; empty if its group of nodes was reported already.

    Every node on the way belongs to that group and is marked, so all calls together visit each node once.
    """
    found: list[int] = []
    for index in reversed(path):
        if in_cycle[index]:
            return []
        in_cycle[index] = True
        found.append(index)
        if index == start:
            break
    # The path leads from a node to those it waits for, so the reversed path follows the data. The cycle begins with
    # the node that was declared first.
    first = found.index(min(found))
    turned = found[first:] + found[:first]
    return [*turned, turned[0]]


def topological_order(graph: Graph) -> tuple[str, ...]:
    """Return the names of the nodes so that each comes after those it waits for.

    Nodes that were declared in such an order keep it; a node that was declared too late moves right before the first
    node that waits for it.

    :raises GraphError: there is a cycle, which a graph made with ``build_graph`` cannot have.
    """
    found = arrange(graph.nodes)
    if found.cycles:
        raise GraphError([f"nodes wait for each other: {' -> '.join(cycle)}" for cycle in found.cycles])
    return found.order


def subgraph_for(graph: Graph, outputs: Iterable[str]) -> Graph:
    """Keep only the nodes that the wanted outputs need, and the inputs of those nodes.

    A node in the ``after`` of a kept node is kept too, and what follows kept nodes after a failure or always.

    :param graph: A graph.
    :param outputs: Names of its outputs, or of outputs of its nodes.
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
    results = {name: known[name] for name in wanted}
    needed = {leaf.node for source in results.values() for leaf in leaves(source) if isinstance(leaf, Output)}
    todo = list(needed)
    while todo:
        for name in predecessors(graph.nodes[todo.pop()]):
            if name not in needed:
                needed.add(name)
                todo.append(name)
    nodes = {name: node for name, node in graph.nodes.items() if name in needed}
    nodes.update(keep_followers(graph, needed))
    inputs = select_inputs(graph.inputs, nodes.values(), results.values())
    return evolve(graph, nodes=nodes, inputs=inputs, outputs=results)


def select_inputs(
    inputs: Mapping[str, InputSpec], nodes: Iterable[Node], results: Iterable[Source]
) -> dict[str, InputSpec]:
    """Return those inputs that something reads; one that only replaces defaults is not required any more.

    :param inputs: Inputs of a graph.
    :param nodes: The nodes that are left of it.
    :param results: The sources of its outputs.
    """
    required = set(_names_read(results))
    optional: set[str] = set()
    for node in nodes:
        optional.update(_names_read(node.params[name] for name in node.optional if name in node.params))
        required.update(_names_read(_find_required(node)))
    return {
        name: spec if name in required or not spec.required else evolve(spec, required=False)
        for name, spec in inputs.items()
        if name in required or name in optional
    }


def _find_required(node: Node) -> Iterator[Source]:
    if isinstance(node, MapNode):
        yield node.items
        yield from node.also.values()
    yield from (source for name, source in node.params.items() if name not in node.optional)
    if node.when is not None:
        yield node.when.source


def _names_read(read: Iterable[Source]) -> Iterator[str]:
    return (leaf.name for source in read for leaf in leaves(source) if isinstance(leaf, Input))


def task_nodes(graph: Graph, prefix: str = "") -> Iterator[tuple[str, TaskNode]]:
    """Yield every task node of a graph and of its maps, each with its path (``tracks[]/features``)."""
    for node in graph.nodes.values():
        if isinstance(node, MapNode):
            yield from task_nodes(node.body, f"{prefix}{node.name}[]/")
        else:
            yield f"{prefix}{node.name}", node
