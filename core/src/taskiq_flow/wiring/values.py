"""The values in a graph: literals for arguments, and annotations for everything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_origin

from pydantic import AfterValidator

from taskiq_flow.errors import GraphError, PayloadError
from taskiq_flow.graph.map_types import map_annotation
from taskiq_flow.graph.model import (
    Conditional,
    FirstOf,
    Graph,
    Input,
    ListOf,
    Literal,
    MapNode,
    Node,
    Output,
    Source,
)
from taskiq_flow.graph.types import dict_of, list_of, union_of
from taskiq_flow.payloads import Failure
from taskiq_flow.serializers.json import JsonSerializer

__all__ = ["annotation_of", "input_annotations", "literal"]


_UNIONS = (Union, UnionType)


def literal(value: Any, *, parameter: str, task: str) -> Literal:
    """Make a source of a value that the user gave to a builder; later changes of the value do not reach it.

    :raises GraphError: the value has no JSON form, or not one from which it would come back.
    """
    json = JsonSerializer()
    try:
        return Literal(json.loads(json.dumps(value)))
    except PayloadError as error:
        raise GraphError(
            f"argument {parameter!r} of {task!r} has no JSON form: {error}, or let a task produce it"
        ) from None


def annotation_of(graph: Graph, source: Source) -> Any:
    """Return the annotation of a source's value; ``Any`` if it is unknown."""
    if isinstance(source, Output):
        return _of_output(graph, source)
    if isinstance(source, Input):
        spec = graph.inputs.get(source.name)
        return Any if spec is None or spec.annotation is None else spec.annotation
    if isinstance(source, Conditional):
        return annotation_of(graph, source.source)
    if isinstance(source, ListOf):
        return _list_of([annotation_of(graph, each) for each in source.sources])
    if isinstance(source, FirstOf):
        return union_of(annotation_of(graph, each) for each in source.sources)
    return Any


def _list_of(elements: list[Any]) -> Any:
    if all(each == elements[0] for each in elements):
        return list[elements[0]]  # type: ignore[valid-type]
    # With a union, pydantic would have to guess the type of each element.
    return Annotated[tuple[tuple(elements)], AfterValidator(list)]  # type: ignore[misc]


def _of_output(graph: Graph, source: Output) -> Any:
    node = graph.nodes[source.node]
    place = node.outputs.index(source.name)
    if not isinstance(node, MapNode):
        return node.returns[place] if node.returns else Any
    if node.keep == "items":
        return annotation_of(graph, node.items)
    element = annotation_of(node.body, node.body.outputs[node.collects[place]])
    if node.fills:
        element = union_of((element, None if node.fills == "none" else Failure))
    return map_annotation(graph, node, element)


def _list_for(node: MapNode, item: Any) -> Any:
    """Return the annotation of a list that a map goes over, from that of the input that takes its items."""
    if node.chunk is not None:
        return item
    if node.also:
        return list if item is None else list_of(item)
    if item is None:
        return list | dict
    # Maps in maps: what is said twice at each level would be said a thousand times ten levels further out.
    return list_of(item) | (dict if get_origin(item) in _UNIONS else dict_of(item))


def input_annotations(nodes: Iterable[Node]) -> Mapping[str, Any]:
    """Return the annotation of each graph input whose consumers all have the same one."""
    found: dict[str, list[Any]] = {}
    for node in nodes:
        for source, annotation in _consumers(node):
            if isinstance(source, Input) and annotation is not None:
                found.setdefault(source.name, []).append(annotation)
    return {name: first for name, (first, *others) in found.items() if all(each == first for each in others)}


def _consumers(node: Node) -> Iterable[tuple[Source, Any]]:
    if not isinstance(node, MapNode):
        for parameter, source in node.params.items():
            yield source, node.accepts.get(parameter)
        return
    for name, source in ((node.item, node.items), *node.also.items()):
        yield source, _list_for(node, node.body.inputs[name].annotation)
    for name, source in node.params.items():
        yield source, node.body.inputs[name].annotation
