"""A graph prepared for execution: names become positions, sources become places of values."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping
from typing import Any, Union

from attrs import frozen

from taskiq_flow.graph.follows import find_watched
from taskiq_flow.graph.model import (
    Conditional,
    FirstOf,
    Follows,
    Graph,
    Input,
    Literal,
    MapNode,
    Node,
    Output,
    Source,
    TaskNode,
)
from taskiq_flow.graph.order import leaves, predecessors
from taskiq_flow.graph.tolerance import find_handled, find_tolerated
from taskiq_flow.payloads import Chosen, ListedValue, Payload, Value

__all__ = [
    "LONGEST_ROW",
    "Each",
    "First",
    "Following",
    "OnlyIf",
    "Param",
    "Place",
    "Plan",
    "Slot",
    "keep_places",
    "place_items",
    "plan_of",
    "resolve",
]


LONGEST_ROW = 32
"""How many elements a tuple may have of which each is read by its own annotation once it went through a map."""


@frozen
class Slot:
    """The place of an output.

    :param node: The position of the producing node.
    :param output: The position among its outputs.
    """

    node: int
    output: int


@frozen
class First:
    """The first of several places that has a value."""

    places: tuple[Place, ...]


@frozen
class Each:
    """A list of the values in several places."""

    places: tuple[Place, ...]


@frozen
class OnlyIf:
    """A place that counts only if another place has a value."""

    place: Place
    given: Place


Place = Union[Slot, First, Each, OnlyIf, str, Value]
"""The place of a value in a scope; a text is the name of an input, a value stands for itself."""


@frozen
class Param:
    """A parameter of a node.

    :param name: Its name.
    :param place: The place of its value.
    :param optional: Whether it may be left out.
    :param tolerant: Whether it takes failures in the place of values.
    """

    name: str
    place: Place
    optional: bool
    tolerant: bool = False


@frozen
class Following:
    """What a node follows.

    :param follows: The condition.
    :param watched: The positions of the nodes that it follows.
    :param before: Those, and the producers of what it takes.
    """

    follows: Follows
    watched: tuple[int, ...]
    before: tuple[int, ...]


@frozen(kw_only=True, eq=False)
class Plan:
    """The machine's view of a graph, computed once for each graph and shared by all scopes.

    :param graph: The graph.
    :param nodes: Its nodes; everything else refers to a node by its position here.
    :param index: The position of each node's name.
    :param roots: The positions of the nodes that wait for no other.
    :param indegree: How many distinct nodes must be final before a node can start, by position.
    :param dependents: The positions of the nodes that wait for a node, by position.
    :param params: The parameters of each node, by position.
    :param guards: The place that a guard looks at and the value it wants there, by position.
    :param items: The places of a map's lists, by position.
    :param outputs: The places of the graph's outputs, by name.
    :param producers: The positions of the nodes that can produce each output, by name.
    :param bodies: The plans of map nodes' bodies, by position.
    :param following: What the nodes follow that run after a failure or always, by position.
    :param cleans: Whether there are such nodes, here or in a body.
    :param tolerated: The nodes whose failure a node takes as a value, by its position.
    :param handled: The nodes whose failure only goes on as a value, and fails nothing else.
    """

    graph: Graph
    nodes: tuple[Node, ...]
    index: Mapping[str, int]
    roots: tuple[int, ...]
    indegree: array[int]
    dependents: tuple[tuple[int, ...], ...]
    params: tuple[tuple[Param, ...], ...]
    guards: Mapping[int, tuple[Place, Any]]
    items: Mapping[int, tuple[Place, ...]]
    outputs: Mapping[str, Place]
    producers: Mapping[str, tuple[int, ...]]
    bodies: Mapping[int, Plan]
    following: Mapping[int, Following]
    cleans: bool
    tolerated: Mapping[int, frozenset[int]]
    handled: frozenset[int]

    def outlives(self, dependent: int, position: int) -> bool:
        """Whether a node goes on although another one that it waits for has failed or was cancelled."""
        return dependent in self.following or position in self.tolerated.get(dependent, ())


def plan_of(graph: Graph) -> Plan:
    """Prepare a graph once; linear in nodes and edges, nested bodies included."""
    plan = graph._plan
    if not isinstance(plan, Plan):
        plan = _prepare(graph)
        # A cache: it is computed once and never changes, so the graph stays immutable from outside.
        object.__setattr__(graph, "_plan", plan)
    return plan


def _prepare(graph: Graph) -> Plan:
    nodes = tuple(graph.nodes.values())
    index = {node.name: position for position, node in enumerate(nodes)}
    indegree = [0] * len(nodes)
    dependents: list[list[int]] = [[] for _ in nodes]
    params: list[tuple[Param, ...]] = []
    guards: dict[int, tuple[Place, Any]] = {}
    items: dict[int, tuple[Place, ...]] = {}
    bodies: dict[int, Plan] = {}
    following: dict[int, Following] = {}
    tolerated: dict[int, frozenset[int]] = {}
    for position, node in enumerate(nodes):
        before = predecessors(node)
        if isinstance(node, TaskNode) and node.tolerates:
            tolerated[position] = frozenset(index[name] for name in find_tolerated(node))
        if isinstance(node, TaskNode) and node.follows is not None:
            watched = find_watched(graph, node.name)
            before = before.union(watched)
            following[position] = Following(
                node.follows,
                tuple(index[name] for name in watched),
                tuple(sorted(index[name] for name in before)),
            )
        indegree[position] = len(before)
        for name in before:
            dependents[index[name]].append(position)
        params.append(
            tuple(
                Param(
                    name,
                    _place(source, graph, index),
                    name in node.optional,
                    isinstance(node, TaskNode) and name in node.tolerates,
                )
                for name, source in node.params.items()
            )
        )
        if node.when is not None:
            guards[position] = (_place(node.when.source, graph, index), _plain(node.when.equals))
        if isinstance(node, MapNode):
            items[position] = tuple(_place(each, graph, index) for each in (node.items, *node.also.values()))
            bodies[position] = plan_of(node.body)
    return Plan(
        graph=graph,
        nodes=nodes,
        index=index,
        roots=tuple(position for position, count in enumerate(indegree) if count == 0),
        indegree=array("L", indegree),
        # Filled in the order of positions, so they are sorted; the order of a set of names would be random.
        dependents=tuple(map(tuple, dependents)),
        params=tuple(params),
        guards=guards,
        items=items,
        outputs={name: _place(source, graph, index) for name, source in graph.outputs.items()},
        producers={
            name: tuple(index[leaf.node] for leaf in leaves(source) if isinstance(leaf, Output))
            for name, source in graph.outputs.items()
        },
        bodies=bodies,
        following=following,
        tolerated=tolerated,
        handled=frozenset(index[name] for name in find_handled(graph)) if tolerated else frozenset(),
        cleans=bool(following) or any(body.cleans for body in bodies.values()),
    )


def _place(source: Source, graph: Graph, index: Mapping[str, int]) -> Place:
    if isinstance(source, Output):
        return Slot(index[source.node], graph.nodes[source.node].outputs.index(source.name))
    if isinstance(source, Input):
        return source.name
    if isinstance(source, Literal):
        return Payload("json", json.dumps(source.value, separators=(",", ":")).encode())
    if isinstance(source, Conditional):
        return OnlyIf(_place(source.source, graph, index), _place(source.given, graph, index))
    places = tuple(_place(member, graph, index) for member in source.sources)
    return First(places) if isinstance(source, FirstOf) else Each(places)


def _plain(value: Any) -> Any:
    """Return a value after a round trip through JSON, which turns tuples into lists."""
    return json.loads(json.dumps(value))


def resolve(
    place: Place, inputs: Mapping[str, Value], outputs: Mapping[int, tuple[Value, ...]]
) -> Value | None:
    """Return the value in a place of a scope; ``None`` when it was skipped or not given.

    The value of a join says which of its places it came from.

    :param inputs: The scope's inputs by name.
    :param outputs: The outputs of the scope's succeeded cells, by the node's position.
    """
    if isinstance(place, Slot):
        produced = outputs.get(place.node)
        return None if produced is None else produced[place.output]
    if isinstance(place, str):
        return inputs.get(place)
    if isinstance(place, First):
        for index, each in enumerate(place.places):
            value = resolve(each, inputs, outputs)
            if value is not None:
                return Chosen(index, value)
        return None
    if isinstance(place, OnlyIf):
        given = resolve(place.given, inputs, outputs)
        return None if given is None else resolve(place.place, inputs, outputs)
    if isinstance(place, Each):
        members = [resolve(each, inputs, outputs) for each in place.places]
        there = tuple(member for member in members if member is not None)
        return ListedValue(there) if len(there) == len(members) else None
    return place


def place_items(plan: Plan, place: Place, value: Value, items: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return the items of a list, each with the place that it came from, where that may say what it is.

    So it is where the list came from one of several places, was put together, or is short enough to be a tuple that a
    task has returned, with an annotation for each element.

    :param plan: The plan with the place.
    :param place: The place of the list.
    :param value: What :func:`resolve` gave for it.
    :param items: Its items.
    """
    if isinstance(place, OnlyIf):
        return place_items(plan, place.place, value, items)
    row = isinstance(place, Slot) and isinstance(plan.nodes[place.node], TaskNode)
    if isinstance(place, Each) or (row and len(items) <= LONGEST_ROW):
        return tuple([Chosen(index, item) for index, item in enumerate(items)])
    if type(value) is not Chosen:
        return items
    index = value.index
    inner = place.places[index] if isinstance(place, First) else place
    return tuple([Chosen(index, item) for item in place_items(plan, inner, value.value, items)])


def keep_places(value: Value, items: tuple[Value, ...]) -> tuple[Value, ...]:
    """Return the items of a list as they were read, each with the places that it came from by the list itself.

    :param value: The list.
    :param items: Its items, of which large ones have become blobs.
    """
    while type(value) is Chosen:
        value = value.value
    if type(value) is not ListedValue or len(value) != len(items):
        return items
    return tuple([_keep_place(part, item) for part, item in zip(value.parts, items, strict=True)])


def _keep_place(part: Value, item: Value) -> Value:
    if type(part) is Chosen:
        return Chosen(part.index, _keep_place(part.value, item))
    return part if type(part) is ListedValue and type(item) is ListedValue else item
