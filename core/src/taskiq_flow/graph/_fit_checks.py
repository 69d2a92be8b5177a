"""Checks of annotations: sources and parameters that can never fit are found before a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taskiq_flow.graph.map_types import map_annotation
from taskiq_flow.graph.model import (
    Conditional,
    FirstOf,
    Graph,
    Input,
    ListOf,
    MapNode,
    Output,
    Source,
    TaskNode,
)
from taskiq_flow.graph.types import can_fit, describe, dict_of, list_of, tuple_of, union_of
from taskiq_flow.payloads import Failure

__all__ = ["misfits"]


def misfits(graph: Graph) -> Iterator[str]:
    """Find parameters whose source can never fit."""
    types = _Types(graph)
    for node in graph.nodes.values():
        if isinstance(node, MapNode):
            yield from _map_misfits(node, types)
            continue
        for param, accepted in node.accepts.items():
            source = node.params.get(param)
            if source is None:
                continue
            produced = types.of(source)
            if not can_fit(produced, accepted):
                yield (
                    f"parameter {param!r} of node {node.name!r} takes {describe(accepted)}, but "
                    f"{_name_source(source)} is {describe(produced)}; make the annotations agree, or convert in between"
                )


def _map_misfits(node: MapNode, types: _Types) -> Iterator[str]:
    for item, source in ((node.item, node.items), *node.also.items()):
        items = types.of(source)
        spec = node.body.inputs.get(item)
        wanted = spec.annotation if spec else Any
        alone = not node.also and node.chunk is None
        if not can_fit(items, list) and not (alone and can_fit(items, dict)):
            yield (
                f"map {node.name!r} goes over {_name_source(source)}, which is {describe(items)}; "
                f"map over something that is a list{' or a dictionary' if alone else ''}"
            )
        elif not _items_fit(node, items, wanted):
            what = "items" if node.chunk is None else "chunks"
            yield (
                f"input {item!r} of the body of map {node.name!r} takes {describe(wanted)}, but the {what} come from "
                f"{_name_source(source)}, which is {describe(items)}; make the annotations agree, or convert in between"
            )
    for param, source in node.params.items():
        accepted = node.body.inputs[param].annotation if param in node.body.inputs else None
        produced = types.of(source)
        if not can_fit(produced, accepted):
            yield (
                f"input {param!r} of the body of map {node.name!r} takes {describe(accepted)}, but "
                f"{_name_source(source)} "
                f"is {describe(produced)}; make the annotations agree, or convert in between"
            )


def _items_fit(node: MapNode, items: Any, wanted: Any) -> bool:
    if node.chunk is not None:
        return can_fit(items, wanted)
    return can_fit(items, list_of(wanted)) or can_fit(items, dict_of(wanted))


def _name_source(source: Source) -> str:
    if isinstance(source, Input):
        return f"pipeline input {source.name!r}"
    if isinstance(source, Output):
        return f"{source.name!r} of node {source.node!r}"
    if isinstance(source, ListOf):
        return "the list of its sources"
    if isinstance(source, Conditional):
        return _name_source(source.source)
    return "each of its sources" if isinstance(source, FirstOf) else f"the value {source.value!r}"


def _alternatives(join: FirstOf) -> Iterator[Source]:
    # A row of branches nests the joins, possibly deeper than Python recurses.
    stack: list[Source] = [join]
    while stack:
        top = stack.pop()
        if isinstance(top, FirstOf):
            stack.extend(reversed(top.sources))
        else:
            yield top


class _Types:
    """The annotations of the sources of one graph; ``Any`` for unknown ones."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._bodies: dict[str, _Types] = {}
        self._filtered: dict[str, Any] = {}

    def of(self, source: Source) -> Any:
        if isinstance(source, Output):
            return self._output(source)
        if isinstance(source, Input):
            spec = self._graph.inputs.get(source.name)
            return spec.annotation if spec else Any
        if isinstance(source, Conditional):
            return self.of(source.source)
        if isinstance(source, FirstOf):
            return union_of(map(self.of, _alternatives(source)))
        if isinstance(source, ListOf):
            return tuple_of(self.of(one) for one in source.sources) if source.sources else list
        # Many annotations leave out ``| None`` beside a default of None, so None fits everything.
        return (
            Any if source.value is None else list if isinstance(source.value, tuple) else type(source.value)
        )

    def _output(self, source: Output) -> Any:
        node = self._graph.nodes.get(source.node)
        if node is None or source.name not in node.outputs:
            return Any
        place = node.outputs.index(source.name)
        if isinstance(node, TaskNode):
            return node.returns[place] if len(node.returns) == len(node.outputs) else Any
        if node.keep == "items":
            return self._filter(node)
        if place >= len(node.collects) or node.collects[place] not in node.body.outputs:
            return list if node.keep == "values" else Any
        body = self._bodies.setdefault(node.name, _Types(node.body))
        element = body.of(node.body.outputs[node.collects[place]])
        if node.fills:
            element = union_of((element, None if node.fills == "none" else Failure))
        return map_annotation(self._graph, node, element)

    def _filter(self, node: MapNode) -> Any:
        """Return the annotation of a filter's list: that of the list at the start of a row of filters."""
        row: dict[str, Any] = {}
        found: Any = list
        step: Any = node
        while isinstance(step, MapNode) and step.keep == "items" and step.name not in row:
            if step.name in self._filtered:
                found = self._filtered[step.name]
                break
            row[step.name] = None
            source = step.items
            step = self._graph.nodes.get(source.node) if isinstance(source, Output) else None
            if isinstance(source, Input) or isinstance(step, TaskNode) or (step and step.keep == "values"):
                items = self.of(source)
                found = items if can_fit(items, list) or can_fit(items, dict) else list
        self._filtered.update(dict.fromkeys(row, found))
        return found
