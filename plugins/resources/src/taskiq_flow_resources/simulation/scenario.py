"""The scenario of a simulation: durations of attempts, their outputs, and the lengths of lists."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from attrs import field, frozen

from taskiq_flow.errors import PayloadError, UsageError
from taskiq_flow.graph import Graph, Input, ListOf, MapNode, Node, Output, Source, TaskNode, node_path
from taskiq_flow.payloads import ListedValue, Payload, Value
from taskiq_flow.rehearsal import Script
from taskiq_flow_resources.simulation.durations import Durations
from taskiq_flow_resources.simulation.past import Past

__all__ = ["Scenario"]

_MOST_ITEMS = 1_000_000


def _payload(value: Any) -> Payload:
    return Payload("json", json.dumps(value).encode())


@frozen(kw_only=True)
class Scenario(Script):
    """A script made of durations, numbers of items, values, and a past run.

    A task returns its given value, or else that of the past run's cell, or else the value that makes the first guard
    on it hold, or else true. So of two sides of a branch the one that was declared first is taken, and a filter keeps
    everything.

    :param graph: The graph to simulate.
    :param durations: The durations of attempts.
    :param counts: The number of items of a list, by the name of the map, its path, or the name of its list.
    :param values: The values of inputs and outputs, by name.
    :param past: A past run of the graph.
    :raises UsageError: names are unknown, or counts are not numbers; all problems are listed.
    """

    graph: Graph
    durations: Durations
    counts: Mapping[str, int] = field(factory=dict)
    values: Mapping[str, Any] = field(factory=dict)
    past: Past = field(factory=Past)
    unknown: dict[str, str] = field(factory=dict, init=False)
    _list_wanted: Mapping[str, Payload] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.durations.check(self.graph)
        problems = [*_bad_counts(self.graph, self.counts), *_bad_values(self.graph, self.values)]
        if problems:
            raise UsageError("\n".join(problems))
        object.__setattr__(self, "_list_wanted", dict(_list_wanted(self.graph, "")))

    def seconds(self, cell: str, node: TaskNode) -> float:
        return self.durations.of(cell, node)

    def outputs(self, cell: str, node: TaskNode) -> tuple[Value, ...]:
        known = self.past.outputs.get(cell, ())
        known = known if len(known) == len(node.outputs) else ()
        return tuple(
            self._value(cell, name, known[place] if known else None)
            for place, name in enumerate(node.outputs)
        )

    def inputs(self, graph: Graph) -> Mapping[str, Value]:
        return {name: self._value("", name, self.past.inputs.get(name)) for name in graph.inputs}

    def items(self, cell: str, node: MapNode, item: str, items: Value) -> tuple[Value, ...]:
        path = node_path(cell)
        place = (node.item, *node.also).index(item)
        source = (node.items, *node.also.values())[place]
        listed = _list(items)
        if listed is None:
            listed = _one_of(self.past.items.get(cell), place)
        # Several lists are told apart by the names of their sources; one that has none goes by that of the map.
        own = (path, node.name) if not node.also or (listed is None and not _source_name(source)) else ()
        names = (*own, _source_name(source))
        for name in names:
            if name in self.counts:
                count = self.counts[name]
                if listed is None or len(listed) != count:
                    listed = (self._value(f"{path}[]/", item, None),) * count
                return listed
        if listed is None:
            past = next((each for key, each in self.past.items.items() if node_path(key) == path), None)
            listed = _one_of(past, place)
        if listed is None:
            self.unknown.setdefault(path, _source_name(source) or node.name)
            return ()
        return listed

    def read(self, value: Value) -> Any:
        if isinstance(value, ListedValue):
            parts = [self.read(part) for part in value.parts]
            return parts if value.keys is None else dict(zip(map(self.read, value.keys), parts, strict=True))
        if isinstance(value, Payload) and value.serializer == "json":
            return json.loads(value.data)
        raise PayloadError("a simulation reads JSON only; give the value")

    def check(self) -> None:
        """Refuse maps over lists of unknown length.

        :raises UsageError: there are such maps; all of them are listed.
        """
        if self.unknown:
            raise UsageError(
                "\n".join(
                    f"the number of items of map {path!r} is unknown; give it: --items {source}=N"
                    for path, source in self.unknown.items()
                )
            )

    def _value(self, cell: str, name: str, known: Value | None) -> Value:
        scope = node_path(cell).rpartition("/")[0]
        path = f"{scope}/{name}" if scope else name
        for key in (path, name):
            if key in self.values:
                return _payload(self.values[key])
        if isinstance(known, Payload) and known.serializer == "json":
            return known
        if isinstance(known, ListedValue):
            return known
        return self._list_wanted.get(path) or _payload(True)


def _list(items: Value) -> tuple[Value, ...] | None:
    if isinstance(items, ListedValue):
        return items.parts
    if isinstance(items, Payload) and items.serializer == "json":
        found = json.loads(items.data)
        if isinstance(found, dict):
            found = list(found.values())
        if isinstance(found, list):
            return tuple(_payload(each) for each in found)
    return None


def _one_of(lists: tuple[tuple[Value, ...], ...] | None, place: int) -> tuple[Value, ...] | None:
    return None if lists is None or place >= len(lists) else lists[place]


def _source_name(source: Source) -> str:
    return source.name if isinstance(source, (Input, Output)) else ""


def _nodes(graph: Graph, prefix: str = "") -> Iterator[tuple[str, Node, Graph]]:
    """Yield every node with its scope, such as ``tracks[]/``, and the graph around it."""
    for node in graph.nodes.values():
        yield prefix, node, graph
        if isinstance(node, MapNode):
            yield from _nodes(node.body, f"{prefix}{node.name}[]/")


def _list_wanted(graph: Graph, prefix: str) -> Iterator[tuple[str, Payload]]:
    """Yield the values that make guards hold; of several guards on one value the first comes last."""
    for scope, node, _ in reversed(list(_nodes(graph, prefix))):
        if node.when is not None and isinstance(node.when.source, (Input, Output)):
            yield f"{scope}{node.when.source.name}", _payload(node.when.equals)


def _bad_counts(graph: Graph, counts: Mapping[str, int]) -> Iterator[str]:
    maps: dict[str, bool] = {}
    for scope, node, around in _nodes(graph):
        if isinstance(node, MapNode):
            for source in (node.items, *node.also.values()):
                follows = isinstance(source, ListOf) or (
                    isinstance(source, Output) and isinstance(around.nodes[source.node], MapNode)
                )
                has_name = node.also and _source_name(source)
                own = () if has_name else (f"{scope}{node.name}", node.name)
                names = {*own, _source_name(source)} - {""}
                maps.update((name, maps.get(name, True) and follows) for name in names)
    for name, count in counts.items():
        if type(count) is not int or not 0 <= count <= _MOST_ITEMS:
            yield (
                f"the number of items of {name!r} is {count!r}; give a whole number from 0 to {_MOST_ITEMS:,}"
            )
        elif name not in maps:
            yield f"there is a number of items for {name!r}, which no map goes over{_hint(name, maps)}"
        elif maps[name]:
            yield (
                f"there is a number of items for {name!r}, whose number follows from what comes before it; "
                "say how many items that has"
            )


def _bad_values(graph: Graph, values: Mapping[str, Any]) -> Iterator[str]:
    known: dict[str, None] = dict.fromkeys(graph.inputs)
    for scope, node, _ in _nodes(graph):
        if isinstance(node, TaskNode):
            known.update(dict.fromkeys((*node.outputs, *(f"{scope}{name}" for name in node.outputs))))
        else:
            for item in (node.item, *node.also):
                known.update(dict.fromkeys((item, f"{scope}{node.name}[]/{item}")))
    for name, value in values.items():
        if name not in known:
            yield f"there is a value for {name!r}, which is no input or output of a task here{_hint(name, known)}"
            continue
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            yield f"the value of {name!r} is no JSON: {error}"


def _hint(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, n=2)
    if near:
        return f" (did you mean {' or '.join(map(repr, near))}?)"
    return f"; there are {', '.join(map(repr, list(known)[:8]))}" if known else "; there are none"
