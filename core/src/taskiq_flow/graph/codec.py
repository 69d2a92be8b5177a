"""Graphs as text, and what identifies them.

The text is JSON: ``{"format": "taskiq-flow/graph", "version": 1, "graph": {…}}``. Nodes are a list, because their
order decides where nothing else does and not every reader of JSON keeps the order of an object. What has its default
value is left out. Annotations are not part of it: they serve checks at build time, which have been made.

A graph that is read is checked for its form, and for links that lead nowhere or in a circle, but not built again: a run
that was accepted once must stay readable when a later version checks more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from taskiq_flow.errors import GraphError
from taskiq_flow.graph._name_checks import circular_waits, unknown_references
from taskiq_flow.graph._node_checks import map_problems
from taskiq_flow.graph._reading import read_graph
from taskiq_flow.graph.model import (
    DEFAULT_OPTIONS,
    FirstOf,
    Graph,
    Guard,
    Input,
    Literal,
    MapNode,
    Node,
    NodeOptions,
    Output,
    Source,
)

__all__ = ["FORMAT", "VERSION", "digest", "from_json", "to_data", "to_json"]

FORMAT = "taskiq-flow/graph"
VERSION = 1


def to_json(graph: Graph, *, indent: int | None = None) -> str:
    """Give a graph as text.

    :param graph: A graph.
    :param indent: Spaces for each level, for people; ``None`` for one line.
    :raises GraphError: it holds values that are not plain JSON, which ``build_graph`` would have refused.
    """
    return _dumps(to_data(graph), indent=indent, separators=None if indent else (",", ":"))


def from_json(text: str | bytes) -> Graph:
    """Read a graph that :func:`to_json` wrote; it equals the one that was written.

    :param text: The text.
    :raises GraphError: the text is something else, is damaged, or comes from a newer version.
    """
    try:
        data = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError, TypeError) as error:
        raise GraphError(
            f"cannot read a graph: the text is not JSON ({error}); pass what to_json gave"
        ) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise GraphError(f"cannot read a graph: the text has no format {FORMAT!r}; pass what to_json gave")
    version = data.get("version")
    if version != VERSION or isinstance(version, bool):
        raise GraphError(
            f"cannot read a graph of version {version!r}; this taskiq-flow reads version {VERSION}, "
            "use the one that wrote it or a newer one"
        )
    try:
        graph = read_graph(data.get("graph"))
        damage = [f"cannot read a graph: {problem}" for problem in _damage(graph)]
    except RecursionError as error:
        raise GraphError("cannot read a graph: it is nested too deeply; split it") from error
    if damage:
        raise GraphError(damage)
    return graph


def _damage(graph: Graph) -> Iterator[str]:
    """Find what no run could begin with: only that, so that graphs are read that were made with fewer checks."""
    yield from unknown_references(graph)
    yield from circular_waits(graph)
    for node in graph.nodes.values():
        if isinstance(node, MapNode):
            yield from map_problems(node)
            yield from _damage(node.body)


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def digest(graph: Graph) -> str:
    """Give what identifies a graph: SHA-256 of its canonical text, as 64 hexadecimal digits.

    It depends neither on the order of mappings nor on the order in which nodes were declared. Equal graphs have equal
    digests, in every process and version of Python.

    :param graph: A graph.
    :raises GraphError: it holds values that are not plain JSON.
    """
    canonical = _dumps(to_data(graph, canonical=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def to_data(graph: Graph, *, canonical: bool = False) -> dict[str, Any]:
    """Give a graph as dictionaries and lists.

    :param graph: A graph.
    :param canonical: Order nodes by name instead of as they were declared.
    """
    try:
        return {"format": FORMAT, "version": VERSION, "graph": _graph(graph, canonical)}
    except RecursionError as error:
        raise GraphError("cannot write the graph: it is nested too deeply; split it") from error


def _dumps(data: dict[str, Any], **how: Any) -> str:
    try:
        return json.dumps(data, allow_nan=False, **how)
    except (TypeError, ValueError, RecursionError) as error:
        raise GraphError(
            f"cannot write the graph: a value in it is not plain JSON ({error}); convert it"
        ) from error


def _graph(graph: Graph, canonical: bool) -> dict[str, Any]:
    nodes = graph.nodes.values()
    if canonical:
        nodes = sorted(nodes, key=lambda node: node.name)  # type: ignore[assignment]
    data: dict[str, Any] = {"nodes": [_node(node, canonical) for node in nodes]}
    if graph.inputs:
        data["inputs"] = {
            name: {} if spec.required else {"required": False} for name, spec in graph.inputs.items()
        }
    if graph.outputs:
        data["outputs"] = {name: _source(source) for name, source in graph.outputs.items()}
    if graph.name:
        data["name"] = graph.name
    if graph.on_error != "stop":
        data["on_error"] = graph.on_error
    if graph.timeout is not None:
        data["timeout"] = float(graph.timeout)
    return data


def _node(node: Node, canonical: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"name": node.name}
    if isinstance(node, MapNode):
        data["body"] = _graph(node.body, canonical)
        data["items"] = _source(node.items)
        if node.item != "item":
            data["item"] = node.item
        if node.collects:
            data["collects"] = list(node.collects)
        if node.keep != "values":
            data["keep"] = node.keep
        if node.max_parallel is not None:
            data["max_parallel"] = node.max_parallel
        if node.skip_errors:
            data["skip_errors"] = True
    else:
        data["task"] = node.task
    if node.params:
        data["params"] = {name: _source(source) for name, source in node.params.items()}
    if node.optional:
        data["optional"] = sorted(node.optional)
    if node.outputs:
        data["outputs"] = list(node.outputs)
    if node.after:
        data["after"] = list(node.after)
    if node.when is not None:
        data["when"] = _guard(node.when)
    if node.options is not DEFAULT_OPTIONS:
        options = _options(node.options)
        if options:
            data["options"] = options
    if node.description:
        data["description"] = node.description
    return data


def _guard(guard: Guard) -> dict[str, Any]:
    return {"source": _source(guard.source), "equals": guard.equals}


def _options(options: NodeOptions) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if options.timeout is not None:
        data["timeout"] = float(options.timeout)
    if options.retry is not None:
        data["retry"] = dict(options.retry)
    if options.queue is not None:
        data["queue"] = options.queue
    if options.priority:
        data["priority"] = options.priority
    if options.resources:
        data["resources"] = {name: float(amount) for name, amount in options.resources.items()}
    if options.labels:
        data["labels"] = dict(options.labels)
    if options.on_error is not None:
        data["on_error"] = options.on_error
    if options.serializer is not None:
        data["serializer"] = options.serializer
    return data


def _source(source: Source) -> dict[str, Any]:
    if isinstance(source, Output):
        return {"output": [source.node, source.name]}
    if isinstance(source, Input):
        return {"input": source.name}
    if isinstance(source, Literal):
        return {"literal": source.value}
    kind = "first_of" if isinstance(source, FirstOf) else "list_of"
    return {kind: [_source(one) for one in source.sources]}
