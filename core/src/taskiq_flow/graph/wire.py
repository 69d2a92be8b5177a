"""Graphs as text, and their digests.

The text is JSON: ``{"format": "taskiq-flow/graph", "version": 1, "graph": {…}}``. Nodes are a list, because their
order breaks ties, and not every reader of JSON keeps the order of an object. The rest follows from the fields of the
classes; fields with their default value are left out. Annotations are not part of the text, because only the checks at
build time need them.

Reading checks the form of a graph, and refuses references to missing nodes and cycles. It does not run the checks of
``build_graph``: a run that was accepted once must stay readable when a later version checks more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from operator import attrgetter
from typing import Any

from taskiq_flow._wire_forms import Misfit, WireForm, wire_form
from taskiq_flow.errors import GraphError
from taskiq_flow.graph._depth_checks import depth_problems
from taskiq_flow.graph._name_checks import circular_waits, unknown_references
from taskiq_flow.graph._node_checks import map_problems
from taskiq_flow.graph.follows import follow_problems
from taskiq_flow.graph.model import (
    Conditional,
    FirstOf,
    Graph,
    Guard,
    Input,
    ListOf,
    Literal,
    MapNode,
    Node,
    Output,
    Source,
    TaskNode,
)

__all__ = ["FORMAT", "VERSION", "digest", "from_json", "to_data", "to_json"]

FORMAT = "taskiq-flow/graph"
VERSION = 1


def to_json(graph: Graph, *, indent: int | None = None) -> str:
    """Return a graph as text.

    :param graph: A graph.
    :param indent: Spaces for each level, for people; ``None`` for one line.
    :raises GraphError: it has values that are not plain JSON, which ``build_graph`` refuses.
    """
    return _dumps(to_data(graph), indent=indent, separators=None if indent else (",", ":"))


def from_json(text: str | bytes) -> Graph:
    """Read a graph that :func:`to_json` wrote; it equals the original.

    :param text: The text.
    :raises GraphError: the text is something else, is damaged, or comes from a newer version.
    """
    try:
        data = json.loads(text, parse_constant=_refuse)
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
        graph: Graph = _form(Graph, canonical=False).read(data.get("graph"))
        found = list(depth_problems(graph)) or _damage(graph)
        damage = [f"cannot read a graph: {problem}" for problem in found]
    except Misfit as misfit:
        raise GraphError(f"cannot read a graph: {misfit}") from None
    except RecursionError as error:
        raise GraphError("cannot read a graph: it is nested too deeply; split it") from error
    if damage:
        raise GraphError(damage)
    return graph


def _damage(graph: Graph) -> Iterator[str]:
    """Find damage that prevents a run; nothing else, so that graphs from versions with fewer checks stay readable."""
    yield from unknown_references(graph)
    yield from follow_problems(graph)
    yield from circular_waits(graph)
    for node in graph.nodes.values():
        if isinstance(node, MapNode):
            yield from map_problems(node)
            yield from _damage(node.body)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def digest(graph: Graph) -> str:
    """Return the digest of a graph: SHA-256 of its canonical text, as 64 hexadecimal digits.

    It depends neither on the order of mappings nor on the order in which nodes were declared. Equal graphs have equal
    digests, in every process and version of Python.

    :param graph: A graph.
    :raises GraphError: it has values that are not plain JSON.
    """
    canonical = _dumps(to_data(graph, canonical=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def to_data(graph: Graph, *, canonical: bool = False) -> dict[str, Any]:
    """Return a graph as dictionaries and lists.

    :param graph: A graph.
    :param canonical: Order nodes by name instead of by declaration.
    """
    try:
        return {"format": FORMAT, "version": VERSION, "graph": _form(Graph, canonical).write(graph)}
    except RecursionError as error:
        raise GraphError("cannot write the graph: it is nested too deeply; split it") from error


def _dumps(data: dict[str, Any], **how: Any) -> str:
    try:
        return json.dumps(data, allow_nan=False, **how)
    except (TypeError, ValueError, RecursionError) as error:
        raise GraphError(
            f"cannot write the graph: a value in it is not plain JSON ({error}); convert it"
        ) from error


# For each kind of source, by its word: the class, a getter of its content, and the annotation of the content.
_SOURCES: dict[str, tuple[type[Any], Callable[[Any], Any], Any]] = {
    "input": (Input, attrgetter("name"), str),
    "output": (Output, attrgetter("node", "name"), tuple[str, str]),
    "literal": (Literal, attrgetter("value"), Any),
    "first_of": (FirstOf, attrgetter("sources"), tuple[Source, ...]),
    "list_of": (ListOf, attrgetter("sources"), tuple[Source, ...]),
    "conditional": (Conditional, attrgetter("source", "given"), tuple[Source, Source]),
}
_WORDS = {kind: word for word, (kind, _, _) in _SOURCES.items()}


def _write_source(source: Source) -> dict[str, Any]:
    word = _WORDS[type(source)]
    return {word: _content_form(word).write(_SOURCES[word][1](source))}


def _read_source(data: Any) -> Source:
    if type(data) is not dict or len(data) != 1 or (word := next(iter(data))) not in _SOURCES:
        raise Misfit(f"a source, which is one of {', '.join(_SOURCES)}", data)
    try:
        content = _content_form(word).read(data[word])
    except Misfit as misfit:
        raise misfit.within(f".{word}") from None
    kind = _SOURCES[word][0]
    source: Source = kind(*content) if kind in (Output, Conditional) else kind(content)
    return source


@cache
def _content_form(word: str) -> WireForm:
    return wire_form(_SOURCES[word][2], ((Source, _SOURCE),))


_SOURCE = WireForm(_write_source, _read_source)


def _write_guard(guard: Guard) -> dict[str, Any]:
    # Both fields are always written: 1 equals the default True, so it would be left out and come back as True.
    return {"source": _write_source(guard.source), "equals": guard.equals}


def _read_guard(data: Any) -> Guard:
    if type(data) is not dict or data.keys() != {"source", "equals"}:
        raise Misfit("an object with source and equals", data)
    try:
        return Guard(_read_source(data["source"]), data["equals"])
    except Misfit as misfit:
        raise misfit.within(".source") from None


def _kind_of(is_map: bool) -> Any:
    return MapNode if is_map else TaskNode


@cache
def _form(annotation: Any, canonical: bool) -> WireForm:
    """Return the wire form of a graph or of a part of it; a canonical form orders nodes by name."""

    def write_nodes(nodes: Mapping[str, Node]) -> list[dict[str, Any]]:
        found = sorted(nodes.values(), key=lambda node: node.name) if canonical else nodes.values()
        return [_form(_kind_of(isinstance(node, MapNode)), canonical).write(node) for node in found]

    def read_nodes(data: Any) -> dict[str, Node]:
        if type(data) is not list:
            raise Misfit("a list", data)
        nodes: dict[str, Node] = {}
        try:
            for each in data:
                kind = _kind_of(type(each) is dict and "body" in each)
                node: Node = _form(kind, canonical).read(each)
                if node.name in nodes:
                    raise Misfit("a name that no other node has", node.name).within(".name")
                nodes[node.name] = node
        except Misfit as misfit:
            raise misfit.within(f"[{len(nodes)}]") from None
        return nodes

    known = (
        (Mapping[str, Node], WireForm(write_nodes, read_nodes)),
        (Guard, WireForm(_write_guard, _read_guard)),
        (Source, _SOURCE),
    )
    return wire_form(annotation, known)
