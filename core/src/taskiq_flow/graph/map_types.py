"""The annotations of the outputs of maps."""

from __future__ import annotations

import typing
from typing import Any, Union

from taskiq_flow.graph._shapes import is_mapping
from taskiq_flow.graph.model import Graph, Input, ListOf, Literal, MapNode, Output
from taskiq_flow.graph.types import can_fit, comparable_or_any, dict_of, list_of, members

__all__ = ["map_annotation"]

# Maps over maps over maps are followed so far, so that a graph of thousands of them is read in linear time.
_MOST_MAPS = 20


def map_annotation(graph: Graph, node: MapNode, element: Any) -> Any:
    """Return the annotation of an output of a map: a list, a dictionary if it goes over one, or either.

    :param graph: The graph of the map.
    :param element: The annotation of the output of its body that it collects.
    """
    if node.keep == "one":
        return element
    found = _find_beginning(graph, node)
    if found is None:
        return list_of(element)
    kinds = [comparable_or_any(each) for each in members(comparable_or_any(found))]
    keyed = [each for each in kinds if each is not Any and is_mapping(typing.get_origin(each) or each)]
    if len(keyed) == len(kinds):
        keys = {(*typing.get_args(each), Any)[0] for each in keyed}
        return dict_of(element, keys.pop() if len(keys) == 1 else Any)
    if can_fit(found, dict) and not (found is not Any and can_fit(found, list) and not keyed):
        return Union[list_of(element), dict_of(element)]
    return list_of(element)


def _find_beginning(graph: Graph, node: MapNode) -> Any:
    """Return the annotation of what a map goes over, or of what a row of maps begins with; ``None`` for a list."""
    for _ in range(_MOST_MAPS):
        source = node.items
        if node.also or node.chunk is not None or isinstance(source, ListOf):
            return None
        if isinstance(source, Input):
            spec = graph.inputs.get(source.name)
            return Any if spec is None or spec.annotation is None else spec.annotation
        if isinstance(source, Literal):
            return dict if isinstance(source.value, dict) else None
        producer = graph.nodes.get(source.node) if isinstance(source, Output) else None
        if not isinstance(source, Output) or producer is None or source.name not in producer.outputs:
            return Any
        if not isinstance(producer, MapNode):
            place = producer.outputs.index(source.name)
            return producer.returns[place] if len(producer.returns) == len(producer.outputs) else Any
        if producer.keep == "one":
            return Any
        node = producer
    return Any
